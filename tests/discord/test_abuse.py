"""What people write who mean no good: it is shown as it is, refused in words, and never costs anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import discord
import pytest
import simcord

from bot.delivery.words import LONGEST_MESSAGE
from tests.discord.reading import alive
from tests.discord.steps import ask, decide, refused
from tests.discord.worlds import World, is_private, labels, text_of
from tests.imitations.pixeldojo import PixelDojoImitation

WAN_22: Final = "pixeldojo/wan-2.2-standard"

#: nothing in it is anything but text
PLAIN: Final = "A quiet fox in the snow"
HOSTILE: Final[Mapping[str, str]] = {
    "mentions": "@everyone @here <@1> <@!1> <@&1> <#1> </wan video:1> <id:guide> <:a:123> <a:b:123> <t:1:R>",
    "markdown": "**b** __u__ *i* _i_ ~~s~~ ||h|| `c` ```\ncode\n``` \\*\\* \\",
    "lines": "# Heading\n## Two\n-# small\n> quote\n>>> quotes\n- list\n* list\n1. list",
    "a heading": "# Heading",
    "a numbered list": "7. list",
    "masked links": "[x](http://evil.example) [y](<https://evil.example>) [z](https://evil.example 'title')",
    "bare links": "https://evil.example http://1.2.3.4/a_b_ HTTPS://EVIL.EXAMPLE steam://run/1 <https://e.x> <tel:112>",
    "invitations": "discord.gg/abc DISCORD.GG/abc discord.com/invite/abc discordapp.com\\invite\\abc",
    "escaped by hand": "\\https\\://evil.example \\\\<@1> \\[x](http://evil.example) discord\\.gg/abc",
    "look-alikes": "＠everyone ﹫here ｈｔｔｐｓ：／／evil.example dіscord.gg/abc",  # noqa: RUF001 - the point of it
    "control characters": "a\x01b\x07c\x1b[31md\x7fe\x85f\tg\r\nh",
    "directions": "\u202egpj.exe\u202c \u2066a\u2069 \u200f\u061c \u200b\u200d\u2060\ufeff \U000e0041\u2028\u2029",
    "towers": "Z\u0301\u0489\u0336\u0334\u0335\u0337\u0338\u20d2\u20d3" * 50,
    "long": "https://evil.example/@everyone*[" * 180,
    "only stars": "*" * 6000,
    "only emoji": "🦊" * 3000,
}


def harmless(text: str, like: str, what: str) -> None:
    """A text has nothing in it that one like it hasn't, but for what a member wrote."""
    assert alive(text) == alive(like), f"{what}: {text!r}"


def shown(message: Any) -> Iterator[tuple[str, str]]:
    """Every text of a message in which a client reads more than text; each is within Discord's limits."""
    assert len(message.content) <= LONGEST_MESSAGE
    yield "content", message.content
    for attachment in message.attachments:
        assert len(attachment.description or "") <= 1024
    for embed in message.embeds:
        assert len(embed) <= 6000
        assert len(embed.title or "") <= 256
        assert len(embed.description or "") <= 4096
        yield "description", embed.description or ""
        for field in embed.fields:
            assert 0 < len((field.value or "").strip()) <= len(field.value or "") <= 1024
            yield f"field {field.name}", field.value or ""


def check_message(message: Any, like: Any, what: str) -> None:
    """A message with something that a member wrote is as harmless as another one like it, and pings nobody else."""
    texts, others = list(shown(message)), list(shown(like))
    assert [name for name, _ in texts] == [name for name, _ in others], what
    for (name, text), (_, other) in zip(texts, others, strict=True):
        harmless(text, other, f"{what}, {name}")
    for each in (message, like):
        whole: discord.Message = getattr(each, "message", each)
        assert not whole.mention_everyone, what
        assert whole.role_mentions == [], what
    assert pinged(message) == pinged(like), what


def pinged(message: Any) -> list[int]:
    whole: discord.Message = getattr(message, "message", message)
    return [user.id for user in whole.mentions]


async def open_wide(world: World) -> simcord.ChannelHandle:
    """Credits and room for many videos at once; gives the log channel."""
    channel = world.guild.create_text_channel("wan-log")
    await decide(world, "log", channel=channel)
    await decide(world, "limits set", member_jobs=100, guild_jobs=100)
    await decide(world, "credits grant", member=world.alice, amount=10_000)
    return channel


