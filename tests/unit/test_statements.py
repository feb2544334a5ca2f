from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.credits.allowance import AllowanceRule, PeriodLength, period_at
from bot.credits.balances import Statement
from bot.credits.ledger import Account, Movements
from bot.delivery.statements import statement_text

WEEK = period_at(datetime(2026, 11, 18, 12, tzinfo=UTC), PeriodLength.WEEK)
BEGIN, END = int(WEEK.start.timestamp()), int(WEEK.end.timestamp())
RULE = AllowanceRule(amount=100, length=PeriodLength.WEEK)
NOTHING = Movements(allowance=0, given=0, taken=0, videos=0, expired=0)


def statement(
    movements: Movements = NOTHING,
    *,
    available: int = 0,
    held: int = 0,
    allowance: int = 0,
    rule: AllowanceRule = RULE,
    role_id: int | None = None,
) -> Statement:
    account = Account(id=1, guild_id=2, user_id=3, available=available, held=held, allowance=allowance)
    return Statement(account=account, rule=rule, role_id=role_id, period=WEEK, movements=movements)


def test_a_fresh_account_has_its_allowance_and_nothing_else() -> None:
    fresh = statement(replace(NOTHING, allowance=100), available=100, allowance=100)
    assert statement_text(fresh) == (
        "Available: 100\n"
        "Held: 0\n"
        "\n"
        f"**Since <t:{BEGIN}:f>**\n"
        "0 at the beginning\n"
        "+100 allowance\n"
        "\n"
        f"Allowance: 100 credits each week, the next <t:{END}:R>."
    )


def test_everything_that_can_happen_is_told_in_its_order() -> None:
    moved = Movements(allowance=100, given=2000, taken=-30, videos=-1250, expired=-40)
    rule = AllowanceRule(amount=300, length=PeriodLength.WEEK, cap=500)
    said = statement_text(statement(moved, available=1000, held=7, allowance=60, rule=rule, role_id=9))
    assert said == (
        "Available: 1,000\n"
        "Held: 7\n"
        "What is held belongs to videos under way: it is spent when they are posted, else it comes back.\n"
        "\n"
        f"**Since <t:{BEGIN}:f>**\n"
        "220 at the beginning\n"
        "+100 allowance\n"
        "+2,000 given by moderators\n"
        "\u221230 taken by moderators\n"
        "\u22121,250 for videos\n"
        "\u221240 expired, more than may pile up\n"
        "\n"
        "Of the available, 60 came from the allowance and go first; 940 were given and never expire.\n"
        f"Allowance: 300 credits each week, for <@&9>, the next <t:{END}:R>. Up to 500 pile up."
    )


def test_what_comes_back_from_before_the_period_is_named_as_such() -> None:
    said = statement_text(statement(replace(NOTHING, videos=7), available=7))
    assert "0 at the beginning\n+7 back from earlier videos" in said


@pytest.mark.parametrize(("available", "allowance"), [(0, 0), (50, 50), (50, 0)])
def test_of_one_kind_of_credits_no_parts_are_told(available: int, allowance: int) -> None:
    assert "go first" not in statement_text(statement(available=available, allowance=allowance))


def test_without_an_allowance_members_read_who_gives_credits() -> None:
    said = statement_text(statement(rule=replace(RULE, amount=0)))
    assert said.endswith("Moderators give credits here: there is no allowance.")
    assert "the next" not in said


_AMOUNTS = st.integers(0, 10_000)


@given(
    opening=_AMOUNTS,
    allowance=_AMOUNTS,
    given_=_AMOUNTS,
    taken=_AMOUNTS,
    videos=st.integers(-10_000, 10_000),
)
def test_the_lines_always_add_up_to_what_is_available(
    opening: int, allowance: int, given_: int, taken: int, videos: int
) -> None:
    moved = Movements(allowance=allowance, given=given_, taken=-taken, videos=videos, expired=0)
    said = statement_text(statement(moved, available=opening + moved.total))
    (begin,) = re.findall(r"^(-?[\d,]+) at the beginning$", said, re.MULTILINE)
    lines = re.findall(r"^([+\u2212])([\d,]+) ", said, re.MULTILINE)
    amounts = [int(amount.replace(",", "")) * (1 if sign == "+" else -1) for sign, amount in lines]
    assert int(begin.replace(",", "")) + sum(amounts) == opening + moved.total
    assert all(amounts), "what didn't happen isn't told"
