from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.communities.rules import MAX_WAITING, Community, Limits, Place
from bot.communities.words import BlockedWord
from bot.credits.allowance import AllowanceRule, Period, PeriodLength, period_at
from bot.errors import Refusal
from bot.jobs.policy import Use, check_asker, check_period, check_waiting

HERE, ELSEWHERE, THREAD = 11, 12, 13
KEY = "k" * 64
FRESH = Community(guild_id=1, allowance=AllowanceRule(amount=100, length=PeriodLength.WEEK))
WEEK = period_at(datetime(2026, 11, 18, 12, tzinfo=UTC), PeriodLength.WEEK)
NEXT_WEEK = f"<t:{int(WEEK.end.timestamp())}:R>"
NOTHING = Use(member_jobs=0, guild_jobs=0, guild_credits=0)


def why_not(community: Community, *, prompt: str = "a cat", place: Place | None = None, key: str = KEY) -> str:
    """What the member is told; empty: nothing is wrong."""
    try:
        check_asker(community, place or Place(channel_id=HERE), member_key=key, prompt=prompt)
    except Refusal as refusal:
        return refusal.text
    return ""


def why_not_now(limits: Limits, use: Use, *, price: int = 1, period: Period = WEEK) -> str:
    try:
        check_period(limits, use, price=price, period=period)
    except Refusal as refusal:
        return refusal.text
    return ""


# --- who, where, of what ----------------------------------------------------------------------------


def test_in_a_fresh_guild_nothing_is_wrong() -> None:
    assert why_not(FRESH) == ""


def test_a_blocked_member_is_told_the_reason_without_its_tricks() -> None:
    blocked = replace(FRESH, blocked_members={KEY: "Spam *everywhere* @everyone\n# loud"})
    said = why_not(blocked)
    assert said.startswith("The moderators here have blocked you from making videos. Their reason: Spam \\*everywhere")
    assert "@everyone" not in said
    assert "\n" not in said
    assert why_not(blocked, key="another") == ""


def test_a_block_without_a_reason_says_no_more_than_that() -> None:
    assert why_not(replace(FRESH, blocked_members={KEY: ""})) == (
        "The moderators here have blocked you from making videos."
    )


def test_where_the_bot_does_not_work_it_says_where_it_does() -> None:
    only = replace(FRESH, channel_rules={ELSEWHERE: True})
    assert why_not(only) == "Videos aren't made in this channel. They are made in <#12>, in no other channel."
    assert why_not(only, place=Place(channel_id=THREAD, parent_id=ELSEWHERE)) == ""
    but = replace(FRESH, channel_rules={HERE: False})
    assert why_not(but) == "Videos aren't made in this channel. They are made everywhere but in <#11>."
    assert why_not(but, place=Place(channel_id=THREAD, parent_id=HERE)) != ""
    assert why_not(but, place=Place(channel_id=ELSEWHERE)) == ""


def test_of_a_blocked_word_only_the_number_is_told() -> None:
    words = replace(FRESH, blocked_words=(BlockedWord(3, "fox*"), BlockedWord(7, "red wolf")))
    said = why_not(words, prompt="A Red, WOLF")
    assert "(its rule 7)" in said
    assert "wolf" not in said.lower()
    assert "(its rule 3)" in why_not(words, prompt="foxes")
    assert why_not(words, prompt="wolf") == ""
    assert why_not(words, prompt="") == ""


def test_a_block_is_told_before_anything_else() -> None:
    everything = replace(
        FRESH,
        blocked_members={KEY: "Spam"},
        channel_rules={HERE: False},
        blocked_words=(BlockedWord(1, "cat"),),
    )
    assert "blocked you" in why_not(everything)
    assert "channel" in why_not(everything, key="another")
    assert "rule 1" in why_not(everything, key="another", place=Place(channel_id=ELSEWHERE))


# --- how many wait ----------------------------------------------------------------------------------


def test_twenty_may_wait() -> None:
    check_waiting(0)
    check_waiting(MAX_WAITING - 1)
    for waiting in (MAX_WAITING, MAX_WAITING + 1):
        with pytest.raises(Refusal, match="You have 20 videos waiting already"):
            check_waiting(waiting)


# --- the period -------------------------------------------------------------------------------------


