"""A database as the bot itself would have left it, with many jobs under way."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import create_engine, insert
from sqlalchemy.pool import NullPool

from bot.database.migrate import migrate
from bot.database.tables import accounts, job_events, jobs, ledger_entries
from bot.jobs.job import Request, State
from providers.types import Mode
from tests.imitations.discord_server import Channel, Message
from tests.imitations.pixeldojo import Job as VendorJob
from tests.imitations.pixeldojo import PixelDojoImitation

MODEL: Final = "pixeldojo/wan-2.2-standard"
_QUOTE: Final = 15
#: discord.py's epoch in milliseconds: ids hold the time
_EPOCH: Final = 1_420_070_400_000
_REQUEST: Final = Request(prompt="A cat by the sea", mode=Mode.TEXT, resolution="480p", duration=5)


def task_id(number: int) -> str:
    """The vendor's id of a job."""
    return f"job_{number:016x}"


def seed_running(path: Path, channels: Sequence[Channel], count: int, *, age: timedelta) -> None:
    """Let ``count`` jobs run, submitted ``age`` ago, in these channels in turn. Their cards are as they should be."""
    now = datetime.now(UTC)
    migrate(f"sqlite:///{path}", now=now)
    begun, request = now - age, _REQUEST.model_dump_json(exclude_defaults=True)
    rows = [(number, channels[number % len(channels)]) for number in range(count)]
    for number, channel in rows:
        channel.store(Message(_card_id(number, begun), channel, channel.world.bot))
    engine = create_engine(f"sqlite+pysqlite:///{path}", poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(insert(accounts), [_account(number, channel) for number, channel in rows])
        connection.execute(
            insert(ledger_entries),
            list(itertools.chain.from_iterable(_entries(number, begun) for number in range(count))),
        )
        connection.execute(insert(jobs), [_job(*row, begun, now, request) for row in rows])
        connection.execute(
            insert(job_events),
            [
                {"job_id": _job_id(number), "transition": "submitting -> running", "detail": "", "created_at": begun}
                for number in range(count)
            ],
        )
    engine.dispose()


def give_to(vendor: PixelDojoImitation, count: int) -> None:
    """Let the vendor know the same jobs."""
    now = datetime.now(UTC)
    for number in range(count):
        vendor.jobs[task_id(number)] = VendorJob(
            id=task_id(number),
            model="wan-2.2-standard",
            body={"prompt": _REQUEST.prompt},
            cost=3,
            created_at=now,
            expires_at=now + timedelta(hours=2),
        )


def _job_id(number: int) -> str:
    return f"b{number:x}"


def _snowflake(when: datetime) -> int:
    """The first id of Discord's of this instant."""
    return (int(when.timestamp() * 1000) - _EPOCH) << 22


def _card_id(number: int, begun: datetime) -> int:
    return _snowflake(begun) + 500_000 + number


def _account(number: int, channel: Channel) -> dict[str, object]:
    guild_id = 0 if channel.guild is None else channel.guild.id
    return {"id": number + 1, "guild_id": guild_id, "user_id": 1000 + number, "available": 85, "held": _QUOTE}


def _entries(number: int, when: datetime) -> list[dict[str, object]]:
    base = {"account_id": number + 1, "allowance_change": 0, "created_at": when}
    return [
        {**base, "kind": "grant", "available_change": 100, "held_change": 0, "job_id": None},
        {**base, "kind": "hold", "available_change": -_QUOTE, "held_change": _QUOTE, "job_id": _job_id(number)},
    ]


def _job(number: int, channel: Channel, begun: datetime, now: datetime, request: str) -> dict[str, object]:
    return {
        "id": _job_id(number),
        "interaction_id": _snowflake(begun) + number,
        "guild_id": 0 if channel.guild is None else channel.guild.id,
        "channel_id": channel.id,
        "user_id": 1000 + number,
        "account_id": number + 1,
        "state": State.RUNNING,
        "version": 2,
        "model": MODEL,
        "request": request,
        "quote": _QUOTE,
        "upload_limit": 20 << 20,
        "created_at": begun,
        "card_message_id": _card_id(number, begun),
        "card_version": 2,
        "submitted_at": begun,
        "task_id": task_id(number),
        "deadline": now + timedelta(hours=1),
    }
