from __future__ import annotations

import re
from decimal import Decimal

import pytest

from bot.credits.pricing import Pricing
from providers.catalogue import DEMO, MODELS, PIXELDOJO_WAN_22_STANDARD, PIXELDOJO_WAN_27_I2V
from providers.options import Wish, check_options
from providers.registry import Registry, VendorAccess
from providers.types import CostUnit, ImageStrategy, Mode, ModelSpec, Parameter

each_model = pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.id)
each_parameter = pytest.mark.parametrize(
    "parameter", [pytest.param(each, id=f"{spec.id} {each.key}") for spec in MODELS for each in spec.parameters]
)


def _ascends(values: list[int]) -> bool:
    return values == sorted(set(values))


def test_no_two_models_share_an_id_or_a_name() -> None:
    assert len({spec.id for spec in MODELS}) == len(MODELS)
    assert len({spec.name for spec in MODELS}) == len(MODELS)


def test_demo_is_chosen_last() -> None:
    assert MODELS[-1] is DEMO


@each_model
def test_an_id_is_the_provider_and_the_model_or_just_demo(spec: ModelSpec) -> None:
    assert spec.id == "demo" or re.fullmatch(r"[a-z]+/[a-z0-9][a-z0-9._-]*", spec.id)
    assert spec.id.partition("/")[0] == spec.provider


@each_model
def test_ids_and_names_fit_where_discord_and_the_database_want_them(spec: ModelSpec) -> None:
    assert len(spec.id) <= 80
    assert 0 < len(spec.name) <= 60


@each_model
def test_defaults_are_among_what_is_offered(spec: ModelSpec) -> None:
    assert spec.default_resolution in spec.resolutions
    assert spec.default_duration in spec.durations
    assert spec.default_aspect_ratio in (spec.aspect_ratios or [""])


@each_model
def test_resolutions_and_durations_ascend(spec: ModelSpec) -> None:
    assert all(re.fullmatch(r"\d+p", resolution) for resolution in spec.resolutions)
    assert _ascends([int(resolution.removesuffix("p")) for resolution in spec.resolutions])
    assert _ascends(list(spec.durations))
    assert spec.durations[0] > 0


@each_model
def test_shapes_are_written_as_ratios_and_are_of_use_in_modes_that_there_are(spec: ModelSpec) -> None:
    assert all(re.fullmatch(r"\d+:\d+", shape) for shape in spec.aspect_ratios)
    assert len(set(spec.aspect_ratios)) == len(spec.aspect_ratios)
    assert set(spec.aspect_ratio_modes) <= set(spec.modes)


@each_model
def test_modes_are_there_once_and_those_that_need_no_prompt_are_among_them(spec: ModelSpec) -> None:
    assert spec.modes
    assert len(set(spec.modes)) == len(spec.modes)
    assert set(spec.prompt_optional) <= set(spec.modes)
    assert Mode.TEXT not in spec.prompt_optional


@each_model
def test_a_price_is_known_for_everything_that_is_offered(spec: ModelSpec) -> None:
    pricing = Pricing(credits_per_usd=Decimal(100), usd_per_vendor_credit={spec.provider: Decimal("0.05")})
    for resolution in spec.resolutions:
        prices = [
            pricing.credits(spec, resolution=resolution, duration=duration)
            for duration in range(spec.durations[0], spec.durations[-1] + 1)
        ]
        assert prices[0] > 0
        assert prices == sorted(prices)


@each_model
def test_a_price_is_per_video_or_per_second_and_names_only_what_is_offered(spec: ModelSpec) -> None:
    assert bool(spec.price.per_video) != bool(spec.price.per_second)
    named = {*spec.price.per_video, *spec.price.per_second} - {"*"}
    assert named <= set(spec.resolutions)


@each_model
def test_limits_make_sense(spec: ModelSpec) -> None:
    assert spec.prompt_limit is None or spec.prompt_limit > 0
    assert spec.negative_prompt_limit is None or spec.has_negative_prompt
    assert 0 < spec.max_seed < 2**53, "Discord's whole numbers end there"
    assert 0 < spec.image.min_side < spec.image.max_side
    assert spec.image.content_types
    assert spec.deadline.total_seconds() > 0