def test_without_limits_the_period_refuses_nothing() -> None:
    assert why_not_now(Limits(), Use(member_jobs=10**6, guild_jobs=10**6, guild_credits=10**9), price=10**9) == ""


def test_a_members_videos_of_the_period() -> None:
    limits = Limits(member_period_jobs=2)
    assert why_not_now(limits, replace(NOTHING, member_jobs=1, guild_jobs=99)) == ""
    said = why_not_now(limits, replace(NOTHING, member_jobs=2))
    assert said == f"You have made your 2 videos for this week. You can make more {NEXT_WEEK}."


def test_one_video_is_told_as_people_do() -> None:
    assert "your one video for this week" in why_not_now(Limits(member_period_jobs=1), replace(NOTHING, member_jobs=1))


def test_the_guilds_videos_of_the_period() -> None:
    limits = Limits(guild_period_jobs=1000)
    assert why_not_now(limits, replace(NOTHING, guild_jobs=999)) == ""
    said = why_not_now(limits, replace(NOTHING, guild_jobs=1000))
    assert said == f"This community has made its 1,000 videos for this week. More can be made {NEXT_WEEK}."


def test_the_guilds_budget_is_used_to_the_last_credit_and_no_further() -> None:
    limits = Limits(guild_budget=100)
    assert why_not_now(limits, replace(NOTHING, guild_credits=93), price=7) == ""
    said = why_not_now(limits, replace(NOTHING, guild_credits=93), price=8)
    assert said == (
        "This community's budget for this week is 100 credits: 7 left, and this video costs 8. "
        f"The budget starts again {NEXT_WEEK}. Nothing of your own credits was taken."
    )


def test_a_budget_that_was_lowered_below_what_is_spent_has_nothing_left() -> None:
    assert "10 credits: 0 left" in why_not_now(Limits(guild_budget=10), replace(NOTHING, guild_credits=500))


def test_what_is_free_is_in_every_budget() -> None:
    spent = replace(NOTHING, guild_credits=500)
    check_period(Limits(guild_budget=10), spent, price=0, period=WEEK)
    with pytest.raises(Refusal):
        check_period(Limits(guild_budget=10), spent, price=1, period=WEEK)


@pytest.mark.parametrize(
    ("length", "words"),
    [(PeriodLength.DAY, "today"), (PeriodLength.WEEK, "this week"), (PeriodLength.MONTH, "this month")],
)
def test_the_period_is_named_and_when_it_ends(length: PeriodLength, words: str) -> None:
    period = period_at(WEEK.start, length)
    uses: list[tuple[dict[str, Any], Use]] = [
        ({"member_period_jobs": 1}, replace(NOTHING, member_jobs=1)),
        ({"guild_period_jobs": 1}, replace(NOTHING, guild_jobs=1)),
        ({"guild_budget": 1}, replace(NOTHING, guild_credits=1)),
    ]
    for limits, use in uses:
        said = why_not_now(Limits(**limits), use, period=period)
        assert f"for {words}" in said
        assert f"<t:{int(period.end.timestamp())}:R>." in said


@given(
    limits=st.builds(
        Limits,
        member_period_jobs=st.none() | st.integers(1, 5),
        guild_period_jobs=st.none() | st.integers(1, 5),
        guild_budget=st.none() | st.integers(1, 20),
    ),
    prices=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 8)), max_size=20),
)
def test_whatever_is_asked_for_no_limit_is_ever_exceeded_and_nothing_is_refused_in_vain(
    limits: Limits, prices: list[tuple[str, int]]
) -> None:
    made: list[tuple[str, int]] = []
    for member, price in prices:
        mine = sum(who == member for who, _ in made)
        use = Use(member_jobs=mine, guild_jobs=len(made), guild_credits=sum(cost for _, cost in made))
        fits = (
            (limits.member_period_jobs is None or mine < limits.member_period_jobs)
            and (limits.guild_period_jobs is None or len(made) < limits.guild_period_jobs)
            and (limits.guild_budget is None or use.guild_credits + price <= limits.guild_budget)
        )
        assert (why_not_now(limits, use, price=price) == "") == fits
        if fits:
            made.append((member, price))
    assert limits.guild_budget is None or sum(cost for _, cost in made) <= limits.guild_budget
    assert limits.guild_period_jobs is None or len(made) <= limits.guild_period_jobs
