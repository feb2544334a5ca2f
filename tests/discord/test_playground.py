"""The playground's world: it moves by itself, in real time, and the page is never held up."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

from bot.playground import Pump, at_work, open_world
from bot.settings import Settings
from tests.discord.worlds import picture


async def test_a_video_is_made_in_real_time_while_the_page_follows(tmp_path: Path) -> None:
    settings = Settings.load({"DATA_DIR": str(tmp_path), "DEMO_SECONDS": "2"})
    async with open_world(settings) as world, at_work(world.app):
        viewers = [world.member, world.moderator]
        async with world.env.preview(world.channel, viewers=viewers, layout="channel", port=0) as preview:
            pump = Pump(world.env, preview)
            pumping = asyncio.create_task(pump.run())
            started = time.monotonic()
            # with a picture, a child process with timers of its own is at work
            async with pump.lock:
                picked = {"prompt": "A cat", "duration": 2, "image": ("cat.png", picture())}
                answer = await world.member.slash(world.channel, "wan video", **picked)
            while not (answer.response and answer.response.embeds[0].title == "Done"):
                assert time.monotonic() - started < 60
                await asyncio.sleep(0.1)
            assert pump.longest_step < 2.0
            pumping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pumping
            assert [message for message in world.channel.history() if message.reference]


async def test_a_refusal_is_no_failure_of_the_page(tmp_path: Path) -> None:
    settings = Settings.load({"DATA_DIR": str(tmp_path)})
    async with open_world(settings) as world:
        answer = await world.member.slash(world.channel, "wan cancel")
        assert answer.response is not None
        assert "None of your videos" in answer.response.content
        assert world.env.errors == []
