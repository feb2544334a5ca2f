"""Which model comes nearest when one can't be reached; when a job is held up; ids for jobs that nobody asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.communities.rules import Limits
from bot.jobs import lifecycle
from bot.jobs.alternatives import Alternative, nearest
from bot.jobs.fallback import is_held_up
from bot.jobs.job import Job, Reason, Request, State, stand_in_for_interaction
from bot.jobs.lifecycle import Changes, Step
from providers.catalogue import DEMO, MODELS, PIXELDOJO_WAN_22_STANDARD
from providers.options import Options, Wish, check_options
from providers.types import ImageStrategy, Mode, ModelSpec
from tests.clocks import NOON

A, B, C = (replace(DEMO, id=name, provider=name, image_strategy=ImageStrategy.URL) for name in ("a", "b", "c"))
WISH = Wish(prompt="A cat", resolution="720p", duration=5)
JOB = Job(
    id="0" * 12,
    interaction_id=1,
    guild_id=1,
    channel_id=2,
    user_id=3,
    account_id=4,
    state=State.QUEUED,
    version=0,
    model="a",
    request=Request(prompt="A cat", mode=Mode.TEXT, resolution="720p", duration=5),
    quote=7,
    upload_limit=1,
    created_at=NOON,
)


def found(
    *models: ModelSpec,
    wish: Wish = WISH,
    limits: Limits | None = None,
    price: int | None = 10,
    prices: Mapping[str, int | None] | None = None,
) -> Alternative | None:
    def price_of(spec: ModelSpec, options: Options) -> int | None:
        del options
        return 10 if prices is None else prices[spec.id]

    return nearest(models, wish, limits=limits or Limits(), price=price, price_of=price_of)


def name(alternative: Alternative | None) -> str | None:
    return None if alternative is None else alternative.spec.id


def test_the_same_options_come_before_a_closer_price() -> None:
    low = replace(A, resolutions=("480p",), default_resolution="480p")
    short = replace(B, durations=(3,), default_duration=3)
    prices = {"a": 10, "b": 10, "c": 99}
    chosen = found(low, short, C, prices=prices)
    assert name(chosen) == "c"
    assert chosen is not None
    assert (chosen.changed, chosen.price, chosen.wish) == ((), 99, WISH)
    # then the resolution, then the length
    assert name(found(low, short, prices=prices)) == "b"
    chosen = found(low, prices=prices)
    assert chosen is not None
    assert (chosen.wish.resolution, chosen.changed) == ("480p", ("resolution",))


def test_of_equals_the_closest_price_from_below_wins_then_the_catalogues_order() -> None:
    assert name(found(A, B, C, prices={"a": 1, "b": 9, "c": 11})) == "b"
    assert name(found(A, B, C, prices={"a": 20, "b": 12, "c": 30})) == "b"
    assert name(found(A, B, C)) == "a"
    assert name(found(A, B, C, price=None, prices={"a": 3, "b": 2, "c": 1})) == "a"


def test_settings_are_left_out_only_where_a_model_has_none_of_them() -> None:
    wish = replace(WISH, resolution=None, settings="steps=40 fps=24")
    chosen = found(A, wish=wish, prices={"a": 1})
    assert chosen is not None
    assert (chosen.wish.settings, chosen.changed) == (None, ("settings",))
    chosen = found(PIXELDOJO_WAN_22_STANDARD, wish=wish, prices={PIXELDOJO_WAN_22_STANDARD.id: 1})
    assert chosen is not None
    assert (chosen.wish.settings, chosen.changed) == ("steps=40 fps=24", ())


@pytest.mark.parametrize(
    "lacking",
    [
        {"has_seed": False},
        {"aspect_ratios": ("16:9",)},
        {"has_negative_prompt": False},
        {"modes": (Mode.IMAGE,)},
        {"prompt_limit": 3},
        {"resolutions": ("1080p",)},
        {"durations": (10,)},
    ],
)
def test_what_has_no_word_for_a_wish_is_no_alternative(lacking: dict[str, Any]) -> None:
    able = replace(A, has_negative_prompt=True)
    wish = replace(WISH, seed=7, aspect_ratio="1:1", negative_prompt="rain")
    limits = Limits(resolution="720p", duration=8)
    assert name(found(able, wish=wish, limits=limits)) == "a"
    assert found(replace(able, **lacking), wish=wish, limits=limits) is None


def test_what_has_no_price_is_no_alternative() -> None:
    assert name(found(A, B, prices={"a": None, "b": 1})) == "b"
    assert found(prices={}) is None


def test_a_drawing_comes_near_to_nothing() -> None:
    assert found(DEMO) is None
    assert name(found(DEMO, A, prices={"demo": 10, "a": 99})) == "a"


@given(
    wish=st.builds(
        Wish,
        prompt=st.just("A cat"),
        has_image=st.booleans(),
        resolution=st.sampled_from([None, "240p", "480p", "720P", "1080p", "4k", "x" * 50, "9" * 50]),
        aspect_ratio=st.sampled_from([None, "16:9", "1:1"]),
        duration=st.sampled_from([None, 1, 5, 7, 10**9]),
        seed=st.sampled_from([None, 7]),
        settings=st.sampled_from([None, "steps=40", "watermark=true steps=x", "?"]),
    ),
    limits=st.builds(Limits, resolution=st.sampled_from([None, "480p"]), duration=st.sampled_from([None, 4, 1])),
)
def test_whatever_is_wished_the_answer_can_be_had_and_tells_what_differs(wish: Wish, limits: Limits) -> None:
    chosen = nearest(MODELS, wish, limits=limits, price=20, price_of=lambda spec, _options: len(spec.id))
    if chosen is None:
        return
    options = check_options(chosen.spec, chosen.wish, max_resolution=limits.resolution, max_duration=limits.duration)
    assert options.prompt == wish.prompt
    assert chosen.spec is not DEMO
    assert chosen.changed == tuple(
        each for each in ("resolution", "duration", "settings") if getattr(chosen.wish, each) != getattr(wish, each)
    )
    for each in ("prompt", "has_image", "aspect_ratio", "seed"):
        assert getattr(chosen.wish, each) == getattr(wish, each)


def test_a_job_is_held_up_by_a_pause_at_once_and_by_silence_after_two_minutes() -> None:
    paused = lifecycle.ended(State.FAILED, Reason.PROVIDER_PAUSED)
    refused = lifecycle.ended(State.FAILED, Reason.REFUSED)
    waits = Step(state=State.QUEUED, changes=Changes(not_before=NOON))
    soon, later = NOON + timedelta(seconds=119), NOON + timedelta(seconds=120)
    assert is_held_up(JOB, paused, now=NOON)
    assert not is_held_up(JOB, refused, now=later)
    silent = replace(JOB, held_up_since=NOON)
    assert not is_held_up(silent, waits, now=soon)
    assert is_held_up(silent, waits, now=later)
    # how long it waited for its turn doesn't count
    assert not is_held_up(replace(JOB, created_at=NOON - timedelta(days=1)), waits, now=later)


def test_a_card_offers_another_model_while_that_helps() -> None:
    offered = replace(JOB, offer_model="b", offer_price=3)
    assert offered.offers_another
    assert not JOB.offers_another
    assert replace(offered, state=State.FAILED, reason=Reason.PROVIDER_PAUSED).offers_another
    for state, reason in ((State.RUNNING, None), (State.FAILED, Reason.REFUSED), (State.CANCELLED, Reason.REPLACED)):
        assert not replace(offered, state=state, reason=reason).offers_another


def test_what_gives_way_gives_its_credits_back() -> None:
    for by_member, state in ((True, State.CANCELLED), (False, State.FAILED)):
        step = lifecycle.gives_way(JOB, by_member=by_member)
        assert (step.state, step.money, step.changes.get("reason")) == (
            state,
            lifecycle.Money.RELEASE,
            Reason.REPLACED,
        )


@given(chance=st.integers(min_value=0), seconds=st.integers(min_value=0, max_value=10**9))
def test_an_id_that_stands_in_for_an_interactions_tells_its_time(chance: int, seconds: int) -> None:
    now = NOON + timedelta(seconds=seconds)
    made = replace(JOB, interaction_id=stand_in_for_interaction(now, chance), created_at=now)
    assert made.clock_error == timedelta()
    ahead = replace(made, created_at=now + timedelta(hours=1))
    assert abs(ahead.clock_error - timedelta(hours=1)) < timedelta(seconds=1)
    assert 0 < made.interaction_id < 2**63
