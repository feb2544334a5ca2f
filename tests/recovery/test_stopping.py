"""SIGTERM while members wait for an answer: each gets one, and the process ends in time whatever Discord does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from bot.delivery.cards import FOOTER
from bot.jobs.job import State
from tests.imitations.discord_server import Delay, DiscordServer, Interaction, Message
from tests.recovery.processes import PATIENCE, BotProcess, Stage, until
from tests.recovery.soak import picture
from tests.serving import served

#: seconds that a stop may take, as the README and compose.yaml have it
LONGEST_STOP = 10
#: longer than any test lasts
FOREVER = Delay(600)
CUT_SHORT = "I'm being restarted"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncGenerator[Stage]:
    async with Stage.open(tmp_path) as opened:
        yield opened


class SlowFiles:
    """Hands over what members attach once it is let."""

    def __init__(self, discord: DiscordServer) -> None:
        self._discord = discord
        self.let = asyncio.Event()
        self.asked = 0

    @classmethod
    @asynccontextmanager
    async def between(cls, stage: Stage) -> AsyncGenerator[SlowFiles]:
        """Stand between the bot and the files that are attached from now on."""
        files = cls(stage.discord)
        application = web.Application()
        application.router.add_get("/{path:.*}", files.serve)
        async with served(application) as url:
            straight, stage.discord.world.files.base_url = stage.discord.base_url, url
            try:
                yield files
            finally:
                stage.discord.world.files.base_url = straight

    async def serve(self, request: web.Request) -> web.Response:
        self.asked += 1
        await self.let.wait()
        found = self._discord.world.files.fetch(request.path, request.query)
        return web.Response(status=404) if found is None else web.Response(body=found.content)


class Relay:
    """Stands between the bot and the gateway; once it is silent, what is said gets lost in it."""

    def __init__(self, address: str) -> None:
        self._address = urlsplit(address)
        self.is_silent = False

    @classmethod
    @asynccontextmanager
    async def before(cls, stage: Stage) -> AsyncGenerator[Relay]:
        """Let bots that start from now on reach the gateway through it."""
        relay = cls(stage.discord.gateway.url)
        server = await asyncio.start_server(relay.connect, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        stage.discord.gateway.url = f"ws://127.0.0.1:{port}/gateway"
        try:
            yield relay
        finally:
            server.close()

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._address.hostname, self._address.port)
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(self._carry(reader, back), self._carry(there, writer))
        writer.close()
        back.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while content := await reader.read(1 << 16):
            if not self.is_silent:
                writer.write(content)
        writer.close()


async def ask_with_picture(stage: Stage, count: int = 1) -> Sequence[Interaction]:
    """Let so many members animate a picture; they see that the bot is thinking."""
    members = [stage.guild.add_member(f"member{number}") for number in range(count)]
    return [
        await stage.ask("it turns its head", member=member, image=("cat.png", picture()), resolution="480p")
        for member in members
    ]


async def thinking(runs: Sequence[Interaction]) -> None:
    """Wait until every member sees that the bot is at it."""
    for run in runs:
        await run.acked(PATIENCE)
        assert run.message is not None
        assert run.message.loading


def is_card(message: Message) -> bool:
    return FOOTER.split("{", maxsplit=1)[0] in message.text


def cut_short(run: Interaction) -> Message:
    """The only thing that a member sees whose command was cut short."""
    (told,) = run.replies
    assert told.text.startswith(CUT_SHORT)
    assert told.ephemeral
    assert not told.loading
    return told


async def begin_stop(bot: BotProcess) -> asyncio.Task[tuple[int, float]]:
    """Send SIGTERM, and wait until the process has begun to stop."""
    stopping = asyncio.create_task(bot.terminate())
    await bot.hears("stopping")
    return stopping


async def test_a_command_that_is_under_way_becomes_its_card_before_the_end(stage: Stage) -> None:
    async with stage.serving() as bot, SlowFiles.between(stage) as files:
        runs = await ask_with_picture(stage, 3)
        await thinking(runs)
        stopping = await begin_stop(bot)
        files.let.set()
        assert (await stopping)[0] == 0
        for run in runs:
            (card,) = run.replies
            assert is_card(card)
        assert not bot.errors
        assert not bot.said("a stop cuts commands short")
    async with stage.serving():
        for run in runs:
            await stage.reached(run, State.RUNNING)


async def test_who_can_not_be_answered_in_time_is_told_and_charged_nothing(stage: Stage) -> None:
    async with stage.serving() as bot, SlowFiles.between(stage) as files:
        # more than are fetched at a time
        runs = await ask_with_picture(stage, 6)
        await thinking(runs)
        await until(lambda: files.asked, lambda: bot.lines)
        code, seconds = await bot.terminate()
        assert code == 0
        assert seconds < LONGEST_STOP
        for run in runs:
            cut_short(run)
            assert run.message is not None
            assert run.message.deleted
        (line,) = bot.said("a stop cuts commands short")
        assert sorted(line["interactions"]) == sorted(run.id for run in runs)
        assert not bot.errors
    assert stage.books.jobs == 0
    stage.books.check()
    assert not list((stage.folder / "data" / "inputs").iterdir())


async def test_a_form_that_was_sent_in_is_answered_as_well(stage: Stage) -> None:
    async with stage.serving() as bot, SlowFiles.between(stage) as files:
        opener = await stage.alice.slash(stage.channel, "wan compose")
        sent = await stage.alice.submit(opener, {"prompt": "a cat", "files": [("cat.png", picture())]})
        await thinking([sent])
        stopping = await begin_stop(bot)
        await until(lambda: files.asked, lambda: bot.lines)
        assert (await stopping)[0] == 0
        cut_short(sent)


async def test_a_button_that_was_pressed_is_answered_as_well(stage: Stage) -> None:
    async with stage.serving() as bot:
        run = await stage.ask_demo()
        await stage.done(run)
        (video,) = stage.videos(run)
        with stage.books.locked():
            again = await stage.alice.click(video, "wan:again")
            await thinking([again])
            stopping = await begin_stop(bot)
        assert (await stopping)[0] == 0
        assert is_card(await again.answered() and again.replies[0])


async def test_a_card_that_stands_already_is_left_where_it_is(stage: Stage) -> None:
    # Discord has shown the card, and the process doesn't hear of it
    shown = stage.discord.faults.add("PATCH", "/webhooks/*/*/messages/*", Delay(600, after=True))
    async with stage.serving() as bot:
        with stage.books.locked():
            run = await stage.ask_demo()
            await thinking([run])
        await until(lambda: shown.hits, lambda: bot.lines)
        assert (await bot.terminate())[0] == 0
        (line,) = bot.said("a stop cuts commands short")
        assert line["interactions"] == [run.id]
        (card,) = run.replies
        assert is_card(card)
    async with stage.serving():
        await stage.done(run)
        assert stage.cards(run) == [card]
        stage.books.check()


async def test_what_is_asked_of_a_process_that_stops_is_left_to_others(stage: Stage) -> None:
    async with stage.serving() as bot, SlowFiles.between(stage) as files:
        runs = await ask_with_picture(stage)
        await thinking(runs)
        stopping = await begin_stop(bot)
        late = await stage.ask_demo()
        assert late.is_delivered
        files.let.set()
        assert (await stopping)[0] == 0
        assert late.attempts == []
        assert is_card(runs[0].replies[0])
    assert stage.books.jobs == 1


async def test_a_stop_is_obeyed_while_discord_answers_nothing_at_all(stage: Stage) -> None:
    async with Relay.before(stage) as relay, stage.serving() as bot, SlowFiles.between(stage):
        runs = await ask_with_picture(stage, 2)
        await thinking(runs)
        relay.is_silent = True
        stage.discord.faults.add("*", "/**", FOREVER, times=None)
        code, seconds = await bot.terminate()
        assert code == 0
        assert seconds < LONGEST_STOP
        assert not bot.errors
    stage.discord.faults.clear()
    assert stage.books.jobs == 0
