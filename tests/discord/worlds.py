"""A whole bot in a simulated Discord, with one clock, and the worker driven by hand."""

from __future__ import annotations

import asyncio
import functools
import io
import json
import random
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import discord
import simcord
from PIL import Image

from bot.app import App, open_app
from bot.credits import ledger
from bot.credits.ledger import Account
from bot.database.engine import Database
from bot.errors import Refusal
from bot.jobs import store
from bot.jobs.job import Job
from bot.settings import Settings
from providers.catalogue import MODELS
from providers.types import ModelSpec

ALL_NEEDED = discord.Permissions(
    view_channel=True, send_messages=True, embed_links=True, attach_files=True, read_message_history=True
)


def picture(width: int = 640, height: int = 480, kind: str = "PNG", colour: str = "teal") -> bytes:
    """A real picture."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, kind)
    return buffer.getvalue()


@dataclass
class World:
    """A guild with a channel, two members and a moderator; and a second guild that must notice nothing."""

    app: App
    env: simcord.Env
    settings: Settings
    guild: simcord.GuildHandle
    channel: simcord.ChannelHandle
    alice: simcord.MemberActor
    bob: simcord.MemberActor
    mona: simcord.MemberActor
    elsewhere: simcord.GuildHandle
    elsewhere_channel: simcord.ChannelHandle
    #: alice's account in the other guild
    alice_elsewhere: simcord.MemberActor
    seen: list[BaseException] = field(default_factory=list[BaseException])

    async def work(self) -> None:
        """Do everything that is due, and bring the cards up to date."""
        await self.app.services.takeover.run_once()
        await self.app.services.worker.run_once()
        await self.app.services.presenter.flush()

    async def advance(self, seconds: float) -> None:
        """Let time pass, and work."""
        await self.env.advance_time(seconds)
        await self.work()

    async def finish(self, *, most: int = 500) -> None:
        """Let time pass until no job is open."""
        for _ in range(most):
            await self.advance(2)
            if not await self.open_jobs():
                await self.advance(10)
                return
            # drawing a demo takes real time, whatever the simulated clock says
            await asyncio.sleep(0.05)
        raise AssertionError(f"still open: {await self.open_jobs()}")

    async def video(self, **options: Any) -> simcord.InteractionResult:
        """Alice runs ``/wan video`` and the worker looks at it."""
        answer = await self.alice.slash(self.channel, "wan video", **options)
        await self.work()
        return answer

    async def open_jobs(self) -> list[Job]:
        return list(await self.app.services.database.read(store.open_jobs))

    async def jobs(self) -> list[Job]:
        """Alice's jobs in the guild, the newest first."""
        read = functools.partial(store.latest_of, guild_id=self.guild.id, user_id=self.alice.id, most=100)
        return list(await self.app.services.database.read(read))

    async def account(
        self, member: simcord.MemberActor | None = None, guild: simcord.GuildHandle | None = None
    ) -> Account:
        """What the books say of a member (alice)."""
        find = functools.partial(
            ledger.account_of, guild_id=(guild or self.guild).id, user_id=(member or self.alice).id
        )
        return await self.app.services.database.write(find)

    async def check_books(self) -> None:
        """Every account equals the sum of its entries."""
        assert await self.app.services.database.read(ledger.mismatches) == []

    def posted(self) -> list[discord.Message]:
        """The messages with a finished video."""
        return [
            m for m in self.channel.history() if any(a.filename.endswith(".mp4") for a in m.attachments) and m.reference
        ]


def text_of(answer: simcord.InteractionResult) -> str:
    """Everything that an answer says."""
    message = answer.followups[-1] if answer.followups else answer.response
    assert message is not None, "there was no answer"
    return all_text(message)


def all_text(message: Any) -> str:
    """Everything that a message says, its buttons included."""
    parts = [message.content]
    for embed in message.embeds:
        parts += [embed.title or "", embed.description or "", embed.footer.text or ""]
        parts += [f"{each.name}: {each.value}" for each in embed.fields]
    return "\n".join(part for part in parts if part)


def labels(message: Any) -> list[str]:
    """The labels of a message's buttons."""
    rows: list[Any] = [row if isinstance(row, dict) else row.to_dict() for row in message.components]
    return [str(item["label"]) for row in rows for item in row["components"]]


def is_private(answer: simcord.InteractionResult) -> bool:
    """Whether only the member saw the answer."""
    message = answer.followups[-1] if answer.followups else answer.response
    return message is not None and message.ephemeral


