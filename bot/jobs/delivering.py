"""From the vendor's finished video to the one in the channel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Final

import structlog

from bot.clock import Clock
from bot.database.engine import Connection, Database
from bot.jobs import lifecycle, store
from bot.jobs.job import Job, Reason
from bot.jobs.lifecycle import Posted, PostTrouble, Step
from bot.jobs.presenting import NotNow, Presenter
from bot.media.errors import MediaError, MediaLimit, NotMedia
from bot.media.videos import Videos
from bot.members.settings import MemberSettings
from bot.members.store import settings_of
from providers.contract import Provider
from providers.errors import ProviderError
from providers.links import LinkDead, LinkError, LinkRefused
from providers.types import Finished, ModelSpec

log = structlog.stdlib.get_logger(__name__)

#: what a link answers that has expired, or that never led anywhere
_DEAD: Final = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})


#: the channel in which a job's video is posted; None: the card's. Raises ``NotNow``
PlaceOf = Callable[[Job], Awaitable[int | None]]


async def _in_the_cards_channel(job: Job) -> int | None:
    del job
    return None


class Trouble(Exception):  # noqa: N818 - it names what happened
    """The video can't be had now."""

    def __init__(self, reason: Reason, detail: str, *, patience: timedelta = lifecycle.LINK_PATIENCE) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        #: for how long it is tried again
        self.patience = patience