async def test_whatever_a_prompt_holds_it_is_shown_as_plain_text(dojo: World, vendor: PixelDojoImitation) -> None:
    log = await open_wide(dojo)
    cards: dict[str, simcord.InteractionResult] = {}
    for what, text in {"plain": PLAIN, **HOSTILE}.items():
        cards[what] = await dojo.video(prompt=text, model=WAN_22)
        check_message(cards[what].response, cards["plain"].response, f"the card, {what}")
    assert [each.body["prompt"] for each in vendor.submissions] == [PLAIN, *HOSTILE.values()], "sent as it was written"
    await _check_suggestions(dojo, "wan cancel")
    for who in (dojo.alice, dojo.bob):
        text = await ask(who, dojo.channel, "queue")
        assert (HOSTILE["a heading"] in text.replace("\\", "")) is (who is dojo.alice), "only to whom it belongs"
        _check_lines(text, len(HOSTILE) + 1, "the queue")
    for submission in vendor.submissions:
        vendor.finish(submission.job_id)
    await dojo.finish()
    await _check_suggestions(dojo, "wan history")
    await _check_suggestions(dojo, "wan report")

    jobs = list(reversed(await dojo.jobs()))
    results = {each.id: each for each in dojo.posted()}
    texts = dict[str, list[Any]]()
    for what, job in zip(cards, jobs, strict=True):
        result = results[job.result_message_id or 0]
        (alt,) = (each.description or "" for each in result.attachments)
        assert alt.strip(), what
        assert alive(alt)["trick"] == alive(alt)["tower"] == alt.count("\n") == 0, what
        details = await dojo.bob.click(result, label="Details")
        answer = await dojo.bob.slash(dojo.channel, "wan report", job=job.id, reason=HOSTILE.get(what, PLAIN)[:500])
        assert text_of(answer) == "Thank you. The moderators have it.", what
        audit = await dojo.mona.slash(dojo.channel, "wan-admin audit", action="results.report")
        texts[what] = [cards[what].response, result, details.response, log.history()[-1]]
        for message, like in zip(texts[what], texts["plain"], strict=True):
            check_message(message, like, what)
        first = text_of(audit).splitlines()[0]
        harmless(first, text_of(audit).splitlines()[-1], f"the audit, {what}")
    await _check_history(dojo)


async def _check_suggestions(world: World, command: str) -> None:
    """What is suggested while somebody types holds no trick and no break."""
    found = await world.alice.autocomplete(world.channel, command, "job", "")
    assert len(found) == len(HOSTILE) + 1
    for choice in found:
        name = str(choice["name"])
        assert 0 < len(name) <= 100
        assert alive(name)["trick"] == alive(name)["tower"] == name.count("\n") == 0, ascii(name)


async def _check_history(world: World) -> None:
    page, pages = await world.alice.slash(world.channel, "wan history"), list[str]()
    while page.response is not None:
        check_message(page.response, page.response, "the history")
        pages.append(text_of(page))
        if "Older" not in labels(page.response):
            break
        await world.alice.click(page.response, label="Older")
    _check_lines("\n".join(pages), len(HOSTILE) + 1, "the history")


def _check_lines(text: str, count: int, what: str) -> None:
    """A list has so many lines, the last of which may count those that have no room; all are alike."""
    *lines, last = text.splitlines()
    more = re.fullmatch(r"… and (\d+) more", last)
    assert len(lines) + (int(more[1]) if more else 1) == count
    for line in lines if more else [*lines, last]:
        harmless(line, lines[0], what)


async def test_whatever_a_vendor_says_it_is_quoted_as_plain_text(dojo: World, vendor: PixelDojoImitation) -> None:
    await open_wide(dojo)
    cards = {what: await dojo.video(prompt=PLAIN, model=WAN_22) for what in ("plain", *HOSTILE)}
    for submission, text in zip(vendor.submissions, (PLAIN, *HOSTILE.values()), strict=True):
        vendor.fail(submission.job_id, text)
    await dojo.finish()
    for what, card in cards.items():
        assert "The provider says: " in text_of(card), what
        check_message(card.response, cards["plain"].response, f"the card, {what}")
    assert (await dojo.account()).held == 0
    assert dojo.posted() == []


async def test_whatever_a_moderator_gives_as_a_reason_it_is_shown_as_plain_text(world: World) -> None:
    log = await open_wide(world)
    texts = dict[str, list[Any]]()
    for what, text in {"plain": PLAIN, **HOSTILE}.items():
        reason = text[:300]
        given = await world.mona.slash(
            world.channel, "wan-admin credits grant", member=world.bob, amount=1, reason=reason
        )
        granted = log.history()[-1]
        await decide(world, "members block", member=world.bob, reason=reason)
        refused = await world.bob.slash(world.channel, "wan video", prompt=PLAIN)
        assert "Their reason: " in text_of(refused), what
        blocked = log.history()[-1]
        await decide(world, "members unblock", member=world.bob)
        audit = await world.mona.slash(world.channel, "wan-admin audit", action="members.block")
        texts[what] = [given.response, granted, refused.response, blocked]
        for message, like in zip(texts[what], texts["plain"], strict=True):
            check_message(message, like, what)
        harmless(text_of(audit).splitlines()[0], text_of(audit).splitlines()[-1], f"the audit, {what}")


@pytest.mark.parametrize("option", ["model", "resolution", "settings"])
async def test_a_refusal_repeats_nothing_that_is_more_than_text(dojo: World, option: str) -> None:
    plain = await _refusal(dojo, "video", prompt=PLAIN, **{"model": WAN_22, option: "nonsense"})
    for what, text in HOSTILE.items():
        said = await _refusal(dojo, "video", prompt=PLAIN, **{"model": WAN_22, option: text})
        assert said.startswith(f"**{option}**"), what
        _check_refusal(said, plain, what)
    assert await dojo.jobs() == []
    assert (await dojo.account()).held == 0


