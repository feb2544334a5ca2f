"""What communities have decided, in the database, and the audit of who decided it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from bot.communities.rules import Community, ModelRule
from bot.credits.allowance import AllowanceRule, PeriodLength
from bot.database.tables import audit, guilds, model_rules
from bot.database.upsert import insert_if_absent, insert_or_replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """A change that a moderator made, for the audit."""

    guild_id: int
    actor_id: int
    interaction_id: int
    #: ``credits.grant``, ``models.allow``
    action: str
    target: str
    before: str
    after: str
    reason: str = ""
    #: the ledger entry that it explains
    entry_id: int | None = None


def community(connection: Connection, guild_id: int, *, default: AllowanceRule) -> Community:
    """Everything that a guild has decided, the operator's default where it hasn't."""
    row = connection.execute(select(guilds).where(guilds.c.guild_id == guild_id)).mappings().one_or_none()
    rules = _model_rules(connection, guild_id)
    if row is None:
        return Community(guild_id=guild_id, allowance=default, model_rules=rules)
    length = row["allowance_period"]
    allowance = AllowanceRule(
        amount=default.amount if row["allowance_amount"] is None else row["allowance_amount"],
        length=default.length if length is None else PeriodLength(length),
        cap=row["allowance_cap"],
    )
    return Community(
        guild_id=guild_id,
        allowance=allowance,
        model_rules=rules,
        default_model=row["default_model"],
        log_channel_id=row["log_channel_id"],
    )


def lock_guild(connection: Connection, guild_id: int) -> None:
    """Let one transaction at a time decide on this guild's limits."""
    insert_if_absent(connection, guilds, guild_id=guild_id)
    connection.execute(select(guilds.c.guild_id).where(guilds.c.guild_id == guild_id).with_for_update())


def set_model_rule(connection: Connection, guild_id: int, rule: ModelRule) -> None:
    """Allow or deny a model, in place of what was decided for the same channel and role."""
    insert_or_replace(
        connection,
        model_rules,
        guild_id=guild_id,
        model=rule.model,
        channel_id=rule.channel_id,
        role_id=rule.role_id,
        is_allowed=rule.is_allowed,
    )


def set_log_channel(connection: Connection, guild_id: int, channel_id: int | None) -> None:
    """Say where moderators read of troubles; None: nowhere."""
    connection.execute(update(guilds).where(guilds.c.guild_id == guild_id).values(log_channel_id=channel_id))


def record(connection: Connection, deed: Deed, *, now: datetime) -> None:
    """Write a row of the audit."""
    values = {
        "guild_id": deed.guild_id,
        "actor_id": deed.actor_id,
        "interaction_id": deed.interaction_id,
        "action": deed.action,
        "target": deed.target,
        "before": deed.before,
        "after": deed.after,
        "reason": deed.reason,
        "entry_id": deed.entry_id,
        "created_at": now,
    }
    connection.execute(insert(audit).values(values))


def was_done(connection: Connection, interaction_id: int) -> bool:
    """Whether this interaction has changed something already."""
    return connection.execute(select(audit.c.id).where(audit.c.interaction_id == interaction_id)).first() is not None


def _model_rules(connection: Connection, guild_id: int) -> tuple[ModelRule, ...]:
    rows: Sequence[tuple[str, bool, int, int]] = [
        (row.model, row.is_allowed, row.channel_id, row.role_id)
        for row in connection.execute(select(model_rules).where(model_rules.c.guild_id == guild_id))
    ]
    return tuple(
        ModelRule(model=model, is_allowed=is_allowed, channel_id=channel_id, role_id=role_id)
        for model, is_allowed, channel_id, role_id in rows
    )
