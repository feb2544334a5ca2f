"""Whatever members write as options: an answer that fits into a message, or options that were checked.

Of wishes that are mostly well-formed, ``tests/unit/test_options.py`` has a property of its own. Here the specs are made
up too, and the texts are those of somebody who looks for a way around a limit.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeVar

from hypothesis import given
from hypothesis import strategies as st

from providers.catalogue import MODELS
from providers.options import OptionsRefused, Wish, check_options, mode_of
from providers.types import CostUnit, Mode, ModelSpec, Parameter, ParameterValue, Price
from tests.fuzz.inputs import inputs, patient
from tests.fuzz.writing import settings_texts, texts

INPUTS: Final = 2000
#: characters; Discord's own limit of a message, which holds every problem and some words around them
MESSAGE: Final = 2000

pytestmark = patient

_T = TypeVar("_T")


def _ascending(chance: random.Random, most: int, *, at_most: int) -> list[int]:
    return sorted(chance.sample(range(1, most + 1), chance.randint(1, at_most)))


def _some(chance: random.Random, values: Sequence[_T]) -> tuple[_T, ...]:
    return tuple(chance.sample(values, chance.randint(1, len(values))))


def _spec(number: int) -> ModelSpec:
    """A model that the catalogue could have."""
    chance = random.Random(number)
    resolutions = tuple(f"{lines}p" for lines in _ascending(chance, 4320, at_most=4))
    durations = tuple(_ascending(chance, 600, at_most=20))
    shapes = _some(chance, ("16:9", "9:16", "1:1", "4:3"))
    pairs = [(resolution, shape) for resolution in resolutions for shape in shapes]
    return ModelSpec(
        id="vendor/any",
        provider="vendor",
        name="Any",
        modes=_some(chance, tuple(Mode)),
        price=Price(unit=CostUnit.USD, per_video={"*": Decimal(1)}),
        prompt_limit=chance.choice((None, 1, 50)),
        prompt_optional=chance.choice(((), tuple(Mode))),
        has_negative_prompt=chance.random() < 0.5,
        negative_prompt_limit=chance.choice((None, 1, 20)),
        resolutions=resolutions,
        default_resolution=chance.choice(resolutions),
        aspect_ratios=shapes,
        default_aspect_ratio=shapes[0],
        aspect_ratio_modes=chance.choice(((), (Mode.TEXT,), tuple(Mode))),
        sizes=chance.choice(({}, dict.fromkeys(_some(chance, pairs), "1*1"))),
        durations=durations,
        default_duration=chance.choice(durations),
        fixed_duration=len(durations) == 1,
        has_seed=chance.random() < 0.5,
        max_seed=chance.choice((0, 1000, 2**31 - 1)),
        enhances_prompt=chance.choice((None, True, False)),
        parameters=chance.choice([spec.parameters for spec in MODELS]),
    )


SPECS: Final = (*MODELS, *map(_spec, range(200)))

_wishes: Final = st.builds(
    Wish,
    prompt=texts | st.text(max_size=200),
    has_image=st.booleans(),
    has_last_image=st.booleans(),
    has_video=st.booleans(),
    resolution=st.none() | st.integers(-1, 5000).map("{}p".format) | texts,
    aspect_ratio=st.none() | st.sampled_from(("16:9", "9:16", "1:1", "4:3", "16/9", "0:0")) | texts,
    duration=st.none() | st.integers(-5, 700) | st.integers(),
    negative_prompt=st.none() | texts,
    seed=st.none() | st.integers(-1, 1001) | st.integers(),
    enhance_prompt=st.none() | st.booleans(),
    settings=st.none() | settings_texts,
)


@inputs(INPUTS)
@given(
    spec=st.sampled_from(SPECS),
    wish=_wishes,
    max_resolution=st.none() | st.integers(1, 4320).map("{}p".format),
    max_duration=st.none() | st.integers(0, 600),
)
def test_no_wish_gets_past_the_checks_or_beyond_a_message(
    spec: ModelSpec, wish: Wish, max_resolution: str | None, max_duration: int | None
) -> None:
    try:
        options = check_options(spec, wish, max_resolution=max_resolution, max_duration=max_duration)
    except OptionsRefused as refused:
        _is_answer_of_a_message(refused)
        return
    assert options.mode is mode_of(wish)
    assert options.mode in spec.modes
    assert options.resolution in spec.resolutions
    assert max_resolution is None or int(options.resolution[:-1]) <= int(max_resolution[:-1])
    assert options.duration in spec.durations
    assert max_duration is None or options.duration <= max_duration
    shape = options.aspect_ratio
    assert shape is None or not spec.sizes or (options.resolution, shape) in spec.sizes
    assert options.seed is None or 0 <= options.seed <= spec.max_seed
    _are_values_of(options.parameters, spec)


def _is_answer_of_a_message(refused: OptionsRefused) -> None:
    assert refused.problems
    text = "\n".join(f"**{problem.option}**: {problem.message}" for problem in refused.problems)
    assert len(text) < MESSAGE
    codes = "".join(problem.message for problem in refused.problems if problem.option == "settings").count("`")
    assert codes % 2 == 0, "no quoted word ends the code that it is shown in"
    assert all(problem.message.endswith(".") for problem in refused.problems)


def _are_values_of(values: Mapping[str, ParameterValue], spec: ModelSpec) -> None:
    known: Mapping[str, Parameter] = {parameter.key: parameter for parameter in spec.parameters}
    for key, value in values.items():
        parameter = known[key]
        assert type(value) is parameter.kind
        if parameter.minimum is not None and parameter.maximum is not None:
            assert math.isfinite(value)
            assert parameter.minimum <= value <= parameter.maximum
