"""Many commands at once, to a process of the bot between real sockets."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Connection, func, select

from bot.database.tables import jobs, ledger_entries
from bot.jobs.job import OPEN, State
from tests.imitations.discord_server import Channel, Interaction, Member
from tests.recovery.processes import PATIENCE, Stage, until

#: credits for one video of this model, at the defaults
WAN_22, PRICE = "pixeldojo/wan-2.2-standard", 15
CLICKS, PAID = 20, 5

GUILDS, MEMBERS, EACH = 50, 5, 2
COMMANDS: Final = GUILDS * MEMBERS * EACH
#: seconds in which they come
RUSH: Final = 10.0
#: seconds that Discord waits for an answer
ACK: Final = 3.0
#: seconds of work by which it is measured how busy the machine is
SAMPLE: Final = 0.3
#: bytes; three times what it needs
MEMORY: Final = 350 << 20


async def test_twenty_clicks_at_once_with_credits_for_five_are_five_videos(tmp_path: Path) -> None:
    async with Stage.open(tmp_path) as stage:
        stage.vendor.polls = 0
        async with stage.serving(DEFAULT_ALLOWANCE=str(PAID * PRICE)) as bot:
            runs = [await stage.ask_vendor("a cat") for _ in range(CLICKS)]
            await _answered(runs)
            accepted = [run for run in runs if stage.books.job(run) is not None]
            assert len(accepted) == PAID
            for run in runs:
                if run not in accepted:
                    (answer,) = run.replies
                    assert answer.ephemeral
                    assert answer.text.startswith(f"This costs {PRICE} credits; you have 0, and {PAID * PRICE} held")
            for run in accepted:
                await stage.done(run)
            assert len(stage.vendor.submissions) == PAID
            assert bot.errors == []
            stage.books.check()


@pytest.mark.timeout(400)
async def test_500_commands_in_ten_seconds_are_answered_in_time_and_become_a_video_each(tmp_path: Path) -> None:
    in_time = ACK * _busyness()
    async with Stage.open(tmp_path, ack_seconds=in_time) as stage:
        stage.vendor.polls, stage.vendor.credits = 0, COMMANDS * PRICE
        asks = _asks(stage)
        async with stage.serving() as bot:
            runs = await _rush(stage, asks)
            await _answered(runs)
            assert [run for run in runs if run.acked_after is None or run.acked_after > in_time] == []
            assert stage.books.jobs == COMMANDS
            # what comes after the answers may take its time on a busy machine
            await until(lambda: not stage.books.read(_open), lambda: stage.books.read(_states), within=300)
            assert stage.books.read(_states) == {State.SUCCEEDED: COMMANDS}
            await until(lambda: all(map(_is_done, runs)), lambda: Counter(run.text.split("\n")[0] for run in runs))
            assert bot.errors == []
            assert bot.peak_memory < MEMORY
        _check_every(stage, runs)
        stage.books.check()


def _busyness() -> float:
    """How many times as long everything takes here as on a machine that has nothing else to do."""
    begun, worked = time.perf_counter(), time.thread_time()
    while time.thread_time() - worked < SAMPLE:
        pass
    return max(1.0, (time.perf_counter() - begun) / SAMPLE)


def _asks(stage: Stage) -> Sequence[tuple[Channel, Member]]:
    """Who asks where, twice each, in no order."""
    asks: list[tuple[Channel, Member]] = []
    for _ in range(GUILDS):
        guild = stage.discord.add_guild()
        channel = guild.add_channel()
        asks += [(channel, guild.add_member(f"member{number}")) for number in range(MEMBERS)] * EACH
    random.Random(3).shuffle(asks)
    return asks


async def _rush(stage: Stage, asks: Sequence[tuple[Channel, Member]]) -> Sequence[Interaction]:
    """Send the commands at an even pace."""
    begun = time.monotonic()
    runs: list[Interaction] = []
    for number, (channel, member) in enumerate(asks):
        await asyncio.sleep(begun + number * RUSH / COMMANDS - time.monotonic())
        runs.append(await stage.ask(f"cat {number}", channel=channel, member=member, model=WAN_22))
    return runs


async def _answered(runs: Sequence[Interaction]) -> None:
    for run in runs:
        await run.answered(timeout=PATIENCE)


def _is_done(run: Interaction) -> bool:
    return run.text.startswith("Done")


def _check_every(stage: Stage, runs: Sequence[Interaction]) -> None:
    """Every command has one job with its card, one video that answers it, and one payment."""
    rows, booked = stage.books.read(_rows), stage.books.read(_booked)
    for run in runs:
        row = rows[run.id]
        assert run.message is not None
        assert row.card_message_id == run.message.id
        videos = [message for message in run.channel.messages if message.nonce == f"v{row.id}"]
        assert [video.id for video in videos] == [row.result_message_id]
        assert booked[row.id] == ["hold", "settle"]
    assert len(stage.vendor.submissions) == len({each.body["prompt"] for each in stage.vendor.submissions}) == len(runs)


def _states(connection: Connection) -> dict[State, int]:
    rows = connection.execute(select(jobs.c.state, func.count()).group_by(jobs.c.state))
    return {State(state): count for state, count in rows}


def _open(connection: Connection) -> int:
    return sum(count for state, count in _states(connection).items() if state in OPEN)


def _rows(connection: Connection) -> dict[int, Any]:
    columns = (jobs.c.interaction_id, jobs.c.id, jobs.c.card_message_id, jobs.c.result_message_id)
    return {row.interaction_id: row for row in connection.execute(select(*columns))}


def _booked(connection: Connection) -> dict[str, list[str]]:
    found = defaultdict[str, list[str]](list)
    for row in connection.execute(select(ledger_entries).order_by(ledger_entries.c.id)):
        found[row.job_id].append(row.kind)
    return found
