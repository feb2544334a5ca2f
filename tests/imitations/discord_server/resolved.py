"""The part of an interaction that spells out the things its ids stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from .files import Upload
    from .guilds import Guild
    from .wire import Payload


@runtime_checkable
class Choosable(Protocol):
    """A member, role, channel or message."""

    @property
    def id(self) -> int: ...

    def resolve(self) -> Payload:
        """Return the payload for each kind of thing that it is resolved as."""
        ...


class Resolved:
    """Collects what was chosen, and names it by id."""

    def __init__(self, guild: Guild) -> None:
        self._world = guild.world
        self._parts: dict[str, Payload] = {}

    def payload(self) -> Payload:
        return dict(self._parts)

    def add(self, value: Choosable) -> str:
        for kind, payload in value.resolve().items():
            self._parts.setdefault(kind, {})[str(value.id)] = payload
        return str(value.id)

    def add_file(self, upload: Upload) -> str:
        stored = self._world.files.add(f"ephemeral-attachments/{self._world.application_id}", upload)
        self._parts.setdefault("attachments", {})[str(stored.id)] = self._world.files.payload(stored)
        return str(stored.id)
