"""A short soak; and that the checks of a soak find what is wrong."""

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from bot.jobs.job import State
from tests.imitations.discord_server import Message
from tests.imitations.pixeldojo import CUT
from tests.recovery.invariants import Seen, SeenJob, always, at_end, complaints, look, read_rows, strays
from tests.recovery.processes import Books, Stage, until
from tests.recovery.soak import Plan, soak, summary
from tests.recovery.troubles import BUSY, MoodyVendor, Post, Traps

KNOWN_SEED: Final = 20261120


@pytest.mark.timeout(300)
async def test_whenever_bots_are_killed_books_submissions_and_videos_are_right(tmp_path: Path) -> None:
    async def check(name: str, plan: Plan) -> None:
        print(f"{name}: seed {plan.seed}")  # noqa: T201 - pytest shows it with a failure
        folder = tmp_path / name
        folder.mkdir()
        tally = await soak(plan, folder, tell=print)
        assert not tally.violations, summary(plan, tally, 0)
        assert tally.kills == plan.kills
        assert tally.ends.total() > 0

    # side by side, since most of the time is waiting
    await asyncio.gather(
        check("known", Plan(kills=12, seed=KNOWN_SEED, bots=3, between=(0.0, 4.0))),
        check("new", Plan(kills=3, seed=secrets.randbits(32), bots=1, between=(0.0, 4.0))),
    )


# --- what the checks find --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scene:
    """After a kill: one video was posted, another is still at the vendor's."""

    seen: Seen
    database: Path

    @property
    def posted(self) -> SeenJob:
        return self.seen.rows.jobs[0]

    @property
    def submitted(self) -> SeenJob:
        return self.seen.rows.jobs[1]

    @property
    def video(self) -> Message:
        (video,) = self.seen.videos()[self.posted.id]
        return video

    def with_database(self, folder: Path, *statements: str, **values: str) -> Seen:
        """What would be seen if the books read otherwise; the guards of the database itself are taken away."""
        path = folder / "changed.db"
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(self.database)) as source, closing(sqlite3.connect(path)) as copy:
            source.backup(copy)
            guards = "SELECT type || ' ' || name FROM sqlite_master WHERE type = 'trigger' OR name LIKE 'uq_ledger%'"
            for (guard,) in copy.execute(guards).fetchall():
                copy.execute(f"DROP {guard}")
            copy.execute("PRAGMA ignore_check_constraints = 1")
            for statement in statements:
                copy.execute(statement, values)
            copy.commit()
        return replace(self.seen, rows=Books(f"sqlite:///{path}").read(read_rows))

    def with_message(self, **changes: Any) -> Seen:
        """What would be seen with one more message, like the video's but for these changes."""
        return replace(self.seen, messages=[*self.seen.messages, replace(self.video, **changes)])


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    async def play() -> Scene:
        vendor = MoodyVendor(seed="any", traps=Traps())
        vendor.calm()
        assert vendor.fate("an open one").succeeds
        async with Stage.open(tmp_path_factory.mktemp("scene"), vendor=vendor) as stage:
            async with stage.serving() as bot:
                # before that nothing is posted
                await bot.ready()
                await stage.done(await stage.ask_demo("a posted one"))
                await stage.reached(await stage.ask_vendor("an open one"), State.RUNNING)
                await stage.kill(bot)
            return Scene(look(stage, vendor, is_at_rest=True), stage.books.path)

    return asyncio.run(play())


