"""The database as the command line uses it: also beside a bot that runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import make_url

from bot.database.engine import Database, open_database
from bot.database.migrate import HEAD, version_of
from bot.support.errors import CannotBeDone


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Database]:
    """Open a database that has exactly the tables of this program, and migrate nothing: a bot may be using it.

    Raises ``CannotBeDone``.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        raise CannotBeDone(f"there is no database at {parsed.database}")
    database = open_database(url)
    try:
        version = await database.read(version_of)
        if version != HEAD:
            advice = "start the bot, or run `wanbot migrate`, with this same program first"
            raise CannotBeDone(f"the database is at version {version or 'none'}, this program needs {HEAD}: {advice}")
        yield database
    finally:
        await database.close()
