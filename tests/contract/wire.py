"""What the catalogue offers, held against what goes out: with each option of each model, and without it.

``disagreements`` gives a line for each of these:

- an option that the spec offers is refused by ``check_options``, by the adapter or by the vendor;
- it changes nothing in the request, or more than its own field;
- an option that the spec doesn't offer passes ``check_options``, or the adapter takes it all the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from providers.catalogue import MODELS
from providers.errors import ProviderError, Refused
from providers.options import OptionsRefused, Wish, check_options, shapes_at
from providers.types import GenerationRequest, Media, Mode, ModelSpec, Parameter, ParameterValue
from tests.contract.benches import Stage, Wire
from tests.imitations.vendor import small_picture, small_video

#: what a request may start from, as it lies under a link and on disk
FILES = {
    "https://cdn.test/first.png": small_picture(),
    "https://cdn.test/last.jpg": small_picture(kind="JPEG"),
    "https://cdn.test/clip.mp4": small_video(),
}
_ATTACHED: dict[Mode, tuple[str, ...]] = {
    Mode.TEXT: (),
    Mode.IMAGE: ("image",),
    Mode.FIRST_LAST: ("image", "last_image"),
    Mode.EXTEND: ("video",),
}
_NAMES = {"image": "first.png", "last_image": "last.jpg", "video": "clip.mp4"}
_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".mp4": "video/mp4"}

#: everything that any model offers
_EVERY_RESOLUTION = sorted({each for spec in MODELS for each in spec.resolutions})
_EVERY_DURATION = sorted({each for spec in MODELS for each in spec.durations})
_EVERY_SHAPE = sorted({each for spec in MODELS for each in spec.aspect_ratios})
_EVERY_PARAMETER = {each.key: each for spec in MODELS for each in spec.parameters}


async def fetch(link: str) -> bytes:
    """Give what lies under a link."""
    if link not in FILES:
        raise OSError(link)
    return FILES[link]


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One option, as a member says it."""

    wish: dict[str, Any]
    #: a vendor that requires it is told the same when nobody says it
    is_default: bool = False
    #: more than one option
    is_compound: bool = False

    def __str__(self) -> str:
        return " ".join(f"{name}={str(value)[:20]}" for name, value in self.wish.items())


@dataclass(frozen=True, kw_only=True)
class Excess(Offer):
    """An option that the spec doesn't offer, and how it would reach an adapter all the same."""

    request: dict[str, Any] = field(default_factory=dict[str, Any])


def plain_wish(mode: Mode) -> dict[str, Any]:
    """Wish for what the mode needs, and nothing else."""
    return {"prompt": "a cat", **{f"has_{name}": name in _ATTACHED[mode] for name in _NAMES}}


def request_for(spec: ModelSpec, mode: Mode, folder: Path, wish: dict[str, Any] | None = None) -> GenerationRequest:
    """Give what goes to the adapter when this is wished, its files in the folder; raises ``OptionsRefused``."""
    options = check_options(spec, Wish(**{**plain_wish(mode), **(wish or {})}))
    chosen = {each.name: getattr(options, each.name) for each in dataclasses.fields(options)}
    return GenerationRequest(model=spec, **chosen, **media_of(mode, folder))


def media_of(mode: Mode, folder: Path) -> dict[str, Any]:
    """Give what a mode starts from, on disk and under a link."""
    return {name: _stored(folder, _NAMES[name]) for name in _ATTACHED[mode]}


def _stored(folder: Path, name: str) -> Media:
    path, link = folder / name, f"https://cdn.test/{name}"
    path.write_bytes(FILES[link])
    return Media(path=path, content_type=_TYPES[path.suffix], url=link)


async def disagreements(stage: Stage, spec: ModelSpec, folder: Path) -> list[str]:
    """Where this spec and the adapter don't fit, a line each."""
    lines = [line async for line in _mode_faults(stage, spec, folder)]
    for mode in spec.modes:
        plain = request_for(spec, mode, folder)
        before = await stage.sent(plain)
        found = [(offer, await _offer_fault(stage, plain, before, offer)) for offer in offers(spec, mode)]
        found += [(excess, await _excess_fault(stage, plain, excess)) for excess in excesses(spec, mode)]
        lines += [f"{spec.id} from {mode}: {option}: {fault}" for option, fault in found if fault]
    return lines


