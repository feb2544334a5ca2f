"""What a community has made in some days, and what that cost: counted, said in words, and as rows of a CSV. Pure."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final, TextIO

from pydantic import BaseModel

from bot.credits.pricing import PriceUnknown, Pricing
from bot.delivery.dates import days_text
from bot.delivery.words import credits_text
from bot.jobs.job import OPEN, State
from bot.languages import N_, _, ngettext
from providers.types import Cost, CostUnit, ModelSpec

#: models that get a colour of their own; the rest is one more series
SERIES: Final = 5
OTHERS: Final = N_("others")
#: members that are shown, those who spent most
TOP: Final = 8
#: the longest alternative text that Discord takes, in characters
_ALT_TEXT: Final = 1024
#: below this many US$ two decimals would hide too much
_SMALL: Final = Decimal("0.1")

HEADER: Final = (
    "job_id",
    "accepted_at",
    "member_id",
    "model",
    "mode",
    "resolution",
    "seconds",
    "state",
    "reason",
    "quote",
    "credits_spent",
    "upstream_cost",
    "cost_unit",
    "cost_estimated",
    "upstream_usd",
    "seconds_to_end",
)


@dataclass(frozen=True, slots=True)
class Days:
    """Days in UTC, from the first to the last, both included."""

    first: date
    last: date

    @classmethod
    def until(cls, now: datetime, count: int) -> Days:
        """As many days (1 or more), the last of them today."""
        today = now.astimezone(UTC).date()
        return cls(today - timedelta(days=count - 1), today)

    @property
    def count(self) -> int:
        """How many days these are."""
        return (self.last - self.first).days + 1

    @property
    def begin(self) -> datetime:
        """The first instant."""
        return datetime.combine(self.first, time(), UTC)

    @property
    def end(self) -> datetime:
        """The first instant that is no longer meant."""
        return datetime.combine(self.last + timedelta(days=1), time(), UTC)

    @property
    def each(self) -> tuple[date, ...]:
        """Every day, in order."""
        return tuple(self.first + timedelta(days=number) for number in range(self.count))

    def __str__(self) -> str:
        return days_text(self.first, self.last)


class Asked(BaseModel):
    """What is read of a stored request; prompts aren't."""

    mode: str
    resolution: str
    duration: int


@dataclass(frozen=True, slots=True)
class DayCount:
    """Jobs of one day, model and state, and the sum of their quotes in credits."""

    day: date
    model: str
    state: State
    jobs: int
    quotes: int


@dataclass(frozen=True, slots=True)
class MemberSpending:
    """What a member got and spent; ``user_id`` is negative when the member's data was deleted."""

    user_id: int
    videos: int
    credits: int

    @property
    def is_deleted(self) -> bool:
        """Whether nobody knows any more who this was."""
        return self.user_id < 0


@dataclass(frozen=True, slots=True)
class SaidCost:
    """Jobs of a model for each of which the vendor said the same cost."""

    model: str
    cost: Cost
    jobs: int


@dataclass(frozen=True, slots=True)
class UnsaidCost:
    """Posted jobs that are alike, of whose cost the vendor said nothing."""

    model: str
    asked: Asked
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What the database counts in some days of a guild."""

    days: Sequence[DayCount]
    #: how many members have asked for a video
    members: int
    #: those who spent most, in order
    top: Sequence[MemberSpending]
    said: Sequence[SaidCost]
    unsaid: Sequence[UnsaidCost]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """What the CSV needs of a job. No prompt, nothing that a vendor wrote."""

    id: str
    user_id: int
    model: str
    asked: Asked
    state: State
    reason: str | None
    quote: int
    cost: Cost | None
    created_at: datetime
    ended_at: datetime | None

    @property
    def spent(self) -> int:
        """Credits: only a posted video costs anything."""
        return self.quote if self.state is State.SUCCEEDED else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What jobs cost upstream, in US$, as far as anybody knows."""

    pricing: Pricing
    #: by id, retired models too
    specs: Mapping[str, ModelSpec]

    def said(self, model: str, cost: Cost) -> Decimal | None:
        """What the vendor said; None: in credits of its own that nobody has a rate for."""
        if cost.unit is CostUnit.USD:
            return cost.amount
        rate = self.pricing.usd_per_vendor_credit.get(model.partition("/")[0])
        return None if rate is None else cost.amount * rate

    def expected(self, model: str, asked: Asked) -> Decimal | None:
        """What the price list says; None: the model isn't on it."""
        spec = self.specs.get(model)
        if spec is None:
            return None
        try:
            return self.pricing.upstream_usd(spec, resolution=asked.resolution, duration=asked.duration)
        except PriceUnknown:
            return None


