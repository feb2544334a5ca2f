"""Who is let in to the operator's page."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from bot.operations.door import STAY, TRIES, WAIT, Door, TooManyTries
from tests.clocks import Clock

TOKEN = "correct-horse-battery-staple"
HOME, ELSEWHERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture
def door(clock: Clock) -> Door:
    keys = itertools.count()
    return Door(token=TOKEN, clock=clock, new_key=lambda: f"key {next(keys)}")


@pytest.mark.parametrize("wrong", ["", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "\udc80", "é" * 10_000])
def test_only_the_token_opens(door: Door, wrong: str) -> None:
    assert not door.is_open_to(wrong, address=HOME)
    assert door.is_open_to(TOKEN, address=HOME)


def test_after_some_wrong_tokens_even_the_right_one_must_wait(door: Door, clock: Clock) -> None:
    for _ in range(TRIES):
        assert not door.is_open_to("guess", address=HOME)
    with pytest.raises(TooManyTries) as caught:
        door.is_open_to(TOKEN, address=HOME)
    assert caught.value.wait == WAIT
    assert door.is_open_to(TOKEN, address=ELSEWHERE), "others aren't kept out"
    clock.advance(WAIT.total_seconds())
    assert door.is_open_to(TOKEN, address=HOME)


def test_the_right_token_forgives_the_wrong_ones_before(door: Door) -> None:
    for _ in range(3):
        for _ in range(TRIES - 1):
            assert not door.is_open_to("guess", address=HOME)
        assert door.is_open_to(TOKEN, address=HOME)


def test_wrong_tries_from_everywhere_take_no_more_memory_than_a_thousand(door: Door) -> None:
    for number in range(3000):
        door.is_open_to("guess", address=f"address {number}")
    assert len(door._tries) == 1000  # pyright: ignore[reportPrivateUsage] - nothing else tells


def test_a_browser_stays_let_in_for_half_a_day(door: Door, clock: Clock) -> None:
    key = door.let_in()
    assert door.is_in(key)
    assert not door.is_in("key of another")
    clock.advance((STAY - timedelta(seconds=1)).total_seconds())
    assert door.is_in(key)
    clock.advance(1)
    assert not door.is_in(key)


def test_a_browser_that_signs_out_is_out(door: Door) -> None:
    first, second = door.let_in(), door.let_in()
    door.send_out(first)
    door.send_out("never seen")
    assert not door.is_in(first)
    assert door.is_in(second)


def test_of_many_browsers_the_oldest_is_forgotten(door: Door) -> None:
    keys = [door.let_in() for _ in range(21)]
    assert not door.is_in(keys[0])
    assert all(door.is_in(key) for key in keys[1:])


def test_memory_holds_neither_the_token_nor_a_key(door: Door) -> None:
    key = door.let_in()
    held = repr([getattr(door, name) for name in ("_token", "_stays", "_tries")])
    assert TOKEN not in held
    assert key not in held
