"""Interactions: their three seconds, their fifteen minutes, and what a test sees of them."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .checks import EPHEMERAL, check_choices, check_modal
from .drafts import Draft
from .posting import post, post_placeholder, rewrite
from .waiting import eventually
from .wire import ApiError, Payload, Problem, invalid

if TYPE_CHECKING:
    from .channels import Channel
    from .members import Member
    from .messages import Message
    from .world import World

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5
MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE, CHOICES, MODAL = 4, 5, 6, 7, 8, 9
ANSWERS = {
    COMMAND: {MESSAGE, DEFERRED, MODAL},
    COMPONENT: {MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE, MODAL},
    AUTOCOMPLETE: {CHOICES},
    MODAL_SUBMIT: {MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE},
}


@dataclass(frozen=True)
class Attempt:
    """One callback that arrived: its type, and the code it was refused with, if it was."""

    kind: int
    code: int | None = None


@dataclass(eq=False)
class Interaction:
    """What a member did, live: it shows what the bot makes of it."""

    id: int
    kind: int
    token: str
    member: Member
    channel: Channel
    upload_limit: int
    source: Message | None = None
    opener: Interaction | None = None
    payload: Payload = field(default_factory=dict[str, Any])
    created: float = field(default_factory=time.monotonic)
    expired: bool = False
    #: whether a session of the guild's shard was connected; if not, the member sees that the bot did not respond
    is_delivered: bool = False
    ack: Payload | None = None
    acked_after: float | None = None
    message: Message | None = None
    followups: list[Message] = field(default_factory=list["Message"])
    attempts: list[Attempt] = field(default_factory=list[Attempt])

    @property
    def is_command(self) -> bool:
        return self.kind == COMMAND

    @property
    def age(self) -> float:
        return time.monotonic() - self.created

    @property
    def modal(self) -> Payload | None:
        """The form that the bot opened."""
        return self.ack["data"] if self.ack and self.ack["type"] == MODAL else None

    @property
    def choices(self) -> list[Payload]:
        """What the bot offered while somebody typed."""
        return self.ack["data"]["choices"] if self.ack and self.ack["type"] == CHOICES else []

    @property
    def replies(self) -> list[Message]:
        """The answer and its follow-ups, as far as they are still there."""
        own = [self.message] if self.message is not None and self.message is not self.source else []
        return [message for message in own + self.followups if not message.deleted]

    @property
    def text(self) -> str:
        return "\n".join(message.text for message in self.replies)

    async def acked(self, timeout: float = 5.0) -> Interaction:  # noqa: ASYNC109
        """Wait until the bot has acknowledged."""
        await eventually(lambda: self.ack, timeout, f"not acknowledged; attempts: {self.attempts}")
        return self

    async def answered(self, timeout: float = 5.0) -> Interaction:  # noqa: ASYNC109
        """Wait until there is something to see: after a defer, until the placeholder is filled in or replaced."""
        await eventually(self._is_answered, timeout, f"not answered; ack: {self.ack}, attempts: {self.attempts}")
        return self

    def expire(self) -> None:
        """Let the token's fifteen minutes be over."""
        self.expired = True

    def _is_answered(self) -> bool:
        if self.ack is None or self.ack["type"] != DEFERRED:
            return self.ack is not None
        return bool(self.followups) or bool(self.message and not self.message.loading)

    def metadata(self) -> Payload:
        """Tell of itself in the messages that came of it."""
        base: Payload = {
            "id": str(self.id),
            "type": self.kind,
            "user": self.member.user.payload(),
            "authorizing_integration_owners": {"0": str(self.member.guild.id)},
        }
        if self.source is not None and self.kind == COMPONENT:
            base["interacted_message_id"] = str(self.source.id)
        if self.opener is not None:
            base["triggering_interaction_metadata"] = self.opener.metadata()
        return base


