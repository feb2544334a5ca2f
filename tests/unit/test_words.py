from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.delivery.words import credits_text, date_and_time, disarmed, one_line, relative_time, shortened

INSTANT = datetime(2026, 11, 20, 7, 0, 0, 999_999, tzinfo=UTC)


def test_a_time_is_one_that_every_client_counts_down_by_itself() -> None:
    assert relative_time(INSTANT) == "<t:1795158000:R>"
    assert date_and_time(INSTANT) == "<t:1795158000:f>"


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0 credits"), (1, "1 credit"), (2, "2 credits"), (1234567, "1,234,567 credits"), (-1, "-1 credits")],
)
def test_credits_are_counted_as_people_do(amount: int, text: str) -> None:
    assert credits_text(amount) == text


@pytest.mark.parametrize(
    ("text", "most", "short"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("ab cd", 4, "ab…"),
        ("abc", 1, "…"),
        ("", 5, ""),
        ("x" * 5000, 1024, "x" * 1023 + "…"),
    ],
)
def test_a_long_text_ends_in_an_ellipsis(text: str, most: int, short: str) -> None:
    assert shortened(text, most) == short


@given(text=st.text(), most=st.integers(1, 50))
def test_a_shortened_text_is_never_longer_than_asked_and_a_short_one_is_left_alone(text: str, most: int) -> None:
    assert len(shortened(text, most)) <= most
    if len(text) <= most:
        assert shortened(text, most) == text


@pytest.mark.parametrize(
    "mention", ["@everyone", "@here", "<@1>", "<@!1>", "<@&1>", "<#1>", "</wan video:1>", "<id:customize>"]
)
def test_mentions_are_plain_text(mention: str) -> None:
    harmless = disarmed(f"hi {mention}!", 100)
    assert mention not in harmless
    assert not re.search(r"(?<!\\)<", harmless)
    assert not re.search(r"@(?!\u200b)", harmless)


@pytest.mark.parametrize(
    "markdown",
    [
        "**bold**",
        "__under__",
        "*slanted*",
        "_slanted_",
        "~~struck~~",
        "||hidden||",
        "`code`",
        "```block```",
        "> quote",
        ">>> quotes",
        "# heading",
        "-# small",
        "- list",
        "[link](https://example.com)",
        "<https://example.com>",
        "<t:1:R>",
        "<:emoji:1>",
        "<a:emoji:1>",
        "\\*",
    ],
)
def test_markdown_is_plain_text(markdown: str) -> None:
    harmless = disarmed(markdown, 100)
    assert not re.search(r"(?<!\\)(?:\\\\)*[*_~`|>#\[\]()<-]", harmless)
    assert re.sub(r"\\(.)", r"\1", harmless).replace("\u200b", "") == markdown, "and nothing of it is lost"


@pytest.mark.parametrize(
    "trick",
    [
        "\u202e",  # right to left override
        "\u202b",
        "\u2066",
        "\u2067",
        "\u2069",
        "\u200e",
        "\u200f",
        "\u061c",
        "\u200b",
        "\u200d",
        "\ufeff",
        "\u2028",
        "\u2029",
        "\x00",
        "\x07",
        "\x1b",
        "\x7f",
        "\x85",
        "\n",
        "\r",
        "\t",
        "\v",
        "\ud800",
        "\ue000",
        "\U000e0041",
    ],
)
def test_what_turns_hides_or_breaks_a_line_becomes_a_space(trick: str) -> None:
    assert disarmed(f"a{trick}b", 10) == "a b"
    assert disarmed(f"{trick}a{trick}{trick}", 10) == "a"


@pytest.mark.parametrize("text", ["Grüße aus Köln", "狐が走る", "ثعلب", "שועל", "🦊 & 🐇", "50 % of 60 °C", "a/b?c=d"])
def test_other_peoples_letters_are_left_as_they_are(text: str) -> None:
    assert disarmed(text, 100) == text


@pytest.mark.parametrize(
    "link",
    [
        *(
            "https://evil.example",
            "http://1.2.3.4/a",
            "HTTPS://EVIL.EXAMPLE",
            "steam://run/1",
            "discord://-/channels/1",
        ),
        *(
            "<https://evil.example>",
            "[x](https://evil.example)",
            "a https://evil.example.",
            "https://https://a.example",
        ),
        *("discord.gg/abc", "Discord.GG/abc", "discord.com/invite/abc", "discordapp.com/invite/abc", "discord.gg\\abc"),
    ],
)
def test_links_and_invitations_are_plain_text(link: str) -> None:
    harmless = disarmed(link, 100)
    assert not re.search(r"\w+://|discord(?:app)?\.", harmless, re.IGNORECASE)
    assert re.sub(r"\\(.)", r"\1", harmless) == link, "and nothing of it is lost"


@pytest.mark.parametrize("text", ["1. Open on a fox", "23. Snow", "1. 2. 3."])
def test_a_number_begins_no_list(text: str) -> None:
    assert not re.match(r"\d+\. ", disarmed(text, 100))
    assert disarmed(text, 100).replace("\\", "") == text


@pytest.mark.parametrize("text", ["3.5 metres", "at 12:30", "a: b", "v1.2", "wait... now", "16:9", "discord", "a//b"])
def test_what_only_looks_like_one_is_left_alone(text: str) -> None:
    assert disarmed(text, 100) == text


@pytest.mark.parametrize("mark", ["\u0301", "\u0489", "\u20dd", "\ufe0f"])
def test_towers_of_marks_are_cut_to_what_a_letter_can_have(mark: str) -> None:
    assert disarmed(f"a{mark * 100}b{mark}", 100) == f"a{mark * 4}b{mark}"


@pytest.mark.parametrize("text", ["Tiếng Việt", "Tie\u0302\u0301ng", "שָׁלוֹם", "السَّلَامُ", "ที่นี่", "हिन्दी", "རྐྱེན", "❤️"])
def test_the_marks_that_scripts_need_are_left_alone(text: str) -> None:
    assert disarmed(text, 100) == text


def test_one_line_is_without_tricks_but_keeps_its_signs() -> None:
    assert one_line("*a*\n\u202e@b  <c>\0", 100) == "*a* @b <c>"
    assert one_line("x" * 101, 100) == "x" * 99 + "…"


def test_text_is_shortened_before_it_is_disarmed_so_that_no_escape_is_cut_in_two() -> None:
    assert disarmed("*" * 20, 5) == r"\*\*\*\*…"


def test_nothing_is_nothing() -> None:
    assert disarmed("", 100) == ""
    assert disarmed(" \n\u202e ", 100) == ""


@given(text=st.text(st.characters()) | st.text("@<>*_`\\|~ \u202e\n#-[]():/.17a", max_size=40), most=st.integers(1, 60))
def test_whatever_was_written_is_one_harmless_line_of_bounded_length(text: str, most: int) -> None:
    harmless = disarmed(text, most)
    assert len(harmless) <= 2 * most
    assert harmless.encode().decode() == harmless, "it can be sent"
    bare = harmless.replace("@\u200b", "@")
    assert not any(unicodedata.category(each) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} for each in bare)
    assert len(harmless.splitlines()) <= 1
    assert not re.search(r"@(?!\u200b)", harmless)
    assert not re.search(r"(?<!\\)(?:\\\\)*://", harmless), "no address is a link"
    assert not re.match(r"\d+\. ", harmless)
    assert not re.search(r"(?<!\\)(?:\\\\)*[*_~`|>#\[\]()<-]", harmless)
    assert not re.search(r"(?<!\\)(?:\\\\)*\\$", harmless), "no escape at the end reaches what follows"
