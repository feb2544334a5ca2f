"""How Alembic reaches the database: inside one transaction, also on SQLite.

Alembic's default leaves half a schema behind when a migration fails midway on SQLite. Here
``bot.database.migrate`` says BEGIN itself and hands in the connection; Alembic commits nothing.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from bot.database.tables import metadata


def run() -> None:
    """Migrate over the connection that ``bot.database.migrate`` hands in."""
    connection = context.config.attributes["connection"]
    if not isinstance(connection, Connection):
        raise TypeError("migrate with `wanbot migrate`, which opens the database")
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transactional_ddl=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