async def _offer_fault(stage: Stage, plain: GenerationRequest, before: Wire, offer: Offer) -> str | None:
    wish = Wish(**{**plain_wish(plain.mode), **offer.wish})
    try:
        options = check_options(plain.model, wish)
        asked = {each.name: getattr(options, each.name) for each in dataclasses.fields(options)}
        changed = difference(before, await stage.sent(dataclasses.replace(plain, **asked)))
    except (OptionsRefused, ProviderError) as error:
        return f"offered, and refused ({error})"
    if len(changed) > 1 and not offer.is_compound:
        return f"changes more than its own field: {', '.join(changed)}"
    return None if changed or offer.is_default else "offered, and changes nothing"


async def _excess_fault(stage: Stage, plain: GenerationRequest, excess: Excess) -> str | None:
    try:
        check_options(plain.model, Wish(**{**plain_wish(plain.mode), **excess.wish}))
    except OptionsRefused:
        return await _taking_fault(stage, dataclasses.replace(plain, **excess.request))
    return "not offered, and passes check_options"


async def _taking_fault(stage: Stage, request: GenerationRequest) -> str | None:
    """Tell of an adapter that takes what nobody may ask it for. What is drawn here, nobody could refuse."""
    if stage.provider.is_local:
        return None
    try:
        await stage.sent(request)
    except Refused:
        return None
    except ProviderError as error:
        return f"not offered, and no refusal ({error!r})"
    return "not offered, and the adapter takes it"


async def _mode_faults(stage: Stage, spec: ModelSpec, folder: Path) -> AsyncIterator[str]:
    plain = request_for(spec, spec.modes[0], folder)
    for mode in Mode:
        if mode in spec.modes:
            fault = await _attachment_fault(stage, spec, mode, folder)
        else:
            files = {**dict.fromkeys(_NAMES), **media_of(mode, folder)}
            start = Excess(wish=plain_wish(mode), request={"mode": mode, **files})
            fault = await _excess_fault(stage, plain, start)
        if fault:
            yield f"{spec.id} from {mode}: {fault}"


async def _attachment_fault(stage: Stage, spec: ModelSpec, mode: Mode, folder: Path) -> str | None:
    """Compare with a mode that has one file less."""
    after = await stage.sent(request_for(spec, mode, folder))
    for fewer in spec.modes:
        if _ATTACHED[fewer] == _ATTACHED[mode][:-1] and fewer is not mode:
            changed = difference(await stage.sent(request_for(spec, fewer, folder)), after)
            if len(changed) != 1:
                return f"differs from {fewer} in {', '.join(changed) or 'nothing'}"
    return None


def difference(one: Wire, other: Wire) -> list[str]:
    """The places in which two requests differ."""
    return sorted(place for place in one.keys() | other.keys() if one.get(place, one) != other.get(place, other))


def offers(spec: ModelSpec, mode: Mode) -> Iterator[Offer]:
    """Everything that the spec offers in a mode, one by one, and at last all at once."""
    yield from _text_offers(spec, mode)
    yield from _size_offers(spec, mode)
    if spec.has_seed:
        yield from (Offer(wish={"seed": seed}) for seed in (0, spec.max_seed))
    if spec.enhances_prompt is not None:
        for value in (True, False):
            yield Offer(wish={"enhance_prompt": value}, is_default=value is spec.enhances_prompt)
    for parameter in spec.parameters:
        for value in _values(parameter):
            yield Offer(wish={"settings": f"{parameter.key}={value}"}, is_default=value == parameter.default)
    yield Offer(wish=_everything(spec, mode), is_compound=True)


def _text_offers(spec: ModelSpec, mode: Mode) -> Iterator[Offer]:
    yield Offer(wish={"prompt": "p" * (spec.prompt_limit or 1000)})
    if mode in spec.prompt_optional:
        yield Offer(wish={"prompt": ""})
    if spec.has_negative_prompt:
        yield Offer(wish={"negative_prompt": "n" * (spec.negative_prompt_limit or 1000)})


