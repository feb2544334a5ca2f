"""What people read is said in their language; here with a catalogue in which every text stands in brackets."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import discord
import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from PIL import Image

from bot import languages
from bot.communities import describing
from bot.communities.audit import page
from bot.communities.decisions import Actor, Decisions
from bot.communities.member_keys import MemberKeys
from bot.communities.memory import Communities
from bot.communities.rules import Adult, Community, Limits
from bot.communities.usage import Days, MemberSpending, Outcomes, Series, Upstream, Usage, alternative_text, summary
from bot.credits.accounts import Accounts
from bot.credits.allowance import AllowanceRule, PeriodLength
from bot.database.engine import Database
from bot.delivery import dates
from bot.errors import Refusal
from bot.jobs.fitting import CONVERTED, SCALED, fitting_text
from bot.languages import speaking
from bot.media.chart_work import _own_texts  # pyright: ignore[reportPrivateUsage]
from bot.media.charts import drawn
from bot.media.errors import MediaLimit
from bot.media.images import Images
from bot.media.workers import MediaWorkers
from bot.privacy.exports import Export
from cogs.privacy import export_text, privacy_text, warning_text
from cogs.reports import ReportForm
from cogs.status import help_text
from cogs.video_forms import AnimateForm, ComposeForm, EditForm, ExtendForm
from providers.types import ImageLimits
from tests.clocks import Clock

ROOT = Path(languages.__file__).parents[1]
DEFAULT = AllowanceRule(amount=100, length=PeriodLength.WEEK)
GUILD, OTHER_LANGUAGE = 100, "zh-CN"
#: leads a process to the catalogues in a folder, and goes on as a child for media
CHILD = """
import runpy, sys
from pathlib import Path
from bot import languages
languages._FOLDER = Path(sys.argv.pop(1))
runpy.run_module("bot.media.worker_process", run_name="__main__", alter_sys=True)
"""


def _constant(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def bracketed(folder: Path) -> Path:
    """A catalogue of every text that is marked in the code, each in brackets."""
    catalogue = Catalog(locale="zh_CN")
    for file in (path for package in ("bot", "cogs", "providers") for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if isinstance(node, ast.Call) and name in {"_", "N_", "Text"} and (text := _constant(node.args[0])):
                catalogue.add(text, f"[{text}]")
            elif isinstance(node, ast.Call) and name == "ngettext":
                one, many = _constant(node.args[0]), _constant(node.args[1])
                catalogue.add((one, many), (f"[{many}]",))
    target = folder / "zh_CN" / "LC_MESSAGES" / "wanbot.mo"
    target.parent.mkdir(parents=True)
    with target.open("wb") as file:
        write_mo(file, catalogue)
    return folder


@pytest.fixture(scope="module")
def catalogues(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bracketed(tmp_path_factory.mktemp("catalogues"))


@pytest.fixture(autouse=True)
def other_language(catalogues: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything in a test is said in the other language."""
    read = languages._catalogue  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(languages, "_FOLDER", catalogues)
    read.cache_clear()
    with speaking(OTHER_LANGUAGE):
        yield
    read.cache_clear()


def is_said(text: str) -> bool:
    """Whether all of a text stands in brackets."""
    return text.startswith("[") and text.endswith("]")


def decisions_of(database: Database) -> Decisions:
    keys = MemberKeys("secret")
    return Decisions(
        database=database,
        communities=Communities(database=database, default=DEFAULT),
        accounts=Accounts(member_keys=keys),
        member_keys=keys,
        keep_days=30,
        clock=Clock(),
    )


_interactions = count(1)


def actor() -> Actor:
    return Actor(guild_id=GUILD, user_id=1, interaction_id=next(_interactions))


async def test_a_moderator_reads_a_change_in_their_language_and_the_audit_keeps_it_in_english(
    database: Database,
) -> None:
    change = await decisions_of(database).set_limits(actor(), lambda _limits: Limits(duration=5))
    assert change.said == ("`duration`: [no limit]", "`duration`: [up to 5 seconds]")
    (row,) = await database.read(lambda connection: page(connection, GUILD, most=5))
    assert (row.deed.before, row.deed.after) == ("`duration`: no limit", "`duration`: up to 5 seconds")
    assert (change.deed.before, change.deed.after) == (row.deed.before, row.deed.after)


async def test_what_the_database_refuses_is_said_in_the_language_of_whoever_asked(database: Database) -> None:
    with pytest.raises(Refusal) as refused:
        await decisions_of(database).unblock_word(actor(), "fox")
    assert refused.value.text == "[**text**: this isn't blocked. Blocked are: [none].]"


def test_every_limit_is_said() -> None:
    tight = Limits(
        member_period_jobs=1,
        guild_period_jobs=2,
        duration=1,
        resolution="720p",
        confirm_above=5,
        guild_budget=1,
        adult=Adult.NOWHERE,
    )
    for limits in (Limits(), tight):
        assert all(map(is_said, describing.limits(limits, "day").values()))


