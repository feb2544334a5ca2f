"""Words that prompts may not contain, and members who make no videos."""

from __future__ import annotations

import pytest

from tests.discord.steps import accepted, accepted_elsewhere, ask, audited, decide, decided, refused
from tests.discord.worlds import World, is_private, text_of

pytestmark = pytest.mark.usefixtures("undecided_elsewhere")

COMBINING_RING, ZERO_WIDTH_SPACE, SOFT_HYPHEN, SELECTOR, FILLER = "\u030a", "\u200b", "\u00ad", "\ufe0f", "\u3164"


async def block(world: World, *texts: str) -> None:
    for text in texts:
        assert "blocked, as rule" in await decide(world, "words block", text=text)


# --- words ------------------------------------------------------------------------------------------


async def test_a_blocked_word_is_refused_by_its_number_and_never_shown(world: World) -> None:
    said = await decide(world, "words block", text="Fox")
    assert said == "`fox`\nBefore: not blocked\nNow: blocked, as rule 1"
    await block(world, "wolf")
    said = await refused(world, prompt="A wolf in the snow")
    assert said == (
        "**prompt**: it has a word that this community blocks (its rule 2). Write it differently; nothing was charged."
    )
    assert "rule 1" in await refused(world, prompt="A fox, and a wolf")
    await accepted(world, prompt="A bear in the snow")
    await accepted_elsewhere(world, prompt="A fox and a wolf")


@pytest.mark.parametrize(
    "prompt",
    [
        "a fox",
        "FOX!",
        "(fox)",
        "the\nfox\truns",
        "fox's den",
        "a red_fox_jumps",
        "a föx",  # one character for the letter and its accent
        f"a fo{COMBINING_RING}x",
        "\uff26\uff2f\uff38",  # full-width
        "\U0001d4bb\u2134\U0001d4cd",  # mathematical script
        f"f{ZERO_WIDTH_SPACE}o{ZERO_WIDTH_SPACE}x",
        f"fo{SOFT_HYPHEN}x",
        f"fo{SELECTOR}x",
        f"fo{FILLER}x",
        "f\u0336o\u0336x\u0336",  # struck through
    ],
)
async def test_a_blocked_word_is_found_however_it_is_written(world: World, prompt: str) -> None:
    await block(world, "fox")
    assert "rule 1" in await refused(world, prompt=prompt)
    await accepted_elsewhere(world, prompt=prompt)


@pytest.mark.parametrize("prompt", ["a firefox", "foxes", "f ox", "a føx is Danish", "afoxb", "box", "fo x"])
async def test_a_blocked_word_is_not_found_inside_another(world: World, prompt: str) -> None:
    await block(world, "fox")
    await accepted(world, prompt=prompt)


async def test_stars_stand_for_the_rest_of_a_word(world: World) -> None:
    await block(world, "fox*", "*wolf", "*bear*")
    for prompt, number in {
        "foxes": 1,
        "fox": 1,
        "werewolf": 2,
        "wolf": 2,
        "forbearance": 3,
        "bear": 3,
    }.items():
        assert f"rule {number})" in await refused(world, prompt=prompt)
    for prompt in ("firefox", "wolves", "be a r"):
        await accepted(world, prompt=prompt)


async def test_an_expression_is_found_as_a_whole_only(world: World) -> None:
    await block(world, "  Red   FOX ", "big* wolf")
    assert "1 `red fox`, 2 `big* wolf`" in await decide(world, "limits show")
    for prompt in ("a red fox", "a red, fox", "RED\n\nFOX", "a bigger wolf"):
        await refused(world, prompt=prompt)
    for prompt in ("a fox", "red wine for a fox", "fox red", "a big bad wolf"):
        await accepted(world, prompt=prompt)


@pytest.mark.parametrize(
    ("word", "found", "other"),
    [
        ("狐狸", "一只狐狸在雪地里", "一只狐在狸"),
        ("きつね", "赤いきつねが走る", "ぎつね"),
        ("여우", "빨간 여우가 달린다", "여운"),
        ("หมา", "เห็นหมาสีแดง", "มา"),
        ("लोमड़ी", "एक लोमड़ी!", "लमड"),
        ("лиса", "Рыжая ЛИСА", "лисам"),
        ("ثعلب", "ثَعْلَب أحمر", "ثعلبة"),
    ],
)
async def test_words_are_found_in_the_sentences_of_every_script(
    world: World, word: str, found: str, other: str
) -> None:
    await block(world, word)
    assert "rule 1" in await refused(world, prompt=found)
    await accepted(world, prompt=other)
    await accepted_elsewhere(world, prompt=found)


async def test_the_lowest_free_number_is_given_again_and_the_others_keep_theirs(world: World) -> None:
    await block(world, "fox", "wolf", "bear")
    said = await decide(world, "words unblock", text="wolf")
    assert said == "`wolf`\nBefore: blocked, as rule 2\nNow: not blocked"
    await accepted(world, prompt="wolf")
    assert "rule 3" in await refused(world, prompt="bear")
    assert "Now: blocked, as rule 2" in await decide(world, "words block", text="lynx")
    assert "Now: blocked, as rule 4" in await decide(world, "words block", text="wolf")


async def test_a_word_is_blocked_once_however_it_is_written(world: World) -> None:
    await block(world, "Föx", "fox", "\uff26\uff2f\uff38")
    assert [word.text for word in (await decided(world)).blocked_words] == ["fox"]


