"""What was kept for long enough is deleted: jobs, files, and guilds that the bot has left; on each database."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from sqlalchemy import BigInteger, Connection, Table, func, select, update

from bot.communities import audit as deeds
from bot.communities import departures
from bot.communities import store as decisions
from bot.communities.audit import Deed, mention
from bot.communities.member_keys import MemberKeys
from bot.communities.memory import Communities
from bot.communities.rules import ModelRule, Place
from bot.credits import ledger
from bot.credits.accounts import Accounts
from bot.credits.allowance import AllowanceRule, PeriodLength, period_at
from bot.credits.pricing import PriceRule
from bot.database.engine import Database
from bot.database.tables import (
    accounts,
    audit,
    blocked_members,
    forgotten_grants,
    guilds,
    job_events,
    jobs,
    ledger_entries,
    metadata,
)
from bot.errors import Refusal
from bot.jobs import lifecycle, recovery, store
from bot.jobs.files import JobFiles
from bot.jobs.job import Job, Reason, Request, State, StoredMedia, new_id
from bot.jobs.lifecycle import Money, Step
from bot.members import store as members
from bot.members.memory import Members
from bot.members.presets import Preset, PresetOptions
from bot.members.settings import MemberSettings
from bot.privacy.departed import DepartedGuilds
from bot.privacy.erasing import Erasing
from bot.privacy.forgetting import Forgetting
from bot.privacy.keeping import cut_off, nobody
from bot.privacy.retention import Retention
from providers.catalogue import DEMO
from providers.demo import KEEP, DemoProvider
from providers.registry import Registry
from providers.types import GenerationRequest, Mode
from tests.clocks import NOON, Clock

T = TypeVar("T")

GUILD, OTHER, MEMBER = 100, 101, 200
QUOTE = 7
RULE = AllowanceRule(amount=100, length=PeriodLength.WEEK)
KEEP_DAYS = 30
KEYS = MemberKeys("secret")
ACCOUNTS = Accounts(member_keys=KEYS)
PLACE = Place(channel_id=9)
PRESET = Preset("Clay", PresetOptions(model="demo"))


class Died(BaseException):
    """What a dead process raises."""


@dataclass
class Mortal:
    """A database whose process can die right after a commit, and that tells how many jobs each commit scrubbed."""

    inner: Database
    #: after so many more commits
    dies_after: int | None = None
    batches: list[int] = field(default_factory=list[int])

    async def write(self, work: Callable[[Connection], T]) -> T:
        result = await self.inner.write(work)
        scrubbed: object = result
        if isinstance(scrubbed, list):
            self.batches.append(len(cast("list[object]", scrubbed)))
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after < 0:
                raise Died
        return result

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self.inner.read(work)

    async def close(self) -> None:
        await self.inner.close()


@dataclass
class House:
    """The services that delete, over real files."""

    database: Mortal
    clock: Clock
    folder: Path
    files: JobFiles
    communities: Communities
    demo: DemoProvider
    #: where the bot is
    present: set[int]
    retention: Retention
    forgetting: Forgetting
    numbers: count[int] = field(default_factory=count)

    async def job(
        self,
        *,
        ended: timedelta | None = None,
        guild_id: int = GUILD,
        user_id: int = MEMBER,
        state: State = State.SUCCEEDED,
        reason: Reason | None = None,
        has_files: bool = True,
    ) -> Job:
        """A job with its files that ended so long ago; None: it goes on."""
        number = next(self.numbers)
        make = partial(
            add,
            number=number,
            guild_id=guild_id,
            user_id=user_id,
            state=state,
            reason=reason,
            at=self.clock() - (ended or timedelta()),
            is_open=ended is None,
        )
        job = await self.database.inner.write(make)
        if has_files:
            self.keep(job.id)
        return job

    def keep(self, job_id: str) -> None:
        (self.files.inputs / job_id).mkdir()
        (self.files.inputs / job_id / "image.png").write_bytes(b"a picture")
        for name in (f"{job_id}.mp4", f"{job_id}.fitted.mp4"):
            (self.files.videos / name).write_bytes(b"a video")

    def kept(self) -> set[str]:
        """The jobs of which there are files."""
        return set(self.files.job_ids())

    async def rows(self, table: Table) -> Sequence[Any]:
        query = select(table).order_by(*table.primary_key)
        return await self.database.read(lambda connection: connection.execute(query).all())

    async def purged(self) -> set[str]:
        return {row.id for row in await self.rows(jobs) if row.purged_at is not None}


def add(
    connection: Connection,
    *,
    number: int,
    guild_id: int,
    user_id: int,
    state: State,
    reason: Reason | None,
    at: datetime,
    is_open: bool,
) -> Job:
    """Accept a job as the bot does, with everything that vendors say, and carry it to its end."""
    decisions.lock_guild(connection, guild_id)
    account = ledger.account_of(connection, guild_id, user_id)
    ledger.grant(connection, account, QUOTE, now=at)
    job_id = new_id(at, number)
    media = StoredMedia(path=f"{job_id}/image.png", content_type="image/png", filename="image.png")
    request = Request(
        prompt=f"secret number {number}",
        negative_prompt="no secret",
        mode=Mode.IMAGE,
        resolution="720p",
        duration=5,
        seed=1234,
        image=media,
    )
    job = Job(
        id=job_id,
        interaction_id=number + 1,
        guild_id=guild_id,
        channel_id=300,
        user_id=user_id,
        account_id=account.id,
        state=State.QUEUED,
        version=0,
        model="demo",
        request=request,
        quote=QUOTE,
        upload_limit=10 << 20,
        created_at=at,
    )
    assert store.add(connection, job)
    ledger.hold(connection, ledger.locked(connection, account.id), QUOTE, job_id=job.id, now=at)
    job = store.move(connection, job, lifecycle.start_submitting(spec=DEMO, now=at), now=at)
    job = store.move(
        connection, job, Step(state=State.RUNNING, changes={"task_id": f"task{number}"}, detail=f"task{number}"), now=at
    )
    if is_open:
        return job
    end = Step(state=state, money=Money.RELEASE, changes={"reason": reason, "vendor_message": "a secret of theirs"})
    if state in {State.SUCCEEDED, State.FAILED}:
        job = store.move(
            connection, job, Step(state=State.DELIVERING, changes={"result_url": "https://secret.example"}), now=at
        )
        job = store.open_attempt(connection, job, video_path=f"{job.id}.mp4", now=at)
    if state is State.SUCCEEDED:
        end = Step(state=state, money=Money.SETTLE, changes={"result_message_id": 5})
    return store.move(connection, job, end, now=at)


@pytest.fixture
def house(database: Database, clock: Clock, tmp_path: Path) -> House:
    files = JobFiles(tmp_path / "inputs", tmp_path / "videos")
    exports = tmp_path / "exports"
    for folder in (files.inputs, files.videos, exports):
        folder.mkdir()
    mortal = Mortal(database)
    demo = DemoProvider(folder=tmp_path / "demo", seconds=0, now=clock)
    erasing = Erasing(files=files, registry=Registry.of([demo]))
    communities = Communities(database=mortal, default=RULE)
    chances, present = count(1), set[int]()
    memory = Members(database=mortal)
    departed = DepartedGuilds(
        database=mortal,
        communities=communities,
        members=memory,
        accounts=ACCOUNTS,
        erasing=erasing,
        is_present=present.__contains__,
        keep_days=KEEP_DAYS,
        clock=clock,
        chance=lambda: next(chances),
    )
    retention = Retention(
        is_first=lambda: True,
        database=mortal,
        erasing=erasing,
        departed=departed,
        files=files,
        exports=exports,
        providers=[demo],
        keep_days=KEEP_DAYS,
        clock=clock,
    )
    forgetting = Forgetting(
        database=mortal, members=memory, accounts=ACCOUNTS, erasing=erasing, clock=clock, chance=lambda: next(chances)
    )
    return House(
        database=mortal,
        clock=clock,
        folder=tmp_path,
        files=files,
        communities=communities,
        demo=demo,
        present=present,
        retention=retention,
        forgetting=forgetting,
    )


def days(number: float) -> timedelta:
    return timedelta(days=number)


# --- decisions -------------------------------------------------------------------------------


def test_what_ended_before_the_cut_off_has_been_kept_for_that_long() -> None:
    assert cut_off(NOON, 30) == NOON - timedelta(days=30)


@pytest.mark.parametrize("chance", [0, 1, 2**63 - 1])
def test_nobodys_id_is_below_zero_and_fits_into_the_database(chance: int) -> None:
    assert -(2**63) <= nobody(chance) < 0


# --- jobs ------------------------------------------------------------------------------------


async def test_what_is_old_is_scrubbed_and_what_is_young_or_open_stays(house: House) -> None:
    old = await house.job(ended=days(31))
    kept = await house.job(ended=days(29))
    going = await house.job()
    before = {row.id: row for row in await house.rows(jobs)}
    await house.retention.run_once()
    assert await house.purged() == {old.id}
    assert house.kept() == {kept.id, going.id}
    row, *_ = [row for row in await house.rows(jobs) if row.id == old.id]
    left = Request.model_validate_json(row.request)
    assert left == Request(prompt="", mode=Mode.IMAGE, resolution="720p", duration=5)
    assert row.purged_at == house.clock()
    assert (row.user_id, row.state, row.quote, row.result_message_id) == (MEMBER, "succeeded", QUOTE, 5)
    assert (row.video_path, row.result_url, row.vendor_message) == (None, None, None)
    assert {row.id: row for row in await house.rows(jobs) if row.id != old.id} == {
        job_id: row for job_id, row in before.items() if job_id != old.id
    }
    details = {event.job_id: event.detail for event in await house.rows(job_events) if "running" in event.transition}
    assert details[old.id] == ""
    text = str([row for row in await house.rows(jobs) if row.id == old.id])
    assert "secret" not in text
    assert "1234" not in text
    assert "task0" not in text


async def test_the_last_moment_of_the_last_day_still_counts(house: House) -> None:
    await house.job(ended=days(30))
    await house.retention.run_once()
    assert await house.purged() == set()
    house.clock.advance(0.000001)
    await house.retention.run_once()
    assert len(await house.purged()) == 1


async def test_each_guild_keeps_as_long_as_it_says(house: House) -> None:
    choices = {GUILD: None, OTHER: 3, 102: 90, 103: 3}
    made = {
        (guild_id, ago): await house.job(ended=days(ago), guild_id=guild_id)
        for guild_id in choices
        for ago in (2, 4, 40)
    }
    for guild_id, keep_days in choices.items():
        await house.database.write(partial(decisions.set_keep_days, guild_id=guild_id, days=keep_days))
    await house.retention.run_once()
    gone = {(GUILD, 40), (OTHER, 4), (OTHER, 40), (103, 4), (103, 40)}
    assert await house.purged() == {made[each].id for each in gone}
    assert house.kept() == {job.id for each, job in made.items() if each not in gone}


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (State.FAILED, Reason.UNDELIVERABLE),
        (State.EXPIRED, Reason.TOO_LATE),
        (State.CANCELLED, Reason.BY_MEMBER),
    ],
)
async def test_every_way_to_end_is_kept_for_as_long(house: House, state: State, reason: Reason) -> None:
    old = await house.job(ended=days(31), state=state, reason=reason)
    young = await house.job(ended=days(29), state=state, reason=reason)
    await house.retention.run_once()
    assert await house.purged() == {old.id}
    assert house.kept() == {young.id}


async def test_many_jobs_are_scrubbed_in_batches(house: House) -> None:
    for number in range(450):
        await house.job(ended=days(40) - timedelta(seconds=number), has_files=number % 100 == 0)
    await house.retention.run_once()
    assert [size for size in house.database.batches if size] == [200, 200, 50]
    assert len(await house.purged()) == 450
    assert house.kept() == set()
    # nothing is done twice
    house.database.batches.clear()
    await house.retention.run_once()
    assert [size for size in house.database.batches if size] == []


async def test_a_task_of_a_scrubbed_job_is_still_known(house: House) -> None:
    """Else another job of the same prompt could take its video for its own."""
    await house.job(ended=days(31))
    await house.job(ended=days(1))
    await house.retention.run_once()
    known = partial(store.known_tasks, task_ids=["task0", "task1", "task2"])
    assert await house.database.read(known) == {"task0", "task1"}


async def test_a_late_video_is_waited_for_no_more(house: House) -> None:
    job = await house.job(ended=days(31), state=State.EXPIRED, reason=Reason.TOO_LATE)
    later = house.clock() + timedelta(hours=1)
    await house.database.write(lambda c: c.execute(update(jobs).values(late_until=later)))
    (late,) = await house.database.read(partial(store.late_jobs, now=house.clock()))
    await house.retention.run_once()
    assert await house.database.read(partial(store.late_jobs, now=house.clock())) == []
    # somebody was about to deliver it
    renew = partial(store.renew_result, job_id=job.id, url="https://secret.example", expires_at=None)
    assert (await house.database.write(renew)).result_url is None
    with pytest.raises(store.JobMoved):
        await house.database.write(partial(store.open_attempt, job=late, video_path="x.mp4", now=house.clock()))


# --- files -----------------------------------------------------------------------------------


async def test_a_death_between_the_commit_and_the_files_leaves_nothing_for_ever(house: House) -> None:
    gone = [await house.job(ended=days(31)) for _ in range(3)]
    kept = await house.job(ended=days(1))
    house.database.dies_after = 0
    with pytest.raises(Died):
        await house.retention.run_once()
    assert await house.purged() == {job.id for job in gone}
    assert house.kept() == {kept.id, *(job.id for job in gone)}
    house.database.dies_after = None
    # young as they are, by their own clock
    await recovery.sweep(database=house.database, files=house.files, now=house.clock())
    assert house.kept() == {kept.id}


async def test_a_death_in_a_deletion_leaves_nothing_for_ever(house: House) -> None:
    mine, other = await house.job(ended=days(1)), await house.job(ended=days(1), user_id=MEMBER + 1)
    house.database.dies_after = 0
    with pytest.raises(Died):
        await house.forgetting.forget(GUILD, MEMBER)
    assert house.kept() == {mine.id, other.id}
    house.database.dies_after = None
    await house.retention.run_once()
    assert house.kept() == {other.id}


async def test_files_that_nobody_needs_are_found_and_others_left_alone(house: House) -> None:
    await house.job(ended=days(31))
    strange = {house.files.videos / "README", house.files.videos / "notes.txt"}
    for path in strange:
        path.write_text("mine")
    (house.files.inputs / "unknown12345").mkdir()
    old, young = (house.folder / "exports" / name for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir()
        (folder / "my-wan-data.json").write_text("{}")
    now = house.clock().timestamp()
    os.utime(young, (now, now))
    os.utime(old, (now - 3601, now - 3601))
    os.utime(house.files.inputs / "unknown12345", (0, 0))
    await house.retention.run_once()
    assert set(house.files.videos.iterdir()) == strange
    assert list(house.files.inputs.iterdir()) == []
    assert [each.name for each in (house.folder / "exports").iterdir()] == ["young"]


async def test_a_file_that_can_not_be_deleted_holds_nobody_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck, fine = await house.job(ended=days(32)), await house.job(ended=days(31))
    unlink = Path.unlink

    def refusing(self: Path, *, missing_ok: bool = False) -> None:
        if stuck.id in self.name:
            raise PermissionError(self.name)
        unlink(self, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refusing)
        await house.retention.run_once()
    assert await house.purged() == {stuck.id, fine.id}
    assert house.kept() == {stuck.id}
    await house.retention.run_once()
    assert house.kept() == set()


async def test_what_the_demo_keeps_goes_with_its_job(house: House) -> None:
    job = await house.job(ended=days(1))
    request = GenerationRequest(model=DEMO, mode=Mode.TEXT, prompt="a secret", resolution="480p", duration=2)
    submissions = [await house.demo.submit(request) for _ in range(2)]
    await house.demo.close()
    mine, other = (submission.task_id for submission in submissions)
    await house.database.write(lambda c: c.execute(update(jobs).where(jobs.c.id == job.id).values(task_id=mine)))
    await house.forgetting.forget(GUILD, MEMBER)
    demo = house.folder / "demo"
    assert [each.name for each in demo.iterdir()] == [other]
    # a death may have kept it from going, and nobody may ever ask for a drawing again
    house.clock.advance(KEEP.total_seconds() + 1)
    await house.retention.run_once()
    assert list(demo.iterdir()) == []


# --- members ---------------------------------------------------------------------------------


async def test_what_was_granted_is_remembered_by_a_key_until_its_period_ends(house: House) -> None:
    week = period_at(house.clock(), PeriodLength.WEEK)
    key = KEYS.of(GUILD, MEMBER)

    def refill(connection: Connection) -> int:
        account = ledger.account_of(connection, GUILD, MEMBER)
        return ledger.give_allowance(connection, account, RULE, week, member_key=key, now=house.clock()).available

    assert await house.database.write(refill) == 100
    assert await house.forgetting.forget(GUILD, MEMBER) == 100
    assert [tuple(row) for row in await house.rows(forgotten_grants)] == [(key, week.key, GUILD, 100, week.end)]
    assert str(MEMBER) not in key
    assert await house.database.write(refill) == 0
    house.clock.now = week.end - timedelta(microseconds=1)
    await house.retention.run_once()
    assert len(await house.rows(forgotten_grants)) == 1
    house.clock.now = week.end
    await house.retention.run_once()
    assert await house.rows(forgotten_grants) == []


async def test_deletions_and_purges_at_once_do_not_wait_for_each_other_in_a_circle(house: House) -> None:
    members = range(MEMBER, MEMBER + 20)
    for user_id in members:
        for ago in (40, 35, 1):
            await house.job(ended=days(ago), user_id=user_id, has_files=ago == 35)
    going = [house.forgetting.forget(GUILD, user_id) for user_id in members]
    await asyncio.gather(house.retention.run_once(), *going[:10], house.retention.run_once(), *going[10:])
    assert len(await house.purged()) == 60
    assert house.kept() == set()
    names = {row.user_id for row in await house.rows(jobs)}
    assert len(names) == 20
    assert max(names) < 0
    assert {row.user_id for row in await house.rows(accounts)} == names
    assert await house.database.read(ledger.mismatches) == []


async def test_of_two_deletions_at_once_one_finds_nothing(house: House) -> None:
    await house.job(ended=days(1))
    outcomes = await asyncio.gather(*(house.forgetting.forget(GUILD, MEMBER) for _ in range(5)), return_exceptions=True)
    assert [type(each) for each in outcomes].count(int) == 1
    assert {each.text for each in outcomes if isinstance(each, Refusal)} == {"Nothing is kept of you here."}
    assert len(await house.rows(audit)) == 1


# --- guilds ----------------------------------------------------------------------------------


def furnish(connection: Connection, guild_id: int, now: datetime) -> None:
    """Let a guild decide everything that can be decided, and have something in every table."""
    decisions.lock_guild(connection, guild_id)
    decisions.set_allowance(connection, guild_id, RULE)
    decisions.set_role_amount(connection, guild_id, 7, 300)
    decisions.set_model_rule(connection, guild_id, ModelRule(model="demo", is_allowed=False))
    decisions.set_price(connection, guild_id, "demo", PriceRule(credits=3))
    decisions.set_channel_rule(connection, guild_id, 9, is_allowed=True)
    decisions.block_word(connection, guild_id, "fox")
    decisions.block_member(connection, guild_id, KEYS.of(guild_id, 1), "Spam")
    members.offer(connection, guild_id, preset=PRESET)
    members.keep_preset(connection, guild_id, MEMBER, PRESET)
    members.keep_settings(connection, guild_id, MEMBER, MemberSettings(notify=False))
    account = ledger.account_of(connection, guild_id, MEMBER + 5)
    entry_id = ledger.grant(connection, account, 50, now=now)
    week = period_at(now, PeriodLength.WEEK)
    account = ledger.locked(connection, account.id)
    account = ledger.give_allowance(connection, account, RULE, week, member_key="", now=now)
    ledger.remember_grants(connection, account, [week], member_key=KEYS.of(guild_id, 5))
    deed = Deed(
        guild_id=guild_id,
        actor_id=1,
        interaction_id=guild_id,
        action="credits.grant",
        target=mention(account.user_id),
        before="0",
        after="50",
        entry_id=entry_id,
    )
    deeds.record(connection, deed, now=now)


def counts(connection: Connection) -> dict[tuple[str, int], int]:
    """How many rows each guild has, by table."""
    found: dict[tuple[str, int], int] = {}
    for table in metadata.sorted_tables:
        if "guild_id" in table.c:
            query = select(table.c.guild_id, func.count()).group_by(table.c.guild_id)
            found |= {(table.name, guild_id): number for guild_id, number in connection.execute(query)}
    return found


async def test_a_guild_that_was_left_long_ago_is_deleted_and_no_other(house: House) -> None:
    for guild_id in (GUILD, OTHER):
        await house.database.write(partial(furnish, guild_id=guild_id, now=house.clock()))
        for number in range(3):
            await house.job(ended=days(1), guild_id=guild_id, user_id=MEMBER + number)
    before = await house.database.read(counts)
    tables = {name for name, _ in before}
    assert tables == {table.name for table in metadata.sorted_tables if "guild_id" in table.c}, "furnish them all"
    await house.communities.of(GUILD)
    leave = partial(departures.note_departure, guild_id=GUILD, now=house.clock())
    await house.database.write(leave)
    house.clock.advance(days(30).total_seconds())
    await house.database.write(partial(decisions.set_keep_days, guild_id=OTHER, days=3650))
    house.present.add(OTHER)
    await house.retention.run_once()
    assert (await house.database.read(counts))["guilds", GUILD] == 1
    entries = [tuple(row) for row in await house.rows(ledger_entries)]
    house.clock.advance(1)
    await house.retention.run_once()

    after = await house.database.read(counts)
    assert {name for name, guild_id in after if guild_id == GUILD} == {"accounts", "jobs", "blocked_members"}
    assert {row.guild_id: row.reason for row in await house.rows(blocked_members)} == {GUILD: "", OTHER: "Spam"}
    ends = {("forgotten_grants", OTHER)}  # its week is over
    assert {key: number for key, number in after.items() if key[1] == OTHER} == {
        key: number for key, number in before.items() if key[1] == OTHER and key not in ends
    }
    assert [row.user_id for row in await house.rows(jobs) if row.guild_id == OTHER] == [200, 201, 202]
    assert len({row.user_id for row in await house.rows(accounts) if row.guild_id == GUILD and row.user_id < 0}) == 4
    by_id = {row.id: row.user_id for row in await house.rows(accounts)}
    assert all(row.user_id == by_id[row.account_id] for row in await house.rows(jobs))
    assert all(row.available == 0 for row in await house.rows(accounts) if row.guild_id == GUILD)
    # the books go on where they were
    assert [tuple(row) for row in await house.rows(ledger_entries)][: len(entries)] == entries
    assert await house.database.read(ledger.mismatches) == []
    assert house.kept() == {row.id for row in await house.rows(jobs) if row.guild_id == OTHER}
    # and whoever comes back finds a fresh guild
    assert (await house.communities.of(GUILD)).permits("demo", PLACE)


async def test_a_large_guild_is_deleted_in_parts_and_a_death_between_them_does_no_harm(house: House) -> None:
    for number in range(250):
        await house.job(ended=days(1), user_id=MEMBER + number, has_files=False)
    await house.database.write(partial(departures.note_departure, guild_id=GUILD, now=house.clock()))
    house.clock.advance(days(31).total_seconds())
    deaths = 0
    while await house.rows(guilds):
        house.database.dies_after = 2
        with pytest.raises(Died):
            await house.retention.run_once()
        deaths += 1
        assert await house.database.read(ledger.mismatches) == []
    assert deaths == 3
    assert all(row.user_id < 0 for row in [*await house.rows(accounts), *await house.rows(jobs)])
    assert len({row.user_id for row in await house.rows(accounts)}) == 250


async def test_an_open_job_or_a_return_keeps_its_guild(house: House) -> None:
    job = await house.job()
    await house.database.write(partial(departures.note_departure, guild_id=GUILD, now=house.clock()))
    house.clock.advance(days(31).total_seconds())
    await house.retention.run_once()
    assert len(await house.rows(guilds)) == 1
    assert {row.user_id for row in await house.rows(jobs)} == {MEMBER}
    step = lifecycle.ended(State.FAILED, Reason.NOT_MADE)
    await house.database.write(partial(store.move, job=job, step=step, now=house.clock()))
    # somebody invited it again, and nobody heard
    house.present.add(GUILD)
    await house.retention.run_once()
    assert len(await house.rows(guilds)) == 1
    house.present.clear()
    await house.retention.run_once()
    assert await house.rows(guilds) == []
    assert house.kept() == set()


async def test_a_guild_that_came_back_keeps_everything(house: House) -> None:
    await house.database.write(partial(furnish, guild_id=GUILD, now=house.clock()))
    await house.database.write(partial(decisions.set_keep_days, guild_id=GUILD, days=3650))
    before = await house.database.read(counts)
    await house.database.write(partial(departures.note_departure, guild_id=GUILD, now=house.clock()))
    house.clock.advance(days(3651).total_seconds())
    (departure,) = await house.database.read(departures.departures)
    await house.database.write(partial(departures.note_return, guild_id=GUILD))
    # it came back in the very moment in which its time was over
    assert not await house.database.write(partial(departures.is_departed, departure=departure))
    await house.retention.run_once()
    after = await house.database.read(counts)
    assert after == {key: number for key, number in before.items() if key[0] != "forgotten_grants"}


def test_everything_that_names_people_or_guilds_is_known_to_the_deletion() -> None:
    """Whoever adds a column with an id of Discord's decides what becomes of it, and names it here."""
    ids = {
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.c
        if column.name.endswith("_id") and isinstance(column.type, BigInteger) and column.name != "guild_id"
    }
    people = {
        "accounts.user_id",
        "audit.actor_id",
        "jobs.user_id",
        "member_presets.user_id",
        "member_settings.user_id",
    }
    places = {
        "channel_rules.channel_id",
        "guilds.log_channel_id",
        "jobs.card_message_id",
        "jobs.channel_id",
        "jobs.result_channel_id",
        "jobs.result_message_id",
        "model_rules.channel_id",
        "model_rules.role_id",
        "role_allowances.role_id",
    }
    interactions = {"audit.interaction_id", "jobs.interaction_id"}
    rows = {"allowance_grants.account_id", "audit.entry_id", "jobs.account_id", "ledger_entries.account_id"}
    assert ids == people | places | interactions | rows
    assert {table.name for table in metadata.sorted_tables if "member_key" in table.c} == {
        "blocked_members",
        "forgotten_grants",
    }
    assert audit.c.target.name == "target"
