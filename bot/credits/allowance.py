"""What a member receives each period. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum


class PeriodLength(StrEnum):
    """How often an allowance comes."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Period:
    """One day, one week from Monday, or one month from the 1st, in UTC."""

    length: PeriodLength
    start: datetime
    end: datetime

    @property
    def key(self) -> str:
        """A name that no other period has: ``week 2026-11-16``."""
        return f"{self.length} {self.start:%Y-%m-%d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowanceRule:
    """How much a member receives, how often, and how much of it may pile up."""

    amount: int
    length: PeriodLength
    #: None: one amount
    cap: int | None = None

    @property
    def limit(self) -> int:
        """The most that may be available from the allowance."""
        return self.amount if self.cap is None else self.cap

    def with_amount(self, amount: int) -> AllowanceRule:
        """The same rule for somebody who receives another amount."""
        return replace(self, amount=amount)


@dataclass(frozen=True, slots=True)
class Refill:
    """What to book: a grant, and what of the allowance expires because it exceeds the cap."""

    grant: int
    expire: int

    @property
    def is_due(self) -> bool:
        """Whether there is anything to book."""
        return self.grant > 0


def period_at(now: datetime, length: PeriodLength) -> Period:
    """The period that an instant lies in."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if length is PeriodLength.DAY:
        return Period(length, midnight, midnight + timedelta(days=1))
    if length is PeriodLength.WEEK:
        monday = midnight - timedelta(days=midnight.weekday())
        return Period(length, monday, monday + timedelta(days=7))
    first = midnight.replace(day=1)
    return Period(length, first, (first + timedelta(days=32)).replace(day=1))


def refill(rule: AllowanceRule, *, granted: int, available_allowance: int) -> Refill:
    """Raise what was granted in this period to the rule's amount, as far as the cap allows.

    ``granted`` is what the period has seen already; it is never taken back. What would exceed the
    cap expires at once, the oldest first, so that the books show both.
    """
    grant = max(0, rule.amount - granted)
    if grant == 0:
        return Refill(0, 0)
    return Refill(grant, max(0, available_allowance + grant - max(rule.limit, 0)))