async def test_a_word_is_unblocked_from_the_suggestions(world: World) -> None:
    await block(world, "fox", "red fox", "狐狸*", "wolf")
    found = await world.mona.autocomplete(world.channel, "wan-admin words unblock", "text", "FÖ")
    assert [each["value"] for each in found] == ["fox", "red fox"]
    (choice,) = await world.mona.autocomplete(world.channel, "wan-admin words unblock", "text", "狐狸")
    assert "Now: not blocked" in await decide(world, "words unblock", text=choice["value"])
    assert "this isn't blocked. Blocked are: 1 `fox`, 2 `red fox`, 4 `wolf`." in await decide(
        world, "words unblock", text=choice["value"]
    )


@pytest.mark.parametrize("text", ["*", "***", "!?", "🦊", "   ", ZERO_WIDTH_SPACE])
async def test_what_has_no_letter_is_no_word(world: World, text: str) -> None:
    assert "there is no letter or digit in it" in await decide(world, "words block", text=text)
    assert await audited(world) == []
    await accepted(world, prompt=f"A cat {text}")


@pytest.mark.parametrize("text", ["\ufdfa" * 60, "狐" * 31, "ß" * 60])
async def test_a_word_that_grows_too_long_when_it_is_normalised_is_refused(world: World, text: str) -> None:
    assert "this is too long. It may have 60 characters" in await decide(world, "words block", text=text)
    assert await audited(world) == []


async def test_a_word_as_long_as_can_be_is_blocked_suggested_and_unblocked(world: World) -> None:
    longest = "狐" * 30
    await block(world, longest)
    await refused(world, prompt=f"一{longest}一")
    (choice,) = await world.mona.autocomplete(world.channel, "wan-admin words unblock", "text", "")
    assert "Now: not blocked" in await decide(world, "words unblock", text=choice["value"])


async def test_what_is_blocked_while_a_video_is_made_does_not_stop_it(world: World) -> None:
    await world.video(prompt="A fox", duration=2)
    await block(world, "fox")
    await world.finish()
    assert len(world.posted()) == 1


async def test_very_many_words_are_still_answered_for(world: World) -> None:
    for number in range(70):
        await block(world, f"word{number} {'x' * 40}")
    assert "Blocked words: 1 `word0 xxx" in await decide(world, "limits show")
    assert "this isn't blocked" in await decide(world, "words unblock", text="bear")
    assert "rule 70)" in await refused(world, prompt=f"word69 {'x' * 40}")


# --- members ----------------------------------------------------------------------------------------


async def test_a_blocked_member_is_told_why_and_makes_videos_again_afterwards(world: World) -> None:
    said = await decide(world, "members block", member=world.alice, reason="Spam in *every* channel @everyone")
    assert said == f"{world.alice.mention}\nBefore: not blocked\nNow: blocked"
    said = await refused(world)
    assert said.startswith("The moderators here have blocked you from making videos. Their reason: Spam in \\*every\\*")
    assert "@everyone" not in said
    await accepted(world, world.bob)
    await accepted_elsewhere(world)
    said = await decide(world, "members unblock", member=world.alice)
    assert said == f"{world.alice.mention}\nBefore: blocked\nNow: not blocked"
    await accepted(world)


async def test_a_member_blocked_without_a_reason_is_told_so_much(world: World) -> None:
    await decide(world, "members block", member=world.alice)
    assert await refused(world) == "The moderators here have blocked you from making videos."


async def test_a_second_block_gives_the_newer_reason_and_one_unblock_is_enough(world: World) -> None:
    await decide(world, "members block", member=world.alice, reason="One")
    await decide(world, "members block", member=world.alice, reason="Two")
    assert "Their reason: Two" in await refused(world)
    await decide(world, "members unblock", member=world.alice)
    await accepted(world)


async def test_what_was_under_way_when_its_member_was_blocked_goes_on(world: World) -> None:
    running = await world.video(prompt="A cat", duration=2)
    waiting = await world.alice.slash(world.channel, "wan video", prompt="A dog", duration=2)
    await decide(world, "members block", member=world.alice, reason="Spam")
    await world.finish()
    assert [text_of(answer).split("\n")[0] for answer in (running, waiting)] == ["Done", "Done"]
    assert (await world.account()).available == 98


async def test_a_blocked_member_may_still_look_and_cancel(world: World) -> None:
    await accepted(world)
    await decide(world, "members block", member=world.alice)
    for command, part in {"balance": "Held: 1", "models": "`demo`", "queue": "A cat", "history": "A cat"}.items():
        assert part in await ask(world.alice, world.channel, command)
    assert "went back" in await ask(world.alice, world.channel, "cancel")


async def test_a_moderator_can_be_blocked_and_can_still_decide(world: World) -> None:
    await decide(world, "members block", member=world.mona)
    await refused(world, world.mona)
    await decide(world, "members unblock", member=world.mona)
    await accepted(world, world.mona)


async def test_somebody_who_left_can_be_blocked_for_when_they_come_back(world: World) -> None:
    carol = world.guild.add_member(world.env.create_user("carol"))
    world.guild.remove_member(carol)
    answer = await world.mona.slash(world.channel, "wan-admin members block", member=carol.user, reason="Spam")
    assert is_private(answer)
    assert "Now: blocked" in text_of(answer)
    carol = world.guild.add_member(carol.user)
    assert "Their reason: Spam" in await refused(world, carol)


async def test_of_a_blocked_member_nothing_but_a_hash_and_the_reason_is_stored(world: World) -> None:
    await decide(world, "members block", member=world.alice, reason="Spam")
    ((key, reason),) = (await decided(world)).blocked_members.items()
    assert (len(key), reason) == (64, "Spam")
    assert str(world.alice.id) not in key
