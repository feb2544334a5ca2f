"""Users, as payloads tell of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .channels import Channel
    from .wire import Payload


@dataclass(eq=False)
class User:
    """Somebody, in whatever guilds; `accepts_dms` is their privacy setting."""

    id: int
    name: str
    bot: bool = False
    accepts_dms: bool = True
    dm: Channel | None = None

    @property
    def mention(self) -> str:
        return f"<@{self.id}>"

    def payload(self) -> Payload:
        payload: Payload = {
            "id": str(self.id),
            "username": self.name,
            "discriminator": "0",
            "global_name": self.name,
            "avatar": None,
            "public_flags": 0,
        }
        return payload | ({"bot": True} if self.bot else {})
