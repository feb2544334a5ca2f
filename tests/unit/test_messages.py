from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import discord
import pytest
from discord.webhook.async_ import async_context

from bot.delivery.cards import Card
from bot.delivery.messages import (
    CANCEL,
    DETAILS,
    NO_MENTIONS,
    Button,
    buttons,
    card_buttons,
    card_embed,
    card_files,
    closing_files,
    has_button_of,
    result_file,
    result_text,
)
from bot.jobs.job import Job, Request, State, StoredMedia, new_id
from cogs.buttons import JobButton
from providers.types import Mode
from tests.clocks import NOON

JOB = Job(
    id=new_id(NOON, 12345),
    interaction_id=1,
    guild_id=2,
    channel_id=3,
    user_id=4,
    account_id=5,
    state=State.SUCCEEDED,
    version=4,
    model="demo",
    request=Request(prompt="a fox", mode=Mode.TEXT, resolution="480p", duration=5),
    quote=1,
    upload_limit=1,
    created_at=NOON,
    result_url="https://vendor.example/1.mp4",
)
CARD = Card(
    title="Running",
    description="a fox",
    fields=(("Model", "Demo"), ("Options", "480p"), ("Price", "1 credit")),
    footer="Job 0",
    colour=0x5865F2,
    is_open=True,
    can_cancel=True,
)


def custom_ids(view: discord.ui.View) -> list[str | None]:
    return [item.custom_id for item in view.children if isinstance(item, discord.ui.Button)]


# --- buttons ----------------------------------------------------------------------------------------


async def test_a_button_says_what_it_does_and_for_which_job() -> None:
    view = buttons(JOB.id, CANCEL, DETAILS)
    assert custom_ids(view) == [f"wan:cancel:{JOB.id}", f"wan:details:{JOB.id}"]
    assert all(len(custom_id or "") <= 100 for custom_id in custom_ids(view))


async def test_what_a_button_says_is_what_the_cogs_listen_for() -> None:
    for button in (CANCEL, DETAILS):
        (custom_id,) = custom_ids(buttons(JOB.id, button))
        match = JobButton.__discord_ui_compiled_template__.fullmatch(custom_id or "")
        assert match is not None
        assert match.groupdict() == {"action": button.action, "job": JOB.id}


def labels_of(card: Card) -> list[str | None]:
    return [item.label for item in card_buttons(card, JOB.id).children if isinstance(item, discord.ui.Button)]


async def test_the_cancel_button_is_labelled_cancel_and_is_there_only_while_something_can_be_stopped() -> None:
    assert labels_of(CARD) == ["Cancel", "Refresh"]
    assert labels_of(replace(CARD, can_cancel=False)) == ["Refresh"]
    assert labels_of(replace(CARD, can_cancel=False, is_open=False)) == []


def message_from_discord(message_id: int) -> dict[str, Any]:
    """A message as Discord answers with it."""
    author = {"id": "9", "username": "wanbot", "discriminator": "0", "avatar": None, "global_name": None}
    return {
        "id": str(message_id),
        "channel_id": "3",
        "author": author,
        "content": "",
        "timestamp": NOON.isoformat(),
        "edited_timestamp": None,
        "tts": False,
        "mention_everyone": False,
        "mentions": [],
        "mention_roles": [],
        "attachments": [],
        "embeds": [],
        "pinned": False,
        "type": 0,
        "components": [],
    }


class Wire:
    """Discord's end of three calls: each is answered with a message."""

    async def send_message(self, *_: object, **__: object) -> dict[str, Any]:
        return message_from_discord(51)

    async def edit_message(self, *_: object, **__: object) -> dict[str, Any]:
        return message_from_discord(52)

    async def create_interaction_response(self, *_: object, **__: object) -> dict[str, Any]:
        return {
            "interaction": {"id": "1", "type": 2, "response_message_id": "53"},
            "resource": {"type": 4, "message": message_from_discord(53)},
        }


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> discord.Client:
    client = discord.Client(intents=discord.Intents.none())
    for name in ("send_message", "edit_message"):
        monkeypatch.setattr(client.http, name, getattr(Wire(), name))
    return client


