"""Stopping a job while that saves anything."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import structlog

from bot.clock import Clock
from bot.database.engine import Database
from bot.delivery.words import member_text
from bot.errors import Refusal
from bot.jobs import lifecycle, store
from bot.jobs.job import Job, Reason, State
from bot.jobs.presenting import NotNow, Presenter
from bot.jobs.worker import Worker
from bot.languages import _
from providers.errors import ProviderError
from providers.registry import Registry

log = structlog.stdlib.get_logger(__name__)


class Cancelling:
    """Cancels jobs: while queued always, while running where the provider confirms it."""

    def __init__(
        self, *, database: Database, registry: Registry, worker: Worker, presenter: Presenter, clock: Clock
    ) -> None:
        self._database = database
        self._registry = registry
        self._worker = worker
        self._presenter = presenter
        self._clock = clock

    async def cancel(
        self,
        job_id: str,
        *,
        guild_id: int,
        user_id: int,
        moderates: Callable[[Job], bool],
        card_message_id: int | None = None,
    ) -> Job:
        """Stop a member's job and give the credits back. Raises ``Refusal`` with the reason why not.

        ``card_message_id`` is the card whose button was pressed; None: it was a command.
        """
        job = await self._database.read(partial(store.load, job_id=job_id))
        if job is None or job.guild_id != guild_id:
            raise Refusal(_("There is no such job here. `/wan cancel` shows yours as you type."))
        if job.user_id != user_id and not moderates(job):
            text = _("This is {member}'s video; only they can cancel it.")
            raise Refusal(text.format(member=member_text(job.user_id)))
        if job.card_message_id is None:
            job = await self._with_card(job, card_message_id)
        return await self._cancelled(job)

    async def withdraw(self, job: Job) -> None:
        """Give a job up whose command Discord takes no answer to any more, unless it went on without one."""
        step = lifecycle.cancelled(Reason.UNANSWERED)
        try:
            job = await self._database.write(partial(store.move, job=job, step=step, now=self._clock()))
        except store.JobMoved:
            return
        self._worker.wake()
        self._presenter.show(job)

    async def _cancelled(self, job: Job) -> Job:
        if job.state is State.RUNNING:
            await self._stop_at_provider(job)
        elif job.state is not State.QUEUED:
            raise Refusal(_why_not(job))
        step = lifecycle.cancelled(Reason.BY_MEMBER)
        try:
            job = await self._database.write(partial(store.move, job=job, step=step, now=self._clock()))
        except store.JobMoved as error:
            raise Refusal(_("It moved on in this very moment and can't be stopped any more.")) from error
        self._worker.forget(job.id)
        self._presenter.show(job)
        return job

    async def _with_card(self, job: Job, card_message_id: int | None) -> Job:
        """Learn where the card stands: the bot may have died before it could store that, and nobody else will look."""
        try:
            message_id = card_message_id or await self._presenter.find_card(job)
        except NotNow as error:
            log.warning("the card of a job can't be looked for", job=job.id, why=str(error))
            return job
        if message_id is None:
            return job
        place = {"channel_id": job.channel_id, "message_id": message_id}
        job = await self._database.write(partial(store.store_card, job_id=job.id, **place))
        if not job.state.is_open:
            self._presenter.show(job)
        return job

    async def _stop_at_provider(self, job: Job) -> None:
        spec = self._registry.every.get(job.model)
        provider = None if spec is None else self._registry.provider_of(spec)
        if provider is None or not provider.can_cancel or job.task_id is None:
            raise Refusal(_why_not(job))
        try:
            is_stopped = await provider.cancel(job.task_id)
        except ProviderError as error:
            raise Refusal(_("The provider can't be asked to stop it just now. Try again in a moment.")) from error
        if not is_stopped:
            raise Refusal(_("The provider didn't stop it: it is nearly finished."))


def _why_not(job: Job) -> str:
    if job.state.is_open:
        return _("The provider has it already and can't stop it, so it goes on.")
    return _("It has ended already.")
