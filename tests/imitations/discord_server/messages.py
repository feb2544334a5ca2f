"""Messages, live: what a test holds changes as the bot edits."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from .checks import BUTTON, EPHEMERAL, LOADING, embed_texts, walk
from .ids import time_of
from .wire import Payload

if TYPE_CHECKING:
    import datetime as dt

    from .channels import Channel
    from .files import Attachment
    from .interactions import Interaction
    from .people import User

Via = Literal["bot", "token"]
DEFAULT, REPLY, COMMAND = 0, 19, 20


@dataclass(frozen=True)
class Edit:
    """What a message said from `at` (monotonic) on, and whose credential wrote it."""

    at: float
    via: Via
    content: str
    embeds: list[Payload]
    components: list[Payload]


@dataclass(eq=False)
class Message:
    """One message; `nonce`, `reference` and `mentions` are what the poster asked for."""

    id: int
    channel: Channel
    author: User
    content: str = ""
    embeds: list[Payload] = field(default_factory=list[Payload])
    components: list[Payload] = field(default_factory=list[Payload])
    attachments: list[Attachment] = field(default_factory=list["Attachment"])
    flags: int = 0
    nonce: str | None = None
    reference: Payload | None = None
    mentions: list[int] = field(default_factory=list[int])
    interaction: Interaction | None = None
    deleted: bool = False
    edits: list[Edit] = field(default_factory=list[Edit])
    edited_at: dt.datetime | None = None

    @property
    def created_at(self) -> dt.datetime:
        return time_of(self.id)

    @property
    def ephemeral(self) -> bool:
        return bool(self.flags & EPHEMERAL)

    @property
    def loading(self) -> bool:
        return bool(self.flags & LOADING)

    @property
    def text(self) -> str:
        """Everything readable: content, embeds, text displays; one part per line."""
        parts = [self.content]
        for embed in self.embeds:
            parts += embed_texts(embed)
        parts += [component["content"] for component in walk(self.components) if "content" in component]
        return "\n".join(part for part in parts if part)

    @property
    def buttons(self) -> list[Payload]:
        return [component for component in walk(self.components) if component["type"] == BUTTON]

    @property
    def labels(self) -> list[str]:
        return [button.get("label", "") for button in self.buttons]

    @property
    def referenced(self) -> Message | None:
        if self.reference is None:
            return None
        channel = self.channel.world.channels.get(int(self.reference["channel_id"]))
        return channel and channel.find(int(self.reference["message_id"]))

    def component(self, prefix: str) -> Payload:
        """Find the one enabled component whose custom_id starts so."""
        found = [part for part in walk(self.components) if str(part.get("custom_id", "")).startswith(prefix)]
        if len(found) != 1:
            ids = [part["custom_id"] for part in walk(self.components) if "custom_id" in part]
            raise LookupError(f"{len(found)} components begin with {prefix!r}; there are {ids}")
        if found[0].get("disabled"):
            raise PermissionError(f"{found[0]['custom_id']} is disabled")
        return found[0]

    def delete(self) -> None:
        """Remove it, as a moderator (or the bot) does."""
        self.deleted = True
        if not self.ephemeral:
            gone: Payload = {"id": str(self.id), "channel_id": str(self.channel.id)}
            self.channel.emit_message("MESSAGE_DELETE", gone)

    def remember_edit(self, via: Via) -> None:
        edit = Edit(time.monotonic(), via, self.content, self.embeds, self.components)
        self.edits.append(edit)

    def payload(self, *, nested: bool = False) -> Payload:
        """Describe it as the bot sees it: what others wrote is blank without the message content intent."""
        world = self.channel.world
        readable = self.author is world.bot
        payload: Payload = {
            "id": str(self.id),
            "channel_id": str(self.channel.id),
            "author": self.author.payload(),
            "content": self.content if readable else "",
            "timestamp": self.created_at.isoformat(),
            "edited_timestamp": self.edited_at and self.edited_at.isoformat(),
            "tts": False,
            "mention_everyone": False,
            "mentions": [world.users[user].payload() for user in self.mentions if user in world.users],
            "mention_roles": [],
            "attachments": [world.files.payload(file) for file in self.attachments] if readable else [],
            "embeds": world.files.linked(self.embeds, self.attachments) if readable else [],
            "components": world.files.linked(self.components, self.attachments) if readable else [],
            "pinned": False,
            "flags": self.flags,
            "type": self._type(),
        }
        return payload | self._origin() | ({} if nested else self._reference())

    def resolve(self) -> Payload:
        """Describe it as the target of a menu: whole, whoever wrote it."""
        files = [self.channel.world.files.payload(file) for file in self.attachments]
        shown: Payload = {"content": self.content, "attachments": files, "embeds": self.embeds}
        return {"messages": self.payload() | shown}

    def _type(self) -> int:
        if self.interaction is not None and self.interaction.is_command:
            return COMMAND
        return REPLY if self.reference else DEFAULT

    def _origin(self) -> Payload:
        extra: Payload = {} if self.nonce is None else {"nonce": self.nonce}
        if self.interaction is not None:
            application = str(self.channel.world.application_id)
            extra |= {"webhook_id": application, "application_id": application}
            extra["interaction_metadata"] = self.interaction.metadata()
        return extra

    def _reference(self) -> Payload:
        if self.reference is None:
            return {}
        target = self.referenced
        shown = target.payload(nested=True) if target and not target.deleted else None
        return {"message_reference": self.reference, "referenced_message": shown}