def _size_offers(spec: ModelSpec, mode: Mode) -> Iterator[Offer]:
    for name in spec.resolutions:
        yield Offer(wish={"resolution": name}, is_default=name == spec.default_resolution)
        for shape in shapes_at(spec, name) if mode in spec.aspect_ratio_modes else ():
            is_default = (name, shape) == (spec.default_resolution, spec.default_aspect_ratio)
            is_plain = name == spec.default_resolution or bool(spec.sizes)
            wish = {"aspect_ratio": shape} | ({} if name == spec.default_resolution else {"resolution": name})
            yield Offer(wish=wish, is_default=is_default, is_compound=not is_plain)
    for seconds in spec.durations:
        yield Offer(wish={"duration": seconds}, is_default=seconds == spec.default_duration)


def _values(parameter: Parameter) -> list[ParameterValue]:
    if parameter.kind is bool:
        return [True, False]
    assert parameter.minimum is not None
    assert parameter.maximum is not None
    return [parameter.kind(parameter.minimum), parameter.kind(parameter.maximum), parameter.default]


def _everything(spec: ModelSpec, mode: Mode) -> dict[str, Any]:
    """Every option at once, each at its end."""
    highest = spec.resolutions[-1]
    settings = " ".join(f"{each.key}={_values(each)[-1]}" for each in spec.parameters)
    has_shape = mode in spec.aspect_ratio_modes
    return {
        "prompt": "p" * (spec.prompt_limit or 1000),
        "negative_prompt": "n" * (spec.negative_prompt_limit or 1000) if spec.has_negative_prompt else None,
        "resolution": highest,
        "aspect_ratio": shapes_at(spec, highest)[-1] if has_shape else None,
        "duration": spec.durations[-1],
        "seed": spec.max_seed if spec.has_seed else None,
        "enhance_prompt": None if spec.enhances_prompt is None else not spec.enhances_prompt,
        "settings": settings or None,
    }


def excesses(spec: ModelSpec, mode: Mode) -> Iterator[Excess]:
    """What the spec doesn't offer in a mode, though it, or another one, might."""
    yield from _text_excesses(spec, mode)
    yield from _excess("resolution", (name for name in _EVERY_RESOLUTION if name not in spec.resolutions))
    yield from _excess("duration", (seconds for seconds in _EVERY_DURATION if seconds not in spec.durations))
    shapes = spec.aspect_ratios if mode in spec.aspect_ratio_modes else ()
    yield from _excess("aspect_ratio", (shape for shape in _EVERY_SHAPE if shape not in shapes))
    yield from _excess("seed", () if spec.has_seed else (0, 1))
    yield from _excess("enhance_prompt", (True, False) if spec.enhances_prompt is None else ())
    yield from _parameter_excesses({each.key: each for each in spec.parameters})


def _text_excesses(spec: ModelSpec, mode: Mode) -> Iterator[Excess]:
    if mode not in spec.prompt_optional:
        yield from _excess("prompt", [""])
    if spec.prompt_limit is not None:
        yield from _excess("prompt", ["p" * (spec.prompt_limit + 1)])
    if not spec.has_negative_prompt:
        yield from _excess("negative_prompt", ["blur"])
    elif spec.negative_prompt_limit is not None:
        yield from _excess("negative_prompt", ["n" * (spec.negative_prompt_limit + 1)])


def _parameter_excesses(own: Mapping[str, Parameter]) -> Iterator[Excess]:
    for key, parameter in _EVERY_PARAMETER.items():
        for value in _values_beyond(own[key]) if key in own else [parameter.default]:
            yield Excess(wish={"settings": f"{key}={value}"}, request={"parameters": {key: value}})


def _values_beyond(parameter: Parameter) -> list[ParameterValue]:
    if parameter.minimum is None or parameter.maximum is None:
        return []
    return [parameter.kind(parameter.minimum - 1), parameter.kind(parameter.maximum + 1)]


def _excess(option: str, values: Iterable[object]) -> Iterator[Excess]:
    for value in values:
        yield Excess(wish={option: value}, request={option: value})