@dataclass(frozen=True, slots=True)
class Series:
    """Credits spent with one model, or with several, day by day."""

    name: str
    credits: tuple[int, ...]

    @property
    def title(self) -> str:
        """The model, or what stands for the others in the language of the moment."""
        return _(OTHERS) if self.name == OTHERS else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Jobs by how they ended; ``failed`` are also those that came too late or were lost."""

    posted: int
    failed: int
    cancelled: int
    still_open: int

    @property
    def total(self) -> int:
        """Every accepted job."""
        return self.posted + self.failed + self.cancelled + self.still_open

    @property
    def success(self) -> int | None:
        """Whole percent, rounded down, of those that were posted or failed; None: there are none."""
        tried = self.posted + self.failed
        return 100 * self.posted // tried if tried else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """What the vendors charged, in US$."""

    said: Decimal
    estimated: Decimal
    #: jobs of whose cost nothing is known
    unknown: int

    @property
    def total(self) -> Decimal:
        """Said and estimated together."""
        return self.said + self.estimated


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Everything that is shown of some days of a guild."""

    days: Days
    #: those that spent most first, others last
    series: tuple[Series, ...]
    spent: int
    #: US$ that the spent credits stand for
    worth: Decimal
    outcomes: Outcomes
    members: int
    top: tuple[MemberSpending, ...]
    upstream: Upstream


def usage_of(tally: Tally, days: Days, costs: Costs) -> Usage:
    """Add up what was counted."""
    spent = sum(each.quotes for each in tally.days if each.state is State.SUCCEEDED)
    return Usage(
        days=days,
        series=_series(tally.days, days),
        spent=spent,
        worth=spent / costs.pricing.credits_per_usd,
        outcomes=_outcomes(tally.days),
        members=tally.members,
        top=tuple(tally.top),
        upstream=_upstream(tally, costs),
    )


def summary(usage: Usage) -> str:
    """The usage in a few lines of a message; members are mentioned, so mentions must be off."""
    lines = [_("**Usage, {days}** (UTC)").format(days=usage.days), *_figures(usage)]
    if usage.top:
        lines += [_("**Top members**"), *(f"{place}. {_member(each)}" for place, each in enumerate(usage.top, start=1))]
    return "\n".join(lines)


def alternative_text(usage: Usage) -> str:
    """The picture in words, for those who can't see it."""
    models = ", ".join(f"{each.title} {sum(each.credits):,}" for each in usage.series)
    lines = [_("Charts of the usage, {days}.").format(days=usage.days), *_figures(usage)]
    if models:
        lines.append(_("Credits by model: {models}.").format(models=models))
    return "\n".join(lines)[:_ALT_TEXT]


def usd_text(amount: Decimal) -> str:
    """``US$ 12.34``; small amounts with up to four decimals."""
    if not 0 < amount < _SMALL:
        return f"US$ {amount:,.2f}"
    whole, decimals = f"{amount:.4f}".split(".")
    return f"US$ {whole}.{decimals.rstrip('0').ljust(2, '0')}"


def write_csv(file: TextIO, rows: Iterable[JobRow], costs: Costs) -> int:
    """Write one line per job below the header; gives how many."""
    writer = csv.writer(file)
    writer.writerow(HEADER)
    count = 0
    for row in rows:
        writer.writerow([_harmless(value) for value in _values(row, costs)])
        count += 1
    return count


def _series(counts: Sequence[DayCount], days: Days) -> tuple[Series, ...]:
    spent = [each for each in counts if each.state is State.SUCCEEDED and each.quotes]
    totals: dict[str, int] = {}
    for each in spent:
        totals[each.model] = totals.get(each.model, 0) + each.quotes
    ordered = sorted(totals, key=lambda model: (-totals[model], model))
    series = [Series(model, _per_day(spent, days, {model})) for model in ordered[:SERIES]]
    if rest := frozenset(ordered[SERIES:]):
        series.append(Series(OTHERS, _per_day(spent, days, rest)))
    return tuple(series)


def _per_day(counts: Iterable[DayCount], days: Days, models: Collection[str]) -> tuple[int, ...]:
    credits_of = dict.fromkeys(days.each, 0)
    for each in counts:
        if each.model in models:
            credits_of[each.day] += each.quotes
    return tuple(credits_of.values())


def _outcomes(counts: Iterable[DayCount]) -> Outcomes:
    jobs = dict.fromkeys(State, 0)
    for each in counts:
        jobs[each.state] += each.jobs
    still_open = sum(jobs[state] for state in OPEN)
    posted, cancelled = jobs[State.SUCCEEDED], jobs[State.CANCELLED]
    failed = sum(jobs.values()) - still_open - posted - cancelled
    return Outcomes(posted=posted, failed=failed, cancelled=cancelled, still_open=still_open)


