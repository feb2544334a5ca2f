"""The samples of the vendors' own documents as a bot: a loop for each job asks, sleeps, and asks again.

python -m bench.baselines.loop_bot --every 2 --jobs jobs.json

``jobs.json`` lists (link of the status, id of the channel). Each result is read whole and posted, as the samples
would. Its environment: DISCORD_TOKEN, DISCORD_API_URL, VENDOR_KEY. It writes "begun", and "over" after the last one.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import discord
from discord.http import Route


async def watch(
    session: aiohttp.ClientSession, client: discord.Client, link: str, channel_id: int, every: float
) -> None:
    """Ask until it is done, then post it."""
    while True:
        try:
            async with session.get(link) as response:
                status: dict[str, Any] = await response.json()
        except aiohttp.ClientError:
            status = {}
        if status.get("status") == "completed":
            break
        await asyncio.sleep(every)
    async with session.get(status["output"]["video"]) as response:
        video = await response.read()
    channel = client.get_partial_messageable(channel_id)
    await channel.send(file=discord.File(io.BytesIO(video), "video.mp4"))


async def serve(every: float, rows: list[tuple[str, int]]) -> None:
    """Watch every job at once."""
    client = discord.Client(intents=discord.Intents.none())
    headers = {"Authorization": f"Bearer {os.environ['VENDOR_KEY']}"}
    connector = aiohttp.TCPConnector(limit=0)
    async with client, aiohttp.ClientSession(headers=headers, connector=connector) as session:
        await client.login(os.environ["DISCORD_TOKEN"])
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        await asyncio.gather(*(watch(session, client, link, channel_id, every) for link, channel_id in rows))
        sys.stdout.write("over\n")
        sys.stdout.flush()


def main() -> None:
    """Serve until every video is posted, or SIGTERM."""
    signal.signal(signal.SIGTERM, _end)
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=float, required=True)
    parser.add_argument("--jobs", type=Path, required=True)
    chosen = parser.parse_args()
    Route.BASE = os.environ["DISCORD_API_URL"]
    asyncio.run(serve(chosen.every, json.loads(chosen.jobs.read_text(encoding="utf-8"))))


def _end(_number: int, _frame: object) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
