"""The Discord client: connects, loads the cogs, keeps the commands in step."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any, Final

import aiohttp
import discord
import structlog
import yarl
from discord import app_commands
from discord.ext import commands
from discord.gateway import DiscordWebSocket
from discord.http import Route
from discord.utils import MISSING
from structlog.contextvars import bound_contextvars

from bot.database import remembered
from bot.database.engine import Database
from bot.delivery import faults
from bot.languages import ENGLISH, speaking
from bot.services import Services
from bot.session_starts import SessionStarts
from bot.shards import Shards
from bot.translator import CatalogueTranslator
from bot.tree import Tree, answer_cut_short
from bot.underway import Underway

log = structlog.stdlib.get_logger(__name__)

#: seconds; discord.py waits as long as a rate limit says, which for commands can be hours
_SYNC_TIME: Final = 60.0
#: seconds before a broken connection is made anew; Discord allows 1,000 a day
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 120.0
#: seconds that a command gets to clear away behind itself when it is broken off, and then the words about it
_GRACE: Final = 0.5
_LAST_WORDS: Final = 1.5
EXTENSIONS: Final = ("cogs.wan", "cogs.moderation", "cogs.buttons")


class WanBot(commands.AutoShardedBot):
    """Everything that talks to Discord hangs on this; ``equip`` must be called before it starts."""

    services: Services

    def __init__(
        self,
        *,
        shard_count: int | None = None,
        shard_ids: tuple[int, ...] | None = None,
        http_trace: aiohttp.TraceConfig | None = None,
    ) -> None:
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            intents=discord.Intents(guilds=True),
            tree_cls=Tree,
            allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
            allowed_mentions=discord.AllowedMentions.none(),
            # memory stays flat: nothing but guilds and channels is kept
            max_messages=None,
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            http_trace=http_trace,  # pyright: ignore[reportArgumentType] - None is its default
            shard_count=shard_count,
            shard_ids=list(shard_ids) if shard_ids is not None else None,  # pyright: ignore[reportArgumentType] - its default
        )
        #: between a broken connection and the next login there is nothing to ask Discord with
        self._is_reopening = False
        self.http.request = self._asking(self.http.request)  # pyright: ignore[reportAttributeAccessIssue] - nobody asks it what it takes
        parsers = self._connection.parsers
        self._underway = Underway()
        parsers["INTERACTION_CREATE"] = self._underway.keeping(_in_their_language(parsers["INTERACTION_CREATE"]))
        # discord.py gives the whole connection up for one event that isn't as it expects
        parsers.update({event: _careful(event, parse) for event, parse in parsers.items()})

    def equip(self, services: Services) -> None:
        """Hand over what the cogs work with."""
        self.services = services
        self._session_starts = SessionStarts(database=services.database, ask=self._session_start_limit)

    async def _session_start_limit(self) -> Any:
        _, _, limit = await self.http.get_bot_gateway()
        return limit

    async def setup_hook(self) -> None:
        """Load the cogs, then tell Discord of the commands if they changed."""
        for extension in EXTENSIONS:
            await self.load_extension(extension)
        await self.tree.set_translator(CatalogueTranslator())
        try:
            async with asyncio.timeout(_SYNC_TIME):
                await self.sync_commands(self.services.database)
        except faults.DISCORD_ERRORS:
            # jobs don't wait for that, and the next start tries again
            log.exception("the commands can't be synced; what Discord has of them stays")

    async def sync_commands(self, database: Database) -> bool:
        """Sync only a definition that Discord hasn't got: it counts them, 200 new names a day."""
        definition = await self.definition()
        text = json.dumps(definition, sort_keys=True, default=str)
        name = f"commands of {self.application_id}"
        fingerprint = hashlib.sha256(text.encode()).hexdigest()
        if await database.read(partial(remembered.recall, name=name)) == fingerprint:
            return False
        # the tree's own sync would put all of it together a second time
        await self.http.bulk_upsert_global_commands(self.application_id or 0, payload=definition)
        await database.write(partial(remembered.remember, name=name, value=fingerprint))
        log.info("commands synced", commands=[command.name for command in self.tree.get_commands()])
        return True

    async def definition(self) -> list[dict[str, Any]]:
        """Every command with its names and descriptions in each language, as Discord is told of them."""
        translator = CatalogueTranslator()
        return [await command.get_translated_payload(self.tree, translator) for command in self.tree.get_commands()]

    async def connect(self, *, reconnect: bool = True) -> None:
        """Ask the API for the gateway's address, with shards or without, then connect."""
        _, address, limit = await self.http.get_bot_gateway()
        self._session_starts.told(limit)
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(address)
        await super().connect(reconnect=reconnect)

    async def launch_shard(self, gateway: yarl.URL, shard_id: int, *, initial: bool = False) -> None:
        """Connect a shard, once Discord lets another session begin: waiting with an open socket is no use."""
        await self._session_starts.wait_until_possible()
        await super().launch_shard(gateway, shard_id, initial=initial)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Wait for the shard's turn among all processes; one that is alone waits as discord.py does."""
        if not await self._session_starts.take(shard_id or 0, bot_id=self.application_id or 0):
            await super().before_identify_hook(shard_id, initial=initial)

    def dispatch(self, event_name: str, /, *args: Any, **kwargs: Any) -> None:
        """Tell everybody of an event."""
        if event_name == "interaction":
            self._underway.is_about(args[0])
        super().dispatch(event_name, *args, **kwargs)

    async def finish_answers(self, *, patience: float) -> None:
        """Take nothing more on; what was begun gets ``patience`` seconds, then whoever waits for it is told."""
        self._underway.close()
        late = await self._underway.finish(patience=patience, grace=_GRACE)
        if late:
            log.warning("a stop cuts commands short", interactions=[interaction.id for interaction in late])
            await _all_within(_LAST_WORDS, map(answer_cut_short, late))

    async def stay_connected(self, token: str) -> None:
        """Keep a connection until ``close``, whatever happens to it. ``login`` comes before.

        Raises ``discord.LoginFailure`` and ``discord.PrivilegedIntentsRequired``, which no patience helps.
        """
        wait = _FIRST_PAUSE
        while True:
            begun = time.monotonic()
            try:
                await self.connect()
            except (discord.LoginFailure, discord.PrivilegedIntentsRequired):
                raise
            except Exception:
                wait = _FIRST_PAUSE if time.monotonic() - begun > _LONGEST_PAUSE else min(_LONGEST_PAUSE, wait * 2)
                log.exception("the connection to Discord broke; jobs go on, and it is made anew", seconds=wait)
            else:
                return
            self._is_reopening = True
            await self._reopen(token, wait)
            self._is_reopening = False

    async def _reopen(self, token: str, wait: float) -> None:
        """Begin again as after a start: the cogs are closed too, and nothing is known of any guild."""
        while True:
            # discord.py has done so itself, unless it was the gateway's address that couldn't be had
            await self.close()
            await asyncio.sleep(wait)
            self._forget_readiness()
            self.clear()
            # what ``clear`` leaves: connections that were closed, and events that were queued
            self.http.connector = MISSING
            await self._async_setup_hook()
            try:
                await self.login(token)
            except discord.LoginFailure:
                raise
            except Exception as error:  # also a database that is away: the jobs wait for it as well
                traced = None if isinstance(error, faults.DISCORD_ERRORS) else error
                log.warning("there is no login yet; trying again", seconds=wait, why=str(error), exc_info=traced)
            else:
                return

    def _forget_readiness(self) -> None:
        """Stop what would call the old connection ready after its guilds were forgotten: none would seem to be left."""
        state: Any = self._connection
        for task in (state._ready_task, *state._ready_tasks.values()):  # noqa: SLF001 - there is no other way
            if task is not None:
                task.cancel()

    def _asking(self, request: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
        """Make one of Discord's errors of what a closed session raises."""

        async def ask(*args: Any, **kwargs: Any) -> Any:
            try:
                return await request(*args, **kwargs)
            except (RuntimeError, AttributeError) as error:
                if self._is_reopening or self.is_closed():
                    raise aiohttp.ClientConnectionError("there is no connection to Discord just now") from error
                raise

        return ask

    async def on_ready(self) -> None:
        """Say so, and catch up with what was missed; may happen many times."""
        log.info("ready", user=str(self.user), guilds=len(self.guilds), shards=self.shard_count)
        shards = Shards.of(self.shard_count, self.shard_ids)
        # else the connection was given up meanwhile, and with it what was known of the guilds
        if self.is_ready():
            # what can't be reached for now is among them
            await self.services.leaving.catch_up({guild.id for guild in self.guilds}, shards)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        """Note that the bot is there, perhaps again."""
        await self.services.leaving.came_back(guild.id)

    async def on_guild_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        """Drop the rules about it."""
        await self.services.decisions.channel_gone(channel.guild.id, channel.id)

    async def on_guild_role_delete(self, role: discord.Role) -> None:
        """Drop the rules about it."""
        await self.services.decisions.role_gone(role.guild.id, role.id)

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """End what waits there; Discord tells of an outage in another way."""
        await self.services.leaving.left(guild.id)


async def _all_within(seconds: float, work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do it all at once; what takes longer is broken off, and what fails is at an end as well."""
    tasks = [asyncio.create_task(each) for each in work]
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                log.warning("a stop goes on without it", why=repr(result))


def _in_their_language(parse: Callable[[Any], None]) -> Callable[[Any], None]:
    """Let whatever answers an interaction speak its member's language: the tasks begin here, and inherit it.

    So do the lines that they log its id and its guild's.
    """

    def parse_and_speak(payload: Any) -> None:
        ids = {"interaction": payload.get("id"), "guild": payload.get("guild_id")}
        with speaking(payload.get("locale", ENGLISH)), bound_contextvars(**_numbers(ids)):
            parse(payload)

    return parse_and_speak


def _numbers(ids: Mapping[str, object]) -> dict[str, int]:
    """Those that Discord gave, as we log them elsewhere."""
    return {name: int(value) for name, value in ids.items() if isinstance(value, str) and value.isdecimal()}


def _careful(event: str, parse: Callable[[Any], None]) -> Callable[[Any], None]:
    """Pass over an event that can't be parsed."""

    def parse_or_tell(payload: Any) -> None:
        try:
            parse(payload)
        except Exception:
            log.exception("Discord told of something that can't be understood; it is passed over", about=event)

    return parse_or_tell


def use_api(url: str) -> None:
    """Send every REST call there: to Discord, to a proxy that processes share, or to an imitation."""
    Route.BASE = url
