"""The operator's commands, as processes beside the bot's process, which hears of them by itself."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from bot.jobs.job import Reason, State
from tests.imitations.discord_server import Message
from tests.programs import ROOT
from tests.recovery.processes import Stage, until


async def wanbot(stage: Stage, *arguments: str) -> str:
    """Run a command on the bot's settings; gives what it printed."""
    environment = {**stage.settings, "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", *arguments),
        cwd=stage.folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    return printed.decode()


async def test_a_job_is_released_and_a_deleted_video_comes_back_while_the_bot_runs(tmp_path: Path) -> None:
    async with Stage.open(tmp_path) as stage, stage.serving() as bot:
        posted = await stage.done(await stage.ask_demo("a dog"))
        stuck = await stage.ask_vendor("a cat")
        job = await stage.reached(stuck, State.RUNNING)
        assert job.id in await wanbot(stage, "jobs", "list", "--state", "open")
        await wanbot(stage, "jobs", "release", job.id, "--reason", "It hung")
        released = await stage.released(stuck, State.FAILED)
        assert released.reason is Reason.BY_OPERATOR
        stage.channel.get(posted.result_message_id or 0).delete()
        await wanbot(stage, "jobs", "redeliver", posted.id)

        def again() -> list[Message]:
            return [each for each in stage.channel.visible if (each.nonce or "").startswith(f"v{posted.id}-")]

        assert len(await until(again, lambda: bot.lines)) == 1
        assert stage.books.entries(posted) == ["hold", "settle"]
        assert bot.errors == []
        stage.books.check()
