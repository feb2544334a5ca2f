from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.catalogue import MODELS
from providers.options import (
    OptionProblem,
    Options,
    OptionsRefused,
    Wish,
    allowed_durations,
    allowed_resolutions,
    check_options,
    describe,
    durations_text,
    mode_of,
    one_of,
    parse_settings,
)
from providers.types import CostUnit, Mode, ModelSpec, Parameter, ParameterValue, Price

FULL = ModelSpec(
    id="vendor/full",
    provider="vendor",
    name="Full",
    modes=tuple(Mode),
    price=Price(unit=CostUnit.USD, per_video={"*": Decimal(1)}),
    prompt_limit=100,
    prompt_optional=(Mode.EXTEND,),
    has_negative_prompt=True,
    negative_prompt_limit=50,
    resolutions=("480p", "720p", "1080p"),
    default_resolution="720p",
    aspect_ratios=("16:9", "9:16"),
    default_aspect_ratio="16:9",
    aspect_ratio_modes=(Mode.TEXT,),
    durations=(3, 5, 10),
    default_duration=5,
    max_seed=1000,
    enhances_prompt=True,
    parameters=(
        Parameter(key="steps", kind=int, default=30, minimum=10, maximum=50),
        Parameter(key="shift", kind=float, default=12.0, minimum=0, maximum=20),
        Parameter(key="interpolate", kind=bool, default=True),
    ),
)
BARE = replace(
    FULL,
    id="vendor/bare",
    name="Bare",
    modes=(Mode.IMAGE,),
    prompt_limit=None,
    has_negative_prompt=False,
    negative_prompt_limit=None,
    aspect_ratio_modes=(),
    has_seed=False,
    enhances_prompt=None,
    parameters=(),
)
TEXT = Wish(prompt="a fox")
IMAGE = Wish(prompt="a fox", has_image=True)


def refusals(
    spec: ModelSpec, wish: Wish, *, max_resolution: str | None = None, max_duration: int | None = None
) -> list[tuple[str, str]]:
    with pytest.raises(OptionsRefused) as caught:
        check_options(spec, wish, max_resolution=max_resolution, max_duration=max_duration)
    return [(problem.option, problem.message) for problem in caught.value.problems]


def the_refusal(
    spec: ModelSpec, wish: Wish, *, max_resolution: str | None = None, max_duration: int | None = None
) -> tuple[str, str]:
    (refusal,) = refusals(spec, wish, max_resolution=max_resolution, max_duration=max_duration)
    return refusal


# --- what the video starts from ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "mode"),
    [
        (Wish(prompt="p"), Mode.TEXT),
        (Wish(prompt="p", has_image=True), Mode.IMAGE),
        (Wish(prompt="p", has_image=True, has_last_image=True), Mode.FIRST_LAST),
        (Wish(prompt="p", has_video=True), Mode.EXTEND),
    ],
)
def test_the_mode_follows_from_what_is_attached(wish: Wish, mode: Mode) -> None:
    assert mode_of(wish) is mode
    assert check_options(FULL, wish).mode is mode


def test_a_last_image_without_a_first_is_refused_and_the_first_is_asked_for() -> None:
    option, message = the_refusal(FULL, Wish(prompt="p", has_last_image=True))
    assert option == "last_image"
    assert "`image`" in message


@pytest.mark.parametrize(("has_image", "has_last_image"), [(True, False), (False, True), (True, True)])
def test_a_video_beside_images_is_refused(*, has_image: bool, has_last_image: bool) -> None:
    wish = Wish(prompt="p", has_video=True, has_image=has_image, has_last_image=has_last_image)
    assert the_refusal(FULL, wish) == ("video", "Attach either a video to continue or images, not both.")


@pytest.mark.parametrize(
    ("wish", "option", "given_as"),
    [
        (TEXT, "image", "text alone"),
        (Wish(prompt="p", has_image=True, has_last_image=True), "last_image", "a first and a last image"),
        (Wish(prompt="p", has_video=True), "video", "a video to continue"),
    ],
)
def test_a_mode_that_the_model_lacks_is_refused_with_those_that_it_has(wish: Wish, option: str, given_as: str) -> None:
    assert the_refusal(BARE, wish) == (option, f"Bare can't start from {given_as}; it takes a first image.")


def test_a_model_of_text_alone_refuses_an_image() -> None:
    spec = replace(FULL, modes=(Mode.TEXT,))
    assert the_refusal(spec, IMAGE) == ("image", "Full can't start from a first image; it takes text alone.")


