"""Keep what communities decide: allowances of roles, prices, limits, channels, words, blocks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the tables and columns of the communities' rules."""
    op.create_table(
        "channel_rules",
        sa.Column("guild_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("channel_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_allowed", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("guild_id", "channel_id", name=op.f("pk_channel_rules")),
    )
    op.create_table(
        "blocked_members",
        sa.Column("guild_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("member_key", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("guild_id", "member_key", name=op.f("pk_blocked_members")),
    )
    op.create_table(
        "blocked_words",
        sa.Column("guild_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("guild_id", "number", name=op.f("pk_blocked_words")),
        sa.UniqueConstraint("guild_id", "text", name="uq_blocked_words_guild_id_text"),
    )
    op.create_table(
        "forgotten_grants",
        sa.Column("member_key", sa.String(length=64), nullable=False),
        sa.Column("period", sa.String(length=20), nullable=False),
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("granted", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("member_key", "period", name=op.f("pk_forgotten_grants")),
    )
    op.create_table(
        "model_prices",
        sa.Column("guild_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model", sa.String(length=80), nullable=False),
        sa.Column("credits", sa.Integer(), nullable=True),
        sa.Column("factor", sa.String(length=16), nullable=True),
        sa.CheckConstraint("(credits IS NULL) <> (factor IS NULL)", name=op.f("ck_model_prices_credits_or_factor")),
        sa.PrimaryKeyConstraint("guild_id", "model", name=op.f("pk_model_prices")),
    )
    op.create_table(
        "role_allowances",
        sa.Column("guild_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("role_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("guild_id", "role_id", name=op.f("pk_role_allowances")),
    )
    op.add_column("guilds", sa.Column("version", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("guilds", sa.Column("member_jobs", sa.Integer(), nullable=True))
    op.add_column("guilds", sa.Column("guild_jobs", sa.Integer(), nullable=True))
    op.add_column("guilds", sa.Column("member_period_jobs", sa.Integer(), nullable=True))
    op.add_column("guilds", sa.Column("guild_period_jobs", sa.Integer(), nullable=True))
    op.add_column("guilds", sa.Column("max_duration", sa.Integer(), nullable=True))
    op.add_column("guilds", sa.Column("max_resolution", sa.String(length=8), nullable=True))
    op.add_column("guilds", sa.Column("confirm_above", sa.Integer(), nullable=True))
    op.add_column("guilds", sa.Column("guild_budget", sa.BigInteger(), nullable=True))
    op.add_column("guilds", sa.Column("adult", sa.String(length=16), nullable=True))
    op.add_column("guilds", sa.Column("keep_days", sa.Integer(), nullable=True))
    op.add_column("guilds", sa.Column("left_at", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("late_until", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("removed_at", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("purged_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_jobs_guild_period", "jobs", ["guild_id", "created_at"], unique=False)
    op.create_index(
        "ix_jobs_late",
        "jobs",
        ["late_until"],
        unique=False,
        sqlite_where=sa.text("late_until IS NOT NULL"),
        postgresql_where=sa.text("late_until IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_kept",
        "jobs",
        ["ended_at"],
        unique=False,
        sqlite_where=sa.text("purged_at IS NULL AND ended_at IS NOT NULL"),
        postgresql_where=sa.text("purged_at IS NULL AND ended_at IS NOT NULL"),
    )
    # whom a decision is about is written as Discord shows it
    op.execute("UPDATE audit SET target = '<@' || target || '>' WHERE action LIKE 'credits.%'")
