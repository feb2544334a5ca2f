"""What members choose, in the database. Every function is part of the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, Table, bindparam, delete, select

from bot.database.tables import member_presets, member_settings, offered_presets
from bot.database.upsert import insert_or_replace
from bot.members.presets import Preset, PresetOptions
from bot.members.settings import MemberSettings

# made once, since every video needs it
_SETTINGS = select(member_settings.c.notify).where(
    member_settings.c.guild_id == bindparam("guild"), member_settings.c.user_id == bindparam("user")
)


def settings_of(connection: Connection, guild_id: int, user_id: int) -> MemberSettings:
    """What a member has said, or what holds for who has said nothing."""
    row = connection.execute(_SETTINGS, {"guild": guild_id, "user": user_id}).one_or_none()
    return MemberSettings() if row is None else MemberSettings(notify=row.notify)


def keep_settings(connection: Connection, guild_id: int, user_id: int, settings: MemberSettings) -> None:
    """Remember what a member wants."""
    insert_or_replace(connection, member_settings, guild_id=guild_id, user_id=user_id, notify=settings.notify)


def presets_of(connection: Connection, guild_id: int, user_id: int) -> Sequence[Preset]:
    """A member's own presets, by name."""
    query = select(member_presets).where(*_own(guild_id, user_id)).order_by(member_presets.c.key)
    return _presets(connection, query)


def keep_preset(connection: Connection, guild_id: int, user_id: int, preset: Preset) -> None:
    """Keep a preset, in place of one of the same name."""
    insert_or_replace(connection, member_presets, guild_id=guild_id, user_id=user_id, **_values(preset))


def drop_preset(connection: Connection, guild_id: int, user_id: int, key: str) -> None:
    """Keep a preset no more."""
    connection.execute(delete(member_presets).where(*_own(guild_id, user_id), member_presets.c.key == key))


def offered(connection: Connection, guild_id: int) -> Sequence[Preset]:
    """What a community offers, by name."""
    query = select(offered_presets).where(offered_presets.c.guild_id == guild_id)
    return _presets(connection, query.order_by(offered_presets.c.key))


def offer(connection: Connection, guild_id: int, *, preset: Preset) -> None:
    """Offer a preset, in place of one of the same name."""
    insert_or_replace(connection, offered_presets, guild_id=guild_id, **_values(preset))


def withdraw(connection: Connection, guild_id: int, *, key: str) -> None:
    """Offer a preset no more."""
    ours = (offered_presets.c.guild_id == guild_id, offered_presets.c.key == key)
    connection.execute(delete(offered_presets).where(*ours))


def forget(connection: Connection, guild_id: int, user_id: int) -> int:
    """Delete everything that a member has chosen in a guild; gives how many rows that were."""
    return sum(
        connection.execute(delete(table).where(*_of(table, guild_id, user_id))).rowcount
        for table in (member_settings, member_presets)
    )


def _own(guild_id: int, user_id: int) -> tuple[ColumnElement[bool], ...]:
    return _of(member_presets, guild_id, user_id)


def _of(table: Table, guild_id: int, user_id: int) -> tuple[ColumnElement[bool], ...]:
    return (table.c.guild_id == guild_id, table.c.user_id == user_id)


def _values(preset: Preset) -> dict[str, str]:
    options = preset.options.model_dump_json(exclude_none=True)
    return {"key": preset.key, "name": preset.name, "options": options}


def _presets(connection: Connection, query: Select[tuple[object, ...]]) -> Sequence[Preset]:
    return [_preset(row) for row in connection.execute(query).mappings()]


def _preset(row: RowMapping) -> Preset:
    return Preset(row["name"], PresetOptions.model_validate_json(row["options"]))