# --- texts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prompt", ["", " ", "\n\t "])
def test_an_empty_prompt_is_refused(prompt: str) -> None:
    assert the_refusal(FULL, Wish(prompt=prompt))[0] == "prompt"


@pytest.mark.parametrize(
    "prompt", ["\u200b", "\u2060\ufeff", "\u3164", "\u2800", "\ufe0f", "\u0301", "\U000e0041", "\0"]
)
def test_a_prompt_of_which_nothing_can_be_seen_is_empty(prompt: str) -> None:
    assert the_refusal(FULL, replace(TEXT, prompt=prompt)) == (
        "prompt",
        "Say in a few words what the video should show.",
    )


@pytest.mark.parametrize("prompt", ["a", "7", "?", "🦊", "狐", "ة", "$", "\u200ba"])
def test_a_prompt_of_one_sign_is_a_prompt(prompt: str) -> None:
    assert check_options(FULL, replace(TEXT, prompt=prompt)).prompt == prompt


@pytest.mark.parametrize("option", ["prompt", "negative_prompt"])
def test_half_a_character_is_refused(option: str) -> None:
    assert the_refusal(FULL, replace(TEXT, **{option: "a \ud83e"})) == (
        option,
        "It holds a broken character, which can't be sent; write it anew.",
    )


def test_an_empty_prompt_is_fine_where_the_model_needs_none() -> None:
    assert check_options(FULL, Wish(prompt="", has_video=True)).prompt == ""


def test_a_prompt_may_have_as_many_characters_as_the_model_takes() -> None:
    assert check_options(FULL, Wish(prompt="x" * 100)).prompt == "x" * 100


def test_a_prompt_that_is_too_long_is_refused_with_both_numbers() -> None:
    spec = replace(FULL, prompt_limit=1500)
    option, message = the_refusal(spec, Wish(prompt="x" * 6000))
    assert option == "prompt"
    assert "1,500" in message
    assert "6,000" in message


def test_without_a_limit_of_the_vendor_every_prompt_fits() -> None:
    assert len(check_options(BARE, Wish(prompt="x" * 6000, has_image=True)).prompt) == 6000


def test_the_limit_of_a_prompt_holds_even_where_it_may_be_empty() -> None:
    assert the_refusal(FULL, Wish(prompt="x" * 101, has_video=True))[0] == "prompt"


def test_a_negative_prompt_is_refused_where_the_model_has_none() -> None:
    wish = replace(IMAGE, negative_prompt="rain")
    assert the_refusal(BARE, wish) == ("negative_prompt", "Bare has no negative prompt; leave it out.")


def test_a_negative_prompt_that_is_too_long_is_refused_with_both_numbers() -> None:
    option, message = the_refusal(FULL, replace(TEXT, negative_prompt="x" * 51))
    assert option == "negative_prompt"
    assert "50" in message
    assert "51" in message


def test_an_empty_negative_prompt_is_none() -> None:
    assert check_options(BARE, replace(IMAGE, negative_prompt="")).negative_prompt is None


# --- resolution, duration, shape --------------------------------------------------------------------


def test_what_is_not_said_is_the_models_default_for_resolution_and_duration_and_stays_unsaid_for_all_else() -> None:
    assert check_options(FULL, TEXT) == Options(mode=Mode.TEXT, prompt="a fox", resolution="720p", duration=5)


def test_what_is_said_is_kept() -> None:
    wish = Wish(
        prompt=" a fox ",
        resolution="1080p",
        aspect_ratio="9:16",
        duration=10,
        negative_prompt="rain",
        seed=7,
        enhance_prompt=False,
        settings="steps=40",
    )
    assert check_options(FULL, wish) == Options(
        mode=Mode.TEXT,
        prompt=" a fox ",
        resolution="1080p",
        duration=10,
        aspect_ratio="9:16",
        negative_prompt="rain",
        seed=7,
        enhance_prompt=False,
        parameters={"steps": 40},
    )


@pytest.mark.parametrize("resolution", ["", "360p", "2160p", "720P", "720", "x" * 6000])
def test_a_resolution_that_the_model_lacks_is_refused_with_those_that_it_has(resolution: str) -> None:
    option, message = the_refusal(FULL, replace(TEXT, resolution=resolution))
    assert option == "resolution"
    assert message.endswith("choose 480p, 720p or 1080p.")
    assert len(message) < 120


