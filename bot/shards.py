"""Which part of all guilds a process serves."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Shards:
    """Some of Discord's shards of a bot."""

    count: int
    ids: Collection[int]

    @classmethod
    def of(cls, count: int | None, ids: Collection[int] | None) -> Shards:
        """Those that are named; None: all of them, whatever their number."""
        return ALL if count is None or ids is None else cls(count, frozenset(ids))

    def have(self, guild_id: int) -> bool:
        """Whether a guild belongs to them: Discord's own rule."""
        return (guild_id >> 22) % self.count in self.ids

    def __str__(self) -> str:
        return f"{', '.join(map(str, sorted(self.ids)))} of {self.count}"


#: one process that serves every guild
ALL: Final = Shards(1, frozenset({0}))
