from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.communities import describing
from bot.communities.rules import Adult, Community, Limits, ModelRule
from bot.communities.words import BlockedWord
from bot.credits.allowance import AllowanceRule, PeriodLength
from bot.credits.pricing import PriceRule

FRESH = Community(guild_id=1, allowance=AllowanceRule(amount=100, length=PeriodLength.WEEK))


def rule(*, is_allowed: bool, channel: int = 0, role: int = 0, model: str = "demo") -> ModelRule:
    return ModelRule(model=model, is_allowed=is_allowed, channel_id=channel, role_id=role)


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ([], "allowed"),
        ([rule(is_allowed=False)], "denied"),
        ([rule(is_allowed=False, model="other")], "allowed"),
        ([rule(is_allowed=True, role=5), rule(is_allowed=False)], "denied, allowed for <@&5>"),
        ([rule(is_allowed=False, channel=6)], "allowed, denied in <#6>"),
        (
            [
                rule(is_allowed=True, channel=6, role=5),
                rule(is_allowed=False, role=5),
                rule(is_allowed=True, channel=7),
            ],
            "allowed, allowed in <#7>, denied for <@&5>, allowed in <#6> for <@&5>",
        ),
    ],
)
def test_rules_of_a_model_go_from_everybody_to_the_most_specific(rules: list[ModelRule], text: str) -> None:
    assert describing.rules_of_model(replace(FRESH, model_rules=tuple(rules)), "demo") == text


@pytest.mark.parametrize(
    ("amount", "cap", "text"),
    [
        (100, None, "100 credits each week"),
        (100, 100, "100 credits each week"),
        (1, None, "1 credit each week"),
        (1000, 2000, "1,000 credits each week, at most 2,000 pile up"),
        (0, None, "none (counted by the week)"),
        (0, 50, "none (counted by the week)"),
    ],
)
def test_an_allowance_in_words(amount: int, cap: int | None, text: str) -> None:
    allowance = AllowanceRule(amount=amount, length=PeriodLength.WEEK, cap=cap)
    assert describing.allowance(replace(FRESH, allowance=allowance)) == text


@pytest.mark.parametrize(
    ("amounts", "text"),
    [
        ({}, "as everybody"),
        ({6: 300}, "as everybody"),
        ({5: 300}, "300 credits each week"),
        ({5: 100}, "100 credits each week"),
        ({5: 1}, "1 credit each week (everybody's 100 is more, and counts)"),
    ],
)
def test_the_amount_of_a_role_in_words(amounts: dict[int, int], text: str) -> None:
    assert describing.role_amount(replace(FRESH, role_amounts=amounts), 5) == text


@pytest.mark.parametrize(
    ("price", "text"),
    [
        (None, "the catalogue's price"),
        (PriceRule(credits=0), "free"),
        (PriceRule(credits=1), "1 credit for each video"),
        (PriceRule(credits=1500), "1,500 credits for each video"),
        (PriceRule(factor=Decimal("1.5")), "1.5 times the catalogue's price"),
        (PriceRule(factor=Decimal("0.01")), "0.01 times the catalogue's price"),
    ],
)
def test_a_price_in_words(price: PriceRule | None, text: str) -> None:
    assert describing.price(price) == text


def test_every_limit_is_told_by_the_option_that_sets_it() -> None:
    assert describing.limits(Limits(), "week") == {
        "member_jobs": "3 at once; more wait",
        "guild_jobs": "20 at once; more wait",
        "member_period_jobs": "no limit",
        "guild_period_jobs": "no limit",
        "duration": "no limit",
        "resolution": "no limit",
        "confirm_above": "never asked",
        "guild_budget": "no limit",
        "adult": "anywhere",
    }
    tight = Limits(
        member_jobs=1,
        guild_jobs=1000,
        member_period_jobs=1,
        guild_period_jobs=2000,
        duration=1,
        resolution="720p",
        confirm_above=1000,
        guild_budget=1,
        adult=Adult.AGE_RESTRICTED,
    )
    assert describing.limits(tight, "month") == {
        "member_jobs": "1 at once; more wait",
        "guild_jobs": "1,000 at once; more wait",
        "member_period_jobs": "up to 1 video each month",
        "guild_period_jobs": "up to 2,000 videos each month",
        "duration": "up to 1 second",
        "resolution": "up to 720p",
        "confirm_above": "asked above 1,000",
        "guild_budget": "up to 1 credit each month",
        "adult": "in age-restricted channels",
    }


def test_of_changed_limits_only_those_that_differ_are_told() -> None:
    before, after = describing.changed_limits(Limits(), Limits(duration=5, adult=Adult.NOWHERE), "week")
    assert before == "`duration`: no limit\n`adult`: anywhere"
    assert after == "`duration`: up to 5 seconds\n`adult`: nowhere"
    assert describing.changed_limits(Limits(), Limits(), "week") == ("nothing changed", "nothing changed")


_LIMITS = st.builds(
    Limits,
    member_jobs=st.integers(1, 5),
    member_period_jobs=st.none() | st.integers(1, 5),
    duration=st.none() | st.integers(1, 5),
    resolution=st.sampled_from([None, "480p", "720p"]),
    guild_budget=st.none() | st.integers(1, 5),
    adult=st.sampled_from(Adult),
)


@given(before=_LIMITS, after=_LIMITS)
def test_before_and_after_tell_a_line_for_each_limit_that_differs(before: Limits, after: Limits) -> None:
    names = ("member_jobs", "member_period_jobs", "duration", "resolution", "guild_budget", "adult")
    differing = [name for name in names if getattr(before, name) != getattr(after, name)]
    for text in describing.changed_limits(before, after, "day"):
        told = [line.split("`")[1] for line in text.splitlines() if line.startswith("`")]
        assert told == differing


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ({}, "everywhere"),
        ({6: True, 5: True}, "in <#5>, <#6>, in no other channel"),
        ({6: True, 5: False}, "in <#6>, in no other channel"),
        ({6: False, 5: False}, "everywhere but in <#5>, <#6>"),
    ],
)
def test_channels_in_words(rules: dict[int, bool], text: str) -> None:
    assert describing.channels(replace(FRESH, channel_rules=rules)) == text


def test_blocked_words_are_told_as_code_so_that_their_stars_stay() -> None:
    words = replace(FRESH, blocked_words=(BlockedWord(1, "fox*"), BlockedWord(3, "*red wolf")))
    assert describing.words(words) == "1 `fox*`, 3 `*red wolf`"
    assert describing.words(FRESH) == "none"
    assert describing.word(words, "*red wolf") == "blocked, as rule 3"
    assert describing.word(words, "red wolf") == "not blocked"


@pytest.mark.parametrize(
    ("name", "text"),
    [("", ""), ("demo", "`demo`"), ("*fox*", "`*fox*`"), ("<@5>", "<@5>"), ("<@&5>", "<@&5>"), ("<#5>", "<#5>")],
)
def test_what_a_decision_is_about_is_code_unless_discord_shows_it(name: str, text: str) -> None:
    assert describing.target(name) == text


def test_what_stands_for_none() -> None:
    assert (describing.model(None), describing.model("demo")) == ("none", "`demo`")
    assert (describing.channel(None), describing.channel(5)) == ("none", "<#5>")
    assert describing.keep_days(None, default=30) == "30 days (the operator's choice)"
    assert describing.keep_days(1000, default=30) == "1,000 days"
