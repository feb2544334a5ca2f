"""What the operator's page shows, gathered from the database and from memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

from bot.clock import Clock
from bot.communities.usage import Costs
from bot.database.engine import Connection, Database
from bot.jobs.pauses import Pauses
from bot.operations import store
from bot.operations.questions import NoAnswer, Question
from bot.operations.readiness import Part
from bot.operations.recent_lines import Line
from bot.operations.store import CommunityUse, FailedJob, LiveJob, LiveProcess, OpenJobs, Spending
from providers.registry import Registry

#: rows of each table
MOST_JOBS: Final = 50
MOST_FAILURES: Final = 20
MOST_COMMUNITIES: Final = 20
#: of what the page tells
PERIOD: Final = timedelta(days=7)
DAY: Final = timedelta(days=1)
#: seconds for which an answer holds, and that the database has for it
_FRESH: Final = 10.0
_PATIENCE: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the database knows."""

    #: those that share the database; none: it is a file, and this process is alone
    processes: Sequence[LiveProcess]
    open: Sequence[OpenJobs]
    live: Sequence[LiveJob]
    failed: Sequence[FailedJob]
    communities: Sequence[CommunityUse]
    day: Spending
    period: Spending


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """US$ that jobs have cost upstream: said by the vendor, or estimated from the price list."""

    usd: Decimal
    is_estimated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderHealth:
    """How it is with one provider."""

    title: str
    #: when it is asked again; None: it isn't paused
    paused_until: datetime | None
    #: since the start
    requests: int
    failures: int
    open_jobs: int
    day: Spent
    period: Spent


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything on the page."""

    at: datetime
    started_at: datetime
    parts: Sequence[Part]
    #: None: the database didn't answer
    kept: Kept | None
    providers: Sequence[ProviderHealth]
    lines: Sequence[Line]
    #: of communities, by id; those that aren't known any more are missing
    names: Mapping[int, str]


class Overviews:
    """Makes overviews. Names are read from Discord's cache, never asked for."""

    def __init__(
        self,
        *,
        database: Database,
        registry: Registry,
        pauses: Pauses,
        costs: Costs,
        requests: Mapping[str, int],
        failures: Mapping[str, int],
        lines: Callable[[], Sequence[Line]],
        name_of: Callable[[int], str | None],
        clock: Clock,
    ) -> None:
        """``requests`` and ``failures`` are counted by provider, by somebody else."""
        self._kept = Question(lambda: database.read(partial(_kept, now=clock())), fresh_for=_FRESH, patience=_PATIENCE)
        self._registry = registry
        self._pauses = pauses
        self._costs = costs
        self._requests = requests
        self._failures = failures
        self._lines = lines
        self._name_of = name_of
        self._clock = clock
        self._started_at = clock()

    async def overview(self, parts: Sequence[Part]) -> Overview:
        """How it is now."""
        try:
            kept = await self._kept.answer()
        except NoAnswer:
            kept = None
        return Overview(
            at=self._clock(),
            started_at=self._started_at,
            parts=parts,
            kept=kept,
            providers=[self._health(name, kept) for name in self._registry.providers],
            lines=self._lines(),
            names={} if kept is None else self._names(kept),
        )

    async def close(self) -> None:
        """Wait for no answer any more."""
        await self._kept.close()

    def _health(self, name: str, kept: Kept | None) -> ProviderHealth:
        nothing = Spending(said=(), unsaid=())
        return ProviderHealth(
            title=self._registry.providers[name].title,
            paused_until=self._pauses.retry_at(name),
            requests=self._requests.get(name, 0),
            failures=self._failures.get(name, 0),
            open_jobs=0 if kept is None else sum(each.jobs for each in kept.open if _is_of(each.model, name)),
            day=spent_at(name, nothing if kept is None else kept.day, self._costs),
            period=spent_at(name, nothing if kept is None else kept.period, self._costs),
        )

    def _names(self, kept: Kept) -> Mapping[int, str]:
        told: Iterable[LiveJob | FailedJob | CommunityUse] = (*kept.live, *kept.failed, *kept.communities)
        found = {each.guild_id: self._name_of(each.guild_id) for each in told}
        return {guild_id: name for guild_id, name in found.items() if name is not None}


def spent_at(provider: str, spending: Spending, costs: Costs) -> Spent:
    """What one provider's models have cost; what nobody has a price for isn't in it."""
    said = [(costs.said(each.model, each.cost), each.jobs) for each in spending.said if _is_of(each.model, provider)]
    guessed = [
        (costs.expected(each.model, each.asked), each.jobs) for each in spending.unsaid if _is_of(each.model, provider)
    ]
    total = sum((usd * jobs for usd, jobs in (*said, *guessed) if usd is not None), Decimal(0))
    return Spent(usd=total, is_estimated=any(usd is not None for usd, _ in guessed))


def _kept(connection: Connection, *, now: datetime) -> Kept:
    return Kept(
        processes=store.live_processes(connection),
        open=store.open_jobs(connection),
        live=store.live_jobs(connection, most=MOST_JOBS),
        failed=store.failed_jobs(connection, since=now - PERIOD, most=MOST_FAILURES),
        communities=store.communities(connection, since=now - PERIOD, most=MOST_COMMUNITIES),
        day=store.spending(connection, since=now - DAY),
        period=store.spending(connection, since=now - PERIOD),
    )


def _is_of(model: str, provider: str) -> bool:
    return model.partition("/")[0] == provider
