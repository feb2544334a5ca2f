"""The words on charts: in the reader's language where the fonts have its letters, else in English."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest_asyncio
from pydantic import TypeAdapter

from bot.communities.usage import Days, MemberSpending, Outcomes, Series, Upstream, Usage
from bot.media.chart_work import _own_texts  # pyright: ignore[reportPrivateUsage]
from bot.media.charts import Charts, drawn
from bot.media.workers import MediaWorkers, Task
from tests.clocks import NOON

SIZE: TypeAdapter[Any] = TypeAdapter(dict[str, tuple[int, int]])
USAGE = Usage(
    days=Days.until(NOON, 3),
    series=(Series("demo", (1, 2, 3)), Series("others", (1, 1, 1))),
    spent=9,
    worth=Decimal("0.09"),
    outcomes=Outcomes(posted=3, failed=1, cancelled=0, still_open=2),
    members=2,
    top=(MemberSpending(1, 2, 6), MemberSpending(-2, 1, 3)),
    upstream=Upstream(said=Decimal("0.03"), estimated=Decimal("0.02"), unknown=1),
)


@pytest_asyncio.fixture
async def workers() -> AsyncIterator[MediaWorkers]:
    made = MediaWorkers(count=1, time_limit=60)
    yield made
    await made.close()


async def picture(workers: MediaWorkers, target: Path, **more: Any) -> bytes:
    """What a real child draws of the usage."""
    arguments = {"target": str(target), "title": "Here", **drawn(USAGE, {1: "alice"}), **more}
    await workers.run(Task(name="draw_usage", arguments=arguments, answer=SIZE))
    return target.read_bytes()


def replaced(words: str) -> dict[str, Any]:
    """The usage with one of its own texts in another language."""
    said: dict[str, Any] = copy.deepcopy(drawn(USAGE, {1: "alice"}))
    said["words"]["outcomes"] = words
    return said


async def test_words_are_drawn_in_another_language_where_the_fonts_have_its_letters(
    workers: MediaWorkers, tmp_path: Path
) -> None:
    english = await picture(workers, tmp_path / "english.png")
    greek = await picture(workers, tmp_path / "greek.png", said=replaced("Πώς τελείωσαν"))
    assert greek != english


async def test_words_without_a_font_that_has_their_letters_stay_english(workers: MediaWorkers, tmp_path: Path) -> None:
    english = await picture(workers, tmp_path / "english.png")
    # no font has a letter there, whatever this machine has
    unwritable = await picture(workers, tmp_path / "unwritable.png", said=replaced("\U0010fff0"))
    assert unwritable == english


async def test_what_a_chart_says_by_itself_is_looked_at_before_it_is_drawn() -> None:
    texts = {*_own_texts(drawn(USAGE, {1: "alice"}))}
    assert {"Usage", "videos posted", "Credits per day", "18 Nov", "Posted", "How jobs ended"} <= texts
    assert "16 November to 18 November 2026, UTC" in texts
    assert any("estimated" in text for text in texts)
    assert not {"alice", "deleted member", "demo"} & texts


async def test_english_charts_are_asked_for_in_one_language(workers: MediaWorkers, tmp_path: Path) -> None:
    charts = Charts(workers=workers)
    await charts.draw_usage(USAGE, tmp_path / "whole.png", title="Here", names={1: "alice"})
    assert (tmp_path / "whole.png").read_bytes() == await picture(workers, tmp_path / "english.png")
