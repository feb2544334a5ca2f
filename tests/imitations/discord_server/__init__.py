"""An imitation of Discord's REST API and gateway over real sockets, for tests of the bot as a process.

    async with DiscordServer() as discord:
        guild = discord.add_guild()
        channel = guild.add_channel()
        alice = guild.add_member("alice")
        process = …  # `wanbot run` with DISCORD_API_URL=discord.api_url, DISCORD_TOKEN=discord.token
        await discord.wait_ready()
        await discord.wait_synced()
        run = await alice.slash(channel, "wan video", prompt="a cat", image=("cat.png", PNG))
        await run.answered()
        assert run.message.labels == ["Cancel", "Refresh"]
        discord.faults.add("POST", "/channels/*/messages", CutAfter())
        await channel.wait_for(lambda: any(message.attachments for message in channel.visible))

The bot needs `discord.http.Route.BASE = discord.api_url`, and the gateway's address from GET /gateway/bot. discord.py
asks for that itself only when it isn't told a shard count, and even then falls back to
`DiscordWebSocket.DEFAULT_GATEWAY` when a session is lost for good, so a bot sets this one too.

What is imitated, and as strictly as known:

- login, application, gateway, guilds, members, users, channels, threads (started, archived), direct messages, typing;
- command synchronisation with its limits; members' commands, menus, buttons, selects, forms and autocomplete are
  built from what was synchronised or posted, and refused (ValueError, LookupError, PermissionError) where the app
  would not let them be sent;
- interactions: 3 s to acknowledge (404/10062), once (400/40060), 15 min (401/50027), unknown token (404/10015),
  ephemeral messages, the placeholder of a defer, which the first follow-up fills in;
- messages: length and number limits, files and their size limit, edits that keep attachments, replies, `nonce` with
  `enforce_nonce`, mentions, history, blank content of others (no message content intent), Components V2;
- permissions taken away, channels and messages deleted, the bot kicked: 403/50001, 403/50013, 404/10003, 404/10008;
- attachment links: signed, served for a day; uploads to commands and forms have links of their own;
- the gateway: zlib-stream and zstd-stream, heartbeats, RESUME with replay, INVALID_SESSION, close codes, events
  according to intents;
- shards, in as many processes as there are: an event goes to every session of its guild's shard, also when there are
  two of them, and none (`Interaction.is_delivered`);
- when asked for (`identify_seconds`), the limit of session starts: one in so many seconds for each of `max_concurrency`
  buckets; one that comes too soon is answered by INVALID_SESSION and kept in `gateway.starts.too_soon`;
- faults, rate limits, lost sockets and duplicates, when a test asks for them.

What isn't: users' installs, voice, reactions, polls, stickers, webhooks other than an interaction's, member lists and
presences, audit log, entitlements, localisation, moderation by AutoMod; what happens to a bot that has used up the
session starts of its day; heartbeats that stay away; the limits of edits to old messages; the permissions of
follow-ups (files and embeds are accepted there whatever the bot may do); the effect of command permissions beyond
`default_member_permissions`. A path that is not known is answered with 404 and code 0. Time is real time.
"""

from .calls import LoggedRequest, Requests
from .channels import Channel
from .commands import Sync
from .faults import CutAfter, CutBefore, Delay, Fails, Fault, RateLimited, Rule
from .files import Attachment
from .guilds import Guild, Role
from .interactions import Interaction
from .members import Member
from .messages import Edit, Message
from .server import DiscordServer
from .waiting import eventually

__all__ = [
    "Attachment",
    "Channel",
    "CutAfter",
    "CutBefore",
    "Delay",
    "DiscordServer",
    "Edit",
    "Fails",
    "Fault",
    "Guild",
    "Interaction",
    "LoggedRequest",
    "Member",
    "Message",
    "RateLimited",
    "Requests",
    "Role",
    "Rule",
    "Sync",
    "eventually",
]
