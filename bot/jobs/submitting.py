"""Whether a job whose turn has come can be submitted, and with what."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from pathlib import Path

import structlog

from bot.clock import Clock
from bot.database.engine import Database
from bot.jobs import lifecycle, store
from bot.jobs.inputs import generation_request, needs_links
from bot.jobs.job import Job, Reason, State
from bot.jobs.lifecycle import Step
from bot.jobs.presenting import CardGone, NotNow, Presenter
from providers.types import GenerationRequest, ModelSpec

log = structlog.stdlib.get_logger(__name__)


class Hold(Enum):
    """Why a job isn't submitted now."""

    #: Discord can't be asked; it may in a moment
    LATER = auto()
    #: it has ended meanwhile
    OVER = auto()


class Preparation:
    """Looks at everything again that may have changed while a job waited."""

    def __init__(
        self, *, database: Database, presenter: Presenter, clock: Clock, media_path: Callable[[str], Path]
    ) -> None:
        self._database = database
        self._presenter = presenter
        self._clock = clock
        self._media_path = media_path
        #: waiting jobs of an earlier run whose card was not compared with them yet: an old copy of the database may
        #: know less of them than Discord does
        self.doubtful: set[str] = set()

    async def request(self, job: Job, spec: ModelSpec) -> GenerationRequest | Step | Hold:
        """What to ask the provider for, or how the job ends without having been submitted. Raises ``JobMoved``."""
        reason = self._why_not(job)
        if reason is not None:
            return lifecycle.ended(State.FAILED, reason)
        held = await self.held_by_card(job)
        if held is not None:
            return held
        links = await self._links(job, spec)
        if not isinstance(links, dict):
            return links
        return generation_request(job.request, spec, path_of=self._media_path, links=links)

    async def held_by_card(self, job: Job) -> Step | Hold | None:
        """Whether the card of a job of an earlier run tells that it went on, so it isn't submitted again; None: no.

        Raises ``JobMoved``.
        """
        if job.id not in self.doubtful:
            return None
        try:
            shown = await self._presenter.shown_state(job)
        except NotNow as error:
            return _later(job, error)
        if not lifecycle.is_ahead(job, shown):
            self.doubtful.discard(job.id)
            return None
        # somebody may have cancelled it while Discord was asked, and then the card is right
        now = await self._database.read(partial(store.load, job_id=job.id))
        if now is None or now.state is not job.state:
            raise store.JobMoved(job.id)
        log.error("a card knows more than the database: was it restored from a backup?", job=job.id, card=str(shown))
        return lifecycle.ended(State.FAILED, Reason.RESTORED, detail=f"its card says {shown}")

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

    async def _links(self, job: Job, spec: ModelSpec) -> dict[str, str] | Step | Hold:
        """The links of the pictures on the card, where the provider needs them."""
        try:
            if job.card_message_id is None:
                found = await self._with_card(job)
                if found is None:
                    return lifecycle.ended(State.FAILED, Reason.UNDELIVERABLE)
                job = found
            if not job.state.is_open:
                # cancelled while its card was made: only now there is one that can tell so
                self._presenter.show(job)
                return Hold.OVER
            return dict(await self._presenter.media_links(job)) if needs_links(job.request, spec) else {}
        except CardGone:
            return lifecycle.ended(State.FAILED, Reason.IMAGE_GONE)
        except NotNow as error:
            return _later(job, error)

    async def _with_card(self, job: Job) -> Job | None:
        """The job with a card, made now; None: it can't have one. Raises ``NotNow``."""
        message_id = await self._presenter.make_card(job)
        if message_id is None:
            return None
        place = {"channel_id": job.channel_id, "message_id": message_id}
        return await self._database.write(partial(store.store_card, job_id=job.id, **place))


def _later(job: Job, error: NotNow) -> Hold:
    log.warning("Discord can't be asked for the card; trying again", job=job.id, why=str(error))
    return Hold.LATER
