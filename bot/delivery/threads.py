"""Where a video is posted: in the channel of its card, or in a thread made from the card."""

from __future__ import annotations

from typing import Final

import discord
import structlog

from bot.communities.memory import Communities
from bot.communities.rules import Community
from bot.delivery import faults
from bot.delivery.presenter import DiscordPresenter
from bot.delivery.words import one_line
from bot.jobs.job import Job
from bot.jobs.presenting import NotNow
from bot.languages import _

#: characters; Discord's own limit is 100
_LONGEST_NAME: Final = 80

log = structlog.stdlib.get_logger(__name__)


class Threads:
    """Makes the threads. A message's thread has the message's own id, so that it is found again after a death."""

    def __init__(self, *, client: discord.Client, communities: Communities, presenter: DiscordPresenter) -> None:
        self._client = client
        self._communities = communities
        self._presenter = presenter
        #: channels of whose missing permissions the moderators were told
        self._told: set[int] = set()

    async def place_of(self, job: Job) -> int | None:
        """The thread of the job's card, made now if there is none; None: post in the card's channel.

        Raises ``NotNow``.
        """
        community = await self._communities.of(job.guild_id)
        guild = self._client.get_guild(job.guild_id)
        channel = None if guild is None else guild.get_channel(job.channel_id)
        # a thread, also a forum's post, has no threads of its own; neither have channels for voices
        if not community.threads or job.card_message_id is None or not isinstance(channel, discord.TextChannel):
            return None
        if not _may_thread(channel):
            await self._tell_once(community, channel)
            return None
        self._told.discard(channel.id)
        with self._presenter.speaking_in(job.guild_id):
            name = thread_name(job)
        return await _opened(channel, job.card_message_id, name)

    async def _tell_once(self, community: Community, channel: discord.TextChannel) -> None:
        if channel.id in self._told:
            return
        self._told.add(channel.id)
        with self._presenter.speaking_in(community.guild_id):
            text = _(
                "I can't open threads in {channel}, so videos are posted in the channel itself. Allow me "
                "**Create Public Threads** and **Send Messages in Threads** there, or use `/wan-admin options set "
                "threads:False`."
            )
            text = text.format(channel=channel.mention)
        await self._presenter.tell_moderators(community, text)


def thread_name(job: Job) -> str:
    """The beginning of the prompt; of hidden videos it tells nothing."""
    if job.request.spoiler:
        return _("A video behind a spoiler")
    return one_line(job.request.prompt, _LONGEST_NAME) or _("A video")


async def take_name(client: discord.Client, job: Job, name: str) -> None:
    """Let the thread of a video that was removed tell nothing of it any more: who made a thread may rename it."""
    if job.result_channel_id is None:
        return
    try:
        thread = await client.fetch_channel(job.result_channel_id)
        if isinstance(thread, discord.Thread):
            await thread.edit(name=name, archived=False)
    except faults.DISCORD_ERRORS as error:
        if faults.code_of(error) not in faults.GONE:
            log.warning("the thread of a removed video keeps its name", job=job.id, why=str(error))


def _may_thread(channel: discord.TextChannel) -> bool:
    granted = channel.permissions_for(channel.guild.me)
    return granted.create_public_threads and granted.send_messages_in_threads


async def _opened(channel: discord.TextChannel, message_id: int, name: str) -> int | None:
    """The thread of a message; None: it can have none."""
    try:
        return (await channel.get_partial_message(message_id).create_thread(name=name)).id
    except faults.DISCORD_ERRORS as error:
        if faults.code_of(error) == faults.HAS_A_THREAD:
            return message_id
        if faults.is_refusal(error):
            # its card was deleted, or there are as many threads as a guild may have
            log.warning("no thread can be made of a card", channel=channel.id, why=str(error))
            return None
        raise NotNow(str(error)) from error
