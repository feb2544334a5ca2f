"""The decisions of communities, kept in memory so that autocomplete needn't ask the database."""

from __future__ import annotations

from functools import partial

from bot.communities import store
from bot.communities.rules import Community
from bot.credits.allowance import AllowanceRule
from bot.database.engine import Connection, Database
from bot.shards import ALL, Shards


class Communities:
    """A cache over the database. The transaction that spends compares versions under the guild's lock."""

    def __init__(self, *, database: Database, default: AllowanceRule, shards: Shards = ALL) -> None:
        """Begin with nothing. Of guilds on other than these ``shards`` another process hears what is decided."""
        self._database = database
        self._shards = shards
        self._default = default
        self._known: dict[int, Community] = {}

    async def of(self, guild_id: int) -> Community:
        """What a guild has decided."""
        known = self._known.get(guild_id)
        if known is None:
            default = self._default
            known = await self._database.read(partial(store.community, guild_id=guild_id, default=default))
            if default == self._default:
                self.keep(known)
        return known

    async def use_default(self, default: AllowanceRule) -> None:
        """Let this be what members receive where moderators have said nothing."""
        self._default = default
        self._known.clear()
        # what was read before may be remembered only now
        await self._database.write(_nothing)
        self._known.clear()

    def locked(self, connection: Connection, guild_id: int) -> Community:
        """What a guild has decided, as it surely is until the transaction ends. In a database thread."""
        version = store.lock_guild(connection, guild_id)
        known = self._known.get(guild_id)
        if known is not None and known.version == version:
            return known
        return self.read(connection, guild_id)

    def read(self, connection: Connection, guild_id: int) -> Community:
        """What a guild has decided, as the transaction sees it. In a database thread."""
        return store.community(connection, guild_id, default=self._default)

    def forget(self, guild_id: int) -> None:
        """Read it anew when it is next asked for: the versions of a guild that comes back may begin at 0 again."""
        self._known.pop(guild_id, None)

    def keep(self, community: Community) -> None:
        """Remember what was read and committed, unless something newer is known."""
        if not self._shards.have(community.guild_id):
            return
        known = self._known.get(community.guild_id)
        if known is None or known.version < community.version:
            self._known[community.guild_id] = community


def _nothing(connection: Connection) -> None:
    """Stand in line."""
