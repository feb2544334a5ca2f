"""Keep what members choose: settings, presets; threads and fallbacks of communities."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the tables and columns; whoever has chosen nothing goes on as before."""
    op.create_table(
        "member_settings",
        sa.Column("guild_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("notify", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("guild_id", "user_id", name=op.f("pk_member_settings")),
    )
    op.create_table(
        "member_presets",
        sa.Column("guild_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("guild_id", "user_id", "key", name=op.f("pk_member_presets")),
    )
    op.create_table(
        "offered_presets",
        sa.Column("guild_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("guild_id", "key", name=op.f("pk_offered_presets")),
    )
    op.add_column("guilds", sa.Column("threads", sa.Boolean(), nullable=True))
    op.add_column("guilds", sa.Column("fallback", sa.Boolean(), nullable=True))
    op.add_column("jobs", sa.Column("result_channel_id", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("replaces", sa.String(length=16), nullable=True))
    op.add_column("jobs", sa.Column("held_up_since", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("offer_model", sa.String(length=80), nullable=True))
    op.add_column("jobs", sa.Column("offer_price", sa.BigInteger(), nullable=True))
    op.create_index("uq_jobs_replaces", "jobs", ["replaces"], unique=True)
