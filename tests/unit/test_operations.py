"""The parts of what operators look at, one at a time."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import time
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import structlog

from bot import logs
from bot.communities.usage import Asked, Costs, SaidCost, UnsaidCost
from bot.credits.pricing import Pricing
from bot.jobs.job import State
from bot.operations.discord_trace import NO_CODE, code_in
from bot.operations.loop_delay import watch_loop
from bot.operations.overview import Kept, Overview, ProviderHealth, Spent, spent_at
from bot.operations.page import overview_page
from bot.operations.questions import NoAnswer, Question
from bot.operations.readiness import Part, worker_trouble
from bot.operations.recent_lines import RecentLines
from bot.operations.serving import queue_age
from bot.operations.store import CommunityUse, FailedJob, LiveJob, LiveProcess, OpenJobs, Spending
from bot.settings import Settings
from providers.catalogue import MODELS
from providers.types import Cost, CostUnit
from tests.clocks import NOON

ROOT = Path(__file__).parents[2]


# --- questions ---------------------------------------------------------------------------------------


class Asking:
    """Something that is asked, and counts how often."""

    def __init__(self) -> None:
        self.times = 0
        self.answers = asyncio.Event()
        self.seconds = 0.0
        self.fault: Exception | None = None

    async def __call__(self) -> int:
        self.times += 1
        await self.answers.wait()
        if self.fault is not None:
            raise self.fault
        return self.times

    def question(self, patience: float = 30) -> Question[int]:
        return Question(self, fresh_for=5, patience=patience, now=lambda: self.seconds)


async def test_many_who_ask_at_once_get_one_answer() -> None:
    asking = Asking()
    question = asking.question()
    waiting = [asyncio.create_task(question.answer()) for _ in range(10)]
    await asyncio.sleep(0)
    asking.answers.set()
    assert await asyncio.gather(*waiting) == [1] * 10
    assert asking.times == 1


async def test_an_answer_holds_for_a_while_and_no_longer() -> None:
    asking = Asking()
    asking.answers.set()
    question = asking.question()
    assert await question.answer() == 1
    asking.seconds = 4.9
    assert await question.answer() == 1
    asking.seconds = 5.0
    assert await question.answer() == 2


async def test_who_gets_no_answer_in_time_hears_so_and_the_question_stays_one() -> None:
    asking = Asking()
    question = asking.question(patience=0.01)
    for _ in range(3):
        with pytest.raises(NoAnswer, match=r"no answer within 0\.01 s"):
            await question.answer()
    assert asking.times == 1
    await question.close()


async def test_an_error_is_told_to_who_asked_and_not_kept() -> None:
    asking = Asking()
    asking.answers.set()
    asking.fault = LookupError("with a secret in it")
    question = asking.question()
    with pytest.raises(NoAnswer, match=r"^LookupError$"):
        await question.answer()
    asking.fault = None
    assert await question.answer() == 2


# --- health ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("looked_at", "trouble"),
    [
        (None, "hasn't begun"),
        (NOON, None),
        (NOON - timedelta(minutes=2), None),
        (NOON - timedelta(minutes=3), "hasn't looked at its jobs for 180 s"),
    ],
)
def test_a_worker_that_is_silent_for_long_is_in_trouble(looked_at: datetime | None, trouble: str | None) -> None:
    assert worker_trouble(looked_at, NOON) == trouble


async def test_a_loop_that_is_blocked_is_late() -> None:
    seen = asyncio.Queue[float]()
    watching = asyncio.create_task(watch_loop(seen.put_nowait, every=0.01))
    await asyncio.sleep(0)
    time.sleep(0.3)  # noqa: ASYNC251 - this is what is to be noticed
    assert await seen.get() >= 0.2
    watching.cancel()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"message": "Unknown interaction", "code": 10062}', 10062),
        (b'{"message": "no code"}', NO_CODE),
        (b'{"code": "50013"}', NO_CODE),
        (b"[50013]", NO_CODE),
        (b"<html>bad gateway</html>", NO_CODE),
        (b"\xff", NO_CODE),
        (b"", NO_CODE),
    ],
)
def test_discords_code_is_found_if_there_is_one(body: bytes, code: int) -> None:
    assert code_in(body) == code


def test_the_queue_is_as_old_as_its_oldest_job() -> None:
    def group(state: State, minutes: int) -> OpenJobs:
        return OpenJobs(state, "demo", jobs=1, quotes=1, oldest=NOON - timedelta(minutes=minutes))

    assert queue_age([], NOON) == 0
    assert queue_age([group(State.RUNNING, 50)], NOON) == 0
    assert queue_age([group(State.RUNNING, 50), group(State.QUEUED, 3), group(State.QUEUED, 4)], NOON) == 240
    assert queue_age([group(State.QUEUED, -1)], NOON) == 0, "the clock was set back"


# --- the log -----------------------------------------------------------------------------------------


@pytest.fixture
def real_logs() -> Generator[None]:
    """The log as ``wanbot run`` has it."""
    root = logging.getLogger()
    before, level = root.handlers, root.level
    logs.configure(Settings.load({"LOG_FORMAT": "json"}))
    yield
    root.handlers, root.level = before, level
    structlog.reset_defaults()


def test_warnings_and_errors_are_kept_and_counted_with_their_ids_alone(real_logs: None) -> None:
    counted: list[str] = []
    recent = RecentLines(count=counted.append)
    log = structlog.stdlib.get_logger("bot.tests")
    with recent.listening():
        log.info("all is well")
        log.warning("trouble with a provider", provider="pixazo", job="0abc", why="the prompt was: a secret")
        with structlog.contextvars.bound_contextvars(interaction=77, guild=5):
            log.error("a command failed", prompt="a secret")
        logging.getLogger("providers.pixazo").warning("the word %r is not documented", "a secret")
        log.error("a step failed", exc_info=LookupError("a secret"))
    log.error("nobody listens any more")
    assert [(line.level, line.event, line.about) for line in recent.latest()] == [
        ("error", "a step failed", ""),
        ("warning", "the word %r is not documented", "providers.pixazo"),
        ("error", "a command failed", "guild 5, interaction 77"),
        ("warning", "trouble with a provider", "job 0abc, provider pixazo"),
    ]
    assert counted == ["warning", "error", "warning", "error"]
    assert "secret" not in repr(recent.latest())


def test_only_the_latest_lines_are_kept(real_logs: None) -> None:
    recent = RecentLines(count=lambda _: None, most=3)
    with recent.listening():
        for number in range(10):
            structlog.stdlib.get_logger("bot.tests").warning(f"{number} " + "x" * 1000)
    assert [line.event[:2] for line in recent.latest()] == ["9 ", "8 ", "7 "]
    assert max(len(line.event) for line in recent.latest()) == 200


# --- the page ----------------------------------------------------------------------------------------

HOSTILE = "</td><script>alert(1)</script>\"'&\u202e"


def an_overview(kept: Kept | None, *, name: str = "Here") -> Overview:
    return Overview(
        at=NOON,
        started_at=NOON - timedelta(days=2, hours=3),
        parts=[Part("discord", None), Part("database", "no answer within 2 s")],
        kept=kept,
        providers=[
            ProviderHealth(
                title="PixelDojo",
                paused_until=NOON + timedelta(minutes=4),
                requests=1200,
                failures=30,
                open_jobs=2,
                day=Spent(usd=Decimal("0.15"), is_estimated=False),
                period=Spent(usd=Decimal(12), is_estimated=True),
            )
        ],
        lines=[],
        names={1: name},
    )


def kept(**changed: object) -> Kept:
    nothing = Spending(said=(), unsaid=())
    values: dict[str, object] = {"processes": (), "open": (), "live": (), "failed": (), "communities": ()}
    return Kept(**{**values, "day": nothing, "period": nothing, **changed})  # pyright: ignore[reportArgumentType] - as the fields are


def test_the_page_shows_the_processes_where_several_share_the_work() -> None:
    started_at = NOON - timedelta(hours=3)
    page = overview_page(an_overview(kept(processes=[LiveProcess("0a1b", "0, 1 of 4", started_at, 12)])))
    assert "<h2>Processes</h2>" in page
    assert "0, 1 of 4" in page
    assert "<h2>Processes</h2>" not in overview_page(an_overview(kept()))


def test_the_page_escapes_what_others_have_written() -> None:
    page = overview_page(
        an_overview(
            kept(
                live=[LiveJob("0abc", 1, HOSTILE, State.RUNNING, NOON)],
                failed=[FailedJob("0abd", 2, HOSTILE, State.FAILED, HOSTILE, NOON)],
                communities=[CommunityUse(1, jobs=3, members=2, videos=1, credits=15)],
            ),
            name=HOSTILE,
        )
    )
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;") == 5


def test_the_page_tells_how_it_is_with_the_bot_and_its_providers() -> None:
    waiting = OpenJobs(State.QUEUED, "demo", jobs=70, quotes=1050, oldest=NOON)
    page = overview_page(
        an_overview(kept(open=[waiting], live=[LiveJob("0abc", 9, "demo", State.QUEUED, NOON - timedelta(minutes=3))]))
    )
    for told in (
        "2 d 3 h",
        "discord: ok",
        "database: no answer within 2 s",
        "70 queued · 0 submitting · 0 running · 0 delivering; 1,050 credits held",
        "<code>9</code>",
        "3 min",
        "69 more",
        "asked again in 4 min",
        "30 of 1,200",
        ">US$ 0.15<",
        ">~ US$ 12.00<",
    ):
        assert told in page, told


def test_the_page_is_there_without_a_database() -> None:
    page = overview_page(an_overview(None))
    assert "The database doesn&#x27;t answer" in page or "The database doesn't answer" in page
    assert "PixelDojo" in page
    assert "Live jobs" not in page


def test_spending_is_what_vendors_said_and_else_what_the_price_list_says() -> None:
    costs = Costs(
        pricing=Pricing(credits_per_usd=Decimal(100), usd_per_vendor_credit={"pixeldojo": Decimal("0.05")}),
        specs={spec.id: spec for spec in MODELS},
    )
    said = [
        SaidCost("pixeldojo/wan-2.2-standard", Cost(Decimal(3), CostUnit.CREDITS), 2),
        SaidCost("pixazo/wan2.2-i2v-plus", Cost(Decimal("0.4"), CostUnit.USD), 1),
    ]
    unsaid = [UnsaidCost("demo", Asked(mode="text", resolution="480p", duration=2), 5)]
    spending = Spending(said=said, unsaid=unsaid)
    assert spent_at("pixeldojo", spending, costs) == Spent(usd=Decimal("0.30"), is_estimated=False)
    assert spent_at("pixazo", spending, costs) == Spent(usd=Decimal("0.4"), is_estimated=False)
    assert spent_at("demo", spending, costs) == Spent(usd=Decimal("0.05"), is_estimated=True)
    assert spent_at("vtrix", spending, costs) == Spent(usd=Decimal(0), is_estimated=False)


# --- what it costs who doesn't want it -----------------------------------------------------------------


@pytest.mark.parametrize(("port", "are_loaded"), [("", False), ("8080", True)])
def test_nothing_of_it_is_loaded_unless_a_port_is_set(tmp_path: Path, port: str, are_loaded: bool) -> None:  # noqa: FBT001 - a case
    program = """
import asyncio, json, os, sys
from bot.app import open_app
from bot.settings import Settings

async def look():
    async with open_app(Settings.load(os.environ)):
        print(json.dumps([name in sys.modules for name in ("prometheus_client", "aiohttp.web", "bot.operations")]))

asyncio.run(look())
"""
    environment = {"PYTHONPATH": str(ROOT), "DATA_DIR": str(tmp_path), "HTTP_PORT": port}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True, text=True)  # noqa: S603 - our own
    assert json.loads(done.stdout.splitlines()[-1]) == [are_loaded] * 3


def test_times_of_lines_are_in_utc(real_logs: None) -> None:
    recent = RecentLines(count=lambda _: None)
    with recent.listening():
        structlog.stdlib.get_logger("bot.tests").warning("now")
    assert recent.latest()[0].at.tzinfo is UTC