def test_a_scene_as_it_should_be_is_found_right(scene: Scene) -> None:
    assert [scene.posted.state, scene.submitted.state] == [State.SUCCEEDED, State.RUNNING]
    assert always(scene.seen) == []
    held = f"account {scene.submitted.account_id} still holds {scene.submitted.quote}"
    assert [line for line in at_end(scene.seen) if "an open one" not in line] == [held]


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["UPDATE accounts SET available = available + 1"], "its entries sum to"),
        (["UPDATE accounts SET held = held - 1"], "its entries sum to"),
        (["UPDATE accounts SET allowance = allowance - 1"], "its entries sum to"),
        (["UPDATE accounts SET held = -1"], "can't be"),
        (["DELETE FROM ledger_entries WHERE kind = 'settle'"], "booked is"),
        (["UPDATE ledger_entries SET kind = 'release' WHERE kind = 'settle'"], "booked is"),
        (["UPDATE ledger_entries SET kind = 'adjust', job_id = NULL WHERE kind = 'settle'"], "booked is"),
        (["UPDATE jobs SET quote = quote + 1 WHERE state = 'succeeded'"], "are spent, but"),
        (["UPDATE jobs SET quote = quote + 1 WHERE state = 'running'"], "its open jobs cost"),
        (["DELETE FROM jobs WHERE state = 'running'"], "is booked for job"),
        (["DELETE FROM jobs WHERE state = 'running'"], "was submitted without a job"),
        (["DELETE FROM jobs WHERE state = 'running'"], "a row without the one that it names"),
        (["DELETE FROM jobs WHERE state = 'succeeded'"], "was posted, which isn't there"),
        (["UPDATE jobs SET state = 'failed' WHERE state = 'succeeded'"], "was posted for nothing"),
        (["UPDATE jobs SET state = 'running' WHERE state = 'succeeded'"], "was posted too early"),
        (["UPDATE jobs SET state = 'succeeded' WHERE state = 'running'"], "posted is []"),
        (["UPDATE jobs SET result_message_id = 1 WHERE state = 'succeeded'"], "paid for message 1"),
        (["UPDATE jobs SET channel_id = 1 WHERE state = 'succeeded'"], "in another channel"),
        (["UPDATE jobs SET task_id = 'unknown' WHERE state = 'running'"], "its task makes None"),
        (["UPDATE jobs SET task_id = 'same'"], "belongs to 2 jobs"),
    ],
)
def test_books_that_are_wrong_are_found(scene: Scene, tmp_path: Path, statements: list[str], words: str) -> None:
    assert words not in str(always(scene.seen))
    assert words in str(always(scene.with_database(tmp_path, *statements)))


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (("lost", "no_answer"), "nothing that happened explains"),
        (("lost", "no_answer"), "the vendor made its video"),
        (("failed", "refused"), "nothing that happened explains"),
        (("failed", "not_made"), "nothing that happened explains"),
        (("failed", "provider_paused"), "nothing that happened explains"),
        (("failed", "undeliverable"), "nothing that happened explains"),
        (("cancelled", "by_member"), "nothing that happened explains"),
        (("cancelled", "unanswered"), "nothing that happened explains"),
        (("expired", "too_late"), "nothing that happened explains"),
        (("expired", "too_late"), "its card says"),
    ],
)
def test_ends_that_are_wrong_are_found(scene: Scene, tmp_path: Path, end: tuple[str, str], words: str) -> None:
    assert words not in str(at_end(scene.seen))
    seen = scene.with_database(tmp_path, _END_OF_SUBMITTED, state=end[0], reason=end[1])
    assert words in str(at_end(seen))


_END_OF_SUBMITTED: Final = "UPDATE jobs SET state = :state, reason = :reason WHERE state = 'running'"


def test_a_lost_job_needs_a_death_while_it_was_submitted_or_an_answer_that_told_nothing(
    scene: Scene, tmp_path: Path
) -> None:
    event = "UPDATE job_events SET transition = 'submitting -> lost' WHERE transition = :transition AND job_id = :job"
    seen = scene.with_database(
        *(tmp_path, _END_OF_SUBMITTED, event),
        state="lost",
        reason="no_answer",
        transition="submitting -> running",
        job=scene.submitted.id,
    )
    begun, ended = (
        move.created_at
        for move in seen.rows.moves
        if move.job_id == scene.submitted.id and move.transition in {"queued -> submitting", "submitting -> lost"}
    )
    unexplained, second = "nothing that happened explains", timedelta(seconds=1)
    assert unexplained in str(at_end(seen))
    assert unexplained in str(at_end(replace(seen, deaths=[begun - second, ended + second])))
    assert unexplained not in str(at_end(replace(seen, deaths=[ended])))
    assert unexplained not in str(at_end(replace(seen, posts={scene.submitted.prompt: [Post(CUT)]})))


