"""Writes cards and videos to Discord, always with the bot's own token: it outlives the interaction's."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import discord
import structlog
from discord.utils import MISSING
from structlog.contextvars import bind_contextvars

from bot.clock import Clock
from bot.communities.rules import Community
from bot.database.engine import Database
from bot.delivery import faults
from bot.delivery.cards import WORDS, Card, card, offer_text
from bot.delivery.edits import Edit, Edits
from bot.delivery.messages import (
    DETAILS,
    NO_MENTIONS,
    REMOVE,
    buttons,
    card_buttons,
    card_embed,
    card_files,
    has_button_of,
    is_card_of,
    result_buttons,
    result_file,
    result_text,
)
from bot.errors import Refusal
from bot.jobs import store
from bot.jobs.job import Job, State, ids_of
from bot.jobs.lifecycle import Posted, PostTrouble
from bot.jobs.presenting import NOTHING_MORE, CardGone, NotNow, Sight
from bot.languages import ENGLISH, _, in_every_language, say, speaking
from bot.shards import ALL, Shards
from providers.registry import Registry

log = structlog.stdlib.get_logger(__name__)

MIB: Final = 1024 * 1024
#: Discord's documents moved from 10 to 20 MiB in September 2026 (discord-api-docs 8578)
_EVERYWHERE: Final = 20 * MIB
#: how many messages are looked through for a card or a video of ours
_LOOK_BACK: Final = 1000
#: how far Discord's clock may be behind ours beyond what a job tells of it (Job.clock_error)
_CLOCK_SLACK: Final = timedelta(minutes=25)
_RETRY_EDIT: Final = timedelta(seconds=10)
#: seconds; edits that are asked for within them are seen to together
_TOGETHER: Final = 0.1
#: so many refusals of an edit, ten minutes in all, are final
_MOST_REFUSALS: Final = 7


class DiscordPresenter:
    """See ``bot.jobs.presenting.Presenter``. ``run`` sends the edits that ``show`` asks for."""

    def __init__(
        self,
        *,
        client: discord.Client,
        database: Database,
        registry: Registry,
        clock: Clock,
        folder: Path,
        shards: Shards = ALL,
        upload_limit_mib: int | None = None,
        holds: Callable[[], bool] = lambda: True,
    ) -> None:
        """``holds`` tells whether no other process can have taken up what is posted here."""
        self._client = client
        self._database = database
        self._registry = registry
        self._clock = clock
        self._folder = folder
        self._shards = shards
        self._upload_limit_mib = upload_limit_mib
        self._holds = holds
        #: guilds that took less than Discord's documents say
        self._small_guilds: set[int] = set()
        self._edits = Edits(clock=clock)
        #: how often Discord has refused to edit a card, by job, and whether it was open
        self._refusals = Counter[tuple[str, bool]]()
        self._wake = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._is_stopping = False

    # --- cards ---------------------------------------------------------------------------------

    def speaking_in(self, guild_id: int) -> AbstractContextManager[None]:
        """Say everything in the language of a guild within the block: what is public there."""
        return speaking(self._locale_in(guild_id) or ENGLISH)

    def card_of(self, job: Job, sight: Sight = NOTHING_MORE) -> Card:
        """What the job's card says now, in the language of its guild."""
        spec = self._registry.every.get(job.model)
        can_cancel = spec is not None and self._registry.provider_of(spec).can_cancel
        with self._speaking_of(job):
            shown = card(job, spec=spec, sight=sight, can_cancel_running=can_cancel)
            return replace(shown, offer=self._offer(job))

    def _offer(self, job: Job) -> str | None:
        """What the button for another model reads; None: the card has none."""
        spec = self._registry.models.get(job.offer_model or "")
        if spec is None or job.offer_price is None or not job.offers_another:
            return None
        return offer_text(spec.name, job.offer_price)

    def show(self, job: Job, sight: Sight = NOTHING_MORE) -> None:
        """See ``Presenter``."""
        if job.card_message_id is None:
            if not job.state.is_open:
                self._edits.never_shown(job)
            return
        self._edits.want(job, self.card_of(job, sight))
        self._wake.set()

    def drop_waiting(self) -> None:
        """See ``Presenter``."""
        self._edits.drop_open()

    def answered(self, job: Job, shown: Card) -> None:
        """The answer to the command shows this card already."""
        self._edits.shown(job, shown)

    async def make_card(self, job: Job) -> int | None:
        """See ``Presenter``."""
        try:
            found = await self._found_card(job)
            if found is not None:
                return found.id
            shown = self.card_of(job)
            with self._speaking_of(job):
                files = card_files(job, self._folder)
            message = await self._channel(job).send(
                embed=card_embed(shown),
                view=card_buttons(shown, job.id),
                files=files,
                nonce=f"c{job.id}",
                allowed_mentions=NO_MENTIONS,
            )
        except faults.DISCORD_ERRORS as error:
            if faults.is_for_good(error):
                return None
            raise NotNow(str(error)) from error
        return message.id

    async def find_card(self, job: Job) -> int | None:
        """See ``Presenter``."""
        try:
            found = await self._found_card(job)
        except faults.DISCORD_ERRORS as error:
            if faults.is_for_good(error):
                return None
            raise NotNow(str(error)) from error
        return None if found is None else found.id

    async def media_links(self, job: Job) -> Mapping[str, str]:
        """See ``Presenter``."""
        try:
            message = await self._channel(job).fetch_message(job.card_message_id or 0)
        except faults.DISCORD_ERRORS as error:
            if faults.is_for_good(error) or faults.code_of(error) == faults.UNKNOWN_MESSAGE:
                raise CardGone(job.id) from error
            raise NotNow(str(error)) from error
        links = {attachment.filename.removeprefix("SPOILER_"): attachment.url for attachment in message.attachments}
        if any(media.filename not in links for media in job.request.media):
            raise CardGone(job.id)
        return links

    async def shown_state(self, job: Job) -> State | None:
        """See ``Presenter``."""
        try:
            message = (
                await self._found_card(job)
                if job.card_message_id is None
                else await self._channel(job).fetch_message(job.card_message_id)
            )
        except faults.DISCORD_ERRORS as error:
            if faults.is_for_good(error) or faults.code_of(error) == faults.UNKNOWN_MESSAGE:
                return None
            raise NotNow(str(error)) from error
        titles = set[str | None]() if message is None else {embed.title for embed in message.embeds}
        return next((state for state, word in WORDS.items() if in_every_language(word) & titles), None)

    async def run(self) -> None:
        """Send edits as the channels' budgets allow, until ``stop``."""
        while not self._is_stopping:
            self._wake.clear()
            self._send_due()
            wait = self._edits.seconds_to_next()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            # each time all of them are looked through: in a rush that had better be seldom
            await asyncio.sleep(_TOGETHER)

    async def flush(self) -> None:
        """Send every edit that is due now, and wait for it."""
        while self._send_due() or self._sending:
            if self._sending:
                await asyncio.wait(self._sending)

    async def stop(self, *, patience: float) -> None:
        """Send what is due, for at most ``patience`` seconds; a restart paints the rest."""
        self._is_stopping = True
        self._wake.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self.flush()

    def _send_due(self) -> bool:
        # who has slept may know less of a job than its card tells
        due = self._edits.take_due() if self._holds() else []
        for edit in due:
            task = asyncio.create_task(self._send(edit), name=f"card {edit.job.id}")
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return bool(due)

    async def _send(self, edit: Edit) -> None:
        job, shown = edit.job, edit.card
        # each edit is a task of its own, so what is bound ends with it
        bind_contextvars(**ids_of(job))
        try:
            message = self._channel(job).get_partial_message(job.card_message_id or 0)
            await message.edit(embed=card_embed(shown), view=card_buttons(shown, job.id), allowed_mentions=NO_MENTIONS)
        except Exception as error:  # whatever it is: other cards of the channel wait for this one
            if not self._is_card_gone(job, error):
                # not Discord's error, so where it came from matters
                traced = None if isinstance(error, faults.DISCORD_ERRORS) else error
                log.warning("a card can't be edited; trying again", job=job.id, why=str(error), exc_info=traced)
                refusals = min(self._refusals[_life(job)], _MOST_REFUSALS)
                self._edits.failed(edit, retry_in=_RETRY_EDIT * 2 ** max(0, refusals - 1))
                return
            log.info("a card is gone; the job goes on without it", job=job.id, why=str(error))
            self._forget_refusals(job)
            self._edits.give_up(job)
        else:
            self._forget_refusals(job)
            self._edits.sent(edit)
        finally:
            self._wake.set()
        if edit.is_transition:
            await self._database.write(partial(store.card_shows, job_id=job.id, version=job.version))

    def _is_card_gone(self, job: Job, error: Exception) -> bool:
        """Whether a card can't be edited any more: it isn't there, or Discord says no again and again.

        While its job is open it is tried on, ever more rarely: the video may open a thread that was archived.
        """
        if faults.is_for_good(error) or faults.code_of(error) == faults.UNKNOWN_MESSAGE:
            return True
        self._refusals[_life(job)] += faults.is_refusal(error)
        return not job.state.is_open and self._refusals[_life(job)] >= _MOST_REFUSALS

    def _forget_refusals(self, job: Job) -> None:
        for is_open in (True, False):
            self._refusals.pop((job.id, is_open), None)

    # --- videos --------------------------------------------------------------------------------

    def is_ready(self) -> bool:
        """See ``Presenter``."""
        return self._client.is_ready()

    def has_left(self, job: Job) -> bool:
        """See ``Presenter``."""
        is_ours = self._shards.have(job.guild_id)
        return is_ours and self._client.is_ready() and self._client.get_guild(job.guild_id) is None

    def upload_limit(self, job: Job) -> int:
        """See ``Presenter``: what the interaction said, but not more than the bot's own limit."""
        if self._upload_limit_mib is not None:
            return self._upload_limit_mib * MIB
        guild = self._client.get_guild(job.guild_id)
        tier = 0 if guild is None else guild.filesize_limit
        if job.guild_id in self._small_guilds and tier:
            return tier
        return min(job.upload_limit, max(tier, _EVERYWHERE))

    async def find_video(self, job: Job) -> Posted | PostTrouble | None:
        """See ``Presenter``."""
        if not self._client.is_ready():
            return PostTrouble.FOR_NOW
        seen = 0
        try:
            if not await self._can_read_history(job):
                # Discord answers with an empty list then, not with a refusal
                return PostTrouble.UNKNOWABLE
            if job.result_message_id is not None and await self._stands(job, job.result_message_id):
                return Posted(job.result_message_id)
            async for message in self._messages_after(job, _before_attempt(job), channel_id=job.video_channel_id):
                seen += 1
                if self._is_own(message) and has_button_of(message.components, job.id, DETAILS.action):
                    return Posted(message.id)
        except faults.DISCORD_ERRORS as error:
            return PostTrouble.UNKNOWABLE if faults.is_for_good(error) else PostTrouble.FOR_NOW
        # in a channel where so much is written, it may stand further on
        return None if seen < _LOOK_BACK else PostTrouble.UNKNOWABLE

    async def post_video(self, job: Job, video: Path | None, *, is_mentioned: bool) -> Posted | PostTrouble:
        """See ``Presenter``. The nonce makes a repeated post within minutes give the first message."""
        if self.has_left(job):
            return PostTrouble.FOR_GOOD
        channel = self._client.get_partial_messageable(job.video_channel_id, guild_id=job.guild_id)
        if not self._holds():
            # another process may have posted it, too long ago for Discord to know ours by its nonce
            log.warning("the process has slept; the video isn't posted", job=job.id)
            return PostTrouble.FOR_NOW
        card_message = discord.MessageReference(
            message_id=job.card_message_id or 0, channel_id=job.channel_id, fail_if_not_exists=False
        )
        # the card's thread stands below it, and a message replies in its own channel only
        reference: Any = card_message if job.result_channel_id is None else None
        try:
            with self._speaking_of(job):
                text = result_text(job, is_link=video is None, is_mentioned=is_mentioned)
                view = result_buttons(job.id)
                files = [] if video is None else [result_file(job, video)]
            message = await channel.send(
                content=text,
                files=files,
                view=view,
                nonce=_nonce_of_video(job),
                reference=reference,
                # the text names nobody else
                allowed_mentions=discord.AllowedMentions(
                    everyone=False, roles=False, users=[discord.Object(job.user_id)], replied_user=False
                ),
            )
        except faults.DISCORD_ERRORS as error:
            trouble = faults.post_trouble(error)
            log.warning("the video isn't posted", job=job.id, what=trouble.name, why=str(error))
            if trouble is PostTrouble.TOO_LARGE:
                self._small_guilds.add(job.guild_id)
            is_locked = job.result_channel_id is not None and faults.code_of(error) == faults.ARCHIVED
            return PostTrouble.FOR_GOOD if is_locked else trouble
        return Posted(message.id)

    # --- moderators ----------------------------------------------------------------------------

    async def tell_moderators(self, community: Community, text: str) -> None:
        """See ``Presenter``."""
        with self.speaking_in(community.guild_id):
            line = say(text)
        await self._tell(community, line)

    async def show_report(self, community: Community, job: Job, text: str) -> bool:
        """Write a report into the community's log channel, with a button to act on it; false: there is none."""
        with self.speaking_in(community.guild_id):
            view = buttons(job.id, REMOVE)
        return await self._tell(community, text, view=view)

    async def delete_result(self, job: Job) -> None:
        """Delete a posted video and its card; what is gone already is as good. Raises ``Refusal``."""
        result, shown = (job.video_channel_id, job.result_message_id), (job.channel_id, job.card_message_id)
        for channel_id, message_id in (result, shown):
            if message_id is None:
                continue
            channel = self._client.get_partial_messageable(channel_id, guild_id=job.guild_id)
            try:
                await channel.get_partial_message(message_id).delete()
            except faults.DISCORD_ERRORS as error:
                if faults.code_of(error) in faults.GONE:
                    continue
                log.warning("a video can't be deleted", job=job.id, why=str(error))
                text = _("Discord didn't delete it. Try again in a moment.")
                if faults.is_for_good(error):
                    text = _("I can't see {channel} any more. Give me **View Channel** there, or delete it by hand.")
                raise Refusal(text.format(channel=f"<#{job.channel_id}>")) from error

    async def _tell(self, community: Community, text: str, *, view: discord.ui.View = MISSING) -> bool:
        if community.log_channel_id is None:
            return False
        channel = self._client.get_partial_messageable(community.log_channel_id, guild_id=community.guild_id)
        try:
            await channel.send(text, view=view, allowed_mentions=NO_MENTIONS, suppress_embeds=True)
        except faults.DISCORD_ERRORS as error:
            log.warning("the log channel can't be written to", guild=community.guild_id, why=str(error))
            return False
        return True

    def _speaking_of(self, job: Job) -> AbstractContextManager[None]:
        """Say what is public of a job, also before Discord has told of its guild."""
        return speaking(self._locale_in(job.guild_id) or job.request.locale or ENGLISH)

    def _locale_in(self, guild_id: int) -> str | None:
        guild = self._client.get_guild(guild_id)
        return None if guild is None or guild.unavailable else str(guild.preferred_locale)

    async def _stands(self, job: Job, message_id: int) -> bool:
        """Whether a message is still there, in the channel of the job's video."""
        channel = self._client.get_partial_messageable(job.video_channel_id, guild_id=job.guild_id)
        try:
            await channel.fetch_message(message_id)
        except discord.NotFound as error:
            if faults.code_of(error) == faults.UNKNOWN_MESSAGE:
                return False
            raise
        return True

    async def _can_read_history(self, job: Job) -> bool:
        if not self._shards.have(job.guild_id):
            return await self._can_read_elsewhere(job)
        guild = self._client.get_guild(job.guild_id)
        if guild is None:
            return False
        # an archived thread isn't known, but it follows its channel
        channel = guild.get_channel_or_thread(job.video_channel_id) or guild.get_channel_or_thread(job.channel_id)
        if channel is None:
            return False
        return _reads_history(channel.permissions_for(guild.me))

    async def _can_read_elsewhere(self, job: Job) -> bool:
        """The same in a guild of which only other processes are told: Discord is asked."""
        guild = await self._client.fetch_guild(job.guild_id, with_counts=False)
        channel = await guild.fetch_channel(job.channel_id)
        if isinstance(channel, discord.Thread):
            channel = await guild.fetch_channel(channel.parent_id)
        if isinstance(channel, discord.Thread) or self._client.user is None:
            return False
        return _reads_history(channel.permissions_for(await guild.fetch_member(self._client.user.id)))

    async def _found_card(self, job: Job) -> discord.Message | None:
        """The card of a job that doesn't know where it stands."""
        async for message in self._messages_after(job, job.interaction_id, channel_id=job.channel_id):
            if self._is_own(message) and is_card_of(message.embeds, job.id):
                return message
        return None

    def _channel(self, job: Job) -> discord.PartialMessageable:
        return self._client.get_partial_messageable(job.channel_id, guild_id=job.guild_id)

    def _messages_after(self, job: Job, snowflake: int, *, channel_id: int) -> AsyncIterator[discord.Message]:
        """What was written in a channel after something else, the oldest first, ``_LOOK_BACK`` at most."""
        channel = self._client.get_partial_messageable(channel_id, guild_id=job.guild_id)
        return channel.history(limit=_LOOK_BACK, after=discord.Object(snowflake), oldest_first=True)

    def _is_own(self, message: discord.Message) -> bool:
        return self._client.user is not None and message.author.id == self._client.user.id


def _reads_history(permissions: discord.Permissions) -> bool:
    return permissions.view_channel and permissions.read_message_history


def _life(job: Job) -> tuple[str, bool]:
    return job.id, job.state.is_open


def _nonce_of_video(job: Job) -> str:
    """What Discord knows a repeated post by; one that takes the place of a deleted message is another."""
    return f"v{job.id}" if job.result_message_id is None else f"v{job.id}-{job.version}"


def _before_attempt(job: Job) -> int:
    """A snowflake that is older than any post of the video, as young as can be: a busy channel has many messages."""
    card = job.card_message_id or job.interaction_id
    if job.attempted_at is None:
        return card
    return max(card, discord.utils.time_snowflake(job.attempted_at - job.clock_error - _CLOCK_SLACK))
