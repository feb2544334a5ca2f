"""Carries jobs on: claims those whose turn it is, asks the providers, stores what the lifecycle decides."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from bot.clock import Clock
from bot.communities.memory import Communities
from bot.communities.rules import Community, Place
from bot.database.engine import Database
from bot.jobs import lifecycle, store
from bot.jobs.agenda import Agenda
from bot.jobs.alternatives import able_models
from bot.jobs.asking import outcome_of
from bot.jobs.delivering import Delivery
from bot.jobs.inputs import generation_request, needs_links
from bot.jobs.job import Job, Reason, State
from bot.jobs.lifecycle import Step
from bot.jobs.lines import Lines
from bot.jobs.pauses import Pauses
from bot.jobs.presenting import CardGone, NotNow, Presenter, Sight
from bot.jobs.schedule import Situation, seconds_to_next_look
from bot.jobs.turns import next_to_start, places, ready_at
from providers.contract import Provider
from providers.errors import AuthFailed, ContractBroken, ProviderError, Unavailable
from providers.registry import Registry
from providers.texts import Text
from providers.types import ModelSpec, Pending, Submission, TaskStatus

log = structlog.stdlib.get_logger(__name__)

#: after a fault of ours a job is left alone for this long
_AFTER_FAULT: Final = timedelta(seconds=30)
#: between two tries to fetch or post a video, and before the vendor's list is asked
_SHORT_WAIT: Final = timedelta(seconds=5)
#: so many models are named when one can't be had
_ALTERNATIVES: Final = 3
#: the name of the step that asks paused providers again; no job has it
_PAUSES: Final = "pauses"
#: the queue is looked at this often even if nobody says that it changed
_QUEUE_EVERY: Final = timedelta(seconds=30)
#: a clock that goes back by more than this was set
_SET_BACK: Final = timedelta(minutes=1)
#: so many cards of a long queue are made in one go
_SHOWN_AT_ONCE: Final = 50
#: so many looks, and so many deliveries, for each provider at once: it has its budget, we have our sockets
_AT_ONCE: Final = 16
_IN_LINE: Final = frozenset({State.RUNNING, State.DELIVERING})
#: past its deadline a job waits so long for its last look, and for the answer
_LAST_LOOK: Final = timedelta(seconds=30)


@dataclass(slots=True)
class Watch:
    """An open job that was started, and what only memory knows of it."""

    job: Job
    looks: int = 0
    failures: int = 0
    estimate: float | None = None
    retry_after: float | None = None
    progress: float | None = None
    delivering_since: datetime | None = None
    #: its deadline has passed while it waited to be looked at
    is_too_late: bool = False
    #: what the vendor said to the submission, until it is stored: nobody says it twice
    answer: Submission | ProviderError | None = None

    @property
    def sight(self) -> Sight:
        """What its card can show beyond the job itself."""
        expected_at = None
        if self.estimate is not None and self.job.submitted_at is not None:
            expected_at = self.job.submitted_at + timedelta(seconds=self.estimate)
        return Sight(progress=self.progress, expected_at=expected_at)


class Worker:
    """One for each process. ``run`` goes on until ``stop``; tests call ``run_once``."""

    def __init__(
        self,
        *,
        database: Database,
        registry: Registry,
        communities: Communities,
        presenter: Presenter,
        delivery: Delivery,
        pauses: Pauses,
        clock: Clock,
        chance: Callable[[], float],
        media_path: Callable[[str], Path],
    ) -> None:
        self._database = database
        self._registry = registry
        self._communities = communities
        self._presenter = presenter
        self._delivery = delivery
        self._pauses = pauses
        self._clock = clock
        self._chance = chance
        self._media_path = media_path
        self._agenda = Agenda()
        self._watches: dict[str, Watch] = {}
        #: how many of them each provider has
        self._running = Counter[str]()
        self._steps: dict[str, asyncio.Task[None]] = {}
        #: due jobs that wait until there is room for them
        self._lines = Lines(at_once=_AT_ONCE)
        self._queue_at: datetime | None = None
        #: the time of the last look
        self._looked_at: datetime | None = None
        #: those that the cards of waiting jobs were last asked to show
        self._places: dict[str, int] = {}
        #: jobs of an earlier run: an old copy of the database may know less of them than Discord does
        self._inherited: set[str] = set()
        #: those of them that wait, and whose card was not compared with them yet
        self._doubtful: set[str] = set()
        #: how often the present step of a job has failed for a reason of ours
        self._faults = Counter[str]()
        self._wake = asyncio.Event()
        self._is_stopping = False

    def wake(self) -> None:
        """The queue has changed: a job was accepted, cancelled, or got its card."""
        self._queue_at = None
        self._wake.set()

    def resume(self, job: Job) -> None:
        """Take up a job that was started before: by a restart, everything is due at once."""
        self._inherited.add(job.id)
        if job.state is State.QUEUED:
            self._doubtful.add(job.id)
        else:
            self._remember(Watch(job))
            self._agenda.put(job.id, self._clock())
        self.wake()

    def sight_of(self, job: Job) -> Sight:
        """What memory knows of a job beyond its row."""
        watch = self._watches.get(job.id)
        if watch is not None:
            return watch.sight
        return Sight(place=self._places.get(job.id)) if job.state is State.QUEUED else Sight()

    async def run(self) -> None:
        """Work until ``stop`` is called."""
        while not self._is_stopping:
            self._wake.clear()
            try:
                await self._start_due()
            except Exception:
                log.exception("the queue can't be read; trying again")
                self._queue_at = self._clock() + _AFTER_FAULT
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds_to_next()):
                    await self._wake.wait()

    async def run_once(self) -> None:
        """Do everything that is due now, and wait until it is done."""
        self.wake()
        while await self._start_due() or self._steps:
            if self._steps:
                await asyncio.wait(self._steps.values())

    async def stop(self, *, patience: float) -> None:
        """Begin nothing more; give what is under way ``patience`` seconds, then leave it to a restart."""
        self._is_stopping = True
        self._wake.set()
        steps = list(self._steps.values())
        if steps:
            _, late = await asyncio.wait(steps, timeout=patience)
            for step in late:
                step.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _start_due(self) -> bool:
        """Start a step for every job that is due; tells whether there was one."""
        if self._is_stopping:
            return False
        now = self._clock()
        self._mind_the_clock(now)
        # before the queue is read, which may fail: what was taken from the agenda stands nowhere else
        due = self._taken_from_agenda(now)
        for watch in due:
            self._start(watch.job.id, self._guarded(watch, self._advance(watch)))
        is_queue_due = self._queue_at is None or self._queue_at <= now
        claimed, waiting = await self._claimed(now) if is_queue_due else ([], [])
        if self._is_stopping:  # meanwhile
            return False
        for watch in claimed:
            self._start(watch.job.id, self._guarded(watch, self._submit(watch)))
        if is_queue_due:
            await self._show_places(waiting)
        retry_at = self._pauses.next_at()
        if retry_at is not None and retry_at <= now and _PAUSES not in self._steps:
            self._start(_PAUSES, self._retry_pauses())
            return True
        return bool(due or claimed)

    def _mind_the_clock(self, now: datetime) -> None:
        """Look at everything when the clock was set back: what was planned would wait as many hours."""
        if self._looked_at is not None and now < self._looked_at - _SET_BACK:
            log.warning(
                "the clock was set back; every job is looked at", seconds=(self._looked_at - now).total_seconds()
            )
            self._agenda.put_all(now)
            self._queue_at = None
        self._looked_at = now

    def _taken_from_agenda(self, now: datetime) -> list[Watch]:
        """Those whose time has come, and for whom there is room."""
        watches = [self._watches[job_id] for job_id in self._agenda.pop_due(now) if job_id in self._watches]
        due = [watch for watch in watches if self._is_let_go(watch, now)]
        return due + [self._watches[job_id] for job_id in self._lines.let_go()]

    def _is_let_go(self, watch: Watch, now: datetime) -> bool:
        """Whether a job goes on without standing in line; those that stand there are heard of when it is too late."""
        job = watch.job
        if job.id in self._steps:
            # it planned ahead before its step was over
            self._agenda.put(job.id, now + _SHORT_WAIT)
            return False
        if job.state not in _IN_LINE:
            return True
        watch.is_too_late = self._lines.is_waiting(job.id) and job.deadline is not None and now >= job.deadline
        if watch.is_too_late:
            self._lines.leave(job.id)
            return True
        self._lines.join(job.id, f"{_provider_name(job)} {job.state}")
        if job.state is State.RUNNING and job.deadline is not None:
            self._agenda.put(job.id, max(job.deadline, now) + _LAST_LOOK)
        return False

    def _start(self, name: str, step: Coroutine[None, None, None]) -> None:
        self._steps[name] = asyncio.create_task(step, name=f"job {name}")

    async def _retry_pauses(self) -> None:
        """Ask the paused providers again, without keeping anybody waiting."""
        try:
            await self._pauses.retry(self._registry.providers.__getitem__)
        finally:
            self._steps.pop(_PAUSES, None)
            self.wake()

    async def _claimed(self, now: datetime) -> tuple[list[Watch], list[Job]]:
        """The waiting jobs whose turn it is, and those that wait on."""
        self._queue_at = now + _QUEUE_EVERY
        queued, counts = await self._database.read(lambda c: (store.queued(c), store.active_counts(c)))
        waiting = [job for job in queued if job.id not in self._steps]
        # those about to be submitted count as running
        active = Counter(dict(counts))
        active.update((job.guild_id, job.user_id) for job in queued if job.id in self._steps)
        communities = {guild_id: await self._communities.of(guild_id) for guild_id in {job.guild_id for job in waiting}}
        chosen = next_to_start(
            waiting,
            active,
            limits=lambda guild_id: _at_once(communities[guild_id]),
            now=now,
        )
        later = [ready_at(job) for job in waiting if ready_at(job) > now]
        self._look_at_queue_by(min(later, default=self._queue_at))
        started = {job.id for job in chosen}
        return [Watch(job) for job in chosen], [job for job in waiting if job.id not in started]

    async def _show_places(self, waiting: Sequence[Job]) -> None:
        """Show the places that have changed. A long queue is shown in parts, so that it holds nobody up.

        A card that wasn't compared with its job yet is left as it is: it may know more.
        """
        for job in waiting:
            if job.id in self._doubtful:
                watch = Watch(job)
                self._start(job.id, self._guarded(watch, self._compare(watch)))
        before, found = self._places, places(waiting)
        shown = [job for job in waiting if job.card_message_id is not None and job.id not in self._doubtful]
        self._places = {job.id: found[job.id] for job in shown}
        changed = [job for job in waiting if self._places.get(job.id) not in {None, before.get(job.id)}]
        for number, job in enumerate(changed, start=1):
            self._presenter.show(job, Sight(place=found[job.id]))
            if number % _SHOWN_AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _guarded(self, watch: Watch, step: Coroutine[None, None, None]) -> None:
        """A step whose faults end in the log, and never in the loop."""
        job_id = watch.job.id
        try:
            try:
                await step
            except store.JobMoved:
                await self._reload(watch)
        except Exception:
            log.exception("a step failed; the job goes on in a while", job=job_id)
            self._later(watch, _AFTER_FAULT)
            await self._after_fault(watch)
        else:
            self._faults.pop(job_id, None)
        finally:
            self._steps.pop(job_id, None)
            self._lines.leave(job_id)
            self._wake.set()

    async def _after_fault(self, watch: Watch) -> None:
        """Give a job up whose step fails again and again: no hold stays for ever."""
        self._faults[watch.job.id] += 1
        step = lifecycle.after_faults(watch.job, self._faults[watch.job.id], now=self._clock())
        if step is None:
            return
        try:
            await self._apply(watch, step)
        except Exception:
            log.exception("a job that keeps failing can't be ended either", job=watch.job.id)

    async def _advance(self, watch: Watch) -> None:
        """The next step of a job that was started."""
        offer = self._offer(watch.job)
        if not watch.job.state.is_open:
            self.forget(watch.job.id)
        elif watch.job.state is State.DELIVERING:
            # also without its provider: the video may be here already
            await self._deliver(watch, offer)
        elif offer is None or watch.is_too_late:
            await self._wait_for_provider(watch)
        elif watch.job.state is State.RUNNING:
            await self._look(watch, *offer)
        elif watch.answer is not None:
            await self._take_answer(watch, offer[0], watch.answer)
        else:
            await self._look_for_submission(watch, offer[0])

    async def _wait_for_provider(self, watch: Watch) -> None:
        """Its provider isn't configured any more; the job waits for it until its deadline."""
        if watch.job.state is State.SUBMITTING:
            await self._apply(watch, self._lost_when_late(watch.job))
        else:
            await self._apply(watch, lifecycle.after_look(watch.job, Unavailable("not offered"), now=self._clock()))

    def _lost_when_late(self, job: Job) -> Step | None:
        is_late = job.deadline is not None and self._clock() >= job.deadline
        return lifecycle.ended(State.LOST, Reason.NO_ANSWER) if is_late else None

    async def _submit(self, watch: Watch) -> None:
        """Store the intent, then ask the provider, once."""
        offer = self._offer(watch.job)
        if offer is None or self._pauses.is_paused(offer[0].name):
            reason = Reason.MODEL_GONE if offer is None else Reason.PROVIDER_PAUSED
            await self._apply(watch, lifecycle.ended(State.FAILED, reason))
            return
        provider, spec = offer
        reason = self._why_not(watch.job)
        if reason is not None:
            await self._apply(watch, lifecycle.ended(State.FAILED, reason))
            return
        if not await self._is_up_to_date(watch):
            return
        links = await self._links(watch, spec)
        if links is None:
            return
        request = generation_request(watch.job.request, spec, path_of=self._media_path, links=links)
        await self._apply(watch, lifecycle.start_submitting(spec=spec, now=self._clock()))
        await self._take_answer(watch, provider, await outcome_of(provider.submit(request)))

    async def _take_answer(self, watch: Watch, provider: Provider, answer: Submission | ProviderError) -> None:
        """Store what a submission came to. If that fails, the next step tries again with the same answer."""
        watch.answer = answer
        is_paused_now = self._note_trouble(provider, answer, watch.job)
        if isinstance(answer, Submission):
            watch.estimate = answer.estimated_seconds
        await self._apply(watch, lifecycle.after_submit(answer, can_list=provider.can_list, now=self._clock()))
        watch.answer = None
        if is_paused_now:
            await self._tell_of_pause(provider, watch.job)

    async def _compare(self, watch: Watch) -> None:
        """Compare a waiting job of an earlier run with its card, long before its turn comes."""
        if await self._is_up_to_date(watch):
            if watch.job.card_version != watch.job.version:
                self._presenter.show(watch.job)
            self.wake()

    async def _is_up_to_date(self, watch: Watch) -> bool:
        """False: the card of a job of an earlier run tells that it went on, so it isn't submitted again."""
        job = watch.job
        if job.id not in self._doubtful:
            return True
        try:
            shown = await self._presenter.shown_state(job)
        except NotNow as error:
            log.warning("Discord can't be asked for the card; trying again", job=job.id, why=str(error))
            self._look_at_queue_by(self._clock() + _SHORT_WAIT)
            return False
        if not lifecycle.is_ahead(job, shown):
            self._doubtful.discard(job.id)
            return True
        # somebody may have cancelled it while Discord was asked, and then the card is right
        await self._current(watch)
        log.error("a card knows more than the database: was it restored from a backup?", job=job.id, card=str(shown))
        await self._apply(watch, lifecycle.ended(State.FAILED, Reason.RESTORED, detail=f"its card says {shown}"))
        return False

    def _why_not(self, job: Job) -> Reason | None:
        """What makes it pointless to submit a job that waited."""
        was_refused = job.not_before is not None or job.card_message_id is None
        if was_refused and self._clock() - job.created_at > lifecycle.QUEUE_PATIENCE:
            return Reason.NOT_REACHED
        if self._presenter.has_left(job):
            return Reason.GUILD_GONE
        if not all(self._media_path(media.path).exists() for media in job.request.media):
            return Reason.IMAGE_GONE
        return None

    async def _links(self, watch: Watch, spec: ModelSpec) -> dict[str, str] | None:
        """The links of the pictures on the card; None: the job can't be submitted now."""
        try:
            if watch.job.card_message_id is None and not await self._make_card(watch):
                await self._apply(watch, lifecycle.ended(State.FAILED, Reason.UNDELIVERABLE))
                return None
            if not watch.job.state.is_open:
                # cancelled while its card was made: only now there is one that can tell so
                self._presenter.show(watch.job)
                return None
            return dict(await self._presenter.media_links(watch.job)) if needs_links(watch.job.request, spec) else {}
        except CardGone:
            await self._apply(watch, lifecycle.ended(State.FAILED, Reason.IMAGE_GONE))
        except NotNow as error:
            log.warning("Discord can't be asked for the card; trying again", job=watch.job.id, why=str(error))
            self._look_at_queue_by(self._clock() + _SHORT_WAIT)
        return None

    async def _make_card(self, watch: Watch) -> bool:
        message_id = await self._presenter.make_card(watch.job)
        if message_id is None:
            return False
        place = {"channel_id": watch.job.channel_id, "message_id": message_id}
        watch.job = await self._database.write(lambda c: store.store_card(c, watch.job.id, **place))
        return True

    async def _look(self, watch: Watch, provider: Provider, spec: ModelSpec) -> None:
        outcome = await outcome_of(self._in_time(watch.job, provider.status(watch.job.task_id or "", spec)))
        is_paused_now = self._note_trouble(provider, outcome, watch.job)
        watch.looks += 1
        watch.failures = watch.failures + 1 if isinstance(outcome, ProviderError) else 0
        watch.retry_after = outcome.retry_after if isinstance(outcome, Unavailable) else None
        before, watch.progress = watch.progress, outcome.progress if isinstance(outcome, Pending) else watch.progress
        step = lifecycle.after_look(watch.job, outcome, now=self._clock())
        await self._apply(watch, step)
        if step is None and watch.progress != before:
            self._presenter.show(watch.job, watch.sight)
        if is_paused_now:
            await self._tell_of_pause(provider, watch.job)

    async def _deliver(self, watch: Watch, offer: tuple[Provider, ModelSpec] | None) -> None:
        now = self._clock()
        # counted in this process: a restart after a long night tries as patiently as before
        watch.delivering_since = watch.delivering_since or now
        tried_for = now - watch.delivering_since
        job = await self._current(watch)
        is_inherited = job.id in self._inherited
        step = await self._delivery.deliver(job, offer, tried_for=tried_for, is_inherited=is_inherited)
        if step is None and not self._presenter.is_ready():
            # Discord's silence is no try
            watch.delivering_since = None
        await self._apply(watch, step)

    async def _look_for_submission(self, watch: Watch, provider: Provider) -> None:
        """A submission without an answer: the vendor's own list decides, where there is one."""
        if not provider.can_list:
            await self._apply(watch, lifecycle.ended(State.LOST, Reason.NO_ANSWER))
            return
        submitting = await self._database.read(partial(store.submitting, model=watch.job.model))
        verdict = lifecycle.before_listing(watch.job, submitting, now=self._clock())
        if verdict is not True:
            await self._apply(watch, verdict or None)
            return
        since = (watch.job.submitted_at or watch.job.created_at) - watch.job.clock_error - lifecycle.CLOCK_SLACK
        try:
            tasks = await provider.recent_tasks(since=since)
        except (AuthFailed, ContractBroken) as error:
            is_paused_now = self._note_trouble(provider, error, watch.job)
            await self._apply(watch, lifecycle.ended(State.LOST, Reason.NO_ANSWER, detail=str(error)))
            if is_paused_now:
                await self._tell_of_pause(provider, watch.job)
            return
        except ProviderError as error:
            self._note_trouble(provider, error, watch.job)
            await self._apply(watch, self._lost_when_late(watch.job))
            return
        known = await self._database.read(partial(store.known_tasks, task_ids=[task.task_id for task in tasks]))
        await self._apply(watch, lifecycle.after_listing(watch.job, tasks, known))

    async def _apply(self, watch: Watch, step: Step | None) -> None:
        """Store a transition, show it, and plan what comes next."""
        if step is not None and step.changes.get("reason") is Reason.PROVIDER_PAUSED:
            step.changes["alternatives"] = await self._alternatives(watch.job)
        if step is not None:
            watch.job = await self._database.write(partial(store.move, job=watch.job, step=step, now=self._clock()))
            _log_transition(watch.job, step)
            self._presenter.show(watch.job, watch.sight)
        if not watch.job.state.is_open or watch.job.state is State.QUEUED:
            self.forget(watch.job.id)
        elif step is not None or self._watches.get(watch.job.id) is watch:
            # else somebody cancelled it while we looked
            self._plan(watch, is_new_state=step is not None)

    async def _alternatives(self, job: Job) -> str | None:
        """The models that could do the same, for whoever asked; roles aren't known here."""
        able = able_models(
            self._registry.models.values(),
            mode=job.request.mode,
            community=await self._communities.of(job.guild_id),
            place=Place(channel_id=job.channel_id),
            is_paused=self._pauses.is_paused,
        )
        return " ".join(spec.id for spec in able[:_ALTERNATIVES]) or None

    def _plan(self, watch: Watch, *, is_new_state: bool) -> None:
        self._remember(watch)
        match watch.job.state:
            case State.RUNNING:
                self._later(watch, timedelta(seconds=self._seconds_to_look(watch)))
            case State.DELIVERING if is_new_state:
                self._later(watch, timedelta())
            case State.SUBMITTING if is_new_state:
                pass  # the answer is awaited
            case _:
                self._later(watch, _SHORT_WAIT)

    def _seconds_to_look(self, watch: Watch) -> float:
        offer = self._offer(watch.job)
        provider = None if offer is None else offer[0]
        running = self._running[_provider_name(watch.job)]
        age = self._clock() - (watch.job.submitted_at or watch.job.created_at)
        situation = Situation(
            age=age.total_seconds(),
            looks=watch.looks,
            estimate=watch.estimate,
            failures=watch.failures,
            retry_after=watch.retry_after,
            requests_per_minute=None if provider is None else provider.requests_per_minute,
            running=running,
        )
        wait = seconds_to_next_look(situation, chance=self._chance())
        deadline = watch.job.deadline
        return wait if deadline is None else min(wait, max(0.0, (deadline - self._clock()).total_seconds()))

    async def _in_time(self, job: Job, look: Coroutine[None, None, TaskStatus]) -> TaskStatus:
        """A look that is given up soon after the deadline, be it that its vendor is silent or takes no request."""
        left = timedelta() if job.deadline is None else max(timedelta(), job.deadline - self._clock())
        try:
            async with asyncio.timeout((left + _LAST_LOOK).total_seconds()):
                return await look
        except TimeoutError as error:
            raise Unavailable("no answer until the deadline") from error

    def _later(self, watch: Watch, wait: timedelta) -> None:
        if watch.job.state is State.QUEUED:
            self._look_at_queue_by(self._clock() + wait)
        else:
            self._remember(watch)
            self._agenda.put(watch.job.id, self._clock() + wait)
        self._wake.set()

    def _look_at_queue_by(self, when: datetime) -> None:
        """Look at the queue then at the latest; None, set by ``wake``, means at once."""
        if self._queue_at is not None:
            self._queue_at = min(self._queue_at, when)

    def _remember(self, watch: Watch) -> None:
        if watch.job.id not in self._watches:
            self._running[_provider_name(watch.job)] += 1
        self._watches[watch.job.id] = watch

    def forget(self, job_id: str) -> None:
        """Memory holds only jobs under way; an end, also one by somebody else, makes room for the next in the queue."""
        watch = self._watches.pop(job_id, None)
        if watch is not None:
            self._running[_provider_name(watch.job)] -= 1
        self._agenda.discard(job_id)
        self._lines.leave(job_id)
        self._faults.pop(job_id, None)
        self._doubtful.discard(job_id)
        # should it wait again, its card shows something else by then
        self._places.pop(job_id, None)
        self.wake()

    async def _reload(self, watch: Watch) -> None:
        """Somebody else moved the job on: read where it stands."""
        job = await self._database.read(partial(store.load, job_id=watch.job.id))
        if job is not None and job.version == watch.job.version:
            # or the same step would be tried again at once, for ever
            raise RuntimeError(f"nobody has moved the job on from {job.state}")
        self.forget(watch.job.id)
        if job is not None and job.state.is_open:
            self.resume(job)

    async def _current(self, watch: Watch) -> Job:
        """The job with what was stored beside its transitions: open attempts, fresh links."""
        job = await self._database.read(partial(store.load, job_id=watch.job.id))
        if job is None or job.state is not watch.job.state:
            raise store.JobMoved(watch.job.id)
        watch.job = job
        return job

    def _offer(self, job: Job) -> tuple[Provider, ModelSpec] | None:
        # a job that was started is watched to its end, though its model is offered no more
        known = self._registry.models if job.state is State.QUEUED else self._registry.every
        spec = known.get(job.model)
        return None if spec is None else (self._registry.provider_of(spec), spec)

    def _note_trouble(self, provider: Provider, outcome: object, job: Job) -> bool:
        """Tell the operator, and pause a provider whose key or funds fail; true: it wasn't paused before."""
        if isinstance(outcome, AuthFailed):
            return self._pauses.pause(provider, outcome)
        if isinstance(outcome, ProviderError):
            log.warning("trouble with a provider", provider=provider.name, job=job.id, why=str(outcome))
        return False

    async def _tell_of_pause(self, provider: Provider, job: Job) -> None:
        """Called once the job is seen to: Discord may take its time."""
        community = await self._communities.of(job.guild_id)
        line = Text(
            "**{provider}** takes no jobs at the moment: its key or its funds were refused. Nothing was charged for "
            "them. It is tried again every five minutes.",
            provider=provider.title,
        )
        await self._presenter.tell_moderators(community, line)

    def _seconds_to_next(self) -> float | None:
        instants = [self._agenda.next_at(), self._queue_at, self._pauses.next_at()]
        earliest = min((instant for instant in instants if instant is not None), default=None)
        return None if earliest is None else max(0.0, (earliest - self._clock()).total_seconds())


def _at_once(community: Community) -> tuple[int, int]:
    """How many jobs of one member, and of the guild, run at the same time."""
    return community.limits.member_jobs, community.limits.guild_jobs


def _provider_name(job: Job) -> str:
    return job.model.partition("/")[0]


def _log_transition(job: Job, step: Step) -> None:
    log.info("job moved", job=job.id, guild=job.guild_id, state=str(job.state), task=job.task_id, detail=step.detail)
    if job.state is State.LOST:
        # the operator may have to pay for it
        log.error(
            "a submission got lost: look for it at the vendor",
            job=job.id,
            model=job.model,
            submitted_at=job.submitted_at,
            why=step.detail,
        )
