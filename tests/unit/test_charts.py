"""The charts of a community's usage: a real child draws them, whatever the names are."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image, ImageColor

from bot.communities.usage import Days, MemberSpending, Outcomes, Series, Upstream, Usage
from bot.media.chart_work import drawable
from bot.media.charts import Charts, drawn
from bot.media.errors import MediaFailed
from bot.media.workers import MediaWorkers
from tests.clocks import NOON

pytestmark = pytest.mark.asyncio(loop_scope="module")

SKY, ORANGE, GREEN, YELLOW, PINK, RED = "#56B4E9", "#E69F00", "#009E73", "#F0E442", "#CC79A7", "#D55E00"
GREY, PANEL = "#8e939c", "#2b2d31"
#: what DejaVu has no glyph for, and what could confuse a program that draws texts
STRANGE = [
    "田中さくら",
    "🦊🦊🦊",
    "$\\frac{$",
    "a_{1}$ and $^",
    "_nolegend_",
    "a\0b\nc\td",
    "\u202etxet\u202c",
    "Z" + "\u0341\u0332" * 100,
    "\ud800\udfff",
    "\ue000\U000f0000",
    "#$%^&*()<>'\"\\`",
    "W" * 100_000,
    "   ",
    "",
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers() -> AsyncIterator[MediaWorkers]:
    made = MediaWorkers(count=1, time_limit=30)
    yield made
    await made.close()


@pytest.fixture
def charts(workers: MediaWorkers) -> Charts:
    return Charts(workers=workers)


def usage(
    *series: Series,
    days: int = 3,
    members: Sequence[int] = (),
    outcomes: tuple[int, int, int, int] = (0, 0, 0, 0),
    costs: tuple[str, str, int] = ("0", "0", 0),
) -> Usage:
    posted, failed, cancelled, still_open = outcomes
    said, estimated, unknown = costs
    spent = sum(sum(each.credits) for each in series)
    return Usage(
        days=Days.until(NOON, days),
        series=series,
        spent=spent,
        worth=Decimal(spent) / 100,
        outcomes=Outcomes(posted=posted, failed=failed, cancelled=cancelled, still_open=still_open),
        members=len(members),
        top=tuple(MemberSpending(number, 1, amount) for number, amount in enumerate(members, start=1)),
        upstream=Upstream(said=Decimal(said), estimated=Decimal(estimated), unknown=unknown),
    )


FULL = usage(
    *(Series(f"vendor/model-{number}", (10, 20, 30)) for number in range(5)),
    Series("others", (5, 0, 10)),
    members=(100, 80, 60, 40, 30, 20, 10, 5),
    outcomes=(100, 30, 20, 10),
    costs=("1.20", "0.60", 2),
)


async def picture(
    charts: Charts, folder: Path, shown: Usage, *, title: str = "Here", names: Mapping[int, str] | None = None
) -> Image.Image:
    target = folder / "usage.png"
    await charts.draw_usage(shown, target, title=title, names=names or {})
    assert [path.name for path in folder.iterdir()] == ["usage.png"], "something was left behind"
    with Image.open(target) as opened:
        assert (opened.format, opened.size) == ("PNG", (1200, 900))
        return opened.convert("RGB")


def area_of(made: Image.Image, colour: str, box: tuple[int, int, int, int] = (0, 0, 1200, 900)) -> int:
    """How many pixels of a part have exactly this colour."""
    counted = made.crop(box).getcolors(maxcolors=1 << 24)
    assert counted is not None
    return sum(count for count, found in counted if found == ImageColor.getrgb(colour))


#: the parts of the page: left, top, right, bottom
BARS, KEYS = (100, 260, 820, 525), (840, 255, 870, 560)
MEMBERS, OUTCOMES, COSTS = (270, 615, 593, 880), (620, 618, 1165, 655), (620, 800, 1165, 876)


async def test_everything_is_drawn_to_scale(charts: Charts, tmp_path: Path) -> None:
    made = await picture(charts, tmp_path, FULL)
    parts = [area_of(made, colour, BARS) for colour in (SKY, ORANGE, GREEN, YELLOW, PINK)]
    assert max(parts) - min(parts) < max(parts) / 10, "models with the same credits have the same area"
    assert area_of(made, GREY, BARS) == pytest.approx(parts[0] * 15 / 60, rel=0.15)
    assert all(area_of(made, colour, KEYS) > 200 for colour in (SKY, ORANGE, GREEN, YELLOW, PINK, GREY))
    posted, failed, cancelled, still_open = (area_of(made, colour, OUTCOMES) for colour in (GREEN, RED, GREY, SKY))
    assert posted == pytest.approx(10 * still_open, rel=0.1)
    assert failed == pytest.approx(3 * still_open, rel=0.1)
    assert cancelled == pytest.approx(2 * still_open, rel=0.1)


async def test_the_estimated_part_of_the_cost_is_hatched(charts: Charts, tmp_path: Path) -> None:
    spent = Series("demo", (100, 100, 0))
    said = await picture(charts, tmp_path, usage(spent, costs=("1", "0", 0)))
    estimated = await picture(charts, tmp_path, usage(spent, costs=("0", "1", 0)))
    pale = "#d5d8dd"
    assert area_of(said, pale, COSTS) == pytest.approx(14 * 537 / 2, rel=0.1), "half of what was spent"
    assert area_of(said, pale, COSTS) * 0.2 < area_of(estimated, pale, COSTS) < area_of(said, pale, COSTS) * 0.8


async def test_a_bar_for_each_member(charts: Charts, tmp_path: Path) -> None:
    made = await picture(charts, tmp_path, FULL)
    accent = ImageColor.getrgb("#8a93f8")
    lengths = [sum(made.getpixel((x, 622 + 31 * place + 15)) == accent for x in range(270, 593)) for place in range(8)]
    assert lengths == pytest.approx([215 * each / 100 for each in (100, 80, 60, 40, 30, 20, 10, 5)], abs=2)


@pytest.mark.parametrize("days", [1, 2, 7, 30, 100, 101, 366])
async def test_any_number_of_days_is_drawn(charts: Charts, tmp_path: Path, days: int) -> None:
    made = await picture(charts, tmp_path, usage(Series("demo", (7,) * days), days=days, members=(7 * days,)))
    assert area_of(made, SKY, BARS) > 10_000


async def test_more_days_than_can_be_told_apart_are_drawn_by_the_week() -> None:
    spending: Any = drawn(usage(Series("demo", tuple(range(101))), days=101), {})["spending"]
    assert spending["title"] == "Credits per week"
    ((name, credits_of),) = spending["models"]
    assert (name, len(credits_of), sum(credits_of)) == ("demo", 15, sum(range(101)))
    assert credits_of[0] == sum(range(7))
    first = NOON - timedelta(days=100)
    assert spending["labels"][:2] == [f"{day.day} {day:%b}" for day in (first, first + timedelta(days=7))]
    daily: Any = drawn(usage(Series("demo", (1,) * 100), days=100), {})["spending"]
    assert (daily["title"], len(daily["labels"])) == ("Credits per day", 100)


async def test_days_without_credits_are_drawn_too(charts: Charts, tmp_path: Path) -> None:
    made = await picture(charts, tmp_path, usage(outcomes=(0, 3, 0, 0)))
    assert area_of(made, SKY, BARS) == 0
    assert area_of(made, "#b5bac1", BARS) > 100, "a sentence stands there"
    assert area_of(made, RED, OUTCOMES) == pytest.approx(537 * 30, rel=0.05)


async def test_amounts_of_any_size_stay_in_their_boxes(charts: Charts, tmp_path: Path) -> None:
    most = 10**12
    shown = usage(
        Series("vendor/a-model-with-a-very-long-name", (most,) * 3),
        members=(most,) * 8,
        outcomes=(most, most, most, most),
        costs=("123456789012.34", "0.01", most),
    )
    made = await picture(charts, tmp_path, shown, title="W" * 100, names=dict.fromkeys(range(1, 9), "W" * 100))
    page, text = ImageColor.getrgb("#1e1f22"), ImageColor.getrgb("#f2f3f5")
    edges = [(x, y) for y in range(100, 900) for x in (*range(16), 599, 600, *range(1184, 1200))]
    assert {made.getpixel(place) for place in edges if not (590 < place[0] < 610 and place[1] < 576)} == {page}
    assert area_of(made, "#f2f3f5", (0, 0, 1200, 100)) > 0
    assert text not in {made.getpixel((x, y)) for x in range(1190, 1200) for y in range(100)}


@pytest.mark.parametrize("name", STRANGE, ids=lambda name: ascii(name)[:20])
async def test_any_name_is_drawn(charts: Charts, tmp_path: Path, name: str) -> None:
    shown = usage(Series(name, (1, 2, 3)), members=(3, 2, 1))
    names = dict.fromkeys(range(1, 4), name)
    made = await picture(charts, tmp_path, shown, title=name, names=names)
    assert area_of(made, "#8a93f8", MEMBERS) > 1000


async def test_members_without_a_name_that_can_be_written_are_numbered(charts: Charts, tmp_path: Path) -> None:
    shown = usage(Series("demo", (1, 2, 3)), members=(3, 2, 1))
    unknown = await picture(charts, tmp_path, shown, names={})
    unwritable = await picture(charts, tmp_path, shown, names={1: "田中", 2: "🦊", 3: "\u200b"})
    numbered = await picture(charts, tmp_path, shown, names={1: "member 1", 2: "member 2", 3: "member 3"})
    assert unknown.tobytes() == unwritable.tobytes() == numbered.tobytes()


async def test_deleted_members_are_called_so() -> None:
    shown = usage(Series("demo", (1, 2, 3)), members=(3,))
    deleted = MemberSpending(-7, 1, 3)
    assert drawn(replace(shown, top=(deleted,)), {-7: "somebody"})["members"] == [["deleted member", 3]]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("alice", "alice"),
        ("  Ünsal\u00a0 Öztürk ", "Ünsal Öztürk"),
        ("田中 Taro", "Taro"),
        ("🦊 fox 🦊", "fox"),
        # mathematical letters, and wide ones
        ("\U0001d4d0\U0001d4f5\U0001d4f2\U0001d4ec\U0001d4ee", "Alice"),
        ("\uff21\uff4c\uff49\uff43\uff45", "Alice"),
        ("e\u0301", "é"),
        ("Q\u0341\u0332\u0332", "Q"),
        ("\u202egnp.exe", "gnp.exe"),
        ("12345678901234567890", "12345678901234567890"),
        ("123456789012345678901", "1234567890123456789…"),
        ("1234567890123456789 0123", "1234567890123456789…"),
        ("...", ""),
        ("田中", ""),
        ("", ""),
    ],
)
async def test_of_a_name_is_kept_what_can_be_written(text: str, written: str) -> None:
    glyphs = {*range(32, 0x250), 0x0301, 0x0332, 0x0341, 0x202E, 0x2026}
    assert drawable(text, glyphs, 20) == written


#: draws what each file in a folder describes, in a process of its own
DRAW = """
import json, pathlib, sys
from bot.media.chart_work import draw_usage
for path in pathlib.Path(sys.argv[1]).glob("*.json"):
    draw_usage(json.loads(path.read_text()))
    path.unlink()