@pytest.mark.parametrize("length", PeriodLength)
def test_an_allowance_is_said_for_each_period(length: PeriodLength) -> None:
    for rule in (AllowanceRule(amount=0, length=length), AllowanceRule(amount=5, length=length, cap=9)):
        assert is_said(describing.allowance(Community(guild_id=GUILD, allowance=rule)))


@pytest.mark.parametrize("number", [1, 3])
def test_what_is_kept_of_members_is_said_paragraph_by_paragraph(number: int) -> None:
    export = Export(path=Path("x"), videos=number, entries=number, pictures=number, pictures_left_out=number)
    texts = [privacy_text(number), warning_text(number), warning_text(0), export_text(export)]
    assert all(is_said(line) for text in texts for line in text.split("\n"))
    assert all(is_said(paragraph) for paragraph in help_text().split("\n\n"))


def test_dates_are_said() -> None:
    day = date(2026, 11, 20)
    assert dates.day_text(day) == "[20 [November] 2026]"
    assert dates.short_day_text(day) == "[20 [Nov]]"
    assert dates.days_text(day.replace(day=1), day) == "[[1 [November]] to [20 [November] 2026]]"


@pytest.mark.parametrize(("said", "estimated"), [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("unknown", [0, 1])
def test_the_usage_is_said_in_words_and_on_the_charts(said: int, estimated: int, unknown: int) -> None:
    usage = Usage(
        days=Days(date(2026, 10, 30), date(2026, 11, 2)),
        series=(Series("others", (1, 1, 1, 1)),),
        spent=4,
        worth=Decimal("0.04"),
        outcomes=Outcomes(posted=1, failed=1, cancelled=1, still_open=1),
        members=1,
        top=(MemberSpending(-1, 1, 4),),
        upstream=Upstream(said=Decimal(said), estimated=Decimal(estimated), unknown=unknown),
    )
    heading, *figures, top, member = summary(usage).split("\n")
    assert heading == "[**Usage, [[30 [October]] to [2 [November] 2026]]** (UTC)]"
    assert all(map(is_said, [*figures, top]))
    assert member == "1. [deleted member]: [4 credits], [1 videos]"
    assert all(map(is_said, alternative_text(usage).split("\n")))
    assert all(text.startswith("[") for text in _own_texts(drawn(usage, {})))
    assert drawn(usage, {})["members"] == [["[deleted member]", 4]]


def test_a_note_that_was_kept_in_english_is_said() -> None:
    assert fitting_text(SCALED.format(before="4000 x 3000", after="2000 x 1500")) == (
        "[scaled from 4000 x 3000 to 2000 x 1500 to fit the model]"
    )
    assert fitting_text(CONVERTED) == "[converted to fit the model]"
    assert fitting_text("scaled from a to b to fit the model") == "scaled from a to b to fit the model"


@pytest.mark.parametrize(
    "form",
    [
        lambda: ReportForm("0123456789ab"),
        lambda: ComposeForm.reopened(None, ""),  # pyright: ignore[reportArgumentType] - it isn't looked at
        lambda: EditForm.reopened(None, "a"),  # pyright: ignore[reportArgumentType] - as above
        lambda: ExtendForm.reopened(None, "a/b"),  # pyright: ignore[reportArgumentType] - as above
        lambda: AnimateForm.reopened(None, "1"),  # pyright: ignore[reportArgumentType] - as above
    ],
)
async def test_a_form_is_written_when_it_is_opened(form: Any) -> None:
    opened = form()
    assert is_said(opened.title)
    labels: list[discord.ui.Label[Any]] = [item for item in opened.children if isinstance(item, discord.ui.Label)]
    assert labels
    assert all(is_said(label.text) for label in labels)
    assert all(is_said(label.description) for label in labels if label.description is not None)


async def test_a_child_says_what_is_wrong_with_a_picture_in_the_language_of_its_sender(
    catalogues: Path, tmp_path: Path
) -> None:
    Image.new("RGB", (10, 500)).save(tmp_path / "narrow.png")
    workers = MediaWorkers(count=1, command=(sys.executable, "-P", "-c", CHILD, str(catalogues)))
    limits = ImageLimits(content_types=("image/png",), max_bytes=10**6, min_side=64, max_side=512)
    try:
        with pytest.raises(MediaLimit) as refused:
            await Images(workers=workers).fit(tmp_path / "narrow.png", tmp_path / "fitted", limits)
        assert refused.value.reason == "[This picture has 10 x 500 pixels. Each side must have at least 64.]"
        with speaking("en-US"), pytest.raises(MediaLimit) as refused:
            await Images(workers=workers).fit(tmp_path / "narrow.png", tmp_path / "fitted", limits)
        assert refused.value.reason == "This picture has 10 x 500 pixels. Each side must have at least 64."
    finally:
        await workers.close()
