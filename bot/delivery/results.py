"""What becomes of a posted video that somebody objects to: reported, and removed for good."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Final

from bot.clock import Clock
from bot.communities import audit
from bot.communities.audit import Deed, mention
from bot.communities.decisions import Actor
from bot.communities.memory import Communities
from bot.database.engine import Connection, Database
from bot.delivery.cards import message_link
from bot.delivery.presenter import DiscordPresenter
from bot.delivery.words import disarmed, member_text
from bot.errors import Refusal
from bot.jobs import store
from bot.jobs.job import Job
from bot.languages import _

#: characters; both may double when they are disarmed, and a message has 2000
_PROMPT: Final = 400
_REASON: Final = 500


class Results:
    """Takes reports of posted videos, and removes them."""

    def __init__(
        self,
        *,
        database: Database,
        communities: Communities,
        presenter: DiscordPresenter,
        videos_folder: Path,
        clock: Clock,
    ) -> None:
        self._database = database
        self._communities = communities
        self._presenter = presenter
        self._videos_folder = videos_folder
        self._clock = clock

    async def report(self, actor: Actor, job_id: str, reason: str) -> bool:
        """Tell the moderators; true: in their channel, else in the audit alone. Raises ``Refusal``."""
        work = partial(self._report, actor=actor, job_id=job_id, reason=reason)
        job = await self._database.write(work)
        community = await self._communities.of(actor.guild_id)
        with self._presenter.speaking_in(actor.guild_id):
            text = report_text(actor.user_id, job, reason)
        return await self._presenter.show_report(community, job, text)

    async def remove(self, actor: Actor, job_id: str) -> Job:
        """Delete a posted video, its card and our copy. Raises ``Refusal``."""
        job = await self._posted(job_id, actor.guild_id)
        await self._presenter.delete_result(job)
        job = await self._database.write(partial(self._remove, actor=actor, job=job))
        await asyncio.to_thread(_delete_copies, self._videos_folder, job.id)
        return job

    async def _posted(self, job_id: str, guild_id: int) -> Job:
        return _checked(await self._database.read(partial(store.load, job_id=job_id)), guild_id)

    def _report(self, connection: Connection, *, actor: Actor, job_id: str, reason: str) -> Job:
        job = _checked(store.load(connection, job_id), actor.guild_id)
        deed = _deed(actor, job, "results.report", after=f"job {job.id}", reason=reason)
        if audit.has(connection, deed):
            raise Refusal(_("You have reported this video already; the moderators know of it."))
        audit.record(connection, deed, now=self._clock())
        return job

    def _remove(self, connection: Connection, *, actor: Actor, job: Job) -> Job:
        deed = _deed(actor, job, "results.remove", after=f"job {job.id}")
        if not audit.was_done(connection, actor.interaction_id):
            audit.record(connection, deed, now=self._clock())
        return store.remove_result(connection, job.id, now=self._clock())


def report_text(reporter_id: int, job: Job, reason: str) -> str:
    """What moderators read of a report."""
    link = message_link(job.guild_id, job.video_channel_id, job.result_message_id or 0)
    told = _("{reporter} has reported {member}'s video: {link}")
    lines = [
        told.format(reporter=f"<@{reporter_id}>", member=member_text(job.user_id), link=link),
        _("Prompt: {prompt}").format(prompt=disarmed(job.request.prompt, _PROMPT) or _("none")),
    ]
    if reason:
        lines.append(_("Why: {reason}").format(reason=disarmed(reason, _REASON)))
    return "\n".join(lines)


def _checked(job: Job | None, guild_id: int) -> Job:
    if job is None or job.guild_id != guild_id or job.result_message_id is None:
        raise Refusal(_("There is no such posted video here. Choose one of the suggestions."))
    if job.removed_at is not None:
        raise Refusal(_("This video was removed already."))
    return job


def _deed(actor: Actor, job: Job, action: str, *, after: str, reason: str = "") -> Deed:
    return Deed(
        guild_id=actor.guild_id,
        actor_id=actor.user_id,
        interaction_id=actor.interaction_id,
        action=action,
        target=mention(job.user_id),
        before="",
        after=after,
        reason=reason,
    )


def _delete_copies(folder: Path, job_id: str) -> None:
    for path in folder.glob(f"{job_id}*"):
        path.unlink(missing_ok=True)
