"""The imitation of Discord, with a small discord.py bot that knows nothing of it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import sys
import time
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import discord
import pytest
import yarl
from discord import app_commands
from discord.ext import commands
from discord.gateway import DiscordWebSocket
from discord.http import Route
from PIL import Image

from tests.imitations.discord_server import (
    CutAfter,
    CutBefore,
    Delay,
    DiscordServer,
    Fails,
    Guild,
    RateLimited,
)

if TYPE_CHECKING:
    import re
    from collections.abc import AsyncGenerator

    from tests.imitations.discord_server import Channel, Interaction, Member, Message


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48)).save(buffer, "PNG")
    return buffer.getvalue()


PNG = picture()


class Again(discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"again:(?P<job>\d+)"):
    def __init__(self, job: str) -> None:
        self.job = job
        super().__init__(discord.ui.Button(label="Again", custom_id=f"again:{job}"))

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction, item: discord.ui.Item[Any], match: re.Match[str]
    ) -> Again:
        return cls(match["job"])

    async def callback(self, interaction: discord.Interaction) -> None:
        await interaction.response.edit_message(content=f"again {self.job}")


class Question(discord.ui.Modal, title="Compose"):
    prompt: discord.ui.TextInput[Question] = discord.ui.TextInput(label="Prompt", style=discord.TextStyle.paragraph)
    files: discord.ui.Label[Question] = discord.ui.Label(
        text="Files", component=discord.ui.FileUpload(required=False, max_values=2)
    )

    async def on_submit(self, interaction: discord.Interaction) -> None:
        upload = cast("discord.ui.FileUpload[Any]", self.files.component)
        sizes = [len(await file.read()) for file in upload.values]
        await interaction.response.send_message(f"{self.prompt.value} {sizes}")


class Wan(app_commands.Group):
    """Make videos."""

    @app_commands.command(description="Make a video.")
    async def video(
        self,
        interaction: discord.Interaction,
        prompt: app_commands.Range[str, 1, 100],
        image: discord.Attachment | None = None,
        model: str | None = None,
        seconds: int = 5,
    ) -> None:
        await interaction.response.defer()
        size = len(await image.read()) if image else 0
        view = discord.ui.View(timeout=None)
        view.add_item(Again("7"))
        await interaction.edit_original_response(content=f"{prompt} {size} {model} {seconds}", view=view)

    @video.autocomplete("model")
    async def models(self, interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=current.upper(), value=current)]

    @app_commands.command(description="Fill in a form.")
    async def compose(self, interaction: discord.Interaction) -> None:
        await interaction.response.send_modal(Question())

    @app_commands.command(description="Take a while to answer.")
    async def slow(self, interaction: discord.Interaction) -> None:
        await asyncio.sleep(0.3)
        with contextlib.suppress(discord.NotFound):
            await interaction.response.defer()

    @app_commands.command(description="Refuse after a defer.")
    async def refuse(self, interaction: discord.Interaction) -> None:
        await interaction.response.defer()
        await interaction.delete_original_response()
        await interaction.followup.send("no", ephemeral=True)

    @app_commands.command(description="Answer by a follow-up.")
    async def late(self, interaction: discord.Interaction) -> None:
        await interaction.response.defer()
        await interaction.followup.send("late")

    @app_commands.command(description="Whisper.")
    async def whisper(self, interaction: discord.Interaction) -> None:
        await interaction.response.send_message("psst", ephemeral=True)
        await interaction.followup.send("and more", ephemeral=True)


class Gifts(app_commands.Group):
    """Give credits."""

    @app_commands.command(description="Grant credits.")
    async def grant(
        self, interaction: discord.Interaction, member: discord.Member, role: discord.Role, place: discord.TextChannel
    ) -> None:
        await interaction.response.send_message(f"{member.name} {role.name} {place.name}")


async def peek(interaction: discord.Interaction, message: discord.Message) -> None:
    await interaction.response.send_message(f"{message.content} {len(message.attachments)}")


class Bot(commands.AutoShardedBot):
    """Counts the interactions it saw, acknowledged or not."""

    def __init__(self, **options: Any) -> None:
        super().__init__("!", intents=discord.Intents(guilds=True), **options)
        self.seen: list[int] = []
        self.errors: list[Exception] = []

    async def setup_hook(self) -> None:
        admin = app_commands.Group(
            name="wan-admin",
            description="Moderate.",
            default_permissions=discord.Permissions(manage_guild=True),
        )
        admin.add_command(Gifts(name="credits"))
        self.tree.add_command(Wan(name="wan"))
        self.tree.add_command(admin)
        self.tree.add_command(app_commands.ContextMenu(name="Peek", callback=peek))
        self.tree.error(self.on_tree_error)
        self.add_dynamic_items(Again)
        await self.tree.sync()

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Shards needn't wait for each other here."""

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        self.seen.append(interaction.id)

    async def on_tree_error(self, interaction: discord.Interaction, error: app_commands.AppCommandError) -> None:
        self.errors.append(getattr(error, "original", error))

    def place(self, channel: Channel) -> discord.PartialMessageable:
        return self.get_partial_messageable(channel.id, guild_id=channel.guild and channel.guild.id)


