"""A database that can't be written to for a while: members are told, nobody is charged, and jobs go on afterwards."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs
from structlog.typing import EventDict

from bot.database import engine
from tests.discord.worlds import World, is_private, text_of
from tests.imitations.pixeldojo import PixelDojoImitation

WAN_22 = "pixeldojo/wan-2.2-standard"

Trouble = Callable[[World], AbstractAsyncContextManager[None]]


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds are the bot's; here nobody waits so long."""
    monkeypatch.setattr(engine, "_BUSY_TIMEOUT", 0.05)


@asynccontextmanager
async def locked(world: World) -> AsyncGenerator[None]:
    """Somebody else writes for very long."""
    path = Path(world.settings.data_dir / "wanbot.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@asynccontextmanager
async def full(world: World) -> AsyncGenerator[None]:
    """There is no room for another page."""
    database = world.app.services.database

    def pages(most: int) -> Callable[[engine.Connection], object]:
        return lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count={most}").scalar()

    await database.write(pages(1))
    yield
    await database.write(pages(1 << 30))


@asynccontextmanager
async def read_only(world: World) -> AsyncGenerator[None]:
    """The file system takes no changes."""
    database = world.app.services.database
    opened: Any = database

    def refuse(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA query_only=ON")

    await database.write(lambda connection: connection.exec_driver_sql("PRAGMA query_only=ON"))
    event.listen(opened._engine, "connect", refuse)
    yield
    event.remove(opened._engine, "connect", refuse)
    # the connection that still refuses is given up
    with suppress(OperationalError):
        await database.write(lambda connection: connection.exec_driver_sql("SELECT 1"))


#: of two such jobs each needs a page of its own
LONG = "A very long cat. " * 115
troubles = pytest.mark.parametrize("trouble", [locked, full, read_only])


def failures(lines: list[EventDict]) -> list[str]:
    """What the operator reads."""
    return [line["event"] for line in lines if line["log_level"] == "error"]


@troubles
async def test_a_command_is_answered_and_costs_nothing(
    dojo: World, vendor: PixelDojoImitation, trouble: Trouble
) -> None:
    vendor.polls = 0
    await dojo.video(prompt=LONG, model=WAN_22)
    await dojo.finish()
    before = await dojo.account()
    async with trouble(dojo):
        with capture_logs() as lines:
            answer = await dojo.alice.slash(dojo.channel, "wan video", prompt=LONG, model=WAN_22)
        assert is_private(answer)
        assert "Something went wrong on our side, and the operator was told." in text_of(answer)
        assert "if none did, nothing was charged" in text_of(answer)
    dojo.seen += dojo.env.errors
    assert failures(lines) == ["a command failed"]
    assert await dojo.account() == before
    assert (len(await dojo.jobs()), len(vendor.submissions)) == (1, 1)
    await dojo.video(prompt="After", model=WAN_22)
    await dojo.finish()
    assert len(dojo.posted()) == 2


@pytest.mark.parametrize("trouble", [locked, read_only])
async def test_a_video_under_way_waits_and_is_posted_once(
    dojo: World, vendor: PixelDojoImitation, trouble: Trouble
) -> None:
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    vendor.finish(vendor.submissions[0].job_id)
    async with trouble(dojo):
        with capture_logs() as lines:
            for _ in range(4):
                await dojo.advance(31)
        assert text_of(answer).startswith("Running")
        assert dojo.posted() == []
    assert failures(lines) == ["a step failed; the job goes on in a while"] * 4
    await dojo.finish()
    await dojo.advance(31)
    assert text_of(answer).startswith("Done")
    assert len(dojo.posted()) == 1
    account = await dojo.account()
    assert (account.available, account.held) == (185, 0)