def kept_by(client: discord.Client) -> set[str]:
    """The custom ids that discord.py listens for by itself."""
    store = client._connection._view_store  # pyright: ignore[reportPrivateUsage]
    return {custom_id for views in store._views.values() for _, custom_id in views}  # pyright: ignore[reportPrivateUsage]


async def show_everywhere(client: discord.Client, make_view: Callable[[], discord.ui.View]) -> None:
    """Post a view, edit a message to show it, and answer a command with it."""
    channel = client.get_partial_messageable(3, guild_id=2)
    await channel.send(view=make_view())
    await channel.get_partial_message(52).edit(view=make_view())
    member = message_from_discord(0)["author"]
    raw: Any = {
        "id": "1",
        "application_id": "9",
        "type": 2,
        "token": "t",
        "version": 1,
        "attachment_size_limit": 1,
        "authorizing_integration_owners": {},
        "user": member,
        "data": {"id": "1", "name": "wan", "type": 1},
    }
    interaction = discord.Interaction[discord.Client](
        data=raw,
        state=client._connection,  # pyright: ignore[reportPrivateUsage]
    )
    wire: Any = Wire()
    token = async_context.set(wire)
    try:
        await interaction.response.send_message(view=make_view())
    finally:
        async_context.reset(token)


async def test_discords_library_keeps_nothing_of_our_buttons(client: discord.Client) -> None:
    await show_everywhere(client, lambda: card_buttons(CARD, JOB.id))
    await show_everywhere(client, lambda: buttons(JOB.id, DETAILS))
    assert kept_by(client) == set()


async def test_of_a_view_that_was_not_stopped_it_would_keep_everything(client: discord.Client) -> None:
    def unstopped() -> discord.ui.View:
        view = discord.ui.View(timeout=None)
        return view.add_item(discord.ui.Button[discord.ui.View](custom_id="wan:cancel:x"))

    await show_everywhere(client, unstopped)
    assert kept_by(client) == {"wan:cancel:x"}, "else the test before this one tells nothing"


async def test_a_message_of_ours_is_known_by_the_job_in_its_button() -> None:
    row = discord.ui.ActionRow[Any](*buttons(JOB.id, CANCEL).children)
    assert has_button_of([row], JOB.id)
    assert has_button_of([row], JOB.id, "cancel")
    assert not has_button_of([row], JOB.id, "details")
    assert not has_button_of([row], "0" * 12)
    assert not has_button_of([], JOB.id)
    foreign = discord.ui.Button[discord.ui.View](custom_id=f"other:cancel:{JOB.id}")
    link = discord.ui.Button[discord.ui.View](url="https://example.com")
    assert not has_button_of([discord.ui.ActionRow[Any](foreign, link), object()], JOB.id)


async def test_a_button_of_another_make_is_shown_as_it_says() -> None:
    stop = Button("stop", "Stop", discord.ButtonStyle.danger)
    (item,) = buttons(JOB.id, stop).children
    assert isinstance(item, discord.ui.Button)
    assert (item.label, item.style) == ("Stop", discord.ButtonStyle.danger)


# --- cards and results ------------------------------------------------------------------------------


def test_an_embed_says_what_the_card_says() -> None:
    embed = card_embed(CARD)
    assert (embed.title, embed.description, embed.footer.text) == ("Running", "a fox", "Job 0")
    assert [(field.name, field.value) for field in embed.fields] == list(CARD.fields)
    assert embed.colour == discord.Colour(0x5865F2)


def test_nobody_is_mentioned_by_a_card() -> None:
    assert NO_MENTIONS.to_dict() == {"parse": []}


def test_a_result_mentions_the_member() -> None:
    assert result_text(JOB, is_link=False) == "<@4> Your video is ready."


