from __future__ import annotations

import unicodedata

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from bot.communities.words import BlockedWord, broken_rule, normalised, normalised_rule

WORDS = st.text(st.characters(min_codepoint=ord("a"), max_codepoint=ord("z")), min_size=1, max_size=8)
#: accents as characters of their own, and what nobody sees
INVISIBLE = [
    "\u200b",
    "\u200d",
    "\u2060",
    "\ufeff",
    "\u00ad",
    "\u034f",
    "\ufe0f",
    "\u3164",
    "\u115f",
    "\uffa0",
    "\U000e0041",
]
ACCENTS = ["\u0300", "\u0301", "\u0308", "\u030a", "\u0327", "\u0336", "\u20dd", "\u0489"]


def breaks(prompt: str, *rules: str) -> int | None:
    """The number of the rule that a prompt breaks, the rules as moderators type them."""
    return broken_rule(prompt, [BlockedWord(number, normalised_rule(text)) for number, text in enumerate(rules, 1)])


def wide(text: str) -> str:
    """ASCII letters in their full-width forms."""
    return "".join(chr(ord(each) + 0xFEE0) for each in text)


# --- normalising ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("  Red   FOX\n", "red fox"),
        ("Crème brûlée", "creme brulee"),
        ("Straße", "strasse"),
        ("İstanbul", "istanbul"),
        ("ﬁne Ⅻ ②", "fine xii 2"),
        ("don't, won't!", "don t won t"),
        ("a-b_c.d/e", "a b c d e"),
        ("50%", "50"),
        ("🦊", ""),
        ("狐狸 fox", "狐 狸 fox"),
        ("ｷﾂﾈ", "キ ツ ネ"),
        ("ガギグ", "ガ ギ グ"),
        ("여우", "여 우"),
        (unicodedata.normalize("NFD", "여우"), "여 우"),
        ("लोमड़ी", unicodedata.normalize("NFKD", "लोमड़ी")),
        ("שָׁלוֹם", "שלום"),
        ("ثَعْلَب", "ثعلب"),
        ("Ёж", "еж"),
    ],
)
def test_one_form_for_all_ways_to_write_it(text: str, plain: str) -> None:
    assert normalised(text) == plain


@pytest.mark.parametrize("mark", [*INVISIBLE, *ACCENTS])
def test_what_nobody_sees_and_accents_are_gone(mark: str) -> None:
    assert normalised(f"{mark}f{mark}o{mark}{mark}x{mark}") == "fox"


