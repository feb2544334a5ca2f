"""Processes that share a bot and a PostgreSQL, and start at once: Discord lets one shard in every five seconds."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from tests.recovery.processes import PATIENCE, Stage, until

#: Discord's, in seconds
PAUSE = 5


async def test_processes_that_start_at_once_identify_one_after_another(tmp_path: Path, postgres_url: str) -> None:
    opened = Stage.open(tmp_path, database_url=postgres_url, shards=3, identify_seconds=PAUSE)
    async with opened as stage, AsyncExitStack() as stack:
        bots = [await stack.enter_async_context(stage.bot(SHARD_COUNT="3", SHARD_IDS=str(shard))) for shard in range(3)]
        await stage.discord.wait_ready(timeout=PATIENCE)
        assert sorted(stage.discord.gateway.identifies) == [(0, 3), (1, 3), (2, 3)]
        assert stage.discord.gateway.starts.too_soon == []
        for bot in bots:
            assert (await bot.terminate())[0] == 0
            assert not bot.errors


async def test_a_process_that_is_started_again_at_once_waits_before_it_identifies(
    tmp_path: Path, postgres_url: str
) -> None:
    async with Stage.open(tmp_path, database_url=postgres_url, identify_seconds=PAUSE) as stage:
        for _ in range(2):
            async with stage.serving() as bot:
                await stage.kill(bot)
        assert len(stage.discord.gateway.identifies) == 2
        assert stage.discord.gateway.starts.too_soon == []


async def test_a_stop_is_obeyed_by_a_process_that_waits_for_its_turn(tmp_path: Path, postgres_url: str) -> None:
    opened = Stage.open(tmp_path, database_url=postgres_url, shards=2, identify_seconds=PAUSE)
    async with opened as stage, stage.bot(SHARD_COUNT="2", SHARD_IDS="0") as first:
        await stage.discord.wait_ready([0], timeout=PATIENCE)
        async with stage.bot(SHARD_COUNT="2", SHARD_IDS="1") as second:
            await until(lambda: stage.discord.gateway.waiting, lambda: second.lines)
            assert (await second.terminate())[0] == 0
            assert not second.errors
        assert stage.discord.gateway.identifies == [(0, 2)]
        assert (await first.terminate())[0] == 0
