"""What communities have decided, in the database. Every function is part of the caller's transaction."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, bindparam, delete, insert, select, update

from bot.communities.rules import Adult, Community, Limits, ModelRule
from bot.communities.words import BlockedWord
from bot.credits.allowance import AllowanceRule, PeriodLength
from bot.credits.pricing import PriceRule
from bot.database.tables import (
    blocked_members,
    blocked_words,
    channel_rules,
    guilds,
    model_prices,
    model_rules,
    role_allowances,
)
from bot.database.upsert import insert_if_absent, insert_or_replace
from bot.members import store as members

#: the columns of ``guilds`` that hold a field of ``Limits``
_LIMITS = {
    "member_jobs": "member_jobs",
    "guild_jobs": "guild_jobs",
    "member_period_jobs": "member_period_jobs",
    "guild_period_jobs": "guild_period_jobs",
    "duration": "max_duration",
    "resolution": "max_resolution",
    "confirm_above": "confirm_above",
    "guild_budget": "guild_budget",
    "adult": "adult",
}

# made once, since every command needs it
_LOCKED = select(guilds.c.version).where(guilds.c.guild_id == bindparam("guild")).with_for_update()


def community(connection: Connection, guild_id: int, *, default: AllowanceRule) -> Community:
    """Everything that a guild has decided, the operator's default where it hasn't."""
    row = connection.execute(select(guilds).where(guilds.c.guild_id == guild_id)).mappings().one_or_none()
    # they outlive everything else that a guild has decided
    blocked = {each["member_key"]: each["reason"] for each in _rows(connection, blocked_members, guild_id)}
    if row is None:
        return Community(guild_id=guild_id, allowance=default, blocked_members=blocked)
    return Community(
        guild_id=guild_id,
        version=row["version"],
        allowance=_allowance(row, default),
        role_amounts={each["role_id"]: each["amount"] for each in _rows(connection, role_allowances, guild_id)},
        limits=_limits(row),
        model_rules=tuple(_model_rule(each) for each in _rows(connection, model_rules, guild_id)),
        prices={each["model"]: _price(each) for each in _rows(connection, model_prices, guild_id)},
        default_model=row["default_model"],
        channel_rules={each["channel_id"]: each["is_allowed"] for each in _rows(connection, channel_rules, guild_id)},
        blocked_words=tuple(
            BlockedWord(each["number"], each["text"]) for each in _rows(connection, blocked_words, guild_id)
        ),
        blocked_members=blocked,
        log_channel_id=row["log_channel_id"],
        keep_days=row["keep_days"],
        presets=tuple(members.offered(connection, guild_id)),
        threads=bool(row["threads"]),
        fallback=bool(row["fallback"]),
    )


def lock_guild(connection: Connection, guild_id: int) -> int:
    """Let one transaction at a time decide on this guild; gives the version of what it has decided."""
    version = connection.execute(_LOCKED, {"guild": guild_id}).scalar()
    if version is not None:
        return version
    insert_if_absent(connection, guilds, guild_id=guild_id)
    return connection.execute(_LOCKED, {"guild": guild_id}).scalar_one()


def count_decision(connection: Connection, guild_id: int) -> None:
    """Make a new version, so that nobody goes on with what was remembered."""
    change = update(guilds).where(guilds.c.guild_id == guild_id)
    connection.execute(change.values(version=guilds.c.version + 1))


def set_allowance(connection: Connection, guild_id: int, rule: AllowanceRule) -> None:
    """Say what members receive."""
    _set(
        connection,
        guild_id,
        allowance_amount=rule.amount,
        allowance_period=str(rule.length),
        allowance_cap=rule.cap,
    )


def set_role_amount(connection: Connection, guild_id: int, role_id: int, amount: int | None) -> None:
    """Say what a role receives; None: what everybody does."""
    if amount is None:
        key = (role_allowances.c.guild_id == guild_id, role_allowances.c.role_id == role_id)
        connection.execute(delete(role_allowances).where(*key))
    else:
        insert_or_replace(connection, role_allowances, guild_id=guild_id, role_id=role_id, amount=amount)


def set_limits(connection: Connection, guild_id: int, limits: Limits) -> None:
    """Replace every limit."""
    fields = asdict(limits)
    _set(connection, guild_id, **{column: fields[name] for name, column in _LIMITS.items()})


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


def set_price(connection: Connection, guild_id: int, model: str, rule: PriceRule | None) -> None:
    """Set a guild's own price of a model; None: the catalogue's."""
    if rule is None:
        key = (model_prices.c.guild_id == guild_id, model_prices.c.model == model)
        connection.execute(delete(model_prices).where(*key))
    else:
        factor = None if rule.factor is None else str(rule.factor)
        insert_or_replace(connection, model_prices, guild_id=guild_id, model=model, credits=rule.credits, factor=factor)


def set_default_model(connection: Connection, guild_id: int, model: str | None) -> None:
    """Say which model is taken when a member names none."""
    _set(connection, guild_id, default_model=model)


def set_channel_rule(connection: Connection, guild_id: int, channel_id: int, *, is_allowed: bool | None) -> None:
    """Say that the bot works in a channel, or doesn't; None: it was denied, and isn't any more."""
    insert_or_replace(connection, channel_rules, guild_id=guild_id, channel_id=channel_id, is_allowed=is_allowed)


def forget_channel(connection: Connection, guild_id: int, channel_id: int) -> bool:
    """Drop every rule about a channel that was deleted; tells whether there was one."""
    found = 0
    for table in (channel_rules, model_rules):
        key = (table.c.guild_id == guild_id, table.c.channel_id == channel_id)
        found += connection.execute(delete(table).where(*key)).rowcount
    logged = update(guilds).where(guilds.c.guild_id == guild_id, guilds.c.log_channel_id == channel_id)
    return bool(found + connection.execute(logged.values(log_channel_id=None)).rowcount)


def forget_role(connection: Connection, guild_id: int, role_id: int) -> bool:
    """Drop every rule about a role that was deleted; tells whether there was one."""
    found = 0
    for table in (role_allowances, model_rules):
        key = (table.c.guild_id == guild_id, table.c.role_id == role_id)
        found += connection.execute(delete(table).where(*key)).rowcount
    return bool(found)


def block_word(connection: Connection, guild_id: int, text: str) -> None:
    """Block a normalised word or expression, under the lowest free number; nothing if it is blocked already."""
    ours = blocked_words.c.guild_id == guild_id
    taken = dict(connection.execute(select(blocked_words.c.text, blocked_words.c.number).where(ours)).all())
    if text not in taken:
        number = next(number for number in range(1, len(taken) + 2) if number not in taken.values())
        connection.execute(insert(blocked_words).values(guild_id=guild_id, number=number, text=text))


def unblock_word(connection: Connection, guild_id: int, text: str) -> None:
    """Block a word no more."""
    key = (blocked_words.c.guild_id == guild_id, blocked_words.c.text == text)
    connection.execute(delete(blocked_words).where(*key))


def block_member(connection: Connection, guild_id: int, member_key: str, reason: str) -> None:
    """Let a member make no videos. Without a reason an earlier one stays."""
    block = {"guild_id": guild_id, "member_key": member_key, "reason": reason}
    if reason:
        insert_or_replace(connection, blocked_members, **block)
    else:
        insert_if_absent(connection, blocked_members, **block)


def unblock_member(connection: Connection, guild_id: int, member_key: str) -> None:
    """Let a member make videos again."""
    key = (blocked_members.c.guild_id == guild_id, blocked_members.c.member_key == member_key)
    connection.execute(delete(blocked_members).where(*key))


def set_log_channel(connection: Connection, guild_id: int, channel_id: int | None) -> None:
    """Say where moderators read of troubles; None: nowhere."""
    _set(connection, guild_id, log_channel_id=channel_id)


def set_keep_days(connection: Connection, guild_id: int, days: int | None) -> None:
    """Say how long prompts, pictures and videos are kept; None: as the operator says."""
    _set(connection, guild_id, keep_days=days)


def set_threads(connection: Connection, guild_id: int, *, is_on: bool) -> None:
    """Say whether results are posted into threads of their cards."""
    _set(connection, guild_id, threads=is_on)


def set_fallback(connection: Connection, guild_id: int, *, is_on: bool) -> None:
    """Say whether another model is taken by itself when one can't be reached."""
    _set(connection, guild_id, fallback=is_on)