def test_a_link_comes_with_its_expiry_or_with_the_longest_that_is_known() -> None:
    expiring = replace(JOB, result_expires_at=NOON + timedelta(hours=1))
    text = result_text(expiring, is_link=True)
    assert "https://vendor.example/1.mp4" in text
    assert re.search(r"The link works until <t:\d+:f>\.$", text)
    assert result_text(JOB, is_link=True).endswith("The link works for at most 24 hours.")


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("https://v.example/a_b_/1.mp4?X-Sig=a%2Fb%3D&e=1#t", "https://v.example/a_b_/1.mp4?X-Sig=a%2Fb%3D&e=1#t"),
        ("https://v.example/a b", "https://v.example/a%20b"),
        (
            "https://v.example/ @everyone <@&1> `x` ||y||",
            "https://v.example/%20@everyone%20%3C@&1%3E%20%60x%60%20%7C%7Cy%7C%7C",
        ),
        ("https://v.example/é", "https://v.example/%C3%A9"),
    ],
)
def test_a_vendors_link_is_one_word_whatever_stands_in_it(link: str, shown: str) -> None:
    text = result_text(replace(JOB, result_url=link), is_link=True)
    assert f"too large for this community: {shown}\nThe link works" in text


def test_a_link_hides_behind_a_spoiler_when_asked() -> None:
    hidden = replace(JOB, request=JOB.request.model_copy(update={"spoiler": True}))
    assert "|| https://vendor.example/1.mp4 ||" in result_text(hidden, is_link=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("image.png", "video.mp4", "made.mp4"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize("spoiler", [True, False])
def test_a_video_has_its_prompt_as_its_text_and_hides_behind_a_spoiler_when_asked(
    *, folder: Path, spoiler: bool
) -> None:
    long = JOB.request.model_copy(update={"prompt": "x" * 6000, "spoiler": spoiler})
    with closing_files([result_file(replace(JOB, request=long), folder / "made.mp4")]) as (file,):
        assert file.spoiler is spoiler
        assert file.filename.removeprefix("SPOILER_") == f"wan-{JOB.id}.mp4"
        # of what is hidden nothing is read out
        hidden = "A video made with Wan, hidden behind a spoiler"
        assert file.description == (hidden if spoiler else f"{'x' * 1023}…")


def test_a_videos_text_is_one_line_without_tricks(folder: Path) -> None:
    tricky = JOB.request.model_copy(update={"prompt": "a\u202eb\n\u2066c\x1b" + "d\u0301" + "\u0489" * 99})
    with closing_files([result_file(replace(JOB, request=tricky), folder / "made.mp4")]) as (file,):
        assert file.description == "a b c d\u0301" + "\u0489" * 3


@pytest.mark.parametrize("prompt", ["", "\u200b", "\n\t \u2060"])
def test_a_video_without_a_prompt_has_a_text_too(folder: Path, prompt: str) -> None:
    silent = replace(JOB, request=JOB.request.model_copy(update={"prompt": prompt}))
    with closing_files([result_file(silent, folder / "made.mp4")]) as (file,):
        assert file.description == "A video made with Wan"


def test_the_card_carries_our_copies_of_what_was_attached(folder: Path) -> None:
    image = StoredMedia(path="image.png", content_type="image/png", filename="image.png")
    video = StoredMedia(path="video.mp4", content_type="video/mp4", filename="video.mp4")
    request = JOB.request.model_copy(update={"image": image, "video": video, "spoiler": True})
    with closing_files(card_files(replace(JOB, request=request), folder)) as files:
        assert [file.filename for file in files] == ["SPOILER_image.png", "SPOILER_video.mp4"]
        assert [file.description for file in files] == [
            "The picture that the video starts from",
            "The clip that the video starts from",
        ]
    last = StoredMedia(path="image.png", content_type="image/png", filename="last_image.png")
    request = JOB.request.model_copy(update={"image": image, "last_image": last})
    with closing_files(card_files(replace(JOB, request=request), folder)) as files:
        assert [file.description for file in files] == [
            "The picture that the video starts from",
            "The picture that the video ends on",
        ]
    assert all(file.fp.closed for file in files)
