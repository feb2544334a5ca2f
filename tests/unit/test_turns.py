from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.jobs.job import Job, Request, State, new_id
from bot.jobs.turns import is_ready, next_to_start, places, ready_at
from providers.types import Mode
from tests.clocks import NOON

SECOND = timedelta(seconds=1)
ROOMY = (3, 20)


def job(number: int, *, guild: int = 1, member: int = 1) -> Job:
    """A job with a card; the numbers tell in which order they were accepted."""
    created_at = NOON + number * SECOND
    return Job(
        id=new_id(created_at, 0),
        interaction_id=number,
        guild_id=guild,
        channel_id=1,
        user_id=member,
        account_id=1,
        state=State.QUEUED,
        version=0,
        model="demo",
        request=Request(prompt="a fox", mode=Mode.TEXT, resolution="480p", duration=5),
        quote=1,
        upload_limit=1,
        created_at=created_at,
        card_message_id=number + 1,
    )


def chosen(
    waiting: list[Job], active: dict[tuple[int, int], int] | None = None, *, limits: tuple[int, int] = ROOMY
) -> list[int]:
    started = next_to_start(waiting, active or {}, limits=lambda _: limits, now=NOON + timedelta(hours=1))
    return [each.interaction_id for each in started]


def test_where_there_is_room_everybody_starts_in_the_order_of_the_queue() -> None:
    assert chosen([job(0), job(1), job(2, member=2)]) == [0, 1, 2]


def test_without_anybody_waiting_nobody_starts() -> None:
    assert chosen([], {(1, 1): 2}) == []


def test_a_member_has_so_many_jobs_at_once_and_the_others_wait() -> None:
    waiting = [job(number) for number in range(5)]
    assert chosen(waiting) == [0, 1, 2]
    assert chosen(waiting, {(1, 1): 2}) == [0]
    assert chosen(waiting, {(1, 1): 3}) == []
    assert chosen(waiting, {(1, 1): 9}) == []


def test_who_has_reached_the_limit_holds_nobody_up() -> None:
    assert chosen([job(0), job(1, member=2), job(2), job(3, member=3)], {(1, 1): 3}) == [1, 3]


def test_a_guild_has_so_many_jobs_at_once() -> None:
    waiting = [job(number, member=number) for number in range(6)]
    assert chosen(waiting, {(1, 100): 1, (1, 101): 1}, limits=(3, 4)) == [0, 1]


def test_guilds_do_not_stand_in_each_others_way() -> None:
    assert chosen([job(0), job(1, guild=2)], {(1, 2): 20}) == [1]
    assert chosen([job(0, guild=2)], {(1, 1): 3}) == [0], "a member's jobs count in their guild alone"


def test_each_guild_has_limits_of_its_own() -> None:
    waiting = [job(0, guild=1), job(1, guild=1), job(2, guild=2), job(3, guild=2)]
    limits = {1: (1, 20), 2: (3, 20)}
    started = next_to_start(waiting, {}, limits=limits.__getitem__, now=NOON + timedelta(hours=1))
    assert [each.interaction_id for each in started] == [0, 2, 3]


def test_a_job_is_left_alone_until_its_card_is_stored_or_ten_seconds_have_passed() -> None:
    without_card = replace(job(0), card_message_id=None)
    assert is_ready(job(0), NOON)
    assert not is_ready(without_card, NOON)
    assert not is_ready(without_card, NOON + timedelta(seconds=9.999))
    assert is_ready(without_card, NOON + timedelta(seconds=10))


def test_a_job_waits_as_long_as_the_vendor_said() -> None:
    told_to_wait = replace(job(0), not_before=NOON + 30 * SECOND)
    assert not is_ready(told_to_wait, NOON + 29 * SECOND)
    assert is_ready(told_to_wait, NOON + 30 * SECOND)


def test_a_job_that_has_to_wait_lets_the_next_one_go_first() -> None:
    told_to_wait = replace(job(0), not_before=NOON + timedelta(days=1))
    assert chosen([told_to_wait, job(1)], limits=(1, 20)) == [1]


@pytest.mark.parametrize(
    ("card", "not_before", "seconds"),
    [(None, None, 10), (5, None, 0), (5, 30, 30), (None, 5, 10), (None, 30, 30)],
)
def test_the_earliest_start_is_told(card: int | None, not_before: int | None, seconds: int) -> None:
    instant = None if not_before is None else NOON + not_before * SECOND
    waiting = replace(job(0), card_message_id=card, not_before=instant)
    assert ready_at(waiting) == NOON + seconds * SECOND


def test_a_place_in_the_queue_counts_from_one_and_in_the_guild_alone() -> None:
    waiting = [job(0), job(1, guild=2), job(2, member=2), job(3)]
    found = places(waiting)
    assert [found[each.id] for each in waiting] == [1, 1, 2, 3]
    assert places(waiting[::-1]) == found, "whoever was accepted first is first"


def _waiting_job(guild: int, member: int, card: int | None, wait: int | None) -> Job:
    not_before = None if wait is None else NOON + wait * SECOND
    return replace(job(0, guild=guild, member=member), card_message_id=card, not_before=not_before)


_jobs = st.lists(
    st.builds(
        _waiting_job,
        guild=st.integers(1, 2),
        member=st.integers(1, 3),
        card=st.none() | st.just(1),
        wait=st.none() | st.integers(0, 60),
    ),
    max_size=12,
).map(lambda jobs: [replace(each, id=f"{number:012}", interaction_id=number) for number, each in enumerate(jobs)])
_active = st.dictionaries(st.tuples(st.integers(1, 2), st.integers(1, 3)), st.integers(0, 4))


@given(waiting=_jobs, active=_active, limits=st.tuples(st.integers(0, 4), st.integers(0, 8)), now=st.integers(0, 90))
def test_whoever_waits_no_limit_is_passed_and_nobody_waits_without_a_cause(
    waiting: list[Job], active: dict[tuple[int, int], int], limits: tuple[int, int], now: int
) -> None:
    instant = NOON + now * SECOND
    started = next_to_start(waiting, active, limits=lambda _: limits, now=instant)
    assert started == [each for each in waiting if each in started], "in their order, and once"
    members = Counter(active) + Counter((each.guild_id, each.user_id) for each in started)
    guilds = Counter[int]()
    for (guild_id, _), count in members.items():
        guilds[guild_id] += count
    for each in started:
        assert is_ready(each, instant)
        assert members[each.guild_id, each.user_id] <= limits[0]
        assert guilds[each.guild_id] <= limits[1]
    for each in waiting:
        is_full = members[each.guild_id, each.user_id] >= limits[0] or guilds[each.guild_id] >= limits[1]
        assert each in started or is_full or not is_ready(each, instant)


@given(waiting=_jobs, now=st.integers(0, 90))
def test_a_job_is_ready_from_its_earliest_start_on(waiting: list[Job], now: int) -> None:
    instant = NOON + now * SECOND
    assert all(is_ready(each, instant) == (instant >= ready_at(each)) for each in waiting)
