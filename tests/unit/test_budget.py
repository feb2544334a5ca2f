from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.delivery.budget import edit_at
from tests.clocks import NOON

SECOND = timedelta(seconds=1)


def wait(
    *,
    since_last_edit: float | None = 0.0,
    age: timedelta = timedelta(minutes=1),
    cards: int = 1,
    is_transition: bool = False,
    has_ended: bool = False,
) -> float:
    """Seconds until a card that wants an edit at noon may have it."""
    last_edit = None if since_last_edit is None else NOON - since_last_edit * SECOND
    at = edit_at(
        now=NOON,
        last_edit=last_edit,
        created_at=NOON - age,
        cards_in_channel=cards,
        is_transition=is_transition,
        has_ended=has_ended,
    )
    return (at - NOON).total_seconds()


@pytest.mark.parametrize("cards", [1, 50])
@pytest.mark.parametrize("age", [timedelta(minutes=1), timedelta(hours=5)])
def test_the_edit_that_shows_the_end_never_waits(cards: int, age: timedelta) -> None:
    assert wait(cards=cards, age=age, is_transition=True, has_ended=True) == 0


def test_the_first_edit_of_a_card_never_waits() -> None:
    assert wait(since_last_edit=None, cards=50) == 0


def test_a_new_state_waits_two_seconds_and_progress_eight() -> None:
    assert wait(is_transition=True) == 2
    assert wait() == 8


def test_what_has_passed_since_the_last_edit_counts() -> None:
    assert wait(since_last_edit=5.0) == 3
    assert wait(since_last_edit=500.0) == 0


def test_more_cards_in_a_channel_are_each_edited_more_rarely() -> None:
    for is_transition in (True, False):
        waits = [wait(cards=cards, is_transition=is_transition) for cards in range(1, 30)]
        assert waits == sorted(waits)
        assert waits[-1] > waits[0]


def test_progress_is_never_shown_sooner_than_a_new_state() -> None:
    assert all(wait(cards=cards, is_transition=True) <= wait(cards=cards) for cards in range(1, 30))


@pytest.mark.parametrize("is_transition", [True, False])
def test_cards_older_than_an_hour_are_edited_every_thirty_seconds(*, is_transition: bool) -> None:
    assert wait(age=timedelta(hours=1, seconds=1), is_transition=is_transition) == 30
    assert wait(age=timedelta(hours=1), is_transition=is_transition) < 30


@pytest.mark.parametrize("cards", [1, 2, 3, 5, 10, 40])
def test_the_progress_of_all_cards_of_a_channel_takes_at_most_half_of_what_discord_allows(cards: int) -> None:
    edits_per_five_seconds = cards * 5 / wait(cards=cards)
    assert edits_per_five_seconds <= 2.5


@given(
    since_last_edit=st.none() | st.floats(0, 1000),
    age=st.timedeltas(timedelta(), timedelta(minutes=30)),
    cards=st.integers(0, 200),
    is_transition=st.booleans(),
    has_ended=st.booleans(),
    share=st.floats(0, 1),
)
def test_an_edit_is_never_due_in_the_past_and_asking_again_meanwhile_puts_nothing_off(
    *,
    since_last_edit: float | None,
    age: timedelta,
    cards: int,
    is_transition: bool,
    has_ended: bool,
    share: float,
) -> None:
    def asked(now: datetime) -> datetime:
        return edit_at(
            now=now,
            last_edit=None if since_last_edit is None else NOON - since_last_edit * SECOND,
            created_at=NOON - age,
            cards_in_channel=cards,
            is_transition=is_transition,
            has_ended=has_ended,
        )

    due = asked(NOON)
    assert due >= NOON
    assert asked(NOON + share * (due - NOON)) == due
    assert asked(due) == due
