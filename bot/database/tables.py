"""The tables, as SQLAlchemy Core knows them. The migrations create them; a test holds both together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    event,
    text,
)


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant, stored as microseconds since 1970: sortable, and the same on every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Store; raises ``ValueError`` for a naive instant."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs its time zone")
        delta = value - _EPOCH
        return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Load."""
        del dialect
        return (
            None
            if value is None
            else datetime.fromtimestamp(value // 1_000_000, UTC).replace(microsecond=value % 1_000_000)
        )


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


def _where(condition: str) -> dict[str, Any]:
    """Make an index of some rows only. PostgreSQL's dialect is loaded when it is needed: see ``_tell_postgres``."""
    return {"sqlite_where": text(condition), "info": {"where": condition}}


@event.listens_for(metadata, "before_create")
def _tell_postgres(target: MetaData, connection: Connection, **_: object) -> None:
    if connection.dialect.name == "postgresql":
        for index in (index for table in target.tables.values() for index in table.indexes if "where" in index.info):
            index.dialect_options["postgresql"]["where"] = text(index.info["where"])


#: SQLite numbers rows by itself only in a column of type INTEGER
_RowId = BigInteger().with_variant(Integer, "sqlite")

guilds = Table(
    "guilds",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    # None: the operator's default (DEFAULT_ALLOWANCE, DEFAULT_PERIOD), or one amount for the cap
    Column("allowance_amount", Integer),
    Column("allowance_period", String(8)),
    Column("allowance_cap", Integer),
    Column("default_model", String(80)),
    # where moderators read of troubles
    Column("log_channel_id", BigInteger),
    # counts the decisions, so that a process sees whether what it remembers is still true
    Column("version", Integer, nullable=False, server_default=text("0")),
    # None: no limit; for jobs at once: the default of bot.communities.rules
    Column("member_jobs", Integer),
    Column("guild_jobs", Integer),
    Column("member_period_jobs", Integer),
    Column("guild_period_jobs", Integer),
    Column("max_duration", Integer),
    Column("max_resolution", String(8)),
    Column("confirm_above", Integer),
    Column("guild_budget", BigInteger),
    # where models that can make adult content may be used (bot.communities.rules.Adult)
    Column("adult", String(16)),
    # how long prompts, pictures and videos are kept; None: the operator's WANBOT_KEEP_DAYS
    Column("keep_days", Integer),
    # whether results are posted into threads of their cards; None: no
    Column("threads", Boolean),
    # whether another model is taken by itself when one can't be reached; None: no
    Column("fallback", Boolean),
    # the bot was removed; what is known of the guild is deleted in a while
    Column("left_at", Instant),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("guild_id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("available", BigInteger, nullable=False, server_default=text("0")),
    Column("held", BigInteger, nullable=False, server_default=text("0")),
    # the part of ``available`` that came from the allowance; it is spent first
    Column("allowance", BigInteger, nullable=False, server_default=text("0")),
    UniqueConstraint("guild_id", "user_id", name="uq_accounts_guild_id_user_id"),
    CheckConstraint("available >= 0", name="available_not_negative"),
    CheckConstraint("held >= 0", name="held_not_negative"),
    CheckConstraint("allowance >= 0 AND allowance <= available", name="allowance_within_available"),
)

ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("account_id", _RowId, ForeignKey("accounts.id"), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("available_change", BigInteger, nullable=False),
    Column("held_change", BigInteger, nullable=False),
    Column("allowance_change", BigInteger, nullable=False),
    # no foreign key: an entry outlives the prompt and the pictures of its job
    Column("job_id", String(16)),
    Column("created_at", Instant, nullable=False),
    CheckConstraint("kind IN ('grant', 'hold', 'settle', 'release', 'refund', 'adjust', 'expire')", name="known_kind"),
    CheckConstraint(
        "CASE kind"
        " WHEN 'hold' THEN available_change <= 0 AND held_change = -available_change AND job_id IS NOT NULL"
        " WHEN 'settle' THEN available_change >= 0 AND held_change <= -available_change AND job_id IS NOT NULL"
        " WHEN 'release' THEN available_change >= 0 AND held_change = -available_change AND job_id IS NOT NULL"
        " WHEN 'refund' THEN available_change >= 0 AND held_change = 0 AND job_id IS NOT NULL"
        " WHEN 'grant' THEN available_change >= 0 AND held_change = 0"
        " WHEN 'expire' THEN available_change <= 0 AND held_change = 0"
        " ELSE held_change = 0 END",
        name="shape_of_kind",
    ),
    Index("ix_ledger_entries_account_id", "account_id", "id"),
    Index(
        "uq_ledger_entries_one_hold",
        "job_id",
        unique=True,
        **_where("kind = 'hold'"),
    ),
    Index(
        "uq_ledger_entries_one_resolution",
        "job_id",
        unique=True,
        **_where("kind IN ('settle', 'release')"),
    ),
    Index(
        "uq_ledger_entries_one_refund",
        "job_id",
        unique=True,
        **_where("kind = 'refund'"),
    ),
)

#: What an account was given of its allowance in a period, so that it is never given twice.
allowance_grants = Table(
    "allowance_grants",
    metadata,
    Column("account_id", _RowId, ForeignKey("accounts.id"), primary_key=True),
    # the length and the first day of the period: ``week 2026-11-16``
    Column("period", String(20), primary_key=True),
    Column("granted", BigInteger, nullable=False),
)

#: The same for members whose data was deleted: a keyed hash in place of the account, until the period ends.
forgotten_grants = Table(
    "forgotten_grants",
    metadata,
    Column("member_key", String(64), primary_key=True),
    Column("period", String(20), primary_key=True),
    Column("guild_id", BigInteger, nullable=False),
    Column("granted", BigInteger, nullable=False),
    Column("ends_at", Instant, nullable=False),
)

#: What a role receives each period in place of the guild's amount.
role_allowances = Table(
    "role_allowances",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("role_id", BigInteger, primary_key=True, autoincrement=False),
    Column("amount", Integer, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("interaction_id", BigInteger, nullable=False, unique=True),
    Column("guild_id", BigInteger, nullable=False),
    Column("channel_id", BigInteger, nullable=False),
    Column("user_id", BigInteger, nullable=False),
    Column("account_id", _RowId, ForeignKey("accounts.id"), nullable=False),
    Column("state", String(12), nullable=False),
    # counts the transitions; the card shows the one in ``card_version``
    Column("version", Integer, nullable=False, server_default=text("0")),
    Column("model", String(80), nullable=False),
    # what was asked for: see bot.jobs.job.Request
    Column("request", Text, nullable=False),
    # the price in credits, fixed when the job was accepted
    Column("quote", BigInteger, nullable=False),
    # bytes; what the interaction allowed to upload
    Column("upload_limit", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("card_message_id", BigInteger),
    Column("card_version", Integer),
    # not submitted before this instant (Retry-After of a 429)
    Column("not_before", Instant),
    # since when its provider can't be reached, or doesn't take it
    Column("held_up_since", Instant),
    # the intent, stored before the POST
    Column("submitted_at", Instant),
    Column("task_id", Text),
    Column("deadline", Instant),
    # what the vendor says that it costs, in its own unit
    Column("cost_amount", Text),
    Column("cost_unit", String(8)),
    Column("result_url", Text),
    Column("result_expires_at", Instant),
    Column("delivering_since", Instant),
    Column("video_path", Text),
    # an open attempt to post the video: set before the POST
    Column("attempted_at", Instant),
    Column("result_message_id", BigInteger),
    # where the video is posted, stored before the POST; None: in the card's channel
    Column("result_channel_id", BigInteger),
    # the job that gave way to this one, since its model couldn't be reached
    Column("replaces", String(16)),
    # why the job ended as it did (bot.jobs.job.Reason), and the vendor's own words
    Column("reason", String(32)),
    Column("vendor_message", Text),
    # our own sentence on what to do, where more is known than the reason
    Column("advice", Text),
    # ids of models that could do the same, separated by spaces
    Column("alternatives", Text),
    # the nearest of them, and its price in credits: what the card's button offers
    Column("offer_model", String(80)),
    Column("offer_price", BigInteger),
    Column("ended_at", Instant),
    # an expired job: until when a late video is looked for
    Column("late_until", Instant),
    # the posted video was deleted, by its owner or a moderator
    Column("removed_at", Instant),
    # prompt, pictures and video were deleted when their time was over
    Column("purged_at", Instant),
    # the process that works on it (processes.id), where several share a database; None: whichever there is
    Column("owner", String(16)),
    CheckConstraint(
        "state IN ('queued', 'submitting', 'running', 'delivering', 'succeeded', 'failed', 'expired', 'cancelled',"
        " 'lost')",
        name="known_state",
    ),
    CheckConstraint("quote >= 0", name="quote_not_negative"),
    Index(
        "ix_jobs_open",
        "state",
        "created_at",
        **_where("ended_at IS NULL"),
    ),
    # one job at most goes on in place of another
    Index("uq_jobs_replaces", "replaces", unique=True),
    Index("ix_jobs_guild_id", "guild_id", "user_id", "created_at"),
    Index("ix_jobs_guild_period", "guild_id", "created_at"),
    Index(
        "ix_jobs_late",
        "late_until",
        **_where("late_until IS NOT NULL"),
    ),
    Index(
        "ix_jobs_kept",
        "ended_at",
        **_where("purged_at IS NULL AND ended_at IS NOT NULL"),
    ),
)

job_events = Table(
    "job_events",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("job_id", String(16), ForeignKey("jobs.id"), nullable=False),
    # ``queued -> submitting``
    Column("transition", String(32), nullable=False),
    Column("detail", Text, nullable=False, server_default=text("''")),
    Column("created_at", Instant, nullable=False),
    # the job's owner at that time: so each process counts its own
    Column("owner", String(16)),
    Index("ix_job_events_job_id", "job_id"),
)

model_rules = Table(
    "model_rules",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("model", String(80), primary_key=True),
    # 0: everywhere, everyone
    Column("channel_id", BigInteger, primary_key=True, autoincrement=False),
    Column("role_id", BigInteger, primary_key=True, autoincrement=False),
    Column("is_allowed", Boolean, nullable=False),
)

#: A guild's own prices, in place of the catalogue's: flat credits for each job, or a factor.
model_prices = Table(
    "model_prices",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("model", String(80), primary_key=True),
    Column("credits", Integer),
    Column("factor", String(16)),
    CheckConstraint("(credits IS NULL) <> (factor IS NULL)", name="credits_or_factor"),
)

#: Where the bot works: where it is allowed, once one channel is; else everywhere but where it is denied.
channel_rules = Table(
    "channel_rules",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("channel_id", BigInteger, primary_key=True, autoincrement=False),
    # None: it was denied, and isn't any more
    Column("is_allowed", Boolean),
)

blocked_words = Table(
    "blocked_words",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    # by which members are told of the rule, not of the word
    Column("number", Integer, primary_key=True, autoincrement=False),
    # normalised: see bot.communities.words
    Column("text", String(120), nullable=False),
    UniqueConstraint("guild_id", "text", name="uq_blocked_words_guild_id_text"),
)

#: A block outlives the deletion of the member's data: by then it is known by the keyed hash alone.
blocked_members = Table(
    "blocked_members",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("member_key", String(64), primary_key=True),
    Column("reason", Text, nullable=False),
)

#: What members want of the bot in a guild; who has said nothing has no row.
member_settings = Table(
    "member_settings",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    # whether the message with a finished video mentions them
    Column("notify", Boolean, nullable=False),
)

#: Options under a name: a member's own.
member_presets = Table(
    "member_presets",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    # the name without regard to case: see bot.members.presets
    Column("key", String(128), primary_key=True),
    Column("name", String(32), nullable=False),
    # see bot.members.presets.Preset
    Column("options", Text, nullable=False),
)

#: The same, for everybody in a guild.
offered_presets = Table(
    "offered_presets",
    metadata,
    Column("guild_id", BigInteger, primary_key=True, autoincrement=False),
    Column("key", String(128), primary_key=True),
    Column("name", String(32), nullable=False),
    Column("options", Text, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("guild_id", BigInteger, nullable=False),
    Column("actor_id", BigInteger, nullable=False),
    # ``credits.grant``, ``models.allow``
    Column("action", String(40), nullable=False),
    Column("target", String(120), nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("reason", Text, nullable=False),
    # the ledger entry that this row explains
    Column("entry_id", _RowId, ForeignKey("ledger_entries.id")),
    # applied once per interaction
    Column("interaction_id", BigInteger, unique=True),
    Column("created_at", Instant, nullable=False),
    Index("ix_audit_guild_id", "guild_id", "id"),
)

#: Small facts that a process wants to find again: the fingerprint of the synced commands.
remembered = Table(
    "remembered",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)

#: Tables of the moment, for processes that share a PostgreSQL: nothing in them is worth a copy.
PASSING = {"passing": True}

#: The processes that work on this database. All jobs of one have the same lease: its row's.
processes = Table(
    "processes",
    metadata,
    Column("id", String(16), primary_key=True),
    # the shards that it serves, for whoever looks
    Column("shards", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    # by the database's clock; later its jobs are anybody's
    Column("until", Instant, nullable=False),
    info=PASSING,
)

#: The requests to providers that still count against a limit.
provider_requests = Table(
    "provider_requests",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("provider", String(20), nullable=False),
    Column("process", String(16), nullable=False),
    # both by the database's clock
    Column("begun_at", Instant, nullable=False),
    # at the latest, should its process die; once it has ended, when that was
    Column("ends_at", Instant, nullable=False),
    Index("ix_provider_requests_provider", "provider", "ends_at"),
    info=PASSING,
)

#: What keeps all processes from asking a provider.
provider_holds = Table(
    "provider_holds",
    metadata,
    Column("provider", String(20), primary_key=True),
    # a Retry-After
    Column("held_until", Instant),
    # until then a submission looks for room, and goes before looks
    Column("submit_wanted_until", Instant),
    info=PASSING,
)