def test_a_message_that_should_not_be_there_is_found(scene: Scene) -> None:
    assert "its video was posted 2 times" in str(always(scene.with_message(id=1)))
    # a link in place of the file has its nonce only
    assert "its video was posted 2 times" in str(always(scene.with_message(id=1, attachments=[])))
    early = scene.with_message(nonce=f"v{scene.submitted.id}", attachments=[])
    assert "its video was posted too early" in str(always(early))
    (card,) = scene.seen.cards()[scene.posted.id]
    assert "has 2 cards" in str(at_end(scene.with_message(attachments=[], nonce=None, embeds=card.embeds)))


def test_a_video_that_is_not_the_one_that_was_asked_for_is_found(scene: Scene) -> None:
    (file,) = scene.video.attachments
    others = replace(scene.video, attachments=[replace(file, content=b"another's")])
    messages = [others if message is scene.video else message for message in scene.seen.messages]
    assert "isn't its video" in str(always(replace(scene.seen, messages=messages)))
    assert "its video isn't kept" in str(at_end(replace(scene.seen, files=[])))


def test_a_submission_too_many_is_found(scene: Scene) -> None:
    prompt, task_id = scene.submitted.prompt, scene.submitted.task_id or ""
    twice = replace(scene.seen, tasks={**scene.seen.tasks, "again": prompt})
    assert "was made 2 times" in str(always(twice))
    again = {prompt: [Post(None, 202), Post(None, 202)]}
    assert "though it may have been taken" in str(always(replace(scene.seen, posts=again)))
    # once the vendor has said that it has started nothing, it may be asked again
    busy = {prompt: [Post(BUSY, 429), Post(None, 202)]}
    assert always(replace(scene.seen, posts=busy)) == []
    assert "its task makes 'a dog'" in str(always(replace(scene.seen, tasks={task_id: "a dog"})))


def test_only_errors_of_the_bot_itself_are_complained_of() -> None:
    def line(event: str, **values: str) -> str:
        return json.dumps({"event": event, "level": "error", "logger": "bot", "timestamp": "now", **values})

    def trace(last: str) -> str:
        return f"Traceback (most recent call last):\n  File ...\n{last}"

    news = [
        line("provider paused: check its key and its funds"),
        line("job moved", state="lost"),
        line("Attempting a reconnect for shard ID 0 in 0.31s", exception=trace("OSError: gone")),
        line("a command failed", exception=trace("discord.errors.DiscordServerError: 503 imitated failure")),
    ]
    assert complaints(news, was_killed=False) == []
    faults = [
        line("a step failed; the job goes on in a while", exception=trace("KeyError: 'x'")),
        line("a command failed", exception=trace("KeyError: 'x'")),
        line("an account differs from its entries: run `wanbot check`"),
        "Fatal Python error: Aborted}",
    ]
    found = complaints(faults, was_killed=True)
    assert len(found) == len(faults)
    assert found[0].endswith("a step failed; the job goes on in a while KeyError: 'x'")
    cut_short = faults[0][:-5]
    assert complaints([cut_short], was_killed=True) == []
    assert complaints([cut_short], was_killed=False) == [cut_short]


async def test_a_process_left_behind_is_found(tmp_path: Path) -> None:
    assert strays(tmp_path) == []
    process = await asyncio.create_subprocess_exec("sleep", "600", cwd=tmp_path)
    try:
        (found,) = await until(lambda: [each for each in strays(tmp_path) if "sleep" in each], lambda: strays(tmp_path))
        assert found == f"{process.pid}: sleep 600 "
    finally:
        process.kill()
        await process.wait()
    assert strays(tmp_path) == []