@asynccontextmanager
async def open_world(
    folder: Path,
    environment: Mapping[str, str] | None = None,
    *,
    upload_limit: int = 10 << 20,
    models: Sequence[ModelSpec] = MODELS,
    wrap_database: Callable[[Database], Database] = lambda database: database,
) -> AsyncGenerator[World]:
    """Start the bot in a fresh simulated Discord; the books are checked at the end."""
    settings = Settings.load({"DATA_DIR": str(folder), "DEMO_SECONDS": "4", "SHARD_COUNT": "1", **(environment or {})})
    clock_holder: list[simcord.Env] = []

    def clock() -> datetime:
        return clock_holder[0].now() if clock_holder else datetime(2026, 1, 1, tzinfo=UTC)

    async with open_app(
        settings, clock=clock, chance=random.Random(7), models=models, wrap_database=wrap_database
    ) as app:
        env = simcord.Env(app.bot, check_errors=False, settle_timeout=20.0)
        clock_holder.append(env)
        await env.start()
        harden(env, upload_limit)
        enforce_nonces(app.bot, {})
        list_as_discord(app.bot)
        world = _populate(app, env, settings)
        try:
            yield world
            unanswered = [each for each in env.backend.interactions.values() if not each.responded]
            assert unanswered == [], "a command was never answered"
            unexpected = [error for error in env.errors if not _is_expected(error, world.seen)]
            assert unexpected == []
            await world.check_books()
        finally:
            await app.stop()
            await app.bot.close()
            await env.shutdown()


def _is_expected(error: BaseException, seen: list[BaseException]) -> bool:
    cause = getattr(error, "original", error)
    return isinstance(cause, Refusal) or any(cause is each or error is each for each in seen)


def _populate(app: App, env: simcord.Env, settings: Settings) -> World:
    guild, elsewhere = env.create_guild(name="Here"), env.create_guild(name="Elsewhere")
    channel, elsewhere_channel = guild.create_text_channel("videos"), elsewhere.create_text_channel("videos")
    alice, bob, mona = (env.create_user(name) for name in ("alice", "bob", "mona"))
    moderators = guild.create_role(
        "Moderators", permissions=discord.Permissions(manage_guild=True, manage_messages=True)
    )
    return World(
        app=app,
        env=env,
        settings=settings,
        guild=guild,
        channel=channel,
        alice=guild.add_member(alice),
        bob=guild.add_member(bob),
        mona=guild.add_member(mona, roles=[moderators]),
        elsewhere=elsewhere,
        elsewhere_channel=elsewhere_channel,
        alice_elsewhere=elsewhere.add_member(alice),
    )


def harden(env: simcord.Env, upload_limit: int = 10 << 20) -> None:
    """Make the simulation as strict as Discord where it isn't: upload limits, one thread of a message; settle fast."""
    env._settle_internal = functools.partial(env._settle_internal, idle=0.001)  # pyright: ignore[reportPrivateUsage]
    keep = env.backend.cdn.store_attachment

    def limited(
        attachment_id: int, channel_id: int, filename: str, data: bytes, description: str | None
    ) -> dict[str, Any]:
        if len(data) > upload_limit:
            raise simcord.BackendError(413, 40005, "Request entity too large")
        return keep(attachment_id, channel_id, filename, data, description)

    env.backend.cdn.store_attachment = limited
    create = env.backend.create_thread

    def once(*args: Any, message_id: int | None = None, **options: Any) -> Any:
        if message_id in env.backend.channels:
            raise simcord.BackendError(400, 160004, "A thread has already been created for this message")
        return create(*args, message_id=message_id, **options)

    env.backend.create_thread = once


def enforce_nonces(bot: discord.Client, known: dict[tuple[str, str], Any]) -> None:
    """Give the first message for a nonce that was seen in the channel, as Discord does for some minutes."""
    inner = bot.http.request

    async def request(route: Any, **kwargs: Any) -> Any:
        nonce = _nonce_of(kwargs)
        if route.method != "POST" or nonce is None:
            return await inner(route, **kwargs)
        key = (route.url, nonce)
        if key not in known:
            known[key] = await inner(route, **kwargs)
        return known[key]

    bot.http.request = request


def list_as_discord(bot: discord.Client) -> None:
    """Give the oldest messages after another one, as Discord does, where the simulation gives the newest."""
    inner = bot.http.logs_from

    async def logs_from(
        channel_id: int, limit: int, before: Any = None, after: Any = None, around: Any = None
    ) -> list[Any]:
        if after is None:
            return list(await inner(channel_id, limit, before=before, around=around))
        found: list[Any] = []
        while page := await inner(channel_id, 100, before=before, after=after):
            found += page
            before = page[-1]["id"]
        return found[-limit:]

    bot.http.logs_from = logs_from  # pyright: ignore[reportAttributeAccessIssue] - the same but for its Route


def _nonce_of(kwargs: Mapping[str, Any]) -> str | None:
    payload: dict[str, Any] = kwargs.get("json") or {}
    form: list[dict[str, Any]] = kwargs.get("form") or []
    for part in form:
        if part["name"] == "payload_json":
            payload = json.loads(part["value"])
    return payload.get("nonce")
