"""What is left of a member whose data was deleted: a keyed hash, which nobody can turn back. Pure."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MemberKeys:
    """Makes the hashes. ``secret`` is one for each database, kept in it."""

    secret: str = field(repr=False)

    def of(self, guild_id: int, user_id: int) -> str:
        """The key of a member in a guild: 64 hexadecimal digits."""
        member = f"{guild_id}:{user_id}"
        return hmac.new(self.secret.encode(), member.encode(), hashlib.sha256).hexdigest()
