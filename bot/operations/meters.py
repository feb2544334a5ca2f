"""Every metric that Prometheus can have of the bot; what each means stands in docs/operations/monitoring.md."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from bot.jobs.job import OPEN, Reason, State
from bot.operations.store import OpenJobs, Transition
from providers.errors import AuthFailed, ContractBroken, OutcomeUnknown, Refused, Unavailable
from providers.observing import ANSWERED, GIVEN_UP

#: what stands for the status of a request to Discord that got no answer
_NO_STATUS: Final = "none"
#: seconds; a request to a vendor ends after 110 at the latest
_REQUEST_BUCKETS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
#: seconds; posting is given up after ten minutes
_LAG_BUCKETS: Final = (1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600)
#: seconds; a command must be answered within three
_DELAY_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3)
#: what is told of requests to vendors; a counter that begins at 0 shows its first step as a rise
_OPERATIONS: Final = ("submit", "ask")
#: outcomes that are the vendor's trouble or ours; a refused prompt is its member's
_TROUBLES: Final = frozenset(each.__name__ for each in (Unavailable, AuthFailed, OutcomeUnknown, ContractBroken))
_OUTCOMES: Final = (ANSWERED, GIVEN_UP, Refused.__name__, *sorted(_TROUBLES))
#: of Discord, the usual ones
_STATUSES: Final = (200, 204, 404, 429, 500, 502, 503, _NO_STATUS)
#: Discord's errors that alerts are about: Missing Access, Missing Permissions, Unknown Interaction
_CODES: Final = (50001, 50013, 10062)
_ENDED: Final = tuple(state for state in State if state not in OPEN)


class Meters:
    """Made once, handed to whoever has something to tell. Every method is quick and raises nothing."""

    def __init__(self) -> None:
        # it would double the number of series, to tell what Prometheus can see for itself
        disable_created_metrics()
        self._registry = registry = CollectorRegistry()
        #: since the start, by provider; for the page
        self.requests = collections.Counter[str]()
        self.failures = collections.Counter[str]()
        ProcessCollector(registry=registry)
        self._open = Gauge("wanbot_open_jobs", "Jobs under way.", ["state", "model"], registry=registry)
        self._queue_age = Gauge(
            "wanbot_queue_age_seconds", "How long the oldest waiting job has waited; 0: none waits.", registry=registry
        )
        self._held = Gauge("wanbot_held_credits", "Credits held for open jobs.", registry=registry)
        self._accepted = Counter("wanbot_jobs_accepted", "Jobs accepted.", ["model"], registry=registry)
        self._ended = Counter(
            "wanbot_jobs_ended", "Jobs that have ended, by how.", ["state", "model"], registry=registry
        )
        self._unposted = Counter(
            "wanbot_jobs_unposted", "Jobs that ended without a posted video, by why.", ["reason"], registry=registry
        )
        self._lag = Histogram(
            "wanbot_posting_lag_seconds",
            "From the vendor's finished video to the posted one.",
            ["provider"],
            buckets=_LAG_BUCKETS,
            registry=registry,
        )
        self._requests = Counter(
            "wanbot_provider_requests",
            "Requests to vendors, by outcome.",
            ["provider", "operation", "outcome"],
            registry=registry,
        )
        self._request_seconds = Histogram(
            "wanbot_provider_request_seconds",
            "How long requests to vendors take, the wait for their turn included.",
            ["provider", "operation"],
            buckets=_REQUEST_BUCKETS,
            registry=registry,
        )
        self._paused = Gauge(
            "wanbot_provider_paused", "1 while a provider's key or funds are refused.", ["provider"], registry=registry
        )
        self._mismatches = Gauge(
            "wanbot_ledger_mismatched_accounts",
            "Accounts whose balance isn't the sum of their entries.",
            registry=registry,
        )
        self._stray = Gauge(
            "wanbot_ledger_stray_credits", "Credits held beyond what open jobs need.", registry=registry
        )
        self._checked = Gauge(
            "wanbot_ledger_checked_timestamp_seconds",
            "When the accounts with something held, or all, were last compared with their entries.",
            ["accounts"],
            registry=registry,
        )
        self._discord = Counter(
            "wanbot_discord_requests",
            "Requests to Discord, by HTTP status; none: no answer.",
            ["status"],
            registry=registry,
        )
        self._discord_errors = Counter(
            "wanbot_discord_errors",
            "Discord's refusals, by its own code; 0: it gave none.",
            ["code"],
            registry=registry,
        )
        self._delay = Histogram(
            "wanbot_event_loop_delay_seconds",
            "By how much the event loop is late.",
            buckets=_DELAY_BUCKETS,
            registry=registry,
        )
        self._lines = Counter("wanbot_log_lines", "Warnings and errors of the log.", ["level"], registry=registry)
        self._ready = Gauge("wanbot_ready", "1 while a part works.", ["part"], registry=registry)
        self._guilds = Gauge("wanbot_guilds", "Communities that the bot is in.", registry=registry)

    def begin(self, *, providers: Iterable[str], models: Iterable[str]) -> None:
        """Let every series that alerts are about begin at 0, unless it has begun."""
        for model in models:
            self._accepted.labels(model)
            for state in _ENDED:
                self._ended.labels(state, model)
        for provider in providers:
            self._paused.labels(provider)
            self._lag.labels(provider)
            for operation in _OPERATIONS:
                for outcome in _OUTCOMES:
                    self._requests.labels(provider, operation, outcome)
        for reason in Reason:
            self._unposted.labels(reason)
        for status in _STATUSES:
            self._discord.labels(status)
        for code in _CODES:
            self._discord_errors.labels(code)
        for level in ("warning", "error"):
            self._lines.labels(level)

    # --- told when it happens --------------------------------------------------------------------

    def asked(self, provider: str, operation: str, *, outcome: str, seconds: float) -> None:
        """See ``providers.observing.Observer``."""
        self._requests.labels(provider, operation, outcome).inc()
        self.requests[provider] += 1
        self.failures[provider] += outcome in _TROUBLES
        self._request_seconds.labels(provider, operation).observe(seconds)

    def discord_answered(self, status: int | None) -> None:
        """See ``bot.operations.discord_trace.DiscordObserver``."""
        self._discord.labels(_NO_STATUS if status is None else status).inc()

    def discord_refused(self, code: int) -> None:
        """See ``bot.operations.discord_trace.DiscordObserver``."""
        self._discord_errors.labels(code).inc()

    def loop_was_late(self, seconds: float) -> None:
        """Note by how much the event loop woke somebody too late."""
        self._delay.observe(seconds)

    def line_was_logged(self, level: str) -> None:
        """Note a line of the log: ``warning`` or ``error``."""
        self._lines.labels(level).inc()

    def jobs_moved(self, transitions: Iterable[Transition]) -> None:
        """Note transitions of jobs."""
        for each in transitions:
            if each.before is None:
                self._accepted.labels(each.model).inc()
            elif each.after not in OPEN and each.before in OPEN:
                self._note_end(each)

    def _note_end(self, end: Transition) -> None:
        self._ended.labels(end.after, end.model).inc()
        if end.reason is not None:
            self._unposted.labels(end.reason).inc()
        if end.lag is not None:
            self._lag.labels(end.model.partition("/")[0]).observe(end.lag.total_seconds())

    def books_checked(self, *, accounts: str, mismatches: int, stray: int, at: float) -> None:
        """Note a comparison of the ``held`` or of ``all`` accounts; ``at`` is in seconds since 1970."""
        self._mismatches.set(mismatches)
        self._stray.set(stray)
        self._checked.labels(accounts).set(at)

    # --- set when somebody asks ------------------------------------------------------------------

    def show_open_jobs(self, found: Sequence[OpenJobs], *, models: Iterable[str], queue_age: float) -> None:
        """Set what is under way; ``queue_age`` is in seconds."""
        counts = dict.fromkeys(((state, model) for state in OPEN for model in models), 0)
        counts |= {(each.state, each.model): each.jobs for each in found}
        self._open.clear()
        for (state, model), count in counts.items():
            self._open.labels(state, model).set(count)
        self._held.set(sum(each.quotes for each in found))
        self._queue_age.set(queue_age)

    def show_parts(self, are_ready: Mapping[str, bool], *, paused: Mapping[str, bool], guilds: int) -> None:
        """Set what works: parts of the bot by name, and providers by name."""
        for part, is_ready in are_ready.items():
            self._ready.labels(part).set(is_ready)
        self._paused.clear()
        for provider, is_paused in paused.items():
            self._paused.labels(provider).set(is_paused)
        self._guilds.set(guilds)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)