class Interactions:
    """Opens interactions, and checks who may still answer them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._by_token: dict[str, Interaction] = {}

    def open(
        self,
        kind: int,
        member: Member,
        channel: Channel,
        data: Payload,
        *,
        source: Message | None = None,
        opener: Interaction | None = None,
    ) -> Interaction:
        limit = max(member.upload_limit, member.guild.upload_limit)
        token = secrets.token_urlsafe(64)
        interaction = Interaction(self._world.ids.next(), kind, token, member, channel, limit, source, opener)
        interaction.payload = self._describe(interaction, data)
        self._by_token[token] = interaction
        self.deliver(interaction)
        return interaction

    def deliver(self, interaction: Interaction) -> None:
        """Tell every session of the guild's shard."""
        guild_id = interaction.member.guild.id
        if self._world.gateway.emit("INTERACTION_CREATE", interaction.payload, guild_id):
            interaction.is_delivered = True

    def _describe(self, interaction: Interaction, data: Payload) -> Payload:
        member, channel = interaction.member, interaction.channel
        guild = member.guild
        shown = channel.payload() | {"permissions": str(member.permissions)}
        payload: Payload = {
            "id": str(interaction.id),
            "application_id": str(self._world.application_id),
            "type": interaction.kind,
            "token": interaction.token,
            "version": 1,
            "guild_id": str(guild.id),
            "guild": {"id": str(guild.id), "locale": "en-US", "features": []},
            "channel_id": str(channel.id),
            "channel": shown,
            "member": member.payload(),
            "locale": "en-US",
            "guild_locale": "en-US",
            "app_permissions": str(channel.bot_permissions),
            "entitlements": [],
            "authorizing_integration_owners": {"0": str(guild.id)},
            "context": 0,
            "attachment_size_limit": interaction.upload_limit,
            "data": data,
        }
        return payload | ({"message": interaction.source.payload()} if interaction.source else {})

    # the callback

    def acknowledge(self, interaction_id: int, token: str, draft: Draft) -> Payload:
        interaction = self._by_token.get(token)
        if interaction is None or interaction.id != interaction_id:
            raise ApiError(Problem.UNKNOWN_INTERACTION)
        kind = draft.payload.get("type", 0)
        try:
            self._admit(interaction, kind)
            self._respond(interaction, kind, Draft(draft.payload.get("data") or {}, draft.files))
        except ApiError as error:
            interaction.attempts.append(Attempt(kind, error.code))
            raise
        interaction.attempts.append(Attempt(kind))
        interaction.ack, interaction.acked_after = draft.payload, interaction.age
        return self._callback_response(interaction, kind)

    def _admit(self, interaction: Interaction, kind: int) -> None:
        if interaction.ack is not None:
            raise ApiError(Problem.ALREADY_ACKNOWLEDGED)
        if interaction.age > self._world.settings.ack_seconds:
            raise ApiError(Problem.UNKNOWN_INTERACTION)
        updates = kind in (DEFERRED_UPDATE, UPDATE)
        if kind not in ANSWERS[interaction.kind] or (updates and interaction.source is None):
            raise invalid("type", f"Interaction of type {interaction.kind} can't be answered by {kind}.")

    def _respond(self, interaction: Interaction, kind: int, draft: Draft) -> None:
        limit = interaction.upload_limit
        if kind == MESSAGE:
            interaction.message = post(interaction.channel, draft, limit=limit, interaction=interaction)
        elif kind == DEFERRED:
            flags = (draft.payload.get("flags") or 0) & EPHEMERAL
            interaction.message = post_placeholder(interaction.channel, interaction, flags)
        elif kind == UPDATE and interaction.source is not None:
            interaction.message = rewrite(interaction.source, draft, limit=limit, via="token")
        elif kind == DEFERRED_UPDATE:
            interaction.message = interaction.source
        elif kind == CHOICES:
            check_choices(draft.payload.get("choices") or [])
        else:
            check_modal(draft.payload)

    def _callback_response(self, interaction: Interaction, kind: int) -> Payload:
        told: Payload = {"id": str(interaction.id), "type": interaction.kind}
        resource: Payload = {"type": kind}
        if message := interaction.message:
            told["response_message_id"] = str(message.id)
            told["response_message_loading"] = message.loading
            told["response_message_ephemeral"] = message.ephemeral
            if kind in (MESSAGE, UPDATE):
                resource["message"] = message.payload()
        return {"interaction": told, "resource": resource}

    # the webhook that an interaction brings along

    def by_webhook(self, application_id: int, token: str) -> Interaction:
        interaction = self._by_token.get(token)
        if application_id != self._world.application_id or interaction is None or interaction.ack is None:
            raise ApiError(Problem.UNKNOWN_WEBHOOK)
        if interaction.expired or interaction.age > self._world.settings.token_seconds:
            raise ApiError(Problem.TOKEN_EXPIRED)
        return interaction

    def find(self, interaction: Interaction, message_id: str) -> Message:
        own = [message for message in (interaction.message, *interaction.followups) if message is not None]
        if message_id == "@original":
            own = own[:1] if interaction.message else []
        else:
            own = [message for message in own if str(message.id) == message_id]
        if not own or own[0].deleted:
            raise ApiError(Problem.UNKNOWN_MESSAGE)
        return own[0]

    def follow_up(self, interaction: Interaction, draft: Draft) -> Message:
        """Post, unless the bot is still thinking: then the first follow-up fills in the placeholder."""
        original = interaction.message
        if original is not None and original.loading and not original.deleted:
            return rewrite(original, draft, limit=interaction.upload_limit, via="token")
        message = post(interaction.channel, draft, limit=interaction.upload_limit, interaction=interaction)
        interaction.followups.append(message)
        return message
