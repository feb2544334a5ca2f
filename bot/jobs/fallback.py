"""Where a video can be made when its provider can't be reached: offered to its member, or done by itself."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import structlog

from bot.clock import Clock
from bot.communities.memory import Communities
from bot.communities.rules import Place
from bot.errors import Refusal
from bot.jobs import lifecycle
from bot.jobs.again import wish_again
from bot.jobs.alternatives import Alternative
from bot.jobs.job import Job, Reason, State, StoredMedia, stand_in_for_interaction
from bot.jobs.lifecycle import Changes, Step
from bot.jobs.requests import Ask, Requests
from bot.media.errors import MediaError, MediaFailed
from bot.media.images import Images
from providers.options import Wish
from providers.types import ModelSpec

log = structlog.stdlib.get_logger(__name__)


class Fallback:
    """Finds the model that comes nearest, and carries a job on with it where the community wants that."""

    def __init__(
        self,
        *,
        communities: Communities,
        requests: Requests,
        images: Images,
        place_of: Callable[[Job], Place | None],
        inputs: Path,
        clock: Clock,
        chance: Callable[[], int],
    ) -> None:
        self._communities = communities
        self._requests = requests
        self._images = images
        #: where a job was asked for, and with which roles; None: that isn't known
        self._place_of = place_of
        self._inputs = inputs
        self._clock = clock
        self._chance = chance

    async def offered(self, job: Job) -> Changes:
        """What the card of a job that is held up offers."""
        found = await self._nearest(job)
        if found is None:
            return Changes(offer_model=None, offer_price=None)
        return Changes(offer_model=found.spec.id, offer_price=found.price)

    async def carried_on(self, job: Job) -> Job | None:
        """The job that goes on in place of one that is held up, in one transaction with its end.

        None: the community doesn't want it, or no model makes the very same for at most the same price.
        """
        community = await self._communities.of(job.guild_id)
        # once: what is passed on from model to model ends nowhere
        if not community.fallback or job.replaces is not None or not job.state.is_open:
            return None
        found = await self._nearest(job)
        if found is None or found.changed or found.price > job.quote:
            return None
        try:
            return await self._begun(job, found)
        except (Refusal, MediaError) as error:
            log.info("a job isn't carried on by another model", job=job.id, why=str(error))
            return None

    async def _nearest(self, job: Job) -> Alternative | None:
        ask = self._ask(job, wish_again(job.request))
        return None if ask is None else await self._requests.alternative(ask, model=job.model, price=job.quote)

    def _ask(self, job: Job, wish: Wish, model: str | None = None) -> Ask | None:
        place = self._place_of(job)
        if place is None:
            return None
        # by Discord's clock, as that of the job
        at = self._clock() - job.clock_error
        return Ask(
            interaction_id=stand_in_for_interaction(at, self._chance()),
            guild_id=job.guild_id,
            user_id=job.user_id,
            place=place,
            wish=wish,
            model=model,
            upload_limit=job.upload_limit,
            spoiler=job.request.spoiler,
            instead_of=job,
            locale=job.request.locale,
            is_of_member=False,
        )

    async def _begun(self, job: Job, found: Alternative) -> Job | None:
        ask = self._ask(job, found.wish, found.spec.id)
        if ask is None:
            return None
        prepared = await self._requests.prepare(ask)
        if prepared.quote > job.quote:
            return None
        folder = self._inputs / prepared.job_id
        try:
            return await self._requests.accept(prepared, await self._copied(job, found.spec, folder))
        except (Refusal, MediaError):
            # on any other error the job may have been stored, and needs its pictures
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise

    async def _copied(self, job: Job, spec: ModelSpec, folder: Path) -> dict[str, StoredMedia]:
        """The new job's own copies of what was attached, pictures as the model takes them. Raises ``MediaError``."""
        request = job.request
        attached = {"image": request.image, "last_image": request.last_image, "video": request.video}
        copies: dict[str, StoredMedia] = {}
        for option, stored in attached.items():
            if stored is None:
                continue
            await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
            source = self._inputs / stored.path
            if not source.is_file():
                raise MediaFailed("what was attached isn't kept any more")
            if option == "video":
                await asyncio.to_thread(shutil.copyfile, source, folder / stored.filename)
                copies[option] = stored.model_copy(update={"path": f"{folder.name}/{stored.filename}"})
            else:
                fitted = await self._images.fit(source, folder / f"{option}.fitted", spec.image)
                name = f"{option}{fitted.path.suffix}"
                fitted.path.rename(folder / name)
                update = {"path": f"{folder.name}/{name}", "content_type": fitted.content_type, "filename": name}
                copies[option] = stored.model_copy(update=update)
        return copies


def is_held_up(job: Job, step: Step, *, now: datetime) -> bool:
    """Whether a step means that the provider can't be reached: it is paused, or hasn't taken the job for minutes."""
    if step.changes.get("reason") is Reason.PROVIDER_PAUSED:
        return True
    since = job.held_up_since
    return step.state is State.QUEUED and since is not None and now - since >= lifecycle.HELD_UP_AFTER
