"""What the command line finds and changes, on both databases; it decides nothing that a running bot can't see."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.communities import audit
from bot.communities.audit import OPERATOR
from bot.communities.store import lock_guild
from bot.credits import ledger
from bot.database.engine import Connection, Database, open_database
from bot.jobs import store as jobs
from bot.jobs.job import OPEN, Job, Reason, State
from bot.jobs.lifecycle import ANSWER_PATIENCE, ATTEMPT_AGE
from bot.jobs.store import JobMoved
from bot.settings import Settings
from bot.support import credits as accounts
from bot.support import jobs as support
from bot.support.errors import CannotBeDone
from bot.support.opening import opened
from bot.support.printing import age_text, document, table, text_of
from bot.support.store import Filter
from tests.clocks import NOON
from tests.unit.test_job_store import CHANNEL, GUILD, MEMBER, QUOTE, accept, step_to

LATER = NOON + timedelta(days=1)
SETTINGS = Settings.load({})


def clock() -> datetime:
    return LATER


async def accepted(database: Database, number: int = 1, *, state: State = State.QUEUED, user_id: int = MEMBER) -> Job:
    def work(connection: Connection) -> Job:
        lock_guild(connection, GUILD)
        return accept(connection, number, state=state, user_id=user_id)

    return await database.write(work)


async def held(database: Database) -> tuple[int, int]:
    """What the member has available, and what is held."""
    account = await database.write(lambda c: ledger.account_of(c, GUILD, MEMBER))
    assert await database.read(ledger.mismatches) == []
    return account.available, account.held


@pytest.mark.parametrize("state", sorted(OPEN))
async def test_an_open_job_is_released_whatever_its_state_with_its_event_and_its_row_of_the_audit(
    database: Database, state: State
) -> None:
    job = await accepted(database, state=state)
    assert await held(database) == (0, QUOTE)
    ended = await support.release(database, job.id, reason="It hung", now=LATER)
    assert (ended.state, ended.reason, ended.ended_at) == (State.FAILED, Reason.BY_OPERATOR, LATER)
    assert await held(database) == (QUOTE, 0)
    dossier = await support.look_up(database, job.id, data_dir=Path("nowhere"))
    assert dossier.events[-1].transition == f"{state} -> failed"
    assert dossier.events[-1].detail == "released by the operator"
    assert [entry.kind for entry in dossier.entries] == ["hold", "release"]
    ((_, deed),) = await database.read(lambda c: audit.by_operator(c, after=0))
    assert (deed.action, deed.target, deed.after) == ("jobs.release", f"<@{MEMBER}>", f"job {job.id}")
    assert (deed.actor_id, deed.reason, deed.guild_id) == (OPERATOR, "It hung", GUILD)


async def test_what_the_worker_does_after_a_release_is_refused(database: Database) -> None:
    job = await accepted(database, state=State.RUNNING)
    await support.release(database, job.id, reason="", now=LATER)
    with pytest.raises(JobMoved):
        await database.write(lambda c: jobs.move(c, job, step_to(State.DELIVERING), now=LATER))
    with pytest.raises(JobMoved):
        await database.write(lambda c: jobs.open_attempt(c, job, video_path="x.mp4", now=LATER))
    assert await held(database) == (QUOTE, 0)


async def test_an_ended_or_unknown_job_is_not_released_and_nothing_is_written(database: Database) -> None:
    job = await accepted(database, state=State.SUCCEEDED)
    with pytest.raises(CannotBeDone, match=r"ended already \(succeeded\)"):
        await support.release(database, job.id, reason="", now=LATER)
    with pytest.raises(CannotBeDone, match="there is no job nothing"):
        await support.release(database, "nothing", reason="", now=LATER)
    assert await held(database) == (0, 0)
    assert await database.read(lambda c: audit.by_operator(c, after=0)) == []


async def test_what_may_be_under_way_in_this_moment_is_not_released(database: Database) -> None:
    job = await accepted(database, state=State.SUBMITTING)
    submitting = replace(job, submitted_at=LATER)
    assert support.why_not_released(submitting, LATER + ANSWER_PATIENCE) is None
    why = support.why_not_released(submitting, LATER + ANSWER_PATIENCE - timedelta(seconds=1))
    assert why == "its submission may be answered until 12:02:10 UTC: try again then"
    posting = replace(job, state=State.DELIVERING, attempted_at=LATER)
    assert support.why_not_released(posting, LATER + ATTEMPT_AGE) is None
    assert "into the channel until 12:02:00 UTC" in str(support.why_not_released(posting, LATER))


async def test_only_what_is_kept_and_not_on_its_way_is_posted_again(database: Database, tmp_path: Path) -> None:
    job = await accepted(database, state=State.SUCCEEDED)

    async def order() -> Job:
        return await support.redeliver(database, job.id, videos=tmp_path, reason="", now=LATER)

    with pytest.raises(CannotBeDone, match="isn't kept"):
        await order()
    (tmp_path / f"{job.id}.mp4").write_bytes(b"a video")
    ordered = await order()
    assert (ordered.late_until, ordered.state, ordered.version) == (LATER + timedelta(days=1), job.state, job.version)
    with pytest.raises(CannotBeDone, match="about to be posted already"):
        await order()
    assert len(await database.read(lambda c: audit.by_operator(c, after=0))) == 1
    assert await held(database) == (0, 0)
    for wrong, words in (
        (replace(job, state=State.DELIVERING), "hasn't ended: it is delivering"),
        (replace(job, purged_at=NOON), "isn't kept"),
        (replace(job, removed_at=NOON), "removed by"),
    ):
        assert words in str(support.why_not_redelivered(wrong, has_video=True, now=LATER))


async def test_jobs_are_found_by_what_they_are_whose_they_are_and_how_old(database: Database) -> None:
    first = await accepted(database, 1, state=State.RUNNING)
    second = await accepted(database, 2, state=State.FAILED)
    third = await accepted(database, 3, user_id=MEMBER + 1)

    async def found(most: int = 50, **chosen: object) -> list[str]:
        return [job.id for job in await support.find(database, Filter(**chosen), most=most)]  # pyright: ignore[reportArgumentType]

    assert await found() == [third.id, second.id, first.id]
    assert await found(most=1) == [third.id]
    assert await found(states=OPEN) == [third.id, first.id]
    assert await found(states=frozenset({State.FAILED})) == [second.id]
    assert await found(user_id=MEMBER) == [second.id, first.id]
    assert await found(guild_id=GUILD + 1) == []
    assert await found(before=second.created_at) == [first.id]


async def test_a_job_is_shown_with_its_files_and_its_prompt_only_when_asked_for(
    database: Database, tmp_path: Path
) -> None:
    job = await accepted(database, state=State.RUNNING)
    (tmp_path / "inputs" / job.id).mkdir(parents=True)
    (tmp_path / "inputs" / job.id / "image.png").write_bytes(b"123")
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / f"{job.id}.mp4").write_bytes(b"12345")
    (tmp_path / "videos" / f"{job.id}0.mp4").write_bytes(b"another's")
    dossier = await support.look_up(database, job.id, data_dir=tmp_path)
    shown = support.dossier_text(dossier, has_prompts=False)
    assert f"inputs/{job.id}/image.png" in shown
    assert f"{job.id}0" not in shown
    assert job.request.prompt not in shown
    assert job.request.prompt in support.dossier_text(dossier, has_prompts=True)
    told = json.loads(document(support.dossier_document(dossier, has_prompts=False)))
    assert [each["size"] for each in told["files"]] == [3, 5]
    assert (told["guild"], told["channel"], told["credits"]) == (str(GUILD), str(CHANNEL), QUOTE)
    assert "prompt" not in told
    assert job.request.prompt not in support.list_text([job], now=LATER, has_prompts=False)
    assert job.request.prompt in support.list_text([job], now=LATER, has_prompts=True)
    assert support.list_text([], now=LATER, has_prompts=False) == "There is no such job."


async def test_the_operator_gives_and_takes_as_moderators_do_in_a_name_of_its_own(database: Database) -> None:
    await accepted(database, state=State.RUNNING)
    whom = (GUILD, MEMBER)
    # the allowance comes with it, as whenever somebody looks at an account
    given = await accounts.grant(database, SETTINGS, whom, 30, reason="Sorry", clock=clock)
    assert accounts.change_text(given, 30) == "gave 30; available: 100 before, 130 now"
    # each is another deed: there is no interaction by which a repetition would be known
    await accounts.grant(database, SETTINGS, whom, 30, reason="Sorry", clock=clock)
    taken = await accounts.revoke(database, SETTINGS, whom, 500, reason="Too much", clock=clock)
    assert accounts.change_text(taken, 500) == "took 160 of 500, no more were available; available: 160 before, 0 now"
    assert await held(database) == (0, QUOTE)
    standing = await accounts.look_up(database, guild_id=GUILD, user_id=MEMBER, most=3)
    assert [(entry.kind, entry.available, accounts.by(entry)) for entry in standing.entries] == [
        ("adjust", -160, "operator"),
        ("grant", 30, "operator"),
        ("grant", 30, "operator"),
    ]
    text = accounts.standing_text(standing)
    assert "Too much" in text
    assert json.loads(document(accounts.standing_document(standing)))["held"] == QUOTE


async def test_an_unknown_guild_or_account_is_no_place_for_credits(database: Database) -> None:
    with pytest.raises(CannotBeDone, match=f"nothing is known of guild {GUILD}"):
        await accounts.grant(database, SETTINGS, (GUILD, MEMBER), 30, reason="Sorry", clock=clock)
    with pytest.raises(CannotBeDone, match="no account"):
        await accounts.look_up(database, guild_id=GUILD, user_id=MEMBER, most=3)
    assert await database.read(lambda c: ledger.account_if_any(c, GUILD, MEMBER)) is None


async def test_a_database_of_another_version_is_left_alone(empty_database_url: str, backend: str) -> None:
    if backend == "sqlite":
        with pytest.raises(CannotBeDone, match="there is no database at"):
            async with opened(empty_database_url):
                raise AssertionError("it was opened")
        await open_database(empty_database_url).read(lambda c: None)
    with pytest.raises(CannotBeDone, match="at version none, this program needs"):
        async with opened(empty_database_url):
            raise AssertionError("it was opened")


def test_what_others_wrote_steers_no_terminal() -> None:
    assert text_of("a\x1b[31mred\nline\u202e") == "a [31mred line"
    assert text_of(None) == text_of("") == "-"
    assert text_of(NOON) == "2026-11-18 12:00:00Z"
    assert len(text_of("a" * 1000)) == 300


def test_tables_are_aligned() -> None:
    assert (
        table(["NAME", "CREDITS"], [["a", 7], ["longer", 100]]) == "NAME    CREDITS\na             7\nlonger      100"
    )
    assert [age_text(timedelta(seconds=seconds)) for seconds in (0, 59, 60, 7200, 200_000)] == [
        "0 s",
        "59 s",
        "1 min",
        "2 h",
        "2 d",
    ]