@pytest.mark.parametrize("duration", [0, -5, 4, 11, 2**53])
def test_a_duration_that_the_model_lacks_is_refused_with_those_that_it_has(duration: int) -> None:
    option, message = the_refusal(FULL, replace(TEXT, duration=duration))
    assert option == "duration"
    assert message.endswith("choose 3, 5 or 10 seconds.")


def test_a_shape_that_the_model_lacks_is_refused_with_those_that_it_has() -> None:
    option, message = the_refusal(FULL, replace(TEXT, aspect_ratio="1:1"))
    assert option == "aspect_ratio"
    assert message.endswith("choose 16:9 or 9:16.")


def test_a_shape_that_the_model_ignores_in_this_mode_is_refused_and_not_dropped() -> None:
    option, message = the_refusal(FULL, replace(IMAGE, aspect_ratio="16:9"))
    assert option == "aspect_ratio"
    assert "leave it out" in message


@pytest.mark.parametrize(
    ("most", "resolution"), [(None, "720p"), ("1080p", "720p"), ("720p", "720p"), ("700p", "480p"), ("480p", "480p")]
)
def test_an_unset_resolution_is_the_default_or_the_highest_allowed_below_it(most: str | None, resolution: str) -> None:
    assert check_options(FULL, TEXT, max_resolution=most).resolution == resolution


@pytest.mark.parametrize(("most", "duration"), [(None, 5), (60, 5), (9, 5), (5, 5), (4, 3), (3, 3)])
def test_an_unset_duration_is_the_default_or_the_highest_allowed_below_it(most: int | None, duration: int) -> None:
    assert check_options(FULL, TEXT, max_duration=most).duration == duration


def test_what_a_community_does_not_allow_is_refused_with_what_it_allows() -> None:
    wish = replace(TEXT, resolution="1080p", duration=10)
    assert refusals(FULL, wish, max_resolution="720p", max_duration=5) == [
        ("resolution", "1080p isn't offered by Full here; choose 480p or 720p."),
        ("duration", "10 seconds isn't offered by Full here; choose 3 or 5 seconds."),
    ]


def test_a_model_that_starts_above_what_a_community_allows_is_refused_with_the_limit() -> None:
    assert refusals(FULL, TEXT, max_resolution="360p", max_duration=2) == [
        ("resolution", "This community allows up to 360p; Full starts above it."),
        ("duration", "This community allows up to 2 s; Full starts above it."),
    ]


def test_what_is_allowed_ascends_and_without_a_limit_is_everything() -> None:
    assert allowed_resolutions(FULL, None) == FULL.resolutions
    assert allowed_resolutions(FULL, "900p") == ("480p", "720p")
    assert allowed_durations(FULL, None) == FULL.durations
    assert allowed_durations(FULL, 9) == (3, 5)


# --- seed, enhancement ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1000])
def test_a_seed_within_the_range_is_taken(seed: int) -> None:
    assert check_options(FULL, replace(TEXT, seed=seed)).seed == seed


@pytest.mark.parametrize("seed", [-1, 1001, 2**53])
def test_a_seed_outside_the_range_is_refused_with_the_range(seed: int) -> None:
    assert the_refusal(FULL, replace(TEXT, seed=seed)) == ("seed", "A seed is a whole number from 0 to 1000.")


def test_a_seed_is_refused_where_the_model_has_none() -> None:
    assert the_refusal(BARE, replace(IMAGE, seed=0)) == ("seed", "Bare takes no seed; leave it out.")


@pytest.mark.parametrize("enhance_prompt", [True, False])
def test_enhancement_is_refused_where_the_model_has_none(*, enhance_prompt: bool) -> None:
    option, message = the_refusal(BARE, replace(IMAGE, enhance_prompt=enhance_prompt))
    assert option == "enhance_prompt"
    assert "leave this out" in message


def test_every_problem_is_told_at_once_and_each_names_its_option() -> None:
    wish = Wish(
        prompt="",
        resolution="8k",
        aspect_ratio="2:1",
        duration=1,
        negative_prompt="x" * 51,
        seed=-1,
        settings="steps=9 colour=red",
    )
    problems = refusals(FULL, wish)
    assert [option for option, _ in problems] == [
        "prompt",
        "negative_prompt",
        "resolution",
        "duration",
        "aspect_ratio",
        "seed",
        "settings",
        "settings",
    ]


def test_the_refusal_as_text_names_every_option_for_the_log() -> None:
    with pytest.raises(OptionsRefused, match=r"^resolution: .*; duration: "):
        check_options(FULL, replace(TEXT, resolution="8k", duration=1))


