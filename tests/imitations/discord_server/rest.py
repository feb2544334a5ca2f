"""What the bot may ask of Discord's API with its token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .calls import Answer, Call, Routes, snowflake
from .posting import post, rewrite
from .wire import ApiError, Payload, Problem, invalid

if TYPE_CHECKING:
    from .channels import Channel
    from .messages import Message
    from .world import World


class Rest:
    """The handlers, one per endpoint."""

    def __init__(self, world: World, routes: Routes) -> None:
        self._world = world
        for path in ("/oauth2/applications/@me", "/applications/@me"):
            routes.add("GET", path, self.application)
        routes.add("GET", "/gateway", self.gateway, public=True)
        routes.add("GET", "/gateway/bot", self.gateway)
        routes.add("GET", "/users/@me", self.me)
        routes.add("GET", "/users/{user}", self.user)
        routes.add("POST", "/users/@me/channels", self.open_dm)
        routes.add("GET", "/guilds/{guild}", self.guild)
        routes.add("GET", "/guilds/{guild}/members/{user}", self.member)
        for path in ("/applications/{application}", "/applications/{application}/guilds/{guild}"):
            routes.add("PUT", f"{path}/commands", self.put_commands)
            routes.add("GET", f"{path}/commands", self.commands)
        self._add_channel_routes(routes)

    def _add_channel_routes(self, routes: Routes) -> None:
        messages = "/channels/{channel}/messages"
        routes.add("GET", "/channels/{channel}", self.channel)
        routes.add("POST", "/channels/{channel}/typing", self.typing)
        routes.add("POST", "/channels/{channel}/threads", self.start_thread)
        routes.add("POST", messages, self.post)
        routes.add("GET", messages, self.history)
        routes.add("GET", f"{messages}/{{message}}", self.message)
        routes.add("PATCH", f"{messages}/{{message}}", self.edit)
        routes.add("DELETE", f"{messages}/{{message}}", self.delete)
        routes.add("POST", f"{messages}/{{message}}/threads", self.start_thread)

    # who and what

    async def me(self, call: Call) -> Answer:
        return self._world.bot.payload() | {"verified": True, "mfa_enabled": False, "flags": 0}

    async def application(self, call: Call) -> Answer:
        return {
            "id": str(self._world.application_id),
            "name": "wanbot",
            "description": "",
            "icon": None,
            "bot_public": True,
            "bot_require_code_grant": False,
            "owner": self._world.owner.payload(),
            "team": None,
            "verify_key": "0" * 64,
            "flags": 0,
            "interactions_endpoint_url": None,
        }

    async def gateway(self, call: Call) -> Answer:
        gateway = self._world.gateway
        limits = gateway.starts.payload()
        return {"url": gateway.url, "shards": self._world.settings.shards, "session_start_limit": limits}

    async def user(self, call: Call) -> Answer:
        return self._world.user(call.id("user")).payload()

    async def open_dm(self, call: Call) -> Answer:
        user = self._world.user(snowflake("recipient_id", call.payload.get("recipient_id")))
        return self._world.dm_with(user).payload()

    async def guild(self, call: Call) -> Answer:
        return self._world.guild(call.id("guild")).payload()

    async def member(self, call: Call) -> Answer:
        found = self._world.guild(call.id("guild")).find_member(call.id("user"))
        if found is None:
            raise ApiError(Problem.UNKNOWN_MEMBER)
        return found.payload()

    # commands

    async def put_commands(self, call: Call) -> Answer:
        self._check_application(call)
        return self._world.commands.overwrite(call.draft.payloads, self._command_guild(call))

    async def commands(self, call: Call) -> Answer:
        self._check_application(call)
        return self._world.commands.registered(self._command_guild(call))

    def _check_application(self, call: Call) -> None:
        if call.id("application") != self._world.application_id:
            raise ApiError(Problem.UNKNOWN_APPLICATION)

    def _command_guild(self, call: Call) -> int | None:
        return self._world.guild(call.id("guild")).id if "guild" in call.params else None

    # channels

    def _channel(self, call: Call, *permissions: str) -> Channel:
        channel = self._world.channel(call.id("channel"))
        channel.require(*permissions)
        return channel

    def _sendable(self, call: Call) -> Channel:
        channel = self._world.channel(call.id("channel"))
        channel.require("send_messages_in_threads" if channel.parent else "send_messages")
        if channel.recipient is not None and not channel.recipient.accepts_dms:
            raise ApiError(Problem.CANNOT_SEND_TO_USER)
        return channel

    async def channel(self, call: Call) -> Answer:
        return self._channel(call).payload()

    async def typing(self, call: Call) -> Answer:
        self._sendable(call)

    async def start_thread(self, call: Call) -> Answer:
        channel = self._channel(call, "create_public_threads")
        thread_id = channel.get(call.id("message")).id if "message" in call.params else None
        return channel.add_thread(call.payload["name"], thread_id).payload()

    async def post(self, call: Call) -> Answer:
        channel = self._sendable(call)
        payload = call.payload
        if call.draft.files:
            channel.require("attach_files")
        if payload.get("embeds"):
            channel.require("embed_links")
        reference = self._reference(channel, payload.get("message_reference"))
        if payload.get("enforce_nonce") and (earlier := self._world.seen_nonce(channel, payload["nonce"])):
            return channel.get(earlier.id).payload()
        # an archived thread opens again when something is posted
        channel.archived = False
        message = post(channel, call.draft, limit=self._upload_limit(channel), reference=reference)
        self._world.keep_nonce(message)
        return message.payload()

    def _reference(self, channel: Channel, asked: Payload | None) -> Payload | None:
        if asked is None:
            return None
        if not channel.can("read_message_history"):
            raise ApiError(Problem.NO_REPLY_WITHOUT_HISTORY)
        target = channel.find(snowflake("message_reference.message_id", asked.get("message_id")))
        if target is not None and not target.deleted and not target.ephemeral:
            guild: Payload = {"guild_id": str(channel.guild.id)} if channel.guild else {}
            return {"type": 0, "channel_id": str(channel.id), "message_id": str(target.id)} | guild
        if asked.get("fail_if_not_exists", True):
            raise invalid("message_reference", "Unknown message", "REPLIES_UNKNOWN_MESSAGE")
        return None

    def _upload_limit(self, channel: Channel) -> int:
        return channel.guild.upload_limit if channel.guild else self._world.settings.upload_limit

    async def history(self, call: Call) -> Answer:
        """List messages, the newest first; `after` takes the oldest ones of those that follow."""
        channel = self._channel(call)
        if not channel.can("read_message_history"):
            return []
        limit = int(call.query.get("limit", "50"))
        if not 1 <= limit <= 100:
            raise invalid("limit", "int value should be between 1 and 100.", "NUMBER_TYPE_MAX")
        after, before = call.query_id("after"), call.query_id("before")
        found = [message for message in channel.visible if (after or 0) < message.id < (before or 1 << 64)]
        page = found[-limit:] if after is None else found[:limit]
        return [message.payload() for message in reversed(page)]

    # messages

    def _own_message(self, call: Call) -> Message:
        channel = self._channel(call)
        message = channel.get(call.id("message"))
        if message.author is not self._world.bot:
            raise ApiError(Problem.NOT_THE_AUTHOR)
        if channel.archived:
            raise ApiError(Problem.THREAD_ARCHIVED)
        return message

    async def message(self, call: Call) -> Answer:
        channel = self._channel(call)
        if not channel.can("read_message_history"):
            raise ApiError(Problem.MISSING_ACCESS)
        return channel.get(call.id("message")).payload()

    async def edit(self, call: Call) -> Answer:
        message = self._own_message(call)
        if call.draft.files:
            message.channel.require("attach_files")
        return rewrite(message, call.draft, limit=self._upload_limit(message.channel), via="bot").payload()

    async def delete(self, call: Call) -> Answer:
        channel = self._channel(call)
        message = channel.get(call.id("message"))
        if message.author is not self._world.bot:
            channel.require("manage_messages")
        message.delete()
