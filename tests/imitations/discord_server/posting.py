"""Posting and rewriting messages, by whatever credential."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

from .checks import COMPONENTS_V2, EPHEMERAL, LOADING, check_message, check_not_empty
from .messages import Message, Via
from .wire import ApiError, Payload, Problem, invalid

if TYPE_CHECKING:
    from .channels import Channel
    from .drafts import Draft
    from .files import Attachment, Upload
    from .interactions import Interaction

SUPPRESS_EMBEDS = 1 << 2
SETTABLE = SUPPRESS_EMBEDS | EPHEMERAL | COMPONENTS_V2


def post(
    channel: Channel,
    draft: Draft,
    *,
    limit: int,
    interaction: Interaction | None = None,
    reference: Payload | None = None,
) -> Message:
    """Post as the bot; `limit` is the largest file that the credential may upload."""
    payload, world = draft.payload, channel.world
    flags = (payload.get("flags") or 0) & (SETTABLE if interaction else SETTABLE & ~EPHEMERAL)
    check_message(payload, v2=bool(flags & COMPONENTS_V2))
    message = Message(world.ids.next(), channel, world.bot, flags=flags, interaction=interaction, reference=reference)
    message.nonce = payload.get("nonce")
    message.attachments = _attach(message, draft, limit)
    _write(message, payload)
    return publish(message)


def post_placeholder(channel: Channel, interaction: Interaction, flags: int) -> Message:
    """Show that the bot is thinking."""
    world = channel.world
    message = Message(world.ids.next(), channel, world.bot, flags=flags | LOADING, interaction=interaction)
    return publish(message)


def publish(message: Message) -> Message:
    message.channel.store(message)
    if not message.ephemeral:
        message.channel.emit_message("MESSAGE_CREATE", message.payload())
    return message


def rewrite(message: Message, draft: Draft, *, limit: int, via: Via) -> Message:
    """Edit: what the body leaves out stays, attachments too."""
    payload = draft.payload
    flags = (message.flags & ~LOADING) | ((payload.get("flags") or 0) & COMPONENTS_V2)
    if "flags" in payload:
        flags = (flags & ~SUPPRESS_EMBEDS) | ((payload["flags"] or 0) & SUPPRESS_EMBEDS)
    check_message(payload, v2=bool(flags & COMPONENTS_V2))
    attachments = _attach(message, draft, limit)
    before = message.attachments
    message.attachments = attachments
    try:
        _write(message, payload)
    except ApiError:
        message.attachments = before
        raise
    message.flags = flags
    message.edited_at = dt.datetime.now(dt.UTC)
    message.remember_edit(via)
    if not message.ephemeral:
        message.channel.emit_message("MESSAGE_UPDATE", message.payload())
    return message


def _write(message: Message, payload: Payload) -> None:
    content = (payload.get("content") or "") if "content" in payload else message.content
    embeds = (payload.get("embeds") or []) if "embeds" in payload else message.embeds
    components = (payload.get("components") or []) if "components" in payload else message.components
    check_not_empty(content.strip(), embeds, components, message.attachments)
    message.content, message.embeds, message.components = content, embeds, components
    message.mentions = _mentioned(message, payload.get("allowed_mentions"))


def _attach(message: Message, draft: Draft, limit: int) -> list[Attachment]:
    """Work out which files the message has afterwards: kept ones by id, new ones by their number."""
    for _, content in draft.files.values():
        if len(content) > limit:
            raise ApiError(Problem.TOO_LARGE)
    described: list[Payload] | None = draft.payload.get("attachments")
    if described is None:
        return message.attachments + [_store(message, file) for file in draft.files.values()]
    return [_attachment(message, draft, entry) for entry in described]


def _attachment(message: Message, draft: Draft, entry: Payload) -> Attachment:
    number = int(entry["id"])
    kept = {attachment.id: attachment for attachment in message.attachments}
    if number in kept:
        return kept[number]
    if number not in draft.files:
        raise invalid("attachments", f"There is no file {number}.")
    return _store(message, draft.files[number], entry)


def _store(message: Message, upload: Upload, entry: Payload | None = None) -> Attachment:
    entry = entry or {}
    named = (entry.get("filename") or upload[0], upload[1])
    folder = f"attachments/{message.channel.id}"
    return message.channel.world.files.add(folder, named, entry.get("description"))


def _mentioned(message: Message, allowed: Payload | None) -> list[int]:
    """List who is notified; without `allowed_mentions` that is everybody named, and who is replied to."""
    named = [int(found) for found in re.findall(r"<@!?(\d+)>", message.content)]
    replied = message.referenced
    pings_replied = True
    if allowed is not None:
        pings_replied = bool(allowed.get("replied_user"))
        if "users" not in (allowed.get("parse") or []):
            users: list[str] = allowed.get("users") or []
            listed = {int(user) for user in users}
            named = [user for user in named if user in listed]
    if replied is not None and pings_replied:
        named.append(replied.author.id)
    return list(dict.fromkeys(named))
