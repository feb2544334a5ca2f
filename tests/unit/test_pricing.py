from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.credits.pricing import PriceUnknown, Pricing
from bot.settings import Settings
from providers.catalogue import DEMO, MODELS, PIXELDOJO_WAN_22_STANDARD, PIXELDOJO_WAN_27_I2V
from providers.types import CostUnit, ModelSpec, Price

DEFAULTS = Settings.load({})


def pricing(*, credits_per_usd: str = "100", own_prices: Mapping[str, Mapping[str, Decimal]] | None = None) -> Pricing:
    return Pricing(
        credits_per_usd=Decimal(credits_per_usd),
        usd_per_vendor_credit={"pixeldojo": DEFAULTS.pixeldojo_usd_per_credit},
        own_prices=own_prices or {},
    )


@pytest.mark.parametrize(
    ("spec", "resolution", "duration", "price"),
    [
        # 12.5 of the vendor's credits, which are 13, at US$ 0.05
        (PIXELDOJO_WAN_27_I2V, "720p", 5, 65),
        (PIXELDOJO_WAN_27_I2V, "720p", 2, 25),
        (PIXELDOJO_WAN_27_I2V, "1080p", 5, 75),
        (PIXELDOJO_WAN_27_I2V, "1080p", 15, 225),
        (PIXELDOJO_WAN_22_STANDARD, "480p", 5, 15),
        (PIXELDOJO_WAN_22_STANDARD, "1080p", 10, 15),
        (DEMO, "480p", 5, 1),
        (DEMO, "1080p", 10, 1),
    ],
)
def test_prices_at_the_default_settings(spec: ModelSpec, resolution: str, duration: int, price: int) -> None:
    defaults = pricing(credits_per_usd=str(DEFAULTS.credits_per_usd))
    assert defaults.credits(spec, resolution=resolution, duration=duration) == price


def test_the_vendors_own_credits_are_rounded_up_before_anything_else() -> None:
    usd = pricing().upstream_usd(PIXELDOJO_WAN_27_I2V, resolution="720p", duration=5)
    assert usd == Decimal("0.65")


@pytest.mark.parametrize(("credits_per_usd", "price"), [("100", 10), ("101", 11), ("99.9", 10), ("1", 1), ("0.001", 1)])
def test_a_price_is_rounded_up_to_whole_credits(credits_per_usd: str, price: int) -> None:
    own = pricing(credits_per_usd=credits_per_usd, own_prices={"demo": {"*": Decimal("0.1")}})
    assert own.credits(DEMO, resolution="480p", duration=5) == price


def test_seconds_are_multiplied_before_the_one_rounding() -> None:
    spec = replace(DEMO, price=Price(unit=CostUnit.USD, per_second={"*": Decimal("0.0301")}))
    assert pricing().credits(spec, resolution="480p", duration=10) == 31, "not 10 times 4"


def test_ten_times_a_tenth_is_one() -> None:
    spec = replace(DEMO, price=Price(unit=CostUnit.USD, per_second={"*": Decimal("0.1")}))
    assert pricing().credits(spec, resolution="480p", duration=10) == 100, "binary fractions would give 101"


def test_an_own_price_goes_before_the_catalogues() -> None:
    own = pricing(own_prices={"demo": {"*": Decimal("0.5")}})
    assert own.credits(DEMO, resolution="720p", duration=5) == 50
    assert own.credits(PIXELDOJO_WAN_22_STANDARD, resolution="480p", duration=5) == 15


def test_an_own_price_is_per_second_where_the_catalogues_is() -> None:
    own = pricing(own_prices={PIXELDOJO_WAN_27_I2V.id: {"*": Decimal("0.1")}})
    assert own.credits(PIXELDOJO_WAN_27_I2V, resolution="720p", duration=5) == 50


def test_an_own_price_of_one_resolution_leaves_the_others() -> None:
    own = pricing(own_prices={"demo": {"1080p": Decimal("0.2")}})
    assert own.credits(DEMO, resolution="1080p", duration=5) == 20
    assert own.credits(DEMO, resolution="720p", duration=5) == 1


def test_an_own_price_of_one_resolution_goes_before_that_of_all() -> None:
    own = pricing(own_prices={"demo": {"1080p": Decimal("0.2"), "*": Decimal("0.1")}})
    assert own.credits(DEMO, resolution="1080p", duration=5) == 20
    assert own.credits(DEMO, resolution="720p", duration=5) == 10


def test_an_own_price_is_in_dollars_and_never_rounded_to_the_vendors_credits() -> None:
    own = pricing(own_prices={PIXELDOJO_WAN_22_STANDARD.id: {"*": Decimal("0.123")}})
    assert own.credits(PIXELDOJO_WAN_22_STANDARD, resolution="480p", duration=5) == 13


def test_an_own_price_may_be_nothing() -> None:
    own = pricing(own_prices={"demo": {"*": Decimal(0)}})
    assert own.credits(DEMO, resolution="480p", duration=5) == 0


def test_a_resolution_without_a_price_is_unknown() -> None:
    with pytest.raises(PriceUnknown, match="480p"):
        pricing().credits(PIXELDOJO_WAN_27_I2V, resolution="480p", duration=5)


def test_a_vendor_whose_credits_have_no_price_is_unknown_until_there_is_an_own_price() -> None:
    spec = replace(PIXELDOJO_WAN_22_STANDARD, id="pixwith/x", provider="pixwith")
    with pytest.raises(PriceUnknown, match="pixwith"):
        pricing().credits(spec, resolution="480p", duration=5)
    own = pricing(own_prices={"pixwith/x": {"*": Decimal("0.3")}})
    assert own.credits(spec, resolution="480p", duration=5) == 30


@given(
    spec=st.sampled_from(MODELS),
    chosen=st.data(),
    credits_per_usd=st.decimals("0.01", 10_000, places=2),
    own=st.none() | st.decimals(0, 100, places=4),
)
def test_a_price_is_the_smallest_whole_number_that_covers_the_cost(
    spec: ModelSpec, chosen: st.DataObject, credits_per_usd: Decimal, own: Decimal | None
) -> None:
    priced = pricing(credits_per_usd=str(credits_per_usd), own_prices={} if own is None else {spec.id: {"*": own}})
    resolution = chosen.draw(st.sampled_from(spec.resolutions))
    duration = chosen.draw(st.sampled_from(spec.durations))
    exact = priced.upstream_usd(spec, resolution=resolution, duration=duration) * credits_per_usd
    price = priced.credits(spec, resolution=resolution, duration=duration)
    assert price - 1 < exact <= price
