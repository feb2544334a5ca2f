"""What an operator has of the whole bot as a process: health, metrics of Discord and of the log, ids in every line."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.imitations.discord_server import Delay, Fails
from tests.recovery.ports import free_port
from tests.recovery.processes import PATIENCE, BotProcess, Stage
from tests.scraping import Metrics, Rise, scrape, threshold


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncGenerator[Stage]:
    async with Stage.open(tmp_path) as opened:
        yield opened


@asynccontextmanager
async def watched(stage: Stage, **settings: str) -> AsyncGenerator[tuple[BotProcess, str]]:
    """A process that serves its operator; gives it and the address."""
    port = free_port()
    async with stage.serving(HTTP_PORT=str(port), **settings) as bot:
        yield bot, f"http://127.0.0.1:{port}"


async def get(url: str, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}{path}") as answer:
        return answer.status, await answer.text()


async def comes(url: str, path: str, status: int) -> str:
    """Ask until it is answered like this; gives the body."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                found, text = await get(url, path)
            except aiohttp.ClientError:
                found, text = 0, ""
            if found == status:
                return text
            await asyncio.sleep(0.05)


async def rises(url: str, before: Metrics, most: float, name: str, **labels: str) -> Rise:
    """Scrape until a counter has risen by more."""
    async with asyncio.timeout(PATIENCE):
        while True:
            rise = Rise(before, await scrape(url))
            if rise.of(name, **labels) > most:
                return rise
            await asyncio.sleep(0.05)


# --- health ------------------------------------------------------------------------------------------


async def test_a_start_is_alive_before_it_is_ready_and_a_stopped_bot_is_neither(stage: Stage) -> None:
    slow = stage.discord.faults.add("GET", "/users/@me", Delay(1.0))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with stage.bot(HTTP_PORT=str(port)) as bot:
        assert await comes(url, "/healthz", 200) == "ok\n"
        early = await comes(url, "/readyz", 503)
        assert await comes(url, "/readyz", 200) == "discord: ok\ndatabase: ok\nworker: ok\n"
        code, seconds = await bot.terminate()
    assert slow.hits == 1
    assert early.splitlines()[0] == "discord: no connection that is ready"
    assert (code, bot.errors) == (0, [])
    assert seconds < 10
    # Prometheus' own `up` is 0 then: WanbotDown
    with pytest.raises(aiohttp.ClientConnectionError):
        await get(url, "/healthz")


async def test_a_gateway_that_is_away_is_not_ready_and_an_alert_until_it_is_back(stage: Stage) -> None:
    async with watched(stage) as (_, url):
        await comes(url, "/readyz", 200)
        assert (await scrape(url)).total("wanbot_ready", part="discord") == 1
        async with stage.discord.gateway_down("abort"):
            told = await comes(url, "/readyz", 503)
            assert (await scrape(url)).total("wanbot_ready", part="discord") < threshold("WanbotNotReady")
            assert (await get(url, "/healthz"))[0] == 200
        await comes(url, "/readyz", 200)
    assert told == "discord: no connection that is ready\ndatabase: ok\nworker: ok\n"


async def test_a_port_that_is_taken_ends_the_start_with_one_line(stage: Stage) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with stage.bot(HTTP_PORT=str(port)) as bot:
            assert await bot.exit_code() == 1
    assert "address already in use" in bot.lines[-1]
    assert not any("Traceback" in line for line in bot.lines)


async def test_without_a_port_nothing_listens(stage: Stage) -> None:
    async with stage.serving() as bot:
        listening = {line.split()[1] for line in sockets_of(bot.pid) if line.split()[3] == "0A"}
    assert listening == set()


