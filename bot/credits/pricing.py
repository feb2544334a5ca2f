"""What a job costs, in credits. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal

from providers.types import CostUnit, ModelSpec


class PriceUnknown(Exception):  # noqa: N818 - it names what happened
    """Nobody knows what this model costs, so no job of it is accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRule:
    """A guild's own price of a model, in place of the catalogue's: one of the two is set."""

    #: for each job, whatever its options
    credits: int | None = None
    #: of the catalogue's price
    factor: Decimal | None = None


@dataclass(slots=True, kw_only=True)
class Pricing:
    """How upstream prices become credits. What was quoted stays as it is.

    ``own_prices`` are upstream US$ by model and resolution (``*``: any), in place of the catalogue's; a
    model that the catalogue prices per second is priced per second there too.
    """

    credits_per_usd: Decimal
    usd_per_vendor_credit: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    own_prices: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict[str, Mapping[str, Decimal]])

    def become(self, other: Pricing) -> None:
        """Reckon from now on as another one does."""
        self.credits_per_usd = other.credits_per_usd
        self.usd_per_vendor_credit = other.usd_per_vendor_credit
        self.own_prices = other.own_prices

    def credits(self, spec: ModelSpec, *, resolution: str, duration: int, rule: PriceRule | None = None) -> int:
        """The price, rounded up once; ``rule`` is the guild's own. Raises ``PriceUnknown``."""
        if rule is not None and rule.credits is not None:
            return rule.credits
        usd = self.upstream_usd(spec, resolution=resolution, duration=duration)
        factor = Decimal(1) if rule is None or rule.factor is None else rule.factor
        return int((usd * self.credits_per_usd * factor).to_integral_value(ROUND_CEILING))

    def range(self, spec: ModelSpec, rule: PriceRule | None = None) -> tuple[int, int] | None:
        """The lowest and the highest price of a model, in credits; None: unknown."""
        prices: list[int] = []
        for resolution in spec.resolutions:
            for duration in spec.durations:
                try:
                    prices.append(self.credits(spec, resolution=resolution, duration=duration, rule=rule))
                except PriceUnknown:
                    continue
        return (min(prices), max(prices)) if prices else None

    def upstream_usd(self, spec: ModelSpec, *, resolution: str, duration: int) -> Decimal:
        """What the vendor is expected to charge, in US dollars. Raises ``PriceUnknown``."""
        seconds = duration if spec.price.per_second else 1
        own = _at(self.own_prices.get(spec.id, {}), resolution)
        if own is not None:
            return own * seconds
        amount = _at(spec.price.per_second or spec.price.per_video, resolution)
        if amount is None:
            raise PriceUnknown(f"{spec.id} has no price for {resolution}")
        if spec.price.unit is CostUnit.USD:
            return amount * seconds
        rate = self.usd_per_vendor_credit.get(spec.provider)
        if rate is None:
            raise PriceUnknown(f"nobody said what a credit of {spec.provider} costs")
        # the vendor charges whole credits of its own
        return (amount * seconds).to_integral_value(ROUND_CEILING) * rate


def _at(prices: Mapping[str, Decimal], resolution: str) -> Decimal | None:
    return prices.get(resolution, prices.get("*"))
