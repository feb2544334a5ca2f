"""The whole bot in a local browser, no token needed: Discord is simulated, everything else is real.

The simulation's private seams (its clock, its page) are used here and nowhere else; a test names what changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import discord
import simcord
import structlog

from bot.app import App, open_app
from bot.errors import Refusal
from bot.settings import Settings
from providers.catalogue import DEMO, MODELS
from providers.types import ModelSpec

log = structlog.stdlib.get_logger(__name__)

#: the simulated world follows the wall clock in steps of this many seconds
_STEP: Final = 0.25
#: seconds; timers of the bot that are shorter than this are waited for in real time, and the page with them
_SETTLE: Final = 4.0


#: the page's own player gives up on larger videos, for want of memory
_SHOWABLE: Final = [replace(spec, resolutions=("480p", "720p")) if spec is DEMO else spec for spec in MODELS]


@dataclass(frozen=True, slots=True)
class World:
    """A guild with a channel, two ordinary members, one with a Chinese client, and a moderator; and the bot in it."""

    app: App
    env: simcord.Env
    channel: simcord.ChannelHandle
    member: simcord.MemberActor
    chinese: simcord.MemberActor
    moderator: simcord.MemberActor


@asynccontextmanager
async def open_world(settings: Settings, *, models: Sequence[ModelSpec] = MODELS) -> AsyncGenerator[World]:
    """Start the whole bot in a simulated Discord whose time is the real one."""
    settings = settings.model_copy(update={"shard_count": 1, "shard_ids": None})
    async with open_app(settings, models=models) as app:
        run = simcord.run(app.bot, settle_timeout=_SETTLE, check_errors=False)
        # else every message is dated at the start of the simulation
        simulated = run._env.backend  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        simulated.clock._epoch = datetime.now(UTC)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        simulated.bot_user.name = "wanbot"
        async with run as env:
            _count_no_refusals(env)
            try:
                yield _populate(app, env)
            finally:
                await app.bot.close()


def _count_no_refusals(env: simcord.Env) -> None:
    """Keep refusals, which were answered, off the page's list of failures: they would hold it up."""
    record = env._record_error  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    def faults_only(error: BaseException) -> None:
        if not isinstance(getattr(error, "original", error), Refusal):
            record(error)

    env._record_error = faults_only  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def _populate(app: App, env: simcord.Env) -> World:
    guild = env.create_guild(name="Wan community")
    channel = guild.create_text_channel("videos")
    mona = guild.create_role("Moderators", permissions=discord.Permissions(manage_guild=True, manage_messages=True))
    member = guild.add_member(env.create_user("alex"))
    chinese = guild.add_member(env.create_user("小雨"))
    let_read(env, chinese, "zh-CN")
    moderator = guild.add_member(env.create_user("mona"), roles=[mona])
    return World(app, env, channel, member, chinese, moderator)


def let_read(env: simcord.Env, member: simcord.MemberActor, locale: str) -> None:
    """Set the language of a member's client: in the simulation everybody's is English."""
    emit = env.backend.emit

    def in_their_language(event: str, payload: Mapping[str, Any]) -> None:
        user = payload.get("member", {}).get("user", {}).get("id")
        is_theirs = event == "INTERACTION_CREATE" and user == str(member.id)
        emit(event, {**payload, "locale": locale} if is_theirs else payload)

    env.backend.emit = in_their_language


@asynccontextmanager
async def at_work(app: App) -> AsyncGenerator[None]:
    """Let the worker and the cards go on by themselves, in real time."""
    await app.resume()
    services = app.services
    loops = (services.worker.run, services.presenter.run, services.latecomers.run, services.retention.run)
    tasks = [asyncio.create_task(loop()) for loop in loops]
    try:
        yield
    finally:
        await app.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def playground(settings: Settings, *, port: int, stopped: asyncio.Event) -> None:
    """Serve the page until ``stopped``."""
    async with open_world(settings, models=_SHOWABLE) as world, at_work(world.app):
        viewers = [world.member, world.chinese, world.moderator]
        async with world.env.preview(world.channel, viewers=viewers, layout="channel", port=port) as preview:
            pump = Pump(world.env, preview)
            pumping = asyncio.create_task(pump.run())
            print(_WELCOME.format(url=preview.url), flush=True)  # noqa: T201 - it is for the one who started it
            await stopped.wait()
            pumping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pumping


_WELCOME: Final = """
  wanbot's playground is open in a browser at

    {url}

  Type /wan video and a prompt, attach an image if you like, and press Enter.
  Suggestions appear once you type. At the top of the page choose who you are: alex, a member; 小雨, a member whose
  Discord is in Chinese; or mona, a moderator.
  Nothing leaves this machine. Ctrl-C ends it.
"""


class Pump:
    """Makes the simulation's clock follow the wall clock, and the page show what happened."""

    def __init__(self, env: simcord.Env, preview: Any) -> None:
        self._env = env
        self._preview = preview
        self._seen = -1
        #: held while the world moves, by itself or by a click
        self.lock = asyncio.Lock()
        #: seconds; what the page was held up at most
        self.longest_step = 0.0
        inner = preview._action  # noqa: SLF001 - the page has no other way to be told that the world moves

        async def action(context_id: str, body: dict[str, Any]) -> object:
            async with self.lock:
                page = preview._pages.get(context_id)  # noqa: SLF001
                if page is not None and isinstance(body.get("published_revision"), int):
                    # the world moves by itself here, so a page is always a little behind
                    body["published_revision"] = page.revision
                return await inner(context_id, body)

        preview._action = action  # noqa: SLF001

    async def run(self) -> None:
        """Follow for ever."""
        last = time.perf_counter()
        while True:
            await asyncio.sleep(_STEP)
            async with self.lock:
                now = time.perf_counter()
                if await self._follow(now - last):
                    last = now
                self.longest_step = max(self.longest_step, time.perf_counter() - now)

    async def _follow(self, seconds: float) -> bool:
        """Move the world on and show it; false: the time is to be made up for in the next step."""
        try:
            await self._env.advance_time(seconds)
            transcript = len(self._env.backend.transcript)
            if transcript != self._seen:
                await self._preview.refresh()
                self._seen = transcript
        except simcord.SetupError:
            return False  # a click is being carried out
        except Exception as error:  # noqa: BLE001 - whatever the simulation stumbled over, the page must go on
            log.warning("the page was held up", why=repr(error))
        return True