class Delivery:
    """Fetches, checks, fits and posts one video at a time."""

    def __init__(
        self,
        *,
        database: Database,
        presenter: Presenter,
        videos: Videos,
        folder: Path,
        clock: Clock,
        place_of: PlaceOf = _in_the_cards_channel,
    ) -> None:
        self._database = database
        self._presenter = presenter
        self._videos = videos
        self._folder = folder
        self._clock = clock
        self._place_of = place_of

    async def deliver(
        self,
        job: Job,
        offer: tuple[Provider, ModelSpec] | None,
        *,
        tried_for: timedelta,
        is_inherited: bool = False,
    ) -> Step | None:
        """Go as far as possible; None: try again later.

        Without an offer, its provider isn't configured any more. A job that is inherited from an earlier run
        may have been posted by one that this database, restored from a backup, knows nothing of.
        """
        if self._may_be_posted(job, is_inherited=is_inherited):
            found = await self._presenter.find_video(job)
            # without an attempt there is no more than a suspicion, and a channel too busy to be read proves nothing
            if found is not None and (job.attempted_at is not None or found is not PostTrouble.UNKNOWABLE):
                return lifecycle.after_post(found, tried_for=tried_for)
            job = await self._database.write(partial(store.close_attempt, job_id=job.id))
        try:
            path = await self._fetched(job, allow_file=offer is not None and offer[0].is_local)
        except Trouble as trouble:
            step = _after_trouble(job, trouble, tried_for)
            if step is None and offer is not None:
                await self._renew(job, *offer)
            return step
        if not self._presenter.is_ready():
            return None
        try:
            job = await self._placed(job, tried_for)
        except NotNow as error:
            log.warning("no thread for a video yet", job=job.id, why=str(error))
            return None
        outcome = await self._posted(job, path)
        if outcome is PostTrouble.FOR_GOOD and job.result_channel_id is not None:
            # its thread was deleted or locked, so nothing stands there
            job = replace(job, result_channel_id=None)
            outcome = await self._posted(job, path)
        if outcome is PostTrouble.FOR_NOW and tried_for >= lifecycle.POST_PATIENCE:
            # the last word before giving up: an answer may have got lost
            outcome = await self._presenter.find_video(job) or outcome
        return lifecycle.after_post(outcome, tried_for=tried_for)

    def _may_be_posted(self, job: Job, *, is_inherited: bool) -> bool:
        """Whether the video may stand in the channel, and Discord forget that it does."""
        if job.result_message_id is not None:
            return True  # it was posted, and is to be posted again if it is gone
        if job.attempted_at is None:
            return is_inherited and self._clock() - job.created_at >= lifecycle.ATTEMPT_AGE
        return self._clock() - job.attempted_at >= lifecycle.ATTEMPT_AGE

    async def _placed(self, job: Job, tried_for: timedelta) -> Job:
        """The job with where its video is posted: where an open attempt was made, else where it should be now."""
        if job.attempted_at is not None:
            return job
        is_late = tried_for >= lifecycle.POST_PATIENCE
        return replace(job, result_channel_id=None if is_late else await self._place_of(job))

    async def _posted(self, job: Job, path: Path) -> Posted | PostTrouble:
        outcome: Posted | PostTrouble = PostTrouble.TOO_LARGE
        limit = 0
        # a second round only when Discord takes less than it said
        while outcome is PostTrouble.TOO_LARGE and limit != self._presenter.upload_limit(job):
            limit = self._presenter.upload_limit(job)
            outcome = await self._attempt(job, path, await self._fitted(job, path, limit))
        if outcome is PostTrouble.TOO_LARGE:
            # nobody knows how much it takes, but a link is short
            outcome = await self._attempt(job, path, None)
        return outcome

    async def _attempt(self, job: Job, path: Path, video: Path | None) -> Posted | PostTrouble:
        """Post the video, or (None) its link, with the attempt stored before."""
        if video is None and not self._has_link(job):
            return PostTrouble.FOR_NOW
        begin = partial(_begin_attempt, job=job, video_path=path.name, now=self._clock())
        job, wants = await self._database.write(begin)
        outcome = await self._presenter.post_video(job, video, is_mentioned=wants.notify)
        if outcome is PostTrouble.TOO_LARGE:
            await self._database.write(partial(store.close_attempt, job_id=job.id))
        return outcome

    def _has_link(self, job: Job) -> bool:
        """Whether others can follow the link to the result: a local provider's leads to a file of ours."""
        is_public = job.result_url is not None and job.result_url.lower().startswith(("http://", "https://"))
        return is_public and not _has_expired(job, self._clock())

    async def _fetched(self, job: Job, *, allow_file: bool) -> Path:
        """The vendor's file, on disk and known to be a video. Raises ``Trouble``."""
        path = self._folder / f"{job.id}.mp4"
        if path.exists():
            return path
        if job.result_url is None:
            raise Trouble(Reason.LINK_DEAD, "the vendor gave no link", patience=timedelta())
        fresh = path.with_suffix(".new.mp4")
        try:
            await self._videos.fetch(job.result_url, fresh, allow_file=allow_file)
            await self._check(job, fresh)
        except NotMedia as error:
            fresh.unlink(missing_ok=True)
            raise Trouble(Reason.NOT_A_VIDEO, str(error)) from error
        except (LinkError, MediaError) as error:
            fresh.unlink(missing_ok=True)
            raise Trouble(Reason.LINK_DEAD, str(error), patience=_patience_with(error)) from error
        # a file under its final name was checked
        return fresh.rename(path)

    async def _check(self, job: Job, path: Path) -> None:
        """Raises ``NotMedia`` for what is no video; an unusual one is what the member paid for."""
        try:
            await self._videos.check(path)
        except MediaLimit as error:
            log.warning("an unusual video is posted as it is", job=job.id, why=str(error))

    async def _renew(self, job: Job, provider: Provider, spec: ModelSpec) -> None:
        """Ask the vendor again: the link may be fresh now."""
        try:
            status = await provider.status(job.task_id or "", spec)
        except ProviderError as error:
            log.warning("no fresh link", job=job.id, why=str(error))
            return
        if isinstance(status, Finished):
            renew = partial(store.renew_result, job_id=job.id, url=status.video_url, expires_at=status.expires_at)
            await self._database.write(renew)

    async def _fitted(self, job: Job, path: Path, limit: int) -> Path | None:
        """A file of at most ``limit`` bytes; None: it can't be made to fit, so the link is posted."""
        if path.stat().st_size <= limit:
            return path
        target = path.with_name(f"{job.id}.fitted.mp4")
        if target.is_file() and target.stat().st_size <= limit:
            return target  # of an earlier attempt
        try:
            facts = await self._videos.fit(path, target, limit)
        except MediaError as error:
            log.warning("the video can't be made smaller", job=job.id, why=str(error))
            return None
        return None if facts is None else target


def _begin_attempt(connection: Connection, *, job: Job, video_path: str, now: datetime) -> tuple[Job, MemberSettings]:
    """Store that the video is about to be posted; gives the job, and what its member wants."""
    begun = store.open_attempt(connection, job, video_path=video_path, now=now)
    return begun, settings_of(connection, job.guild_id, job.user_id)


def _has_expired(job: Job, now: datetime) -> bool:
    return job.result_expires_at is not None and job.result_expires_at <= now


def _after_trouble(job: Job, trouble: Trouble, tried_for: timedelta) -> Step | None:
    log.warning("no video yet", job=job.id, why=trouble.detail)
    return lifecycle.after_fetch_trouble(
        trouble.reason, tried_for=tried_for, patience=trouble.patience, detail=trouble.detail
    )


def _patience_with(error: LinkError | MediaError) -> timedelta:
    """A link that may lead nowhere is given up at once, a dead one soon; a network or a child gets more time."""
    if isinstance(error, LinkRefused):
        return timedelta()
    is_dead = isinstance(error, LinkDead) and error.status in _DEAD
    return lifecycle.LINK_PATIENCE if is_dead else lifecycle.FETCH_PATIENCE
