"""The least that a delivery can be: each video streamed to a file, and from there to Discord, so many at once.

python -m bench.baselines.copying --at-once 16 --jobs jobs.json

``jobs.json`` lists (link of the video, id of the channel). Its environment: DISCORD_TOKEN, DISCORD_API_URL. It writes
"begun", and "over" after the last one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

import aiohttp

_CHUNK = 1 << 20


async def copy(session: aiohttp.ClientSession, link: str, channel_id: int, path: Path) -> None:
    """Download one video and post it."""
    with path.open("wb") as file:
        async with session.get(link) as response:
            async for chunk in response.content.iter_chunked(_CHUNK):
                file.write(chunk)
    with path.open("rb") as file:
        form = aiohttp.FormData()
        form.add_field("payload_json", json.dumps({"content": "done"}), content_type="application/json")
        form.add_field("files[0]", file, filename="video.mp4", content_type="video/mp4")
        headers = {"Authorization": f"Bot {os.environ['DISCORD_TOKEN']}"}
        link = f"{os.environ['DISCORD_API_URL']}/channels/{channel_id}/messages"
        async with session.post(link, data=form, headers=headers) as response:
            response.raise_for_status()
            await response.read()
    path.unlink()


async def serve(at_once: int, rows: list[tuple[str, int]]) -> None:
    """Copy them all."""
    room = asyncio.Semaphore(at_once)

    async def one(number: int, link: str, channel_id: int) -> None:
        async with room:
            await copy(session, link, channel_id, Path(folder) / f"{number}.mp4")

    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            sys.stdout.write("begun\n")
            sys.stdout.flush()
            await asyncio.gather(*(one(number, *row) for number, row in enumerate(rows)))
            sys.stdout.write("over\n")
            sys.stdout.flush()


def main() -> None:
    """Copy what is listed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--at-once", type=int, required=True)
    parser.add_argument("--jobs", type=Path, required=True)
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.at_once, json.loads(chosen.jobs.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
