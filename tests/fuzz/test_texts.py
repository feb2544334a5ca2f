"""Texts of others on Discord: no mention, no markup, no length beyond what Discord takes.

``tests/unit/test_words.py`` and ``test_cards.py`` have properties of short texts. Here texts are as long as they can
be, every field of a job is hostile at once, and what is left is read as a client of Discord reads it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from bot.delivery.cards import Card, card
from bot.delivery.messages import card_embed
from bot.delivery.words import LONGEST_MESSAGE, disarmed, fitting_lines, shortened
from bot.jobs.job import Job, Reason, Request, State, StoredMedia
from bot.jobs.presenting import Sight
from providers.catalogue import MODELS
from providers.types import Mode, ModelSpec
from tests.clocks import NOON
from tests.fuzz.inputs import inputs, patient

WORD_INPUTS: Final = 2000
LINE_INPUTS: Final = 500
CARD_INPUTS: Final = 800

pytestmark = patient

#: what pings, with an escape before it or without
_PING: Final = re.compile(r"@(?:everyone|here)|<@[!&]?\d+>")
#: what else Discord makes more than text of: links to channels, commands and pages, emojis, timestamps
_LIVE: Final = re.compile(r"(?<!\\)<(?:#\d+|/[^>]*:\d+|id:\w+|a?:\w+:\d+|t:-?\d+(?::[tTdDfFR])?|https?://[^>]*)>")
#: a sign of markdown that is not escaped
_MARKUP: Final = re.compile(r"(?<!\\)(?:\\\\)*[*_~`|>#\[\]()<-]")
#: what makes a link of an address
_LINK: Final = re.compile(r"(?<!\\)(?:\\\\)*://")
#: what our own text on a card may hold of them
_OURS: Final = re.compile(r"<t:\d+:[Rf]>|\[Watch it\]\(https://discord\.com/channels/[\d/]+\)|`/wan \w+`")

_ATOMS: Final = (
    # mentions, and what else is more than text
    *("@everyone", "@here", "<@1>", "<@!1>", "<@&1>", "<#1>", "</wan video:1>", "<id:guide>", "<:a:1>", "<a:b:1>"),
    *("<t:1:R>", "[a](https://evil.example)", "<https://evil.example>", "https://a.example/_b_"),
    # markdown
    *("@", "<", ">", "\\", "\\\\", "*", "_", "`", "```", "||", "~~", "-# ", "# ", "> ", "1. "),
    # what can't be seen or sent, and what looks like something else
    *("\u200b", "\u202e", "\u2066", "\ufeff", "\0", "\n", "\r\n", "\u2028", "\x85", "\ud800", "\ue000", "\U000e0041"),
    *("\uff20everyone", "\ufe6bhere", "e\u0301", "\U0001f469\u200d\U0001f467", "\ufdfa", "\u0450" * 50, " "),
)
_pieces: Final = st.sampled_from(_ATOMS) | st.text(max_size=8)


def _repeated(piece: str, times: int, tail: str) -> str:
    return piece * times + tail


def _same_lines(line: str, times: int) -> list[str]:
    return [line] * times


_texts: Final[st.SearchStrategy[str]] = st.lists(_pieces, max_size=12).map("".join) | st.builds(
    _repeated, _pieces, st.integers(1, 300), _pieces
)


def _is_harmless(text: str) -> None:
    assert not _PING.search(text)
    assert not _MARKUP.search(text)
    assert not _LINK.search(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*\\$", text), "no escape reaches what follows"
    assert len(text.splitlines()) <= 1
    assert text.encode().decode() == text, "it can be sent"


@inputs(WORD_INPUTS)
@given(text=_texts, most=st.integers(1, 4000))
def test_nothing_that_others_wrote_is_alive(text: str, most: int) -> None:
    harmless = disarmed(text, most)
    _is_harmless(harmless)
    # each character may get one more before or behind it
    assert len(harmless) <= 2 * most
    assert len(shortened(text, most)) <= most


@inputs(LINE_INPUTS)
@given(
    lines=st.lists(_texts, max_size=40) | st.builds(_same_lines, _texts, st.integers(0, 200)),
    most=st.just(LONGEST_MESSAGE) | st.integers(40, 6000),
)
def test_lines_fit_into_a_message_whole_or_are_counted(lines: list[str], most: int) -> None:
    text = fitting_lines(lines, most)
    assert len(text) <= most
    if len("\n".join(lines)) <= most:
        assert text == "\n".join(lines)
        return
    if left := re.search(r"(?:^|\n)… and (\d+) more$", text):
        kept = lines[: len(lines) - int(left[1])]
        assert text == "\n".join([*kept, f"… and {left[1]} more"])
    else:
        assert text.endswith("…")


_media: Final = st.none() | st.builds(
    StoredMedia,
    path=st.just("job/image.png"),
    content_type=st.just("image/png"),
    filename=st.sampled_from(("image.png", "last_image.jpg", "video.mp4")),
    note=st.none() | st.sampled_from(("scaled from 4000 x 3000 to 2000 x 1500 to fit the model", "x" * 2000)),
)
_requests: Final = st.builds(
    Request,
    prompt=_texts,
    mode=st.sampled_from(Mode),
    resolution=st.sampled_from(("480p", "1080p")),
    duration=st.integers(2, 15),
    aspect_ratio=st.sampled_from((None, "16:9")),
    negative_prompt=st.none() | _texts,
    seed=st.none() | st.integers(0, 2**31 - 1),
    enhance_prompt=st.none() | st.booleans(),
    parameters=st.dictionaries(
        st.sampled_from([parameter.key for spec in MODELS for parameter in spec.parameters]),
        st.integers(0, 100) | st.floats(0, 20) | st.booleans(),
    ),
    image=_media,
    last_image=_media,
    video=_media,
)
_instants: Final = st.datetimes(datetime(2026, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds have none
_jobs: Final = st.builds(
    Job,
    id=st.just("0123456789ab"),
    interaction_id=st.just(1),
    guild_id=st.integers(1, 2**63 - 1),
    channel_id=st.integers(1, 2**63 - 1),
    user_id=st.integers(1, 2**63 - 1),
    account_id=st.just(5),
    state=st.sampled_from(State),
    version=st.just(3),
    model=st.sampled_from([spec.id for spec in MODELS]),
    request=_requests,
    quote=st.integers(0, 10**12),
    upload_limit=st.just(1),
    created_at=st.just(NOON),
    result_message_id=st.none() | st.integers(1, 2**63 - 1),
    reason=st.none() | st.sampled_from(Reason),
    vendor_message=st.none() | _texts,
    advice=st.none() | st.just("Attach a PNG or a JPEG. " * 10),
    alternatives=st.none() | st.just(" ".join(spec.id for spec in MODELS)),
)
_sights: Final = st.builds(
    Sight,
    progress=st.none() | st.floats(),
    expected_at=st.none() | _instants,
    place=st.none() | st.integers(1, 10**9),
)


@inputs(CARD_INPUTS)
@given(job=_jobs, sight=_sights, spec=st.none() | st.sampled_from(MODELS), can_cancel_running=st.booleans())
def test_no_card_is_alive_or_longer_than_discord_takes(
    *, job: Job, sight: Sight, spec: ModelSpec | None, can_cancel_running: bool
) -> None:
    shown = card(job, spec=spec, sight=sight, can_cancel_running=can_cancel_running)
    _is_within_discords_limits(shown)
    foreign = [_OURS.sub("", shown.description), *(_OURS.sub("", value) for _, value in shown.fields)]
    assert not any(_PING.search(text) or _LIVE.search(text) for text in foreign)
    # the description quotes the prompt in its first line, and has its own words below
    assert shown.description.startswith("> ")
    assert shown.description.count("\n") <= 4
    _is_harmless(shown.description.partition("\n")[0].removeprefix("> "))
    assert card_embed(shown).title == shown.title


def _is_within_discords_limits(shown: Card) -> None:
    """In UTF-16, in which a client may count; so a limit holds however it is counted."""
    assert 0 < len(shown.description) <= 4096
    assert all(0 < len(name) <= 256 and 0 < len(value.strip()) <= len(value) <= 1024 for name, value in shown.fields)
    assert len(shown.fields) <= 25
    texts = [shown.title, shown.description, shown.footer, *(text for field in shown.fields for text in field)]
    assert sum(len(text.encode("utf-16-le")) // 2 for text in texts) <= 6000
