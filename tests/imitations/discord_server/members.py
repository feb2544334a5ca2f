"""Members: the hands of a test. What they do is checked as the Discord app would check it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import forms, options
from .ids import time_of
from .interactions import AUTOCOMPLETE, COMMAND, COMPONENT, MODAL_SUBMIT, Interaction
from .messages import Message
from .resolved import Resolved
from .waiting import eventually

if TYPE_CHECKING:
    from .channels import Channel
    from .guilds import Guild, Role
    from .people import User
    from .wire import Payload

USER_MENU, MESSAGE_MENU = 2, 3


class Member:
    """Somebody in a guild."""

    def __init__(self, guild: Guild, user: User, roles: list[Role], *, extra: int = 0, upload_limit: int = 0) -> None:
        self.guild = guild
        self.user = user
        self.roles = roles
        self.extra = extra
        self.upload_limit = upload_limit

    @property
    def id(self) -> int:
        return self.user.id

    @property
    def name(self) -> str:
        return self.user.name

    @property
    def mention(self) -> str:
        return self.user.mention

    @property
    def permissions(self) -> int:
        total = self.guild.everyone.held | self.extra
        for role in self.roles:
            total |= role.held
        return total

    def payload(self) -> Payload:
        return {
            "user": self.user.payload(),
            "nick": None,
            "avatar": None,
            "roles": [str(role.id) for role in self.roles],
            "joined_at": time_of(self.id).isoformat(),
            "deaf": False,
            "mute": False,
            "flags": 0,
            "pending": False,
            "permissions": str(self.permissions),
        }

    def resolve(self) -> Payload:
        hidden = {"user", "deaf", "mute"}
        partial = {key: value for key, value in self.payload().items() if key not in hidden}
        return {"users": self.user.payload(), "members": partial}

    async def slash(self, channel: Channel, command: str, /, **values: Any) -> Interaction:
        """Send `/command`; files are (name, bytes), members, roles and channels are themselves."""
        definition, leaf = self.guild.world.commands.find(command, self)
        resolved = Resolved(self.guild)
        filled = options.fill(leaf, values, resolved)
        return self._send(COMMAND, channel, options.command_data(definition, command, filled, resolved))

    async def autocomplete(
        self, channel: Channel, command: str, /, *, focused: str, value: Any = "", **values: Any
    ) -> list[Payload]:
        """Type `value` into the option `focused`, and return what is offered."""
        definition, leaf = self.guild.world.commands.find(command, self)
        resolved = Resolved(self.guild)
        filled = options.fill_while_typing(leaf, values, focused, value, resolved)
        data = options.command_data(definition, command, filled, resolved)
        # Discord leaves it out while somebody types
        data.pop("resolved", None)
        interaction = await self._send(AUTOCOMPLETE, channel, data).acked()
        return interaction.choices

    async def menu(self, channel: Channel, name: str, target: Message | Member, /) -> Interaction:
        """Choose an entry of the menu on a message or a member."""
        kind = MESSAGE_MENU if isinstance(target, Message) else USER_MENU
        definition = self.guild.world.commands.find_menu(name, kind, self)
        resolved = Resolved(self.guild)
        data: Payload = {"id": definition["id"], "name": name, "type": kind, "target_id": resolved.add(target)}
        return self._send(COMMAND, channel, data | {"resolved": resolved.payload()})

    async def click(self, message: Message, prefix: str, /, *, values: list[Any] | None = None) -> Interaction:
        """Press the button, or choose `values` in the select, whose custom_id begins with `prefix`."""
        if message.deleted or (message.ephemeral and message.interaction and message.interaction.member is not self):
            raise PermissionError(f"{self.name} does not see that message")
        component = message.component(prefix)
        data: Payload = {"custom_id": component["custom_id"], "component_type": component["type"]}
        if "id" in component:
            data["id"] = component["id"]
        if values is not None:
            resolved = Resolved(self.guild)
            data["values"] = [value if isinstance(value, str) else resolved.add(value) for value in values]
            data["resolved"] = resolved.payload()
        return self._send(COMPONENT, message.channel, data, message)

    async def submit(self, opener: Interaction, values: dict[str, Any] | None = None, /) -> Interaction:
        """Send the form that `opener` was answered with; `values` by custom_id or label.

        What isn't named keeps its default. A file upload takes a list of (name, bytes).
        """
        modal = await eventually(lambda: opener.modal, what="no form was opened")
        resolved = Resolved(self.guild)
        data: Payload = {"custom_id": modal["custom_id"], "components": forms.fill(modal, values or {}, resolved)}
        data["resolved"] = resolved.payload()
        return self._send(MODAL_SUBMIT, opener.channel, data, opener.source, opener)

    async def say(self, channel: Channel, content: str, *, files: list[tuple[str, bytes]] | None = None) -> Message:
        """Post an ordinary message."""
        world = self.guild.world
        stored = [world.files.add(f"attachments/{channel.id}", file) for file in files or []]
        message = Message(world.ids.next(), channel, self.user, content, attachments=stored)
        channel.store(message)
        channel.emit_message("MESSAGE_CREATE", message.payload() | {"member": self.payload()})
        return message

    def _send(
        self,
        kind: int,
        channel: Channel,
        data: Payload,
        source: Message | None = None,
        opener: Interaction | None = None,
    ) -> Interaction:
        return self.guild.world.interactions.open(kind, self, channel, data, source=source, opener=opener)
