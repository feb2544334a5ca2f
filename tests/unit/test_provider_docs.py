"""The table in docs/providers.md is the catalogue, and the example in docs/adding-a-provider.md works."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any, Final

import pytest

from bot.credits.pricing import Pricing
from bot.settings import Settings
from providers import catalogue
from providers.catalogue import MODELS
from providers.types import Finished, Mode, ModelSpec, Parameter, Rejected
from tests.contract import benches
from tests.contract.benches import KEY, VendorStage
from tests.contract.wire import disagreements, fetch, request_for

DOCS: Final = Path(__file__).parents[2] / "docs"
PAGE: Final = (DOCS / "providers.md").read_text(encoding="utf-8")
GUIDE: Final = (DOCS / "adding-a-provider.md").read_text(encoding="utf-8")
DEFAULTS: Final = Settings.load({})
PRICING: Final = Pricing(
    credits_per_usd=DEFAULTS.credits_per_usd,
    usd_per_vendor_credit={"pixeldojo": DEFAULTS.pixeldojo_usd_per_credit},
)
COLUMNS: Final = 8
#: more are told as a range
LISTED: Final = 3
STARTS: Final = {
    Mode.TEXT: "text",
    Mode.IMAGE: "an image",
    Mode.FIRST_LAST: "two images",
    Mode.EXTEND: "a video",
}


def row_of(spec: ModelSpec) -> str:
    """A line of the table; a default is bold."""
    has_files = set(spec.modes) != {Mode.TEXT}
    cells = (
        f"`{spec.id}`",
        ", ".join(STARTS[mode] for mode in spec.modes),
        ", ".join(bold(name, spec.default_resolution) for name in spec.resolutions),
        seconds_of(spec),
        texts_of(spec),
        "; ".join(extras_of(spec)),
        "; ".join(price_of(spec, name) for name in spec.resolutions),
        f"`{spec.image_strategy}`" if has_files else "",
    )
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def bold(value: object, default: object) -> str:
    return f"**{value}**" if value == default else str(value)


def seconds_of(spec: ModelSpec) -> str:
    if len(spec.durations) > LISTED and spec.durations == tuple(range(spec.durations[0], spec.durations[-1] + 1)):
        return f"{spec.durations[0]} to {spec.durations[-1]}, **{spec.default_duration}**"
    listed = ", ".join(bold(seconds, spec.default_duration) for seconds in spec.durations)
    return f"{listed}, fixed" if spec.fixed_duration else listed


def texts_of(spec: ModelSpec) -> str:
    prompt = "any" if spec.prompt_limit is None else f"{spec.prompt_limit:,}"
    negative = "any" if spec.negative_prompt_limit is None else f"{spec.negative_prompt_limit:,}"
    optional = ", may be empty" if spec.prompt_optional else ""
    return f"{prompt}{optional} / {negative if spec.has_negative_prompt else 'none'}"


def extras_of(spec: ModelSpec) -> Iterator[str]:
    if spec.aspect_ratio_modes:
        yield "shapes " + ", ".join(bold(shape, spec.default_aspect_ratio) for shape in spec.aspect_ratios)
    if spec.has_seed:
        yield "seed"
    if spec.enhances_prompt is not None:
        yield f"`enhance_prompt` (**{str(spec.enhances_prompt).lower()}**)"
    yield from (parameter_text(parameter) for parameter in spec.parameters)


def parameter_text(parameter: Parameter) -> str:
    if parameter.kind is bool:
        return f"`{parameter.key}` (**{str(parameter.default).lower()}**)"
    return f"`{parameter.key}` {parameter.minimum:g} to {parameter.maximum:g} (**{parameter.default:g}**)"


def price_of(spec: ModelSpec, resolution: str) -> str:
    usd = PRICING.upstream_usd(spec, resolution=resolution, duration=spec.default_duration)
    credits_ = PRICING.credits(spec, resolution=resolution, duration=spec.default_duration)
    return f"{resolution} ${usd:.{2 if usd == round(usd, 2) else 3}f}, {credits_}"


def test_the_table_has_a_row_for_each_model_as_the_catalogue_has_it() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `") and line.count("|") == COLUMNS + 1]
    assert rows == [row_of(spec) for spec in MODELS]


VENDORS: Final = [name for name in dict.fromkeys(spec.provider for spec in MODELS) if name != "demo"]


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_setting_of_a_vendor_is_named(vendor: str) -> None:
    names = [name for name in Settings.names() if name.startswith(f"{vendor.upper()}_")]
    assert [name for name in names if f"`{name}`" not in PAGE] == []


def test_every_vendor_has_its_section() -> None:
    titles = [line.removeprefix("## ").lower() for line in PAGE.splitlines() if line.startswith("## ")]
    assert [title for title in titles if title in VENDORS] == VENDORS


def code_with(words: str) -> str:
    """The block of code in the guide that has these words."""
    blocks = [dedent(block) for block in re.findall(r"^ *```python\n(.*?)^ *```", GUIDE, re.DOTALL | re.MULTILINE)]
    return next(block for block in blocks if words in block)


def run_code(source: str, known: dict[str, Any]) -> dict[str, Any]:
    exec(compile(source, "adding-a-provider.md", "exec"), known)  # noqa: S102 - our own document
    return known


def module_of(name: str, source: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    module = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    return run_code(source, vars(module))


async def test_the_example_of_the_guide_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    imitation = module_of("tests.imitations.sixth", code_with("class SixthImitation"), monkeypatch)
    adapter = module_of("providers.sixth", code_with("class Sixth(Provider)"), monkeypatch)
    spec: ModelSpec = run_code(code_with("SIXTH_WAN_22_MINI = "), dict(vars(catalogue)))["SIXTH_WAN_22_MINI"]
    table = run_code(f"TABLE = {{{code_with('Bench(')}}}", {**vars(benches), **imitation})["TABLE"]
    async with table["sixth"].imitation(fetch) as vendor:
        provider = adapter["Sixth"].connect(api_key=KEY, base_url=vendor.base_url, requests_per_minute=None)
        assert await disagreements(VendorStage(table["sixth"], vendor, provider), spec, tmp_path) == []
        await provider.check()
        task_id = (await provider.submit(request_for(spec, Mode.TEXT, tmp_path))).task_id
        vendor.fail(task_id, "no cats")
        assert await provider.status(task_id, spec) == Rejected(reason="no cats")
        vendor.finish(task_id)
        assert isinstance(await provider.status(task_id, spec), Finished)
        await provider.close()