@contextlib.asynccontextmanager
async def running(server: DiscordServer, **options: Any) -> AsyncGenerator[Bot]:
    bot = Bot(**options)
    task = asyncio.create_task(bot.start(server.token))
    try:
        await server.wait_ready(options.get("shard_ids"))
        yield bot
    finally:
        await bot.close()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture(autouse=True)
def addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give discord.py its own addresses back after each test."""
    monkeypatch.setattr(Route, "BASE", Route.BASE)
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", DiscordWebSocket.DEFAULT_GATEWAY)


@contextlib.asynccontextmanager
async def imitation(**settings: Any) -> AsyncGenerator[DiscordServer]:
    async with DiscordServer(**settings) as server:
        Route.BASE = server.api_url
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(server.gateway_url)
        yield server


class Scene:
    """A server, a guild, a channel, a member and a bot."""

    def __init__(self, server: DiscordServer, guild: Guild, bot: Bot) -> None:
        self.server = server
        self.guild = guild
        self.channel = guild.channels[0]
        self.alice: Member = guild.members[1]
        self.bot = bot
        self.place = bot.place(self.channel)


@contextlib.asynccontextmanager
async def scene(**settings: Any) -> AsyncGenerator[Scene]:
    async with imitation(**settings) as server:
        guild = server.add_guild()
        guild.add_channel("videos")
        guild.add_member("alice")
        async with running(server) as bot:
            yield Scene(server, guild, bot)


def only(messages: list[Message]) -> Message:
    assert len(messages) == 1
    return messages[0]


def shown(interaction: Interaction) -> Message:
    assert interaction.message is not None
    return interaction.message


# starting


async def test_a_bot_logs_in_and_synchronises() -> None:
    async with scene() as s:
        assert s.bot.user is not None
        assert s.bot.user.id == s.server.world.bot.id
        assert s.bot.application_id == s.server.world.application_id
        assert [command["name"] for command in s.server.commands] == ["wan", "wan-admin", "Peek"]
        assert len(s.server.syncs) == 1
        assert s.server.gateway.identifies == [(0, 1)]
        await s.server.wait_for(lambda: s.bot.get_channel(s.channel.id))
        guild = s.bot.get_guild(s.guild.id)
        assert guild is not None
        assert guild.me.guild_permissions.attach_files
        await s.server.wait_for(lambda: s.server.gateway.heartbeats)


async def test_a_wrong_token_is_refused() -> None:
    async with imitation(), discord.Client(intents=discord.Intents.none()) as client:
        with pytest.raises(discord.LoginFailure):
            await client.login("other")


async def test_definitions_are_checked() -> None:
    async with scene() as s:
        wide = [f"{number}".ljust(100, "x") for number in range(25)]
        choices = [app_commands.Choice(name=value, value=value) for value in wide]

        @s.bot.tree.command(name="long", description="Too long in all.")
        @app_commands.choices(value=choices, other=choices)
        async def _(interaction: discord.Interaction, value: str, other: str) -> None: ...

        with pytest.raises(discord.app_commands.CommandSyncFailure, match="8000"):
            await s.bot.tree.sync()
        assert len(s.server.commands) == 3
        assert len(s.server.syncs) == 1


async def test_two_shards_share_the_guilds() -> None:
    async with imitation(shards=2) as server:
        guilds = [server.add_guild(shard=shard) for shard in (0, 1)]
        places = [(guild, guild.add_channel(), guild.add_member("alice")) for guild in guilds]
        async with running(server) as bot:
            assert bot.shard_count == 2
            assert server.gateway.identifies == [(0, 2), (1, 2)]
            for guild, channel, alice in places:
                run = await (await alice.slash(channel, "wan video", prompt="a cat")).answered()
                assert run.text == "a cat 0 None 5"
                found = bot.get_guild(guild.id)
                assert found is not None
                assert found.shard_id == guilds.index(guild)


async def test_a_set_shard_count_works_with_the_default_gateway() -> None:
    async with imitation(shards=4) as server:
        server.add_guild()
        async with running(server, shard_count=2, shard_ids=[0, 1]):
            assert server.gateway.identifies == [(0, 2), (1, 2)]


async def test_each_process_hears_of_the_guilds_of_its_own_shards() -> None:
    async with imitation(shards=2) as server:
        guilds = [server.add_guild(shard=shard) for shard in (0, 1)]
        places = [(guild.add_channel(), guild.add_member()) for guild in guilds]
        async with running(server, shard_count=2, shard_ids=[0]) as one:
            (channel, alice), (other, bob) = places
            run = await (await alice.slash(channel, "wan video", prompt="heard")).answered()
            missed = await bob.slash(other, "wan video", prompt="missed")
            assert (run.is_delivered, missed.is_delivered) == (True, False)
            async with running(server, shard_count=2, shard_ids=[1]) as two:
                later = await (await bob.slash(other, "wan video", prompt="again")).answered()
                assert later.is_delivered
                assert (one.seen, two.seen) == ([run.id], [later.id])
                assert [[guild.id for guild in bot.guilds] for bot in (one, two)] == [[guild.id] for guild in guilds]
                assert not missed.attempts


async def test_two_sessions_of_a_shard_both_hear_and_one_may_answer() -> None:
    async with scene() as s, running(s.server, shard_count=1, shard_ids=[0]) as other:
        await s.server.wait_for(lambda: len(s.server.gateway.identifies) == 2)
        run = await (await s.alice.slash(s.channel, "wan video", prompt="both")).answered()
        await s.server.wait_for(lambda: len(run.attempts) == 2)
        assert s.bot.seen == other.seen == [run.id]
        assert sorted(str(attempt.code) for attempt in run.attempts) == ["40060", "None"]


async def test_a_session_that_starts_too_soon_is_refused_and_counted() -> None:
    # this bot waits for nothing, so its second shard asks until it is let in
    async with imitation(shards=2, identify_seconds=0.3) as server, running(server):
        assert server.gateway.identifies == [(0, 2), (1, 2)]
        assert set(server.gateway.starts.too_soon) == {1}


async def test_shards_of_different_buckets_start_together() -> None:
    async with imitation(shards=2, identify_seconds=60, max_concurrency=2) as server:
        server.gateway.starts.remaining = 7
        async with running(server) as bot:
            assert server.gateway.starts.too_soon == []
            answer = await bot.http.request(Route("GET", "/gateway/bot"))
            assert answer["shards"] == 2
            assert answer["session_start_limit"] == {
                "total": 1000,
                "remaining": 5,
                "reset_after": 14_400_000,
                "max_concurrency": 2,
            }


# interactions


async def test_a_slash_command_with_a_picture_is_deferred_and_answered() -> None:
    async with scene() as s:
        run = await s.alice.slash(s.channel, "wan video", prompt="a cat", image=("my cat.png", PNG), model="m")
        await run.answered()
        assert shown(run).content == f"a cat {len(PNG)} m 5"
        assert shown(run).labels == ["Again"]
        assert run.ack is not None
        assert run.ack["type"] == 5
        assert only(s.channel.messages) is run.message
        assert [edit.via for edit in shown(run).edits] == ["token"]
        assert run.acked_after is not None
        assert run.acked_after < 1


async def test_upload_links_are_signed_and_end() -> None:
    async with scene() as s:
        run = await s.alice.slash(s.channel, "wan video", prompt="a cat", image=("cat.png", PNG))
        await run.answered()
        (attachment,) = run.payload["data"]["resolved"]["attachments"].values()
        assert (attachment["width"], attachment["height"]) == (64, 48)
        async with aiohttp.ClientSession() as session:
            async with session.get(attachment["url"]) as response:
                assert await response.read() == PNG
            async with session.get(attachment["url"].split("?")[0]) as response:
                assert response.status == 404
            s.server.drop_uploads()
            async with session.get(attachment["url"]) as response:
                assert response.status == 404


async def test_what_the_app_would_not_send_is_refused() -> None:
    async with scene() as s:
        with pytest.raises(ValueError, match="needs"):
            await s.alice.slash(s.channel, "wan video")
        with pytest.raises(ValueError, match="has no"):
            await s.alice.slash(s.channel, "wan video", prompt="x", colour="red")
        with pytest.raises(ValueError, match="does not take"):
            await s.alice.slash(s.channel, "wan video", prompt="x", seconds="5")
        with pytest.raises(ValueError, match="1 to 100"):
            await s.alice.slash(s.channel, "wan video", prompt="x" * 101)
        with pytest.raises(LookupError):
            await s.alice.slash(s.channel, "wan picture", prompt="x")
        with pytest.raises(PermissionError):
            await s.alice.slash(s.channel, "wan-admin credits grant")


async def test_a_nested_command_resolves_members_roles_and_channels() -> None:
    async with scene() as s:
        vip = s.guild.add_role("VIP")
        moderator = s.guild.add_member("mod", roles=[vip], permissions=["manage_guild"])
        run = await moderator.slash(s.channel, "wan-admin credits grant", member=s.alice, role=vip, place=s.channel)
        await run.answered()
        assert run.text == "alice VIP videos"


async def test_autocomplete_offers_choices() -> None:
    async with scene() as s:
        choices = await s.alice.autocomplete(s.channel, "wan video", focused="model", value="lite", prompt="x")
        assert choices == [{"name": "LITE", "value": "lite"}]


async def test_a_button_edits_its_message() -> None:
    async with scene() as s:
        run = await (await s.alice.slash(s.channel, "wan video", prompt="a cat")).answered()
        click = await (await s.alice.click(shown(run), "again:")).answered()
        assert click.message is run.message
        assert shown(run).content == "again 7"
        assert shown(run).labels == ["Again"]


async def test_a_form_is_filled_in() -> None:
    async with scene() as s:
        opener = await s.alice.slash(s.channel, "wan compose")
        await opener.acked()
        await asyncio.sleep(0.02)
        sent = await s.alice.submit(opener, {"Prompt": "two\nlines", "Files": [("a.png", PNG)]})
        await sent.answered()
        assert sent.text == f"two\nlines [{len(PNG)}]"
        with pytest.raises(ValueError, match="required"):
            await s.alice.submit(opener)


async def test_a_menu_shows_its_target() -> None:
    async with scene() as s:
        message = await s.alice.say(s.channel, "look", files=[("a.png", PNG)])
        run = await (await s.alice.menu(s.channel, "Peek", message)).answered()
        assert run.text == "look 1"


async def test_whispers_are_seen_by_their_member_only() -> None:
    async with scene() as s:
        run = await s.alice.slash(s.channel, "wan whisper")
        await s.server.wait_for(lambda: run.followups)
        assert [reply.content for reply in run.replies] == ["psst", "and more"]
        assert all(reply.ephemeral for reply in run.replies)
        assert s.channel.messages == []
        with pytest.raises(discord.NotFound) as caught:
            await s.place.get_partial_message(shown(run).id).edit(content="x")
        assert caught.value.code == 10008


async def test_a_late_answer_is_refused() -> None:
    async with scene(ack_seconds=0.1) as s:
        run = await s.alice.slash(s.channel, "wan slow")
        await s.server.wait_for(lambda: run.attempts)
        assert [attempt.code for attempt in run.attempts] == [10062]
        assert s.channel.messages == []


async def test_a_second_answer_is_refused() -> None:
    async with scene() as s:
        run = await (await s.alice.slash(s.channel, "wan video", prompt="x")).answered()
        s.server.redeliver(run)
        await s.server.wait_for(lambda: len(run.attempts) == 2)
        assert [attempt.code for attempt in run.attempts] == [None, 40060]
        assert s.bot.seen == [run.id, run.id]
        await s.server.wait_for(lambda: s.bot.errors)
        assert cast("discord.HTTPException", s.bot.errors[0]).code == 40060
        assert len(s.channel.messages) == 1


async def test_a_token_ends() -> None:
    async with scene() as s:
        run = await (await s.alice.slash(s.channel, "wan video", prompt="x")).answered()
        webhook = discord.Webhook.partial(s.server.world.application_id, run.token, client=s.bot)
        await webhook.edit_message(shown(run).id, content="by token")
        run.expire()
        with pytest.raises(discord.HTTPException) as caught:
            await webhook.edit_message(shown(run).id, content="too late")
        assert (caught.value.status, caught.value.code) == (401, 50027)
        await s.place.get_partial_message(shown(run).id).edit(content="by bot")
        assert [edit.via for edit in shown(run).edits][-2:] == ["token", "bot"]
        unknown = discord.Webhook.partial(s.server.world.application_id, "x" * 68, client=s.bot)
        with pytest.raises(discord.NotFound) as missing:
            await unknown.fetch_message(shown(run).id)
        assert missing.value.code == 10015


async def test_a_placeholder_can_be_replaced_by_a_whisper() -> None:
    async with scene() as s:
        run = await s.alice.slash(s.channel, "wan refuse")
        await run.answered()
        assert shown(run).deleted
        assert [reply.text for reply in run.replies] == ["no"]
        assert s.channel.visible == []


async def test_the_first_follow_up_fills_in_the_placeholder() -> None:
    async with scene() as s:
        run = await (await s.alice.slash(s.channel, "wan late")).answered()
        assert run.followups == []
        assert (shown(run).content, shown(run).loading) == ("late", False)


async def test_interactions_work_in_threads() -> None:
    async with scene() as s:
        card = await s.place.send("card")
        made = await s.bot.http.start_thread_with_message(
            s.channel.id, card.id, name="results", auto_archive_duration=1440
        )
        thread = s.guild.channels[-1]
        assert (int(made["id"]), thread.parent) == (thread.id, s.channel)
        run = await (await s.alice.slash(thread, "wan video", prompt="x")).answered()
        thread.archive()
        with pytest.raises(discord.HTTPException) as caught:
            await s.bot.place(thread).get_partial_message(shown(run).id).edit(content="y")
        assert caught.value.code == 50083
        await s.bot.place(thread).send("opens again")
        assert not thread.archived


# messages


async def test_a_nonce_posts_once() -> None:
    async with scene() as s:
        first = await s.place.send("done", nonce="job-1", file=discord.File(io.BytesIO(b"mp4"), "wan.mp4"))
        second = await s.place.send("done again", nonce="job-1")
        assert second.id == first.id
        message = only(s.channel.messages)
        assert (message.nonce, message.content) == ("job-1", "done")
        assert message.attachments[0].content == b"mp4"
        assert await second.attachments[0].read() == b"mp4"
        message.delete()
        with pytest.raises(discord.NotFound) as caught:
            await s.place.send("done", nonce="job-1")
        assert caught.value.code == 10008
        await s.place.send("done", nonce="job-2")
        assert len(s.channel.visible) == 1


async def test_an_edit_keeps_attachments_until_told_otherwise() -> None:
    async with scene() as s:
        files = [discord.File(io.BytesIO(name.encode()), f"{name}.png") for name in ("a", "b")]
        sent = await s.place.send("card", files=files, embed=discord.Embed().set_image(url="attachment://a.png"))
        message = only(s.channel.messages)
        await sent.edit(content="card 2")
        assert [file.filename for file in message.attachments] == ["a.png", "b.png"]
        edited = await sent.edit(attachments=[sent.attachments[1], discord.File(io.BytesIO(b"c"), "c.png")])
        assert [file.filename for file in message.attachments] == ["b.png", "c.png"]
        assert [file.filename for file in edited.attachments] == ["b.png", "c.png"]
        assert [edit.content for edit in message.edits] == ["card 2", "card 2"]


async def test_an_embed_links_its_picture() -> None:
    async with scene() as s:
        file = discord.File(io.BytesIO(PNG), "a.png")
        sent = await s.place.send(file=file, embed=discord.Embed(title="card").set_image(url="attachment://a.png"))
        assert sent.embeds[0].image.url == sent.attachments[0].url
        assert only(s.channel.messages).text == "card"


async def test_components_v2() -> None:
    async with scene() as s:
        view = discord.ui.LayoutView(timeout=None)
        file = discord.File(io.BytesIO(PNG), "a.png")
        gallery = discord.ui.MediaGallery[discord.ui.LayoutView](discord.MediaGalleryItem(file))
        row = discord.ui.ActionRow[discord.ui.LayoutView](cast("Any", Again("7")))
        view.add_item(discord.ui.Container(discord.ui.TextDisplay("# Done"), gallery, row))
        sent = await s.place.send(view=view, file=file)
        message = only(s.channel.messages)
        assert (message.text, message.labels) == ("# Done", ["Again"])
        container = cast("discord.Container", sent.components[0])
        shown_gallery = cast("discord.MediaGalleryComponent", container.children[1])
        assert shown_gallery.items[0].media.url == sent.attachments[0].url
        with pytest.raises(discord.HTTPException, match="Not allowed with V2"):
            await sent.edit(content="x")


async def test_history_is_read_in_both_directions() -> None:
    async with scene() as s:
        await s.alice.say(s.channel, "hidden from the bot")
        sent = [await s.place.send(f"message {number}") for number in range(4)]
        await sent[3].delete()
        after = [message.content async for message in s.place.history(after=sent[0])]
        assert after == ["message 1", "message 2"]
        newest = [message.content async for message in s.place.history(limit=4)]
        assert newest == ["message 2", "message 1", "message 0", ""]
        s.channel.deny("read_message_history")
        assert [message async for message in s.place.history()] == []


async def test_replies_and_mentions() -> None:
    async with scene() as s:
        card = await s.place.send("card")
        target = discord.MessageReference(
            message_id=card.id, channel_id=s.channel.id, guild_id=s.guild.id, fail_if_not_exists=False
        )
        none = discord.AllowedMentions.none()
        text = f"{s.alice.mention} done"
        await s.place.send(text, reference=target, allowed_mentions=none)
        alone = discord.AllowedMentions(users=[s.alice.user], replied_user=False)
        await s.place.send(text, reference=target, allowed_mentions=alone)
        quiet, loud = s.channel.messages[1:]
        assert (quiet.mentions, loud.mentions) == ([], [s.alice.id])
        assert quiet.referenced is s.channel.messages[0]
        await card.delete()
        await s.place.send("late", reference=target)
        assert s.channel.messages[-1].reference is None
        with pytest.raises(discord.HTTPException, match="Unknown message"):
            await s.place.send("late", reference=discord.MessageReference(message_id=card.id, channel_id=s.channel.id))


async def test_limits_of_messages() -> None:
    async with scene(upload_limit=1000) as s:
        with pytest.raises(discord.HTTPException) as caught:
            await s.place.send("x" * 2001)
        assert caught.value.code == 50035
        with pytest.raises(discord.HTTPException) as caught:
            await s.place.send(" ")
        assert caught.value.code == 50006
        with pytest.raises(discord.HTTPException) as caught:
            await s.place.send(file=discord.File(io.BytesIO(bytes(1001)), "large.mp4"))
        assert (caught.value.status, caught.value.code) == (413, 40005)
        assert s.channel.messages == []


async def test_what_moderators_take_away() -> None:
    async with scene() as s:
        card = await s.place.send("card")
        s.channel.deny("attach_files")
        with pytest.raises(discord.Forbidden) as caught:
            await s.place.send(file=discord.File(io.BytesIO(b"x"), "x.mp4"))
        assert caught.value.code == 50013
        s.channel.deny("view_channel")
        with pytest.raises(discord.Forbidden) as caught:
            await card.edit(content="x")
        assert caught.value.code == 50001
        s.channel.allow("view_channel", "attach_files")
        s.channel.messages[0].delete()
        with pytest.raises(discord.NotFound) as missing:
            await card.edit(content="x")
        assert missing.value.code == 10008
        s.channel.delete()
        with pytest.raises(discord.NotFound) as missing:
            await s.place.send("x")
        assert missing.value.code == 10003
        s.guild.remove_bot()
        await s.server.wait_for(lambda: s.bot.get_guild(s.guild.id) is None)


async def test_direct_messages_can_be_closed() -> None:
    async with scene() as s:
        user = await s.bot.fetch_user(s.alice.id)
        await user.send("hello")
        assert s.alice.user.dm is not None
        assert only(s.alice.user.dm.messages).content == "hello"
        s.alice.user.accepts_dms = False
        with pytest.raises(discord.Forbidden) as caught:
            await user.send("hello?")
        assert caught.value.code == 50007


# what goes wrong


async def test_429_is_obeyed() -> None:
    async with scene() as s:
        rule = s.server.faults.add("POST", "/channels/*/messages", RateLimited(0.05), times=2)
        await s.place.send("x")
        assert rule.hits == 2
        statuses = [request.status for request in s.server.requests.to("POST", "/channels/*/messages")]
        assert statuses == [429, 429, 200]
        assert len(s.channel.messages) == 1


async def test_buckets_are_told_in_headers() -> None:
    async with scene() as s:
        bucket = s.server.limits.add("POST", "/channels/*/messages", limit=2, per=0.2)
        started = time.monotonic()
        for _ in range(5):
            await s.place.send("x")
        assert time.monotonic() - started >= 0.4
        assert bucket.refused == 0


async def test_an_error_without_a_retry_and_one_that_was_done_nevertheless() -> None:
    async with scene() as s:
        s.server.faults.add("POST", "/channels/*/messages", Fails(503))
        with pytest.raises(discord.DiscordServerError):
            await s.place.send("x")
        assert s.channel.messages == []
        s.server.faults.add("POST", "/channels/*/messages", Fails(503, handled=True))
        with pytest.raises(discord.DiscordServerError):
            await s.place.send("x")
        assert len(s.channel.messages) == 1


@pytest.mark.parametrize(("fault", "posted"), [(CutBefore(), 0), (CutAfter(), 1)])
async def test_a_cut_connection_and_a_second_try(fault: CutBefore | CutAfter, posted: int) -> None:
    async with scene() as s:
        s.server.faults.add("POST", "/channels/*/messages", fault)
        with pytest.raises((aiohttp.ClientError, OSError)):
            await s.place.send("x", nonce="n")
        assert len(s.channel.messages) == posted
        await s.place.send("x", nonce="n")
        assert len(s.channel.messages) == 1
        assert [request.status for request in s.server.requests.to("POST", "/channels/*/messages")] == [0, 200]


async def test_an_upload_that_breaks_off_is_no_failure() -> None:
    async with scene() as s:
        host, port = s.server.base_url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        lines = (
            f"POST /api/v10/channels/{s.channel.id}/messages HTTP/1.1",
            "Host: discord",
            f"Authorization: Bot {s.server.token}",
            "Content-Type: multipart/form-data; boundary=x",
            "Content-Length: 1000",
            "",
            "--x",
            'Content-Disposition: form-data; name="files[0]"; filename="a.mp4"',
            "",
            "half",
        )
        writer.write("\r\n".join(lines).encode())
        await s.server.wait_for(lambda: s.server.requests.to("POST", "/channels/*/messages"))
        writer.transport.abort()
        await asyncio.sleep(0.02)
        assert s.channel.messages == []


async def test_a_delay() -> None:
    async with scene() as s:
        s.server.faults.add("POST", "**", Delay(0.1))
        await s.place.send("x")
        assert s.server.requests[-1].seconds >= 0.1


async def test_unknown_paths_are_refused() -> None:
    async with scene() as s:
        with pytest.raises(discord.NotFound) as caught:
            await s.bot.http.request(Route("GET", "/voice/regions"))
        assert caught.value.code == 0


@pytest.mark.parametrize("how", ["close", "abort", "reconnect"])
async def test_a_lost_socket_resumes_and_missed_events_arrive(how: Any) -> None:
    async with scene() as s:
        async with s.server.gateway_down(how):
            run = await s.alice.slash(s.channel, "wan video", prompt="missed")
            await asyncio.sleep(0.05)
            assert run.ack is None
        await run.answered()
        assert run.text == "missed 0 None 5"
        assert (len(s.server.gateway.identifies), s.server.gateway.resumes) == (1, 1)


async def test_a_lost_session_identifies_anew() -> None:
    async with scene() as s:
        s.server.drop_gateway(resumable=False)
        await s.server.wait_for(lambda: len(s.server.gateway.identifies) == 2)
        run = await (await s.alice.slash(s.channel, "wan video", prompt="new")).answered()
        assert run.text == "new 0 None 5"


async def test_a_bot_that_stops_is_gone() -> None:
    async with imitation() as server:
        guild = server.add_guild()
        channel, alice = guild.add_channel(), guild.add_member()
        async with running(server):
            pass
        await server.wait_gone()
        assert server.gateway.sessions == {}
        run = await alice.slash(channel, "wan video", prompt="nobody there")
        with pytest.raises(TimeoutError):
            await run.acked(0.05)
        async with running(server):
            assert len(server.syncs) == 2
            assert server.commands[0]["id"] == run.payload["data"]["id"]


PROCESS = """
import os, discord
discord.http.Route.BASE = os.environ["DISCORD_API_URL"]
client = discord.AutoShardedClient(intents=discord.Intents(guilds=True))
tree = discord.app_commands.CommandTree(client)

@tree.command(description="Answer.")
async def ping(interaction):
    await interaction.response.send_message("pong")

@client.event
async def setup_hook():
    await tree.sync()

client.run(os.environ["DISCORD_TOKEN"], log_handler=None)
"""


async def test_a_killed_process_leaves_its_session_behind() -> None:
    async with DiscordServer() as server:
        guild = server.add_guild()
        channel, alice = guild.add_channel(), guild.add_member()
        environment = os.environ | {"DISCORD_API_URL": server.api_url, "DISCORD_TOKEN": server.token}
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROCESS, env=environment)
        try:
            await server.wait_ready()
            run = await (await alice.slash(channel, "ping")).answered()
            assert run.text == "pong"
        finally:
            process.kill()
            await process.wait()
        await server.wait_gone()
        assert len(server.gateway.sessions) == 1
