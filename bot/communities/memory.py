"""The decisions of communities, kept in memory so that autocomplete needn't ask the database."""

from __future__ import annotations

from functools import partial

from bot.communities import store
from bot.communities.rules import Community
from bot.credits.allowance import AllowanceRule
from bot.database.engine import Database


class Communities:
    """A cache over the database. The transaction that spends reads the database itself."""

    def __init__(self, *, database: Database, default: AllowanceRule) -> None:
        self._database = database
        self._default = default
        self._known: dict[int, Community] = {}
        #: how often something was changed
        self._changes = 0

    @property
    def default_allowance(self) -> AllowanceRule:
        """What a guild gives that has decided nothing."""
        return self._default

    async def of(self, guild_id: int) -> Community:
        """What a guild has decided."""
        known = self._known.get(guild_id)
        if known is None:
            changes = self._changes
            known = await self._database.read(partial(store.community, guild_id=guild_id, default=self._default))
            # what changed while it was read may not be in it
            if changes == self._changes:
                self._known[guild_id] = known
        return known

    def forget(self, guild_id: int) -> None:
        """Ask the database the next time: something was changed."""
        self._changes += 1
        self._known.pop(guild_id, None)