# --- settings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("   ", {}),
        ("steps=40", {"steps": 40}),
        ("steps=10 shift=0", {"steps": 10, "shift": 0.0}),
        ("steps=50,shift=20", {"steps": 50, "shift": 20.0}),
        ("STEPS=40,  shift=2.5 ,interpolate=off", {"steps": 40, "shift": 2.5, "interpolate": False}),
        ("interpolate=Yes", {"interpolate": True}),
        ("interpolate=1", {"interpolate": True}),
        ("interpolate=FALSE", {"interpolate": False}),
    ],
)
def test_settings_are_read_as_members_write_them(text: str, values: dict[str, ParameterValue]) -> None:
    assert parse_settings(FULL, text) == (values, [])


@pytest.mark.parametrize(
    "word", ["steps=9", "steps=51", "steps=", "steps", "steps=4.5", "steps=forty", "steps=nan", "steps=-40"]
)
def test_a_whole_number_that_can_not_be_is_refused_with_its_range(word: str) -> None:
    assert the_refusal(FULL, replace(TEXT, settings=word)) == (
        "settings",
        "`steps` takes a whole number from 10 to 50.",
    )


@pytest.mark.parametrize("word", ["shift=-0.1", "shift=20.1", "shift=nan", "shift=inf", "shift=-inf", "shift=x"])
def test_a_number_that_can_not_be_is_refused_with_its_range(word: str) -> None:
    assert the_refusal(FULL, replace(TEXT, settings=word)) == ("settings", "`shift` takes a number from 0 to 20.")


@pytest.mark.parametrize("word", ["interpolate=maybe", "interpolate=2", "interpolate"])
def test_a_switch_takes_true_or_false(word: str) -> None:
    assert the_refusal(FULL, replace(TEXT, settings=word))[1] == "`interpolate` takes `true` or `false`."


def test_an_unknown_setting_is_refused_with_those_that_there_are_and_how_to_write_them() -> None:
    option, message = the_refusal(FULL, replace(TEXT, settings="colour=red"))
    assert option == "settings"
    assert message == (
        "`colour` isn't a setting of Full; it has `steps` (a whole number from 10 to 50), `shift` (a number from 0 to"
        " 20), `interpolate` (`true` or `false`). Write them as `steps=…`."
    )


def test_a_model_without_settings_says_so() -> None:
    refusal = the_refusal(BARE, replace(IMAGE, settings="steps=40"))
    assert refusal == ("settings", "Bare has no extra settings; leave this out.")


def test_a_setting_that_is_given_twice_is_refused() -> None:
    refusal = the_refusal(FULL, replace(TEXT, settings="steps=40 steps=41"))
    assert refusal == ("settings", "`steps` is given twice; give it once.")


def test_a_backtick_in_an_unknown_setting_can_not_end_the_code_that_it_is_shown_in() -> None:
    _, message = the_refusal(FULL, replace(TEXT, settings="`@everyone`"))
    assert message.startswith("`'@everyone'` isn't")


def test_what_turns_or_breaks_a_line_is_not_repeated() -> None:
    _, message = the_refusal(FULL, replace(TEXT, settings="a\u202eb\u200b\x1b[31m=1"))
    assert "`a'b''[31m` isn't a setting of Full" in message
    _, message = the_refusal(FULL, replace(TEXT, resolution="**8k**\n# `x` @everyone"))
    assert message.startswith("`**8k**'# 'x' @everyone` isn't offered by Full here")


def test_spaces_around_the_sign_are_explained_without_an_empty_name() -> None:
    messages = [message for _, message in refusals(FULL, replace(TEXT, settings="steps = 40"))]
    assert messages[0] == "`steps` takes a whole number from 10 to 50."
    assert messages[1].startswith("`=` or `40` isn't a setting of Full")


@pytest.mark.parametrize("text", ["a b c d e f " * 400, "steps=x " * 700, "steps " * 900, "x" * 6000])
def test_however_much_is_wrong_with_the_settings_the_answer_fits_into_a_message(text: str) -> None:
    said = "\n".join(f"**{option}**: {message}" for option, message in refusals(FULL, replace(TEXT, settings=text)))
    assert len(said) < 600


# --- words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "text"), [([], "nothing"), (["a"], "a"), (["a", "b"], "a or b"), ([1, 2, 3], "1, 2 or 3")]
)
def test_values_are_listed_as_people_do(values: Sequence[object], text: str) -> None:
    assert one_of(values) == text


