"""Let several processes share a PostgreSQL: who works on a job, and what they ask of providers together."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the tables and the column; a job that has no owner is taken up by whichever process finds it."""
    op.add_column("jobs", sa.Column("owner", sa.String(length=16), nullable=True))
    op.add_column("job_events", sa.Column("owner", sa.String(length=16), nullable=True))
    op.create_table(
        "processes",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("shards", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_processes")),
    )
    row_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "provider_requests",
        sa.Column("id", row_id, nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("process", sa.String(length=16), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_requests")),
    )
    op.create_index("ix_provider_requests_provider", "provider_requests", ["provider", "ends_at"])
    op.create_table(
        "provider_holds",
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("held_until", sa.BigInteger(), nullable=True),
        sa.Column("submit_wanted_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("provider", name=op.f("pk_provider_holds")),
    )
