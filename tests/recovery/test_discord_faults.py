"""The whole bot as a process, and a Discord that fails on every route, within uploads, and at the gateway."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from PIL import Image
from sqlalchemy import update

from bot.clock import system_clock
from bot.database.tables import jobs
from bot.jobs.job import State
from bot.jobs.lifecycle import CARD_PATIENCE
from tests.imitations import pixeldojo
from tests.imitations.discord_server import CutBefore, Fails, Fault, RateLimited
from tests.imitations.discord_server.faults import Handle
from tests.recovery.processes import PATIENCE, BotProcess, Stage, until

INVALID_TOKEN, DISALLOWED_INTENTS = 4004, 4014
BROKE = "the connection to Discord broke; jobs go on, and it is made anew"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncGenerator[Stage]:
    async with Stage.open(tmp_path) as opened:
        yield opened


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (400, 400), "teal").save(buffer, "PNG")
    return buffer.getvalue()


# --- routes ------------------------------------------------------------------------------------------


@dataclass
class EachOnce:
    """Every route fails in each of these ways before it works."""

    ways: tuple[Fault, ...]
    struck: Counter[str] = field(default_factory=Counter[str])

    async def apply(self, request: web.Request, handle: Handle) -> web.Response:
        # as Discord counts them: without the ids of messages, and the tokens of interactions
        parts = request.match_info["path"].split("/")
        route = f"{request.method} {'/'.join('*' if len(part) > 14 else part for part in parts)}"
        self.struck[route] += 1
        number = self.struck[route]
        return await (self.ways[number - 1].apply(request, handle) if number <= len(self.ways) else handle())


async def test_whatever_route_fails_there_is_one_card_and_one_video(stage: Stage) -> None:
    stage.vendor.polls = 0
    # the library tries a 500 again, and gives a 503 to us
    unread = stage.discord.faults.add("GET", "/channels/*/messages/*", Fails(503))
    flaky = EachOnce((Fails(500), RateLimited(0.1)))
    stage.discord.faults.add("*", "/**", flaky, None)
    async with stage.serving() as bot:
        run = await stage.ask("it turns its head", image=("cat.png", picture()))
        await stage.done(run)
        stage.books.check()
        assert not bot.errors
        # the card is read for the link of its picture
        assert unread.hits == 1
        assert {
            "GET /users/@me",
            "GET /gateway/bot",
            "PUT /applications/*/commands",
            "POST /interactions/*/*/callback",
            "GET /channels/*/messages/*",
            "PATCH /channels/*/messages/*",
            "POST /channels/*/messages",
        } <= set(flaky.struck)
        assert all(times > len(flaky.ways) for times in flaky.struck.values())
    assert len(stage.vendor.submissions) == 1


class CutWithin:
    """Cut the connection after a part of what is uploaded."""

    async def apply(self, request: web.Request, handle: Handle) -> web.Response:
        await request.content.readexactly(100_000)
        assert request.transport is not None
        request.transport.abort()
        return web.Response(status=499)


async def test_a_connection_that_is_cut_within_an_upload_gives_one_video(stage: Stage) -> None:
    # a box that players pass over makes any video large
    filling = (3 << 20).to_bytes(4, "big") + b"free" + os.urandom((3 << 20) - 8)
    stage.vendor.video, stage.vendor.polls = pixeldojo.small_video() + filling, 0
    rule = stage.discord.faults.add("POST", f"/channels/{stage.channel.id}/messages", CutWithin())
    async with stage.serving() as bot:
        run = await stage.ask_vendor("a cat")
        await stage.done(run)
        assert rule.hits == 1
        assert stage.videos(run)[0].attachments[0].content == stage.vendor.video
        stage.books.check()
        assert not bot.errors


async def test_nothing_needs_the_token_of_a_command_after_its_answer(tmp_path: Path) -> None:
    # fifteen minutes are Discord's
    async with Stage.open(tmp_path, token_seconds=0) as stage, stage.serving() as bot:
        with stage.books.locked():
            announced = await stage.ask_demo("the answer comes after the token has ended")
            await announced.acked(PATIENCE)
        await stage.reached(announced, State.QUEUED)
        # as if the worker had waited for the card; the next command makes it look again
        stage.books.write(lambda c: c.execute(update(jobs).values(created_at=system_clock() - CARD_PATIENCE)))
        answered = await stage.ask_demo("the token ends after the answer")
        await stage.done(answered)
        job = await stage.reached(announced, State.SUCCEEDED)
        # a card of its own, since that of the command could not be filled in
        assert await until(lambda: [card.text[:4] for card in stage.cards(announced)] == ["Done"], lambda: bot.lines)
        assert len(stage.videos(announced)) == 1
        assert stage.books.entries(job) == ["hold", "settle"]
        assert not bot.errors


async def test_a_thread_that_was_archived_is_opened_by_its_video_and_the_card_tells_the_end(stage: Stage) -> None:
    thread = stage.channel.add_thread("cats")
    async with stage.serving(DEMO_SECONDS="2") as bot:
        run = await stage.ask_demo(channel=thread)
        await stage.reached(run, State.RUNNING)
        thread.archive()
        await stage.done(run)
        assert not thread.archived
        stage.books.check()
        assert not bot.errors


# --- the gateway -------------------------------------------------------------------------------------


async def test_a_start_waits_for_the_address_of_the_gateway(stage: Stage) -> None:
    stage.discord.faults.add("GET", "/gateway/bot", Fails(503))
    async with stage.bot() as bot:
        await bot.ready()
        assert [error["event"] for error in bot.errors] == [BROKE]
        await stage.done(await stage.ask_demo())
        assert (await bot.terminate())[0] == 0


async def test_while_discord_is_away_after_nonsense_jobs_wait_and_nothing_is_their_fault(stage: Stage) -> None:
    async with stage.serving(DEMO_SECONDS="1") as bot:
        run = await stage.ask_demo()
        await stage.reached(run, State.RUNNING)
        away = [stage.discord.faults.add("GET", "/users/@me", fault) for fault in (Fails(503), CutBefore())]
        stage.discord.gateway.babble("{this is no JSON")
        await until(lambda: all(rule.hits for rule in away), lambda: bot.lines)
        waiting = await stage.reached(run, State.DELIVERING)
        assert not stage.videos(run)
        job = await stage.done(run)
        assert job.id == waiting.id
        assert [error["event"] for error in bot.errors] == [BROKE]
        assert not [event for event in bot.events if "Session is closed" in str(event)]
        stage.books.check()


def plain_lines(bot: BotProcess) -> list[str]:
    """What it said to whoever started it."""
    return [line for line in bot.lines if not line.startswith("{")]


async def test_a_token_that_is_made_invalid_ends_the_process_with_one_line(stage: Stage) -> None:
    async with stage.serving() as bot:
        stage.discord.token = "another.token.now"
        stage.discord.gateway.close(INVALID_TOKEN)
        assert await bot.exit_code() == 2
        (line,) = plain_lines(bot)
        assert line.startswith("DISCORD_TOKEN: Discord doesn't accept it")


async def test_the_bot_asks_for_no_intent_that_must_be_allowed_and_a_refusal_is_one_line(stage: Stage) -> None:
    async with stage.serving() as bot:
        (session,) = stage.discord.gateway.sessions.values()
        guilds = 1
        assert session.intents == guilds
        stage.discord.gateway.close(DISALLOWED_INTENTS)
        assert await bot.exit_code() == 1
        (line,) = plain_lines(bot)
        assert "intents" in line