"""


async def script(code: str, folder: Path, *options: str, **environment: str) -> str:
    """What a process says that runs this code."""
    command = [sys.executable, *options, "-c", code, str(folder)]
    surroundings = {**os.environ, **environment}
    run = partial(subprocess.run, command, capture_output=True, text=True, check=False, env=surroundings)
    ended = await asyncio.to_thread(run)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def describe(shown: Usage, folder: Path, name: str, *, title: str, names: Mapping[int, str]) -> None:
    arguments = {"target": str(folder / f"{name}.png"), "title": title, **drawn(shown, names)}
    (folder / f"{name}.json").write_text(json.dumps(arguments))


async def test_drawing_gives_no_warning_about_missing_glyphs(tmp_path: Path) -> None:
    for number, name in enumerate(STRANGE):
        names = {place: STRANGE[(number + place) % len(STRANGE)] for place in range(1, 9)}
        describe(FULL, tmp_path, str(number), title=name, names=names)
    await script(DRAW, tmp_path, "-W", "error::UserWarning", "-W", "error::RuntimeWarning")
    assert len(list(tmp_path.glob("*.png"))) == len(STRANGE)


async def test_drawing_writes_nothing_but_the_picture(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "folder"
    home.mkdir()
    folder.mkdir()
    describe(FULL, folder, "usage", title="Here", names={})
    await script(DRAW, folder, HOME=str(home), MPLCONFIGDIR=str(home), TMPDIR=str(home))
    assert list(home.iterdir()) == []
    assert [path.name for path in folder.iterdir()] == ["usage.png"]


async def test_drawing_takes_one_thread_however_many_cores_there_are(tmp_path: Path) -> None:
    describe(FULL, tmp_path, "usage", title="Here", names={})
    code = f"{DRAW}\nprint(len(list(pathlib.Path('/proc/self/task').iterdir())))"
    assert await script(code, tmp_path, OPENBLAS_NUM_THREADS="8") == "1\n"


async def test_a_quarter_of_the_memory_is_enough(tmp_path: Path) -> None:
    workers = MediaWorkers(count=1, memory_limit=256 << 20)
    try:
        await picture(Charts(workers=workers), tmp_path, FULL)
    finally:
        await workers.close()


async def test_a_folder_that_is_gone_is_a_failure(charts: Charts, tmp_path: Path) -> None:
    with pytest.raises(MediaFailed):
        await charts.draw_usage(FULL, tmp_path / "gone" / "usage.png", title="Here", names={})


async def test_many_pictures_at_once_are_all_drawn(charts: Charts, tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(4)]
    for folder in folders:
        folder.mkdir()
    made = await asyncio.gather(*(picture(charts, folder, FULL) for folder in folders))
    assert len({each.tobytes() for each in made}) == 1


async def test_neither_the_bot_nor_a_child_that_draws_nothing_loads_matplotlib(tmp_path: Path) -> None:
    report = "\nimport sys; print(*sys.modules)"
    bot = await script(f"import bot.app, cogs.wan, cogs.moderation, cogs.admin.usage{report}", tmp_path)
    child = await script(f"import bot.media.worker_process{report}", tmp_path)
    assert "bot.media.charts" in bot.split()
    assert "bot.media.chart_work" in child.split()
    assert not {"matplotlib", "numpy"} & {*bot.split(), *child.split()}
