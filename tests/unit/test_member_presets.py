"""Options under a name: how names are read, what a preset sets, and what is remembered of whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot.database.engine import Database
from bot.errors import Refusal
from bot.members import store
from bot.members.memory import Members
from bot.members.presets import (
    LONGEST,
    Preset,
    PresetOptions,
    PresetUse,
    applied,
    explained,
    found,
    key_of,
    line,
    normalised,
)
from bot.members.settings import MemberSettings, settings_text
from providers.options import Wish
from tests.unit.test_communities import Slow

GUILD, OTHER, ALICE, BOB = 1, 2, 11, 12
CLAY = Preset(
    "Clay",
    PresetOptions(model="demo", resolution="720p", duration=3, seed=0, enhance_prompt=False, settings="steps=40"),
)


@pytest.fixture
async def slow(sqlite_url: str) -> AsyncIterator[Slow]:
    from bot.database.engine import open_database  # noqa: PLC0415

    database = Slow(open_database(sqlite_url))
    yield database
    await database.close()


@pytest.mark.parametrize(
    ("written", "read"),
    [("Clay", "Clay"), ("  wide   shot ", "wide shot"), ("\uff43lay", "clay"), ("a\nb\u202ec", "a b c"), ("7", "7")],
)
def test_a_name_is_one_line_of_plain_letters(written: str, read: str) -> None:
    assert normalised(written) == read
    assert key_of(written) == read.casefold()


def test_what_no_name_is_as_long_as_is_not_looked_at_to_its_end() -> None:
    # each of these letters is written out as eighteen
    assert len(key_of("\ufdfa" * 6000)) <= 200 * 18
    assert key_of(" " * 100 + "Clay") == "clay"


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (" ", "no letter or digit"),
        ("\u200b\u2060", "no letter or digit"),
        ("x" * (LONGEST + 1), "32 characters"),
        ("ﷺ" * 2, "32 characters"),
        ("a`b", "can't hold"),
        ("<@5>", "can't hold"),
    ],
)
def test_what_is_no_name_is_refused(written: str, why: str) -> None:
    with pytest.raises(Refusal, match=why) as refused:
        normalised(written)
    assert refused.value.text.startswith("**name**")


def test_the_longest_key_fits_its_column() -> None:
    assert max(len(normalised(chr(number) * 32).casefold()) for number in (0x390, 0xDF, 0x1F80, 0x41)) <= 128


def test_what_is_typed_wins_and_what_is_not_comes_from_the_preset() -> None:
    wish, model, use = applied(Wish(prompt="A cat", duration=5, enhance_prompt=True), None, CLAY)
    assert wish == Wish(prompt="A cat", resolution="720p", duration=5, seed=0, enhance_prompt=True, settings="steps=40")
    assert model == "demo"
    assert use == PresetUse("Clay", frozenset({"model", "resolution", "seed", "settings"}))
    _wish, model, use = applied(Wish(prompt="A cat"), "other", CLAY)
    assert model == "other"
    assert "model" not in use.options


def test_a_refusal_names_what_comes_from_the_preset_and_nothing_else() -> None:
    use = PresetUse("Cl*y", frozenset({"model", "seed", "settings"}))
    said = explained("**seed**: no.", use, ["seed", "duration"])
    assert (
        said == "**seed**: no.\nFrom the preset **Cl\\*y**: `model`, `seed`. What you type in the command wins over it."
    )
    assert explained("**seed**: no.", None, ["seed"]) == "**seed**: no."
    assert explained("**duration**: no.", PresetUse("x", frozenset({"seed"})), ["duration"]) == "**duration**: no."


def test_ones_own_preset_comes_before_one_that_is_offered() -> None:
    theirs = Preset("CLAY", PresetOptions(model="other"))
    assert found("clay", [CLAY], [theirs]) is CLAY
    assert found("clay", [], [theirs]) is theirs
    with pytest.raises(
        Refusal, match=r"\*\*preset\*\*: there is no preset \*\*mud\*\*. There are: Clay, CLAY."
    ) as error:
        found("mud", [CLAY], [theirs], option="preset")
    assert "@" not in error.value.text


def test_a_line_tells_every_option_and_nothing_in_it_is_alive() -> None:
    options = PresetOptions(model="demo", negative_prompt="@everyone **rain**", enhance_prompt=True)
    said = line(Preset("a_b", options))
    assert said == "**a\\_b** · `demo` · prompt enhanced · without: @\u200beveryone \\*\\*rain\\*\\*"
    assert line(CLAY) == "**Clay** · `demo` · 720p · 3 s · seed 0 · prompt as written · steps=40"


def test_settings_say_what_they_do() -> None:
    assert "`notify`: on: " in settings_text(MemberSettings())
    assert "`notify`: off: " in settings_text(MemberSettings(notify=False))


async def test_what_is_kept_is_each_members_own(database: Database) -> None:
    members = Members(database=database)
    assert not await members.save_preset(GUILD, ALICE, CLAY)
    assert await members.save_preset(GUILD, ALICE, CLAY)
    await members.keep_settings(GUILD, ALICE, MemberSettings(notify=False))
    for guild_id, user_id in ((GUILD, BOB), (OTHER, ALICE)):
        assert await members.presets_of(guild_id, user_id) == []
        assert await members.settings_of(guild_id, user_id) == MemberSettings()
    assert await members.presets_of(GUILD, ALICE) == [CLAY]
    assert await members.settings_of(GUILD, ALICE) == MemberSettings(notify=False)
    assert await database.write(lambda connection: store.forget(connection, GUILD, ALICE)) == 2
    members.forget(GUILD, ALICE)
    assert await members.presets_of(GUILD, ALICE) == []
    assert await members.settings_of(GUILD, ALICE) == MemberSettings()


async def test_many_saves_at_once_keep_twenty_five(database: Database) -> None:
    members = Members(database=database)
    presets = [Preset(f"n{number}", PresetOptions(model="demo")) for number in range(30)]
    outcomes = await asyncio.gather(
        *(members.save_preset(GUILD, ALICE, preset) for preset in presets), return_exceptions=True
    )
    assert sum(isinstance(each, Refusal) for each in outcomes) == 5
    assert len(await members.presets_of(GUILD, ALICE)) == 25


async def test_an_answer_that_was_on_its_way_is_not_remembered_over_a_change(slow: Slow) -> None:
    members = Members(database=slow)
    asking = asyncio.create_task(members.presets_of(GUILD, ALICE))
    await slow.asked.wait()
    await members.save_preset(GUILD, ALICE, CLAY)
    slow.arrive.set()
    assert await asking == []
    assert await members.presets_of(GUILD, ALICE) == [CLAY]


async def test_memory_holds_so_many_members_and_asks_for_the_others(database: Database) -> None:
    members = Members(database=database, remembered=2)
    for user_id in (1, 2, 3):
        await members.save_preset(GUILD, user_id, CLAY)
    for user_id in (1, 2, 3, 1):
        assert await members.presets_of(GUILD, user_id) == [CLAY]