@pytest.mark.parametrize(
    ("one", "other"),
    [("か", "が"), ("ハ", "パ"), ("여우", "여운"), ("कल", "काल"), ("कल", "कुल"), ("มา", "หมา"), ("ก่", "ก้")],
)
def test_marks_that_make_another_word_are_kept(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@given(st.text())
@example("\u0345\u1f80")
@example("\u1e9e\ufb03")
@example("\u1100\u1161\u11a8")
def test_normalising_again_changes_nothing(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once
    assert once == " ".join(once.split())


@given(st.text(), st.sampled_from(["upper", "lower", "title", "casefold"]))
def test_case_makes_no_difference_for_letters_of_ascii(text: str, change: str) -> None:
    plain = "".join(each for each in text if each.isascii())
    assert normalised(getattr(plain, change)()) == normalised(plain)


# --- rules ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "rule"),
    [
        ("Fox", "fox"),
        ("fox*", "fox*"),
        ("*FÖX*", "*fox*"),
        ("  big*   *Wolf ", "big* *wolf"),
        ("red-fox*", "red fox*"),
        ("**fox**", "*fox*"),
        ("* fox *", "fox"),
        ("狐狸*", "狐 狸*"),
        ("***", ""),
        ("!?", ""),
        ("", ""),
    ],
)
def test_a_rule_is_kept_normalised_with_the_stars_at_its_ends(typed: str, rule: str) -> None:
    assert normalised_rule(typed) == rule


@given(st.text(st.characters() | st.just("*"), max_size=60))
def test_a_stored_rule_is_the_same_when_it_is_typed_again(typed: str) -> None:
    rule = normalised_rule(typed)
    assert normalised_rule(rule) == rule, "or it could never be unblocked"


# --- finding ----------------------------------------------------------------------------------------


def test_the_first_broken_rule_is_told_by_its_own_number() -> None:
    rules = [BlockedWord(4, "wolf"), BlockedWord(9, "fox")]
    assert broken_rule("a fox and a wolf", rules) == 4
    assert broken_rule("a fox", rules) == 9
    assert broken_rule("a bear", rules) is None
    assert broken_rule("a fox", []) is None
    assert broken_rule("", rules) is None


@pytest.mark.parametrize(
    ("rule", "prompts"),
    [
        ("fox", ["fox", "a fox", "fox!", "FOX", "fox's"]),
        ("fox*", ["fox", "foxes", "Foxtrot!", "a foxy one"]),
        ("*fox", ["fox", "firefox"]),
        ("*fox*", ["fox", "firefoxes"]),
        ("red fox", ["a red fox", "red, fox", "Red\nFox"]),
        ("red* fox", ["reddish fox", "red fox"]),
        ("狐狸", ["一只狐狸在雪地里", "狐狸", "狐 狸", "红狐狸!"]),
        ("狐*", ["狐狸"]),
        ("c++", ["c", "c++", "C#"]),
        ("a.b", ["a.b", "a b"]),
    ],
)
def test_what_a_rule_finds(rule: str, prompts: list[str]) -> None:
    for prompt in prompts:
        assert breaks(prompt, rule) == 1, prompt


@pytest.mark.parametrize(
    ("rule", "prompts"),
    [
        ("fox", ["foxes", "firefox", "f o x", "fo x", "box"]),
        ("fox*", ["firefox", "f oxes"]),
        ("*fox", ["foxes", "firefoxes"]),
        ("red fox", ["red", "fox", "fox red", "red old fox", "blurred fox", "red foxes"]),
        ("狐狸", ["狐", "狸狐", "狐在狸"]),
        ("[a-z]+", ["fox"]),
        (".*", ["fox"]),
    ],
)
def test_what_a_rule_does_not_find(rule: str, prompts: list[str]) -> None:
    for prompt in prompts:
        assert breaks(prompt, rule) is None, prompt


@given(
    before=st.lists(WORDS, max_size=4),
    word=WORDS,
    after=st.lists(WORDS, max_size=4),
    marks=st.lists(st.sampled_from([*INVISIBLE, *ACCENTS, ""]), min_size=9, max_size=9),
    ways=st.sets(st.sampled_from(["large", "wide"])),
)
def test_a_word_is_found_in_every_disguise(
    before: list[str],
    word: str,
    after: list[str],
    marks: list[str],
    ways: set[str],
) -> None:
    shown = word.upper() if "large" in ways else word
    shown = wide(shown) if "wide" in ways else shown
    disguised = "".join(mark + letter for mark, letter in zip(marks, shown, strict=False))
    assert breaks(" ".join([*before, disguised, *after]), word) == 1


@given(prompt=st.lists(WORDS, max_size=8), word=WORDS)
def test_without_a_star_only_whole_words_are_found(prompt: list[str], word: str) -> None:
    assert (breaks(" ".join(prompt), word) == 1) == (word in prompt)


@given(prompt=st.lists(WORDS, max_size=8), word=WORDS)
def test_a_star_finds_what_begins_ends_or_holds_it(prompt: list[str], word: str) -> None:
    text = " ".join(prompt)
    assert (breaks(text, f"{word}*") == 1) == any(each.startswith(word) for each in prompt)
    assert (breaks(text, f"*{word}") == 1) == any(each.endswith(word) for each in prompt)
    assert (breaks(text, f"*{word}*") == 1) == any(word in each for each in prompt)


@given(prompt=st.text(), rule=st.text(min_size=1, max_size=60))
def test_nothing_that_is_written_breaks_the_search_and_a_word_always_finds_itself(prompt: str, rule: str) -> None:
    breaks(prompt, rule)
    stored = normalised_rule(rule)
    assume("*" not in stored)
    assume(stored)
    assert breaks(rule, rule) == 1