@each_model
def test_a_successor_is_a_model_that_is_offered(spec: ModelSpec) -> None:
    offered = {each.id for each in MODELS if each.successor is None}
    assert spec.successor is None or spec.successor in offered


@each_model
def test_parameters_have_keys_that_differ_and_that_can_be_typed(spec: ModelSpec) -> None:
    keys = [parameter.key for parameter in spec.parameters]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"[a-z][a-z_]*", key) for key in keys), "they are looked up in lower case"


@each_parameter
def test_a_parameters_default_is_of_its_kind_and_within_its_bounds(parameter: Parameter) -> None:
    assert type(parameter.default) is parameter.kind
    if parameter.kind is bool:
        assert parameter.minimum is None
        assert parameter.maximum is None
    else:
        assert parameter.minimum is not None
        assert parameter.maximum is not None
        assert parameter.minimum < parameter.maximum
        assert parameter.minimum <= parameter.default <= parameter.maximum


@each_model
def test_a_plain_wish_is_accepted_in_every_mode(spec: ModelSpec) -> None:
    for mode in spec.modes:
        wish = Wish(
            prompt="a fox",
            has_image=mode in {Mode.IMAGE, Mode.FIRST_LAST},
            has_last_image=mode is Mode.FIRST_LAST,
            has_video=mode is Mode.EXTEND,
        )
        assert check_options(spec, wish).mode is mode


def test_wan_22_standard_is_as_its_page_says() -> None:
    spec = PIXELDOJO_WAN_22_STANDARD
    assert spec.id == "pixeldojo/wan-2.2-standard"
    assert spec.modes == (Mode.TEXT, Mode.IMAGE, Mode.FIRST_LAST)
    assert (spec.price.unit, spec.price.per_video) == (CostUnit.CREDITS, {"*": 3})
    assert (spec.resolutions, spec.default_resolution) == (("480p", "720p", "1080p"), "480p")
    assert (spec.aspect_ratios, spec.default_aspect_ratio) == (("16:9", "9:16"), "16:9")
    assert (spec.durations, spec.default_duration) == ((5, 10), 5)
    assert not spec.has_negative_prompt
    assert spec.enhances_prompt is None
    bounds = {each.key: (each.minimum, each.maximum, each.default) for each in spec.parameters}
    assert bounds == {
        "frames": (81, 100, 100),
        "shift": (0, 20, 12),
        "steps": (10, 50, 30),
        "fps": (8, 24, 16),
        "interpolate": (None, None, True),
    }


def test_wan_27_image_to_video_is_as_its_page_says() -> None:
    spec = PIXELDOJO_WAN_27_I2V
    assert spec.id == "pixeldojo/wan-2.7-i2v"
    assert Mode.TEXT not in spec.modes, "it needs an image or a video"
    assert spec.price.per_second == {"720p": Decimal("2.5"), "1080p": 3}
    assert (spec.prompt_limit, spec.negative_prompt_limit) == (5000, 500)
    assert (spec.resolutions, spec.default_resolution) == (("720p", "1080p"), "720p")
    assert (spec.durations, spec.default_duration) == (tuple(range(2, 16)), 5)
    assert spec.aspect_ratio_modes == (), "only heeded from text alone, which it lacks"
    assert spec.enhances_prompt is False


def test_demo_needs_no_vendor_and_counts_as_a_hundredth_of_a_dollar() -> None:
    assert DEMO.image_strategy is ImageStrategy.LOCAL
    assert DEMO.price.unit is CostUnit.USD
    assert DEMO.price.per_video == {"*": Decimal("0.01")}
    assert not DEMO.adult


def test_without_a_provider_nothing_is_offered() -> None:
    assert not Registry.of([]).models


def test_the_key_of_a_vendor_is_never_in_a_repr() -> None:
    access = VendorAccess(api_key="sk-verysecret", base_url="https://vendor.example", requests_per_minute=None)
    assert "verysecret" not in repr(access)
    assert "verysecret" not in str(access)
