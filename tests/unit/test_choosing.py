from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.communities.rules import Adult, Community, Limits, ModelRule, Place
from bot.credits.allowance import AllowanceRule, PeriodLength
from bot.errors import Refusal
from bot.jobs.choosing import Chooser
from providers.catalogue import DEMO, PIXELDOJO_WAN_22_STANDARD, PIXELDOJO_WAN_27_I2V
from providers.options import OptionsRefused
from providers.registry import Registry
from providers.types import Mode, ModelSpec

WAN_22, WAN_27 = PIXELDOJO_WAN_22_STANDARD, PIXELDOJO_WAN_27_I2V
OLD = replace(WAN_22, id="pixeldojo/wan-2.1", successor=WAN_22.id)
TOLD = "the people who run this bot have been told"
HERE = Place(channel_id=11)
FRESH = Community(guild_id=1, allowance=AllowanceRule(amount=100, length=PeriodLength.DAY))


def chooser(*models: ModelSpec, paused: Collection[str] = ()) -> Chooser:
    """A chooser among these models, or those of PixelDojo and ``demo``."""
    offered = {spec.id: spec for spec in models or (WAN_22, WAN_27, DEMO)}
    registry = Registry({}, offered, {**offered, OLD.id: OLD})
    return Chooser(registry=registry, is_paused=paused.__contains__)


def deny(*models: str) -> Community:
    return replace(FRESH, model_rules=tuple(ModelRule(model=model, is_allowed=False) for model in models))


def limited(**limits: object) -> Community:
    return replace(FRESH, limits=Limits(**limits))  # pyright: ignore[reportArgumentType] - each test gives its own


def chosen(
    mode: Mode,
    community: Community = FRESH,
    *,
    last: str | None = None,
    among: Chooser | None = None,
    place: Place = HERE,
) -> str:
    return (among or chooser()).suiting(mode, community, place, last=last).id


def why_none(mode: Mode, community: Community = FRESH, *, among: Chooser | None = None) -> str:
    with pytest.raises((Refusal, OptionsRefused)) as raised:
        chosen(mode, community, among=among)
    return str(raised.value)


# --- named ------------------------------------------------------------------------------------------


def test_a_named_model_is_taken_as_it_is() -> None:
    for spec in (WAN_22, WAN_27, DEMO):
        assert chooser().named(spec.id, FRESH, HERE) is spec


@pytest.mark.parametrize(
    ("model", "community", "paused", "says"),
    [
        ("nonsense", FRESH, (), "`nonsense` isn't a model that I know. You can use: "),
        ("`x`" * 50, FRESH, (), "`'x''x'"),
        (OLD.id, FRESH, (), f"`{OLD.id}` isn't offered any more; its successor is `{WAN_22.id}`. You can use: "),
        (DEMO.id, deny("demo"), (), f"`demo` isn't allowed here. You can use: `{WAN_22.id}`, `{WAN_27.id}`."),
        (
            WAN_22.id,
            limited(adult=Adult.NOWHERE),
            (),
            f"`{WAN_22.id}` can make adult content, which isn't allowed in this channel. You can use: `demo`.",
        ),
        (DEMO.id, deny("demo", WAN_22.id, WAN_27.id), (), "You can use: none."),
        (
            WAN_22.id,
            FRESH,
            ("pixeldojo",),
            f"`{WAN_22.id}` can't be used at the moment; {TOLD}. Meanwhile you can use: `demo`.",
        ),
    ],
)
def test_a_named_model_that_can_not_be_had_is_never_swapped_and_says_why(
    model: str, community: Community, paused: tuple[str, ...], says: str
) -> None:
    with pytest.raises(Refusal) as raised:
        chooser(paused=paused).named(model, community, HERE)
    assert raised.value.text.startswith("**model**: ")
    assert says in raised.value.text


def test_a_paused_model_without_others_promises_nothing() -> None:
    with pytest.raises(Refusal) as raised:
        chooser(WAN_22, WAN_27, paused=("pixeldojo",)).named(WAN_22.id, FRESH, HERE)
    assert raised.value.text.endswith("have been told.")


# --- not named --------------------------------------------------------------------------------------


def test_the_members_last_model_goes_first_then_the_guilds_default_then_the_catalogue() -> None:
    default = replace(FRESH, default_model="demo")
    assert chosen(Mode.IMAGE, default, last=WAN_27.id) == WAN_27.id
    assert chosen(Mode.IMAGE, default) == "demo"
    assert chosen(Mode.IMAGE) == WAN_22.id
    assert chosen(Mode.EXTEND) == WAN_27.id


def test_a_last_model_that_can_not_do_it_is_passed_over() -> None:
    assert chosen(Mode.TEXT, last=WAN_27.id) == WAN_22.id
    assert chosen(Mode.TEXT, deny("demo"), last="demo") == WAN_22.id
    assert chosen(Mode.TEXT, last="gone") == WAN_22.id
    assert chosen(Mode.TEXT, last=WAN_22.id, among=chooser(paused=("pixeldojo",))) == "demo"
    assert chosen(Mode.TEXT, limited(adult=Adult.NOWHERE), last=WAN_22.id) == "demo"
    # it makes 2 s at least, the others 5 and 2
    assert chosen(Mode.TEXT, limited(duration=4), last=WAN_22.id) == "demo"


def test_a_default_that_can_not_do_it_is_taken_all_the_same_to_be_refused_in_words() -> None:
    assert chosen(Mode.TEXT, replace(FRESH, default_model=WAN_27.id)) == WAN_27.id


def test_a_default_that_is_paused_is_refused_and_never_swapped() -> None:
    default = replace(FRESH, default_model=WAN_22.id)
    assert "can't be used at the moment" in why_none(Mode.TEXT, default, among=chooser(paused=("pixeldojo",)))


