"""What is done for one job at a time: each step asks somebody, lets the lifecycle decide, and stores what it says."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Final

import structlog

from bot.clock import Clock
from bot.communities.memory import Communities
from bot.communities.rules import Place
from bot.database.engine import Database
from bot.jobs import lifecycle, store
from bot.jobs.alternatives import able_models, is_drawn_here
from bot.jobs.asking import Withheld, outcome_of
from bot.jobs.delivering import Delivery
from bot.jobs.durations import note_of
from bot.jobs.fallback import Fallback, is_held_up
from bot.jobs.job import Job, Reason, State
from bot.jobs.leases import Leases
from bot.jobs.lifecycle import Step
from bot.jobs.pauses import Pauses
from bot.jobs.presenting import Presenter
from bot.jobs.submitting import Hold, Preparation
from bot.jobs.waiting import Waiting
from bot.jobs.watches import LAST_LOOK, Watch, Watches
from providers.contract import Provider
from providers.errors import AuthFailed, ContractBroken, ProviderError, Refused, Unavailable
from providers.registry import Registry
from providers.texts import Text
from providers.types import Finished, GenerationRequest, ModelSpec, Pending, Submission, TaskStatus

log = structlog.stdlib.get_logger(__name__)

#: after a fault of ours a job is left alone for this long
AFTER_FAULT: Final = timedelta(seconds=30)
#: between two tries to fetch or post a video, and before the vendor's list is asked
_SHORT_WAIT: Final = timedelta(seconds=5)
#: so many models are named when one can't be had
_ALTERNATIVES: Final = 3


class Carrying:
    """Carries jobs on, a step at a time. ``wake`` is called when somebody else's turn may have come."""

    def __init__(
        self,
        *,
        database: Database,
        registry: Registry,
        leases: Leases,
        communities: Communities,
        presenter: Presenter,
        delivery: Delivery,
        pauses: Pauses,
        preparation: Preparation,
        waiting: Waiting,
        watches: Watches,
        clock: Clock,
        wake: Callable[[], None],
        fallback: Fallback | None = None,
    ) -> None:
        self._database = database
        self._registry = registry
        self._leases = leases
        self._communities = communities
        self._presenter = presenter
        self._delivery = delivery
        self._pauses = pauses
        self._preparation = preparation
        self._waiting = waiting
        self._watches = watches
        self._clock = clock
        self._wake = wake
        #: None: nothing goes elsewhere
        self._fallback = fallback
        #: jobs of an earlier run: an old copy of the database may know less of them than Discord does
        self._inherited: set[str] = set()
        #: how often the present step of a job has failed for a reason of ours
        self._faults = Counter[str]()

    def resume(self, job: Job) -> None:
        """Take up a job that was started before: by a restart, everything is due at once."""
        self._inherited.add(job.id)
        if job.state is State.QUEUED:
            self._preparation.doubtful.add(job.id)
        else:
            self._watches.take_up(Watch(job, is_old=True), self._clock())
        self._waiting.wake()
        self._wake()

    def forget(self, job_id: str) -> None:
        """Memory holds only jobs under way; an end, also one by somebody else, makes room for the next in the queue."""
        self._watches.forget(job_id)
        self._waiting.forget(job_id)
        self._preparation.doubtful.discard(job_id)
        self._faults.pop(job_id, None)
        self._inherited.discard(job_id)
        self._waiting.make_room()
        self._wake()

    def show(self, watch: Watch) -> None:
        """Bring a job's card up to date."""
        self._presenter.show(watch.job, self._watches.note_sight(watch, self._clock()))

    async def carried(self, watch: Watch, step: Coroutine[None, None, None]) -> None:
        """Do a step, whose faults end in the log, and never in the loop."""
        job_id = watch.job.id
        try:
            try:
                await step
            except store.JobMoved:
                await self._reload(watch)
        except Exception:
            log.exception("a step failed; the job goes on in a while", job=job_id)
            self._later(watch, AFTER_FAULT)
            await self._after_fault(watch)
        else:
            self._faults.pop(job_id, None)

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

    async def advance(self, watch: Watch) -> None:
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

    # --- submitting ----------------------------------------------------------------------------

    async def submit(self, watch: Watch) -> None:
        """Ask the provider, once; the intent is stored when nothing is left to do but to send."""
        offer = self._offer(watch.job)
        if offer is None or self._pauses.is_paused(offer[0].name):
            reason = Reason.MODEL_GONE if offer is None else Reason.PROVIDER_PAUSED
            await self._apply(watch, lifecycle.ended(State.FAILED, reason))
            return
        provider, spec = offer
        ready = await self._preparation.request(watch.job, spec)
        if not isinstance(ready, GenerationRequest):
            await self._hold(watch, ready)
            return
        try:
            answer = await outcome_of(provider.submit(ready, before_sending=partial(self._intend, watch, spec)))
        except Withheld as withheld:
            if withheld.why is not None:
                raise withheld.why from None
            return
        if watch.job.state is State.QUEUED and not isinstance(answer, Unavailable | Refused | AuthFailed):
            # a fault before anything had left isn't a submission without an answer
            cause = answer if isinstance(answer, ProviderError) else None
            raise RuntimeError("a submission came to something without being sent") from cause
        await self._take_answer(watch, provider, answer)

    async def _intend(self, watch: Watch, spec: ModelSpec) -> None:
        """Store that a submission leaves now. Raises ``Withheld``, and ``Unavailable`` when it is stored in vain."""
        now = self._clock()
        step = lifecycle.start_submitting(spec=spec, now=now)
        try:
            started = await self._waiting.start(watch.job, step, now=now)
        except Exception as error:
            raise Withheld(error) from error
        if started is None:
            raise Withheld
        self._note_move(watch, started, step)
        self._plan(watch, is_new_state=True)
        if not self._leases.holds:
            # another process may have looked already whether it was sent
            raise Unavailable("the process has slept")

    async def _hold(self, watch: Watch, held: Step | Hold) -> None:
        """Don't submit a job, now or ever."""
        if isinstance(held, Step):
            await self._apply(watch, held)
        elif held is Hold.LATER:
            self._waiting.look_by(self._clock() + _SHORT_WAIT)

    async def _take_answer(self, watch: Watch, provider: Provider, answer: Submission | ProviderError) -> None:
        """Store what a submission came to. If that fails, the next step tries again with the same answer."""
        watch.answer = answer
        is_paused_now = self._note_trouble(provider, answer, watch.job)
        if isinstance(answer, Submission):
            watch.estimate = answer.estimated_seconds
            watch.taken_at = watch.taken_at or self._clock()
        try:
            await self._apply(watch, lifecycle.after_submit(answer, can_list=provider.can_list, now=self._clock()))
        except store.JobMoved:
            _log_unstored(watch.job, answer)
            raise
        watch.answer = None
        if is_paused_now:
            await self._tell_of_pause(provider, watch.job)

    async def compare(self, watch: Watch) -> None:
        """Compare a waiting job of an earlier run with its card, long before its turn comes."""
        held = await self._preparation.held_by_card(watch.job)
        if held is not None:
            await self._hold(watch, held)
            return
        if watch.job.card_version != watch.job.version:
            self._presenter.show(watch.job)
        self._waiting.wake()
        self._wake()

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

    # --- looking and delivering ----------------------------------------------------------------

    async def _look(self, watch: Watch, provider: Provider, spec: ModelSpec) -> None:
        watch.looks += 1
        watch.looked_at = watch.age(self._clock())
        outcome = await outcome_of(self._in_time(watch.job, provider.status(watch.job.task_id or "", spec)))
        is_paused_now = self._note_trouble(provider, outcome, watch.job)
        watch.failures = watch.failures + 1 if isinstance(outcome, ProviderError) else 0
        watch.retry_after = outcome.retry_after if isinstance(outcome, Unavailable) else None
        before, now = watch.progress, self._clock()
        if isinstance(outcome, Pending):
            watch.progress, watch.running_at = outcome.progress, watch.looked_at
        step = lifecycle.after_look(watch.job, outcome, now=now)
        if step is not None and isinstance(outcome, Finished):
            self._watches.learn(watch, now)
            # so that a restart can learn it as well
            step = replace(step, detail=note_of(watch.running_at))
        await self._apply(watch, step)
        if step is None and watch.progress != before:
            self.show(watch)
        if is_paused_now:
            await self._tell_of_pause(provider, watch.job)

    async def _in_time(self, job: Job, look: Coroutine[None, None, TaskStatus]) -> TaskStatus:
        """A look that is given up soon after the deadline, be it that its vendor is silent or takes no request."""
        left = timedelta() if job.deadline is None else max(timedelta(), job.deadline - self._clock())
        try:
            async with asyncio.timeout((left + LAST_LOOK).total_seconds()):
                return await look
        except TimeoutError as error:
            raise Unavailable("no answer until the deadline") from error

    async def _deliver(self, watch: Watch, offer: tuple[Provider, ModelSpec] | None) -> None:
        now = self._clock()
        # counted in this process: a restart after a long night tries as patiently as before
        watch.delivering_since = watch.delivering_since or now
        tried_for = now - watch.delivering_since
        job = await self._current(watch) if watch.is_old else watch.job
        watch.is_old = True
        is_inherited = job.id in self._inherited
        step = await self._delivery.deliver(job, offer, tried_for=tried_for, is_inherited=is_inherited)
        if step is None and not self._presenter.is_ready():
            # Discord's silence is no try
            watch.delivering_since = None
        await self._apply(watch, step)

    # --- transitions ---------------------------------------------------------------------------

    async def _apply(self, watch: Watch, step: Step | None) -> None:
        """Store a transition, show it, and plan what comes next."""
        if step is not None and step.changes.get("reason") is Reason.PROVIDER_PAUSED:
            step.changes["alternatives"] = await self._alternatives(watch.job)
        if step is not None and await self._is_carried_on(watch, step):
            return
        if step is not None:
            store_step = partial(store.put_off, job=watch.job, step=step)
            if step.state is not watch.job.state:
                store_step = partial(store.move, job=watch.job, step=step, now=self._clock())
            self._note_move(watch, await self._database.write(store_step), step)
        if not watch.job.state.is_open or watch.job.state is State.QUEUED:
            self.forget(watch.job.id)
            if watch.job.state.is_open:
                self._waiting.wake()
        elif step is not None or self._watches.find(watch.job.id) is watch:
            # else somebody cancelled it while we looked
            self._plan(watch, is_new_state=step is not None)

    def _note_move(self, watch: Watch, job: Job, step: Step) -> None:
        watch.job, watch.is_old = job, False
        _log_transition(job, step)
        self.show(watch)

    async def _is_carried_on(self, watch: Watch, step: Step) -> bool:
        """Whether another model goes on in place of one that can't be reached; else the card offers the nearest."""
        if step.state is State.QUEUED:
            step.changes["held_up_since"] = watch.job.held_up_since or self._clock()
        if self._fallback is None or not is_held_up(watch.job, step, now=self._clock()):
            return False
        replacement = await self._fallback.carried_on(watch.job)
        if replacement is None:
            step.changes.update(await self._fallback.offered(watch.job))
            return False
        log.info("another model goes on", job=watch.job.id, by=replacement.id, model=replacement.model)
        watch.job = await self._database.read(partial(store.load, job_id=watch.job.id)) or watch.job
        self.show(watch)
        self.forget(watch.job.id)
        # the replacement waits for its turn
        self._waiting.wake()
        return True

    async def _alternatives(self, job: Job) -> str | None:
        """The models that could do the same, for whoever asked; roles aren't known here."""
        able = able_models(
            self._registry.models.values(),
            mode=job.request.mode,
            community=await self._communities.of(job.guild_id),
            place=Place(channel_id=job.channel_id),
            is_paused=self._pauses.is_paused,
        )
        same = [spec.id for spec in able if not is_drawn_here(spec)]
        return " ".join(same[:_ALTERNATIVES]) or None

    def _plan(self, watch: Watch, *, is_new_state: bool) -> None:
        self._watches.keep(watch)
        match watch.job.state:
            case State.RUNNING:
                self._watches.plan_look(watch, self._clock())
                self._wake()
            case State.DELIVERING if is_new_state:
                self._later(watch, timedelta())
            case State.SUBMITTING if is_new_state:
                pass  # the answer is awaited
            case _:
                self._later(watch, _SHORT_WAIT)

    def _later(self, watch: Watch, wait: timedelta) -> None:
        when = self._clock() + wait
        if watch.job.state is State.QUEUED:
            self._waiting.look_by(when)
        else:
            self._watches.attend(watch, when)
        self._wake()

    async def _reload(self, watch: Watch) -> None:
        """Somebody else moved the job on: read where it stands."""
        job = await self._database.read(partial(store.load, job_id=watch.job.id))
        if job is not None and (job.version, job.owner) == (watch.job.version, watch.job.owner):
            # or the same step would be tried again at once, for ever
            raise RuntimeError(f"nobody has moved the job on from {job.state}")
        self.forget(watch.job.id)
        if job is not None and job.state.is_open and self._leases.has(job):
            self.resume(job)

    async def _current(self, watch: Watch) -> Job:
        """The job with what its delivery has stored beside transitions: open attempts, fresh links."""
        job = await self._database.read(partial(store.load, job_id=watch.job.id))
        if job is None or job.state is not watch.job.state or not self._leases.has(job):
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


def _log_unstored(job: Job, answer: Submission | ProviderError) -> None:
    """Somebody else has ended the job, or taken it up: nothing but this line knows the task that may be paid for."""
    if isinstance(answer, Submission):
        log.error(
            "a vendor took a job that isn't ours to see to any more: compare its task with the job's",
            job=job.id,
            model=job.model,
            task=answer.task_id,
        )


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