def _upstream(tally: Tally, costs: Costs) -> Upstream:
    said = [(costs.said(each.model, each.cost), each.jobs) for each in tally.said]
    estimated = [(costs.expected(each.model, each.asked), each.jobs) for each in tally.unsaid]
    return Upstream(
        said=_total(said),
        estimated=_total(estimated),
        unknown=sum(jobs for usd, jobs in (*said, *estimated) if usd is None),
    )


def _total(amounts: Iterable[tuple[Decimal | None, int]]) -> Decimal:
    return sum((usd * jobs for usd, jobs in amounts if usd is not None), Decimal(0))


def _figures(usage: Usage) -> list[str]:
    outcomes = usage.outcomes
    ends = {
        "posted": outcomes.posted,
        "failed": outcomes.failed,
        "cancelled": outcomes.cancelled,
        "still_open": outcomes.still_open,
    }
    ended = _("How they ended: {posted} posted · {failed} failed · {cancelled} cancelled · {still_open} open")
    members = ngettext("{n} member", "{n} members", usage.members).format(n=f"{usage.members:,}")
    lines = [
        _("Spent: {credits}, for {videos}").format(credits=credits_text(usage.spent), videos=_videos(outcomes.posted)),
        _("Asked for: {videos}, by {members}").format(videos=_videos(outcomes.total), members=members),
        ended.format(**{end: f"{count:,}" for end, count in ends.items()}),
    ]
    if outcomes.success is not None:
        rate = _("Success rate: {percent}% of those that were posted or failed")
        lines.append(rate.format(percent=outcomes.success))
    return [*lines, _upstream_line(usage)]


#: by how much of it is estimated, and whether there are videos of unknown cost
_UPSTREAM: Final[Mapping[tuple[str, bool], str]] = {
    ("nothing", False): N_("Upstream cost: {total}; the credits spent are worth {worth}"),
    ("part", False): N_("Upstream cost: {total}, {estimated} of it estimated; the credits spent are worth {worth}"),
    ("all", False): N_("Upstream cost: {total}, estimated; the credits spent are worth {worth}"),
    ("nothing", True): N_(
        "Upstream cost: {total}, without {videos} of unknown cost; the credits spent are worth {worth}"
    ),
    ("part", True): N_(
        "Upstream cost: {total}, {estimated} of it estimated, without {videos} of unknown cost; the credits spent are "
        "worth {worth}"
    ),
    ("all", True): N_(
        "Upstream cost: {total}, estimated, without {videos} of unknown cost; the credits spent are worth {worth}"
    ),
}


def _upstream_line(usage: Usage) -> str:
    upstream = usage.upstream
    estimated = ("part" if upstream.said else "all") if upstream.estimated else "nothing"
    return _(_UPSTREAM[estimated, upstream.unknown > 0]).format(
        total=usd_text(upstream.total),
        estimated=usd_text(upstream.estimated),
        videos=_videos(upstream.unknown),
        worth=usd_text(usage.worth),
    )


def _member(member: MemberSpending) -> str:
    who = _("deleted member") if member.is_deleted else f"<@{member.user_id}>"
    return f"{who}: {credits_text(member.credits)}, {_videos(member.videos)}"


def _values(row: JobRow, costs: Costs) -> list[object]:
    cost, usd, is_estimated = _cost(row, costs)
    ended = "" if row.ended_at is None else round((row.ended_at - row.created_at).total_seconds())
    return [
        row.id,
        row.created_at.astimezone(UTC).isoformat(timespec="seconds"),
        "deleted member" if row.user_id < 0 else row.user_id,
        row.model,
        row.asked.mode,
        row.asked.resolution,
        row.asked.duration,
        row.state.value,
        row.reason or "",
        row.quote,
        row.spent,
        "" if cost is None else f"{cost.amount:f}",
        "" if cost is None else cost.unit.value,
        "yes" if is_estimated else "no",
        "" if usd is None else f"{usd:f}",
        ended,
    ]


def _cost(row: JobRow, costs: Costs) -> tuple[Cost | None, Decimal | None, bool]:
    """The cost in the vendor's unit and in US$, and whether it is estimated; a job that wasn't posted isn't."""
    if row.cost is not None:
        return row.cost, costs.said(row.model, row.cost), False
    usd = costs.expected(row.model, row.asked) if row.state is State.SUCCEEDED else None
    return (None, None, False) if usd is None else (Cost(usd, CostUnit.USD), usd, True)


def _harmless(value: object) -> object:
    """A text that no spreadsheet takes for a formula."""
    is_formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    return f"'{value}" if is_formula else value


def _videos(count: int) -> str:
    return ngettext("{n} video", "{n} videos", count).format(n=f"{count:,}")
