"""Members' own presets, kept in memory so that suggestions needn't ask the database."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from bot.communities.store import lock_guild
from bot.database.engine import Connection, Database
from bot.errors import Refusal
from bot.languages import _
from bot.members import store
from bot.members.presets import MOST, Preset, found
from bot.members.settings import MemberSettings

T = TypeVar("T")

#: so many members are remembered; of the others the database is asked
_REMEMBERED: Final = 10_000


class Members:
    """What members choose. A guild's commands all come to one process, so its memory holds."""

    def __init__(self, *, database: Database, remembered: int = _REMEMBERED) -> None:
        self._database = database
        self._remembered = remembered
        self._presets: OrderedDict[tuple[int, int], Sequence[Preset]] = OrderedDict()
        #: counts what was changed: an answer that was on its way meanwhile may be old
        self._changes = 0

    async def settings_of(self, guild_id: int, user_id: int) -> MemberSettings:
        """What a member has said here."""
        return await self._database.read(partial(store.settings_of, guild_id=guild_id, user_id=user_id))

    async def keep_settings(self, guild_id: int, user_id: int, settings: MemberSettings) -> None:
        """Remember what a member wants here."""

        def work(connection: Connection) -> None:
            # so that the guild is known, and what is kept goes with it
            lock_guild(connection, guild_id)
            store.keep_settings(connection, guild_id, user_id, settings)

        await self._database.write(work)

    async def presets_of(self, guild_id: int, user_id: int) -> Sequence[Preset]:
        """A member's own presets here, by name."""
        member = (guild_id, user_id)
        known = self._presets.get(member)
        if known is not None:
            self._presets.move_to_end(member)
            return known
        changes = self._changes
        presets = await self._database.read(partial(store.presets_of, guild_id=guild_id, user_id=user_id))
        if self._changes == changes:
            self._keep(member, presets)
        return presets

    async def save_preset(self, guild_id: int, user_id: int, preset: Preset) -> bool:
        """Keep a preset; true: it took the place of one. Raises ``Refusal`` when there are too many."""

        def change(connection: Connection, before: Sequence[Preset]) -> bool:
            is_known = preset.key in {each.key for each in before}
            if not is_known and len(before) >= MOST:
                text = _("You have {most} presets. Delete one with `/wan preset delete` first.")
                raise Refusal(text.format(most=MOST))
            store.keep_preset(connection, guild_id, user_id, preset)
            return is_known

        return await self._change(guild_id, user_id, change)

    async def delete_preset(self, guild_id: int, user_id: int, name: str) -> Preset:
        """Keep a preset no more; gives what it was. Raises ``Refusal`` when there is none."""

        def change(connection: Connection, before: Sequence[Preset]) -> Preset:
            preset = found(name, before, ())
            store.drop_preset(connection, guild_id, user_id, preset.key)
            return preset

        return await self._change(guild_id, user_id, change)

    def forget(self, guild_id: int, user_id: int) -> None:
        """Read it anew when it is next asked for: it was changed, or deleted."""
        self._changes += 1
        self._presets.pop((guild_id, user_id), None)

    def forget_guild(self, guild_id: int) -> None:
        """The same for everybody in a guild."""
        self._changes += 1
        for member in [member for member in self._presets if member[0] == guild_id]:
            del self._presets[member]

    async def _change(self, guild_id: int, user_id: int, change: Callable[[Connection, Sequence[Preset]], T]) -> T:
        def work(connection: Connection) -> T:
            # one change at a time, and a guild that is known: what is kept goes with it
            lock_guild(connection, guild_id)
            return change(connection, store.presets_of(connection, guild_id, user_id))

        done = await self._database.write(work)
        self.forget(guild_id, user_id)
        return done

    def _keep(self, member: tuple[int, int], presets: Sequence[Preset]) -> None:
        self._presets[member] = presets
        self._presets.move_to_end(member)
        while len(self._presets) > self._remembered:
            self._presets.popitem(last=False)