@pytest.mark.parametrize(
    ("durations", "text"),
    [
        ((5,), "5 seconds"),
        ((5, 10), "5 or 10 seconds"),
        ((2, 3, 4), "2, 3 or 4 seconds"),
        (tuple(range(2, 16)), "2 to 15 seconds"),
        ((2, 3, 4, 6), "2, 3, 4 or 6 seconds"),
    ],
)
def test_durations_are_told_shortly(durations: tuple[int, ...], text: str) -> None:
    assert durations_text(durations) == text


def test_a_range_is_told_without_needless_digits() -> None:
    parameter = Parameter(key="shift", kind=float, default=1.0, minimum=0.5, maximum=20.0)
    assert describe(parameter) == "a number from 0.5 to 20"


# --- anything at all --------------------------------------------------------------------------------

_words = st.text(max_size=30) | st.sampled_from(
    ["steps=40", "shift=2.5", "interpolate=on", "fps=24", "steps=9", "=", ""]
)
_wishes = st.builds(
    Wish,
    prompt=st.text(max_size=120) | st.just("a fox"),
    has_image=st.booleans(),
    has_last_image=st.booleans(),
    has_video=st.booleans(),
    resolution=st.none() | st.sampled_from(["480p", "720p", "1080p"]) | st.text(max_size=60),
    aspect_ratio=st.none() | st.sampled_from(["16:9", "9:16", "1:1", "4:3"]) | st.text(max_size=60),
    duration=st.none() | st.integers(-1, 20) | st.integers(),
    negative_prompt=st.none() | st.text(max_size=60),
    seed=st.none() | st.integers(0, 2000) | st.integers(),
    enhance_prompt=st.none() | st.booleans(),
    settings=st.none() | st.lists(_words, max_size=5).map(" ".join),
)
_OPTIONS = frozenset(Wish.__dataclass_fields__) - {"has_image", "has_last_image", "has_video"} | {
    "image",
    "last_image",
    "video",
}


def _is_within(value: ParameterValue, parameter: Parameter) -> bool:
    if parameter.kind is bool:
        return isinstance(value, bool)
    assert parameter.minimum is not None
    assert parameter.maximum is not None
    return type(value) is parameter.kind and math.isfinite(value) and parameter.minimum <= value <= parameter.maximum


@given(
    spec=st.sampled_from([FULL, BARE, *MODELS]),
    wish=_wishes,
    max_resolution=st.none() | st.sampled_from(["360p", "480p", "720p", "1080p"]),
    max_duration=st.none() | st.integers(0, 20),
)
def test_whatever_is_asked_for_is_either_refused_in_short_words_or_within_the_models_spec(
    spec: ModelSpec, wish: Wish, max_resolution: str | None, max_duration: int | None
) -> None:
    try:
        options = check_options(spec, wish, max_resolution=max_resolution, max_duration=max_duration)
    except OptionsRefused as refused:
        _is_told_in_short_words(refused.problems)
        return
    assert options.resolution in allowed_resolutions(spec, max_resolution)
    assert options.duration in allowed_durations(spec, max_duration)
    _is_within_the_spec(options, spec)
    _is_unchanged(options, wish)


def _is_told_in_short_words(problems: Sequence[OptionProblem]) -> None:
    assert problems
    assert {problem.option for problem in problems} <= _OPTIONS
    assert all(problem.message for problem in problems)
    assert sum(len(problem.option) + len(problem.message) + 10 for problem in problems) < 2000


def _is_within_the_spec(options: Options, spec: ModelSpec) -> None:
    assert options.mode in spec.modes
    assert spec.prompt_limit is None or len(options.prompt) <= spec.prompt_limit
    assert options.prompt.strip() or options.mode in spec.prompt_optional
    assert options.aspect_ratio is None or (
        options.mode in spec.aspect_ratio_modes and options.aspect_ratio in spec.aspect_ratios
    )
    assert options.negative_prompt is None or spec.has_negative_prompt
    assert options.seed is None or (spec.has_seed and 0 <= options.seed <= spec.max_seed)
    assert options.enhance_prompt is None or spec.enhances_prompt is not None
    known = {parameter.key: parameter for parameter in spec.parameters}
    assert all(_is_within(value, known[key]) for key, value in options.parameters.items())


def _is_unchanged(options: Options, wish: Wish) -> None:
    assert options.prompt == wish.prompt
    assert wish.resolution in {None, options.resolution}
    assert wish.duration in {None, options.duration}
    assert options.aspect_ratio == wish.aspect_ratio
    assert (options.negative_prompt or "") == (wish.negative_prompt or "")
    assert options.seed == wish.seed
    assert options.enhance_prompt == wish.enhance_prompt
