"""A fair round-robin: looks at every job in turn, as often as a budget allows, and submits another for each that ends.

python -m bench.baselines.round_robin --in-flight 30 --per-minute 60 --url http://127.0.0.1:8080/api/v1

Its environment: VENDOR_KEY. It goes on until it is ended.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections import deque
from typing import Any

import aiohttp

#: of the time from one request to the next, for what the network takes now and then
_SLACK = 1.02


async def serve(url: str, in_flight: int, per_minute: int) -> None:
    """Keep so many jobs in flight, with requests at equal distances."""
    turns = deque[str]()
    loop = asyncio.get_running_loop()
    due = loop.time()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {os.environ['VENDOR_KEY']}"}) as session:
        while True:
            await asyncio.sleep(due - loop.time())
            due = max(due, loop.time()) + _SLACK * 60 / per_minute
            if len(turns) < in_flight:
                body = {"prompt": "a cat"}
                turns.append((await _asked(session.post(f"{url}/models/wan-2.2-standard/run", json=body)))["jobId"])
            else:
                job = turns.popleft()
                if (await _asked(session.get(f"{url}/jobs/{job}")))["status"] != "completed":
                    turns.append(job)


async def _asked(request: Any) -> dict[str, Any]:
    async with request as response:
        response.raise_for_status()
        return await response.json()


def main() -> None:
    """Look until ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--in-flight", type=int, required=True)
    parser.add_argument("--per-minute", type=int, required=True)
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.url, chosen.in_flight, chosen.per_minute))


if __name__ == "__main__":
    main()