def sockets_of(pid: int) -> list[str]:
    """The lines of /proc/net/tcp about sockets that a process has open."""
    links = [_link(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
    inodes = {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
    lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    return [line for line in lines if line.split()[9] in inodes]


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


async def test_a_process_that_stood_still_is_an_alert(stage: Stage) -> None:
    async with watched(stage) as (bot, url):
        before = await scrape(url)
        bot.send(signal.SIGSTOP)
        await asyncio.sleep(2)
        bot.send(signal.SIGCONT)
        rise = await rises(url, before, 0, "wanbot_event_loop_delay_seconds_count")
    # one of fewer than a hundred looks, so the 99th percentile is above it
    bound = str(threshold("WanbotLoopSlow"))
    assert rise.of("wanbot_event_loop_delay_seconds_count") < 100
    assert rise.share_above("wanbot_event_loop_delay_seconds", bound) > 0.01


# --- Discord -----------------------------------------------------------------------------------------


async def test_requests_to_discord_are_counted_by_status_also_those_of_the_start(stage: Stage) -> None:
    async with watched(stage) as (_, url):
        before = await scrape(url)
        assert before.total("wanbot_discord_requests_total", status="200") >= 2
        await stage.done(await stage.ask_demo())
        rise = Rise(before, await scrape(url))
    # the card's edits and the video
    assert rise.of("wanbot_discord_requests_total", status="200") >= 2
    assert rise.of("wanbot_discord_errors_total") == 0


async def test_a_discord_that_often_fails_is_an_alert(stage: Stage) -> None:
    async with watched(stage) as (_, url):
        before = await scrape(url)
        stage.discord.faults.add("POST", "/channels/*/messages", Fails(503), 2)
        run = await stage.ask_demo()
        await stage.done(run)
        rise = Rise(before, await scrape(url))
    failed = rise.of("wanbot_discord_requests_total", status="5..|none")
    assert failed / rise.of("wanbot_discord_requests_total") > threshold("WanbotDiscordFailing")


async def test_commands_that_are_answered_too_late_are_an_alert(tmp_path: Path) -> None:
    async with Stage.open(tmp_path, ack_seconds=0) as stage, watched(stage) as (_, url):
        before = await scrape(url)
        most = int(threshold("WanbotAnswersLate"))
        for number in range(most + 1):
            await stage.ask_demo(f"cat {number}")
        await rises(url, before, most, "wanbot_discord_errors_total", code="10062")


async def test_a_channel_that_is_closed_to_the_bot_is_counted_by_discords_code(stage: Stage) -> None:
    most = int(threshold("WanbotNotAllowed"))
    async with watched(stage) as (_, url):
        before = await scrape(url)
        stage.discord.faults.add("POST", "/channels/*/messages", Fails(403, 50013), None)
        for number in range(most + 1):
            await stage.ask_demo(f"cat {number}")
        rise = await rises(url, before, most, "wanbot_discord_errors_total", code="50001|50013")
    assert rise.of("wanbot_discord_errors_total", code="50001") == 0


# --- the log -----------------------------------------------------------------------------------------


async def test_an_error_in_the_log_is_an_alert_and_on_the_page(stage: Stage) -> None:
    token = "correct-horse-battery-staple"
    async with watched(stage, WANBOT_WEB_TOKEN=token) as (bot, url):
        before = await scrape(url)
        stage.discord.gateway.emit("GUILD_UPDATE", {"id": "no number"})
        await bot.hears("Discord told of something that can't be understood; it is passed over")
        rise = await rises(url, before, threshold("WanbotErrorsLogged"), "wanbot_log_lines_total", level="error")
        headers = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
            page = await answer.text()
    assert rise.of("wanbot_log_lines_total", level="error") == len(bot.errors) == 1
    assert "Discord told of something that can&#x27;t be understood; it is passed over" in page


async def test_every_line_about_a_job_has_its_ids_from_the_command_to_the_video(stage: Stage) -> None:
    stage.discord.faults.add("PATCH", "/channels/*/messages/*", Fails(503))
    async with stage.serving(LOG_LEVEL="INFO") as bot:
        run = await stage.ask_demo()
        job = await stage.done(run)
    ids: dict[str, Any] = {"job": job.id, "guild": stage.guild.id, "interaction": run.id}
    about = [line for line in bot.events if line.get("job") == job.id]
    assert {"job moved"} <= {line["event"] for line in about}
    assert [line for line in about if any(line.get(name) != value for name, value in ids.items())] == []


async def test_a_line_about_a_command_has_the_ids_of_the_request_and_of_the_guild(tmp_path: Path) -> None:
    async with Stage.open(tmp_path, ack_seconds=0) as stage, stage.serving() as bot:
        run = await stage.alice.slash(stage.channel, "wan balance")
        await bot.hears("a command came too late to be answered")
        (line,) = bot.said("a command came too late to be answered")
    assert (line["interaction"], line["guild"]) == (run.id, stage.guild.id)