def test_a_default_that_may_not_be_used_here_or_is_gone_counts_for_nothing() -> None:
    assert chosen(Mode.TEXT, replace(deny("demo"), default_model="demo")) == WAN_22.id
    assert chosen(Mode.TEXT, replace(FRESH, default_model="gone")) == WAN_22.id


def test_demo_is_chosen_only_when_nothing_else_can() -> None:
    assert chosen(Mode.TEXT, deny(WAN_22.id)) == "demo"
    assert chosen(Mode.TEXT, among=chooser(paused=("pixeldojo",))) == "demo"


def test_where_nothing_may_be_used_a_moderator_is_asked_for() -> None:
    said = why_none(Mode.TEXT, deny("demo", WAN_22.id, WAN_27.id))
    assert said == "No model may be used here. Ask a moderator to allow one with `/wan-admin models allow`."


@pytest.mark.parametrize(
    ("mode", "models", "says"),
    [
        (Mode.TEXT, (WAN_27,), "image: No model here makes a video from text alone: attach a first image."),
        (Mode.EXTEND, (WAN_22, DEMO), "video: No model here continues a clip: leave it out."),
        (Mode.FIRST_LAST, (replace(DEMO, modes=(Mode.IMAGE,)),), "last_image: No model here takes a last image"),
        (Mode.IMAGE, (replace(DEMO, modes=(Mode.TEXT,)),), "image: No model here starts from an image"),
        # what to change is something that would do
        (
            Mode.TEXT,
            (replace(DEMO, modes=(Mode.FIRST_LAST,)),),
            "image: No model here makes a video from text alone: attach two images.",
        ),
        (
            Mode.TEXT,
            (replace(DEMO, modes=(Mode.EXTEND,)),),
            "video: No model here makes a video from text alone: attach a clip.",
        ),
        (
            Mode.IMAGE,
            (replace(DEMO, modes=(Mode.FIRST_LAST,)),),
            "last_image: No model here starts from one image alone",
        ),
        (Mode.IMAGE, (replace(DEMO, modes=(Mode.EXTEND,)),), "attach a clip in `video` instead"),
        (Mode.FIRST_LAST, (replace(DEMO, modes=(Mode.TEXT,)),), "image: No model here takes images: leave both out."),
        (Mode.FIRST_LAST, (replace(DEMO, modes=(Mode.EXTEND,)),), "image: No model here takes images: attach a clip"),
        (Mode.EXTEND, (replace(DEMO, modes=(Mode.IMAGE,)),), "attach a picture in `image` instead"),
        (Mode.EXTEND, (replace(DEMO, modes=(Mode.FIRST_LAST,)),), "attach two images instead"),
        (
            Mode.EXTEND,
            (WAN_22, DEMO),
            "Models here start from text alone, a first image or a first and a last image; `/wan models` shows which.",
        ),
    ],
)
def test_what_no_model_can_start_from_is_named(mode: Mode, models: tuple[ModelSpec, ...], says: str) -> None:
    assert says in why_none(mode, among=chooser(*models))


def test_limits_that_leave_nothing_are_named_and_not_the_picture() -> None:
    said = why_none(Mode.TEXT, limited(duration=1))
    assert said == (
        "No model here stays within this community's limits: `duration` up to 1 second. Ask a moderator to raise them."
    )
    said = why_none(Mode.EXTEND, limited(resolution="480p"))
    assert "`resolution` up to 480p." in said
    assert "duration" not in said
    both = why_none(Mode.TEXT, limited(resolution="240p", duration=1))
    assert "`resolution` up to 240p, `duration` up to 1 second." in both


def test_when_all_that_could_are_paused_that_is_told() -> None:
    said = why_none(Mode.EXTEND, among=chooser(paused=("pixeldojo",)))
    assert "No model that could make this can be reached at the moment" in said
    assert "Try again later." in said


_RULES = st.lists(
    st.builds(
        ModelRule,
        model=st.sampled_from([WAN_22.id, WAN_27.id, "demo"]),
        is_allowed=st.booleans(),
        channel_id=st.sampled_from([0, 11]),
        role_id=st.sampled_from([0, 21]),
    ),
    max_size=6,
    unique_by=lambda rule: (rule.model, rule.channel_id, rule.role_id),
)


_COMMUNITIES = st.builds(
    partial(replace, FRESH),
    model_rules=_RULES.map(tuple),
    default_model=st.sampled_from([None, WAN_22.id, WAN_27.id, "demo"]),
    limits=st.builds(
        Limits,
        adult=st.sampled_from(Adult),
        duration=st.none() | st.integers(1, 6),
        resolution=st.sampled_from([None, "480p", "720p"]),
    ),
)


@given(
    community=_COMMUNITIES,
    roles=st.sets(st.just(21)),
    last=st.sampled_from([None, WAN_22.id, WAN_27.id, "demo", "gone"]),
    mode=st.sampled_from(Mode),
    paused=st.sets(st.sampled_from(["pixeldojo", "demo"])),
)
def test_what_is_chosen_may_be_used_and_can_be_reached_or_somebody_is_told_why(
    community: Community, roles: set[int], last: str | None, mode: Mode, paused: set[str]
) -> None:
    place = Place(channel_id=11, role_ids=roles)
    among = chooser(paused=paused)
    try:
        spec = among.suiting(mode, community, place, last=last)
    except (Refusal, OptionsRefused) as refusal:
        assert str(refusal).endswith(".")  # noqa: PT017 - either is fine
        return
    assert community.permits(spec.id, place)
    assert not community.is_too_adult(spec, place)
    assert spec.provider not in paused
    assert spec.id == community.default_model or (mode in spec.modes and community.can_make(spec))