@pytest.mark.parametrize("command", ["history", "cancel", "report"])
async def test_a_refusal_of_an_unknown_video_repeats_nothing(world: World, command: str) -> None:
    plain = await _refusal(world, command, job="nonsense")
    for text in HOSTILE.values():
        assert await _refusal(world, command, job=text) == plain


async def test_a_moderators_mistake_is_repeated_as_plain_text(world: World) -> None:
    plain = await decide(world, "models deny", model="nonsense")
    for what, text in HOSTILE.items():
        said = await decide(world, "models deny", model=text)
        assert said.startswith("**model**"), what
        _check_refusal(said, plain, what)


async def _refusal(world: World, command: str, /, **options: Any) -> str:
    answer = await world.alice.slash(world.channel, f"wan {command}", **options)
    assert is_private(answer)
    assert pinged(answer.response) == []
    assert len(text_of(answer)) <= LONGEST_MESSAGE
    return text_of(answer)


def _check_refusal(said: str, plain: str, what: str) -> None:
    """What is repeated stands between backticks, and holds nothing that turns or breaks the line."""
    without, like = (re.sub(r"`[^`]+`", "", each) for each in (said, plain))
    harmless(without, like, what)
    assert alive(said)["trick"] == 0, f"{what}: {said!r}"
    assert said.count("\n") == 0, what


@pytest.mark.parametrize(
    "text",
    [
        *("\u200b", "\u200b\u200d\u2060\ufeff", "\u3164", "\u2800\u2800", "\u115f\u1160\uffa0", "\u034f", "\u00ad"),
        *("\U000e0041\U000e007f", "\u202e\u202c", " \n\t\r ", "\u00a0\u2003\u3000", "\ufe0f"),
    ],
)
async def test_a_prompt_that_nobody_can_see_is_refused(world: World, text: str) -> None:
    said = await refused(world, prompt=text)
    assert said == "**prompt**: Say in a few words what the video should show."


@pytest.mark.parametrize("broken", ["\0", "\ud83e"])
async def test_a_character_that_no_database_takes_is_refused_wherever_it_is_written(world: World, broken: str) -> None:
    text = f"a cat {broken}"
    for option in ("prompt", "negative_prompt", "settings", "model"):
        given: dict[str, Any] = {option: text}
        assert "holds a broken character" in await refused(world, **given)
    assert "holds a broken character" in await ask(world.alice, world.channel, "history", job=text)
    assert "holds a broken character" in await decide(world, "credits grant", member=world.bob, amount=1, reason=text)
    assert (await world.account(world.bob)).available == 0


# --- settings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ("steps=40\nfps=24", {"sample_steps": 40, "frames_per_second": 24}),
        ("STEPS=40,\tFPS=24,", {"sample_steps": 40, "frames_per_second": 24}),
        ("  interpolate=YES  ", {"interpolate_output": True}),
        ("shift=1e1", {"sample_shift": 10.0}),
        ("", {}),
    ],
)
async def test_settings_are_sent_as_numbers_and_under_the_vendors_names(
    dojo: World, vendor: PixelDojoImitation, settings: str, sent: dict[str, object]
) -> None:
    await dojo.video(prompt=PLAIN, model=WAN_22, settings=settings)
    (submission,) = vendor.submissions
    assert submission.body == {"prompt": PLAIN, "resolution": "480p", "duration": 5, **sent}
    vendor.finish(submission.job_id)
    await dojo.finish()


@pytest.mark.parametrize(
    "settings",
    [
        *("steps=40 steps=41", "steps=40 STEPS=40", "steps", "steps=", "steps==40", "steps=40=41", "=40", "="),
        *(
            '{"steps": 40}',
            "steps=[40]",
            'steps="40"',
            "steps='40'",
            'steps=40" fps="24',
            "steps=40;fps=24",
            "steps:40",
        ),
        *(
            "steps=40&seed=1",
            "steps=40\\nfps=24",
            "steps=$(id)",
            "steps={{7*7}}",
            "steps=%s",
            "steps=None",
            "steps=true",
        ),
        *(
            "steps=9",
            "steps=51",
            "steps=-40",
            "steps=40.0",
            "steps=4e1",
            "steps=0x28",
            "steps=1e309",
            "steps=" + "9" * 5000,
        ),
        *("shift=nan", "shift=inf", "shift=-1e309", "shift=20.0000001", "interpolate=2", "interpolate=null"),
        *("prompt=evil", "image_url=http://169.254.169.254/", "sample_steps=40", "seed=1", "model=demo", "__class__=1"),
        *("steps=40 " * 600, "x=1 " * 1500, "=" * 6000, "steps\u200b=40", "ѕteps=40"),  # noqa: RUF001 - the point of it
    ],
)
async def test_settings_that_are_none_are_refused(dojo: World, settings: str) -> None:
    said = await refused(dojo, model=WAN_22, settings=settings)
    assert all(line.startswith("**settings**: ") for line in said.splitlines())
    assert len(said) <= LONGEST_MESSAGE