def _set(connection: Connection, guild_id: int, **values: object) -> None:
    connection.execute(update(guilds).where(guilds.c.guild_id == guild_id).values(values))


def _rows(connection: Connection, table: Table, guild_id: int) -> list[RowMapping]:
    query = select(table).where(table.c.guild_id == guild_id).order_by(*table.primary_key)
    return list(connection.execute(query).mappings())


def _allowance(row: RowMapping, default: AllowanceRule) -> AllowanceRule:
    length = row["allowance_period"]
    return AllowanceRule(
        amount=default.amount if row["allowance_amount"] is None else row["allowance_amount"],
        length=default.length if length is None else PeriodLength(length),
        cap=row["allowance_cap"],
    )


def _limits(row: RowMapping) -> Limits:
    """What is set; the defaults of ``Limits`` for the rest."""
    given: dict[str, Any] = {name: row[column] for name, column in _LIMITS.items() if row[column] is not None}
    if "adult" in given:
        given["adult"] = Adult(given["adult"])
    return Limits(**given)


def _model_rule(row: RowMapping) -> ModelRule:
    return ModelRule(
        model=row["model"], is_allowed=row["is_allowed"], channel_id=row["channel_id"], role_id=row["role_id"]
    )


def _price(row: RowMapping) -> PriceRule:
    return PriceRule(credits=row["credits"], factor=None if row["factor"] is None else Decimal(row["factor"]))
