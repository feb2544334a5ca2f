"""From what a member wrote to what a model can do, or to words that say what to change.

Pure: nothing here asks the network, the clock or a file.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TypeVar

from providers.texts import Text
from providers.types import Mode, ModelSpec, Parameter, ParameterValue

_T = TypeVar("_T")

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})

#: so many keys that a model doesn't have are named in an answer
_SHOWN_KEYS = 3
#: characters of a word that can't be used
_SHOWN_LETTERS = 30

#: letters and signs that nothing is seen of: fillers of Hangul, and the empty one of Braille
_UNSEEN = frozenset("\u115f\u1160\u2800\u3164\uffa0")

#: In the order in which they say what a video starts from.
MODE_NAMES: Mapping[Mode, Text] = {
    Mode.TEXT: Text("text alone"),
    Mode.IMAGE: Text("a first image"),
    Mode.FIRST_LAST: Text("a first and a last image"),
    Mode.EXTEND: Text("a video to continue"),
}


@dataclass(frozen=True, slots=True)
class OptionProblem:
    """One option that can't be had, and what would be accepted instead."""

    option: str
    message: Text


class OptionsRefused(Exception):  # noqa: N818 - it names what happened, like the provider errors
    """Something that was asked for can't be had from this model. Nothing was started."""

    def __init__(self, problems: Sequence[OptionProblem]) -> None:
        """Keep every problem, so that one answer tells them all."""
        super().__init__("; ".join(f"{problem.option}: {problem.message}" for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for, as it was written. None: nothing was said."""

    prompt: str
    has_image: bool = False
    has_last_image: bool = False
    has_video: bool = False
    resolution: str | None = None
    aspect_ratio: str | None = None
    duration: int | None = None
    negative_prompt: str | None = None
    seed: int | None = None
    enhance_prompt: bool | None = None
    settings: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a model will be asked for. Every value was checked against its spec."""

    mode: Mode
    prompt: str
    resolution: str
    duration: int
    aspect_ratio: str | None = None
    negative_prompt: str | None = None
    seed: int | None = None
    enhance_prompt: bool | None = None
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict[str, ParameterValue])


def mode_of(wish: Wish) -> Mode:
    """Tell what the video starts from; raises ``OptionsRefused`` for a mix that means nothing."""
    if wish.has_video:
        if wish.has_image or wish.has_last_image:
            message = Text("Attach either a video to continue or images, not both.")
            raise OptionsRefused([OptionProblem("video", message)])
        return Mode.EXTEND
    if wish.has_last_image:
        if not wish.has_image:
            message = Text("A last image needs a first one: attach `image` too.")
            raise OptionsRefused([OptionProblem("last_image", message)])
        return Mode.FIRST_LAST
    return Mode.IMAGE if wish.has_image else Mode.TEXT


def check_options(
    spec: ModelSpec, wish: Wish, *, max_resolution: str | None = None, max_duration: int | None = None
) -> Options:
    """Check a wish against a model and the community's own limits.

    What wasn't said becomes the model's default, or the highest allowed value below it, for
    resolution and duration alone; everything else stays unsaid. Raises ``OptionsRefused`` with
    every problem found.
    """
    mode = mode_of(wish)
    problems = list(_mode_problems(spec, mode))
    if not problems:
        problems += _text_problems(spec, wish, mode)
        problems += _choice_problems(spec, wish, mode, max_resolution=max_resolution, max_duration=max_duration)
        problems += _number_problems(spec, wish)
    parameters, more = parse_settings(spec, wish.settings or "")
    problems += more
    if problems:
        raise OptionsRefused(problems)
    resolutions = allowed_resolutions(spec, max_resolution)
    durations = allowed_durations(spec, max_duration)
    return Options(
        mode=mode,
        prompt=wish.prompt,
        resolution=wish.resolution or _default(spec.default_resolution, resolutions, spec.resolutions),
        duration=wish.duration or _default(spec.default_duration, durations, spec.durations),
        aspect_ratio=wish.aspect_ratio,
        negative_prompt=wish.negative_prompt or None,
        seed=wish.seed,
        enhance_prompt=wish.enhance_prompt,
        parameters=parameters,
    )


def allowed_resolutions(spec: ModelSpec, most: str | None) -> tuple[str, ...]:
    """The model's resolutions up to the community's highest (``720p``), ascending."""
    if most is None:
        return spec.resolutions
    return tuple(name for name in spec.resolutions if _lines(name) <= _lines(most))


def allowed_durations(spec: ModelSpec, most: int | None) -> tuple[int, ...]:
    """The model's durations up to the community's longest, in seconds, ascending."""
    return spec.durations if most is None else tuple(seconds for seconds in spec.durations if seconds <= most)


def shapes_at(spec: ModelSpec, resolution: str) -> tuple[str, ...]:
    """The aspect ratios that the model has at one of its resolutions."""
    if not spec.sizes:
        return spec.aspect_ratios
    return tuple(shape for shape in spec.aspect_ratios if (resolution, shape) in spec.sizes)


def parse_settings(spec: ModelSpec, text: str) -> tuple[dict[str, ParameterValue], list[OptionProblem]]:
    """Read ``steps=40 fps=24``; give the values, and what could not be read."""
    known = {parameter.key: parameter for parameter in spec.parameters}
    values: dict[str, ParameterValue] = {}
    unknown: list[str] = []
    faults: list[Text] = []
    for word in text.replace(",", " ").split():
        key, _, raw = word.partition("=")
        parameter = known.get(key.lower())
        if parameter is None:
            unknown.append(key)
            continue
        value = _parse(parameter, raw)
        if value is None:
            faults.append(Text("`{key}` takes {what}.", key=parameter.key, what=describe(parameter)))
        elif parameter.key in values:
            faults.append(Text("`{key}` is given twice; give it once.", key=parameter.key))
        else:
            values[parameter.key] = value
    if unknown:
        faults.append(_unknown_keys(spec, unknown))
    # a long text can hold the same fault very often
    return values, [OptionProblem("settings", fault) for fault in dict.fromkeys(faults)]


def describe(parameter: Parameter) -> Text:
    """Say what a parameter accepts, as in ``a whole number from 10 to 50``."""
    if parameter.kind is bool:
        return Text("`true` or `false`")
    low, high = f"{parameter.minimum:g}", f"{parameter.maximum:g}"
    if parameter.kind is int:
        return Text("a whole number from {low} to {high}", low=low, high=high)
    return Text("a number from {low} to {high}", low=low, high=high)


def one_of(values: Iterable[object]) -> Text:
    """Join values as people list them: ``480p, 720p or 1080p``."""
    *others, last = [value if isinstance(value, Text) else str(value) for value in values] or [Text("nothing")]
    return Text("{others} or {last}", others=listed(others), last=last) if others else Text("{one}", one=last)


def listed(values: Sequence[str]) -> str:
    """Put values one after the other: ``480p, 720p``."""
    return reduce(_and_next, values)


def durations_text(durations: Sequence[int]) -> Text:
    """Say durations in seconds, a whole range shortly: ``2 to 15 seconds``."""
    is_range = len(durations) > 3 and list(durations) == list(range(durations[0], durations[-1] + 1))  # noqa: PLR2004
    if is_range:
        return Text("{first} to {last} seconds", first=durations[0], last=durations[-1])
    return Text("{lengths} seconds", lengths=one_of(durations))


def _and_next(before: str, value: str) -> str:
    return Text("{before}, {value}", before=before, value=value)


def _mode_problems(spec: ModelSpec, mode: Mode) -> Iterable[OptionProblem]:
    if mode in spec.modes:
        return
    accepted = one_of(MODE_NAMES[each] for each in spec.modes)
    option = {Mode.TEXT: "image", Mode.IMAGE: "image", Mode.FIRST_LAST: "last_image", Mode.EXTEND: "video"}[mode]
    message = Text(
        "{model} can't start from {what}; it takes {accepted}.",
        model=spec.name,
        what=MODE_NAMES[mode],
        accepted=accepted,
    )
    yield OptionProblem(option, message)


def _text_problems(spec: ModelSpec, wish: Wish, mode: Mode) -> Iterable[OptionProblem]:
    if not _can_be_seen(wish.prompt) and mode not in spec.prompt_optional:
        yield OptionProblem("prompt", Text("Say in a few words what the video should show."))
    yield from _broken_texts(wish)
    if spec.prompt_limit is not None and len(wish.prompt) > spec.prompt_limit:
        yield _too_long("prompt", spec.prompt_limit, len(wish.prompt))
    negative = wish.negative_prompt
    if not negative:
        return
    if not spec.has_negative_prompt:
        message = Text("{model} has no negative prompt; leave it out.", model=spec.name)
        yield OptionProblem("negative_prompt", message)
    elif spec.negative_prompt_limit is not None and len(negative) > spec.negative_prompt_limit:
        yield _too_long("negative_prompt", spec.negative_prompt_limit, len(negative))


def _can_be_seen(text: str) -> bool:
    """Whether there is anything but blanks, marks, and what is never seen."""
    return any(unicodedata.category(each)[0] in "LNPS" and each not in _UNSEEN for each in text)


def _broken_texts(wish: Wish) -> Iterable[OptionProblem]:
    """Half of a character can be typed by programs, and be neither stored nor sent."""
    for option, text in (("prompt", wish.prompt), ("negative_prompt", wish.negative_prompt or "")):
        if any(unicodedata.category(each) == "Cs" for each in text):
            yield OptionProblem(option, Text("It holds a broken character, which can't be sent; write it anew."))


def _choice_problems(
    spec: ModelSpec, wish: Wish, mode: Mode, *, max_resolution: str | None, max_duration: int | None
) -> Iterable[OptionProblem]:
    resolutions = allowed_resolutions(spec, max_resolution)
    if not resolutions:
        yield OptionProblem("resolution", _starts_above(spec, max_resolution))
    elif wish.resolution is not None and wish.resolution not in resolutions:
        given = wish.resolution if wish.resolution.isalnum() else f"`{_shown(wish.resolution)}`"
        yield _not_offered("resolution", given[:40], spec, one_of(resolutions))
    durations = allowed_durations(spec, max_duration)
    if not durations:
        yield OptionProblem("duration", _starts_above(spec, Text("{seconds} s", seconds=max_duration)))
    elif wish.duration is not None and wish.duration not in durations:
        yield _duration_not_offered(spec, wish.duration, durations)
    if wish.aspect_ratio is None:
        return
    if mode not in spec.aspect_ratio_modes:
        message = Text("{model} takes the shape from what you attach; leave it out.", model=spec.name)
        yield OptionProblem("aspect_ratio", message)
    elif wish.aspect_ratio not in spec.aspect_ratios:
        yield _not_offered("aspect_ratio", wish.aspect_ratio, spec, one_of(spec.aspect_ratios))
    elif wish.resolution in resolutions or (wish.resolution is None and resolutions):
        yield from _size_problems(spec, wish.resolution, wish.aspect_ratio, resolutions)


def _size_problems(
    spec: ModelSpec, wished: str | None, aspect_ratio: str, allowed: Sequence[str]
) -> Iterable[OptionProblem]:
    """A shape that the model has, though not at this resolution (None: at the one that is used then)."""
    resolution = wished or _default(spec.default_resolution, allowed, spec.resolutions)
    shapes = shapes_at(spec, resolution)
    if aspect_ratio in shapes:
        return
    others = [name for name in allowed if aspect_ratio in shapes_at(spec, name)]
    accepted = one_of(shapes)
    if others:
        accepted = Text(
            "{shapes}, or {resolutions} for {shape}", shapes=accepted, resolutions=one_of(others), shape=aspect_ratio
        )
    message = Text(
        "{model} has no {shape} at {resolution}; choose {accepted}.",
        model=spec.name,
        shape=aspect_ratio,
        resolution=resolution,
        accepted=accepted,
    )
    yield OptionProblem("aspect_ratio", message)


def _number_problems(spec: ModelSpec, wish: Wish) -> Iterable[OptionProblem]:
    if wish.seed is not None:
        if not spec.has_seed:
            yield OptionProblem("seed", Text("{model} takes no seed; leave it out.", model=spec.name))
        elif not 0 <= wish.seed <= spec.max_seed:
            yield OptionProblem("seed", Text("A seed is a whole number from 0 to {most}.", most=spec.max_seed))
    if wish.enhance_prompt is not None and spec.enhances_prompt is None:
        message = Text("{model} uses your prompt as it is; leave this out.", model=spec.name)
        yield OptionProblem("enhance_prompt", message)


def _too_long(option: str, limit: int, length: int) -> OptionProblem:
    message = Text("It may have {limit:,} characters; yours has {length:,}.", limit=limit, length=length)
    return OptionProblem(option, message)


def _starts_above(spec: ModelSpec, most: str | None) -> Text:
    return Text("This community allows up to {most}; {model} starts above it.", most=most, model=spec.name)


def _not_offered(option: str, given: str, spec: ModelSpec, accepted: Text) -> OptionProblem:
    message = Text(
        "{given} isn't offered by {model} here; choose {accepted}.", given=given, model=spec.name, accepted=accepted
    )
    return OptionProblem(option, message)


def _duration_not_offered(spec: ModelSpec, given: int, durations: Sequence[int]) -> OptionProblem:
    length = durations_text(durations)
    if spec.fixed_duration:
        message = Text("{model} has one fixed length, about {length}; leave this out.", model=spec.name, length=length)
        return OptionProblem("duration", message)
    return _not_offered("duration", Text("{lengths} seconds", lengths=given), spec, length)


def _unknown_keys(spec: ModelSpec, keys: Sequence[str]) -> Text:
    if not spec.parameters:
        return Text("{model} has no extra settings; leave this out.", model=spec.name)
    accepted = [Text("`{key}` ({what})", key=each.key, what=describe(each)) for each in spec.parameters]
    first = list(dict.fromkeys(_shown(key) or "=" for key in keys))[:_SHOWN_KEYS]
    return Text(
        "{given} isn't a setting of {model}; it has {accepted}. Write them as `{key}=…`.",
        given=one_of(f"`{key}`" for key in first),
        model=spec.name,
        accepted=listed(accepted),
        key=spec.parameters[0].key,
    )


def _shown(text: str) -> str:
    """The beginning of what was written, to be put between backticks."""
    return "".join(each if each.isprintable() and each != "`" else "'" for each in text[:_SHOWN_LETTERS])


def _parse(parameter: Parameter, raw: str) -> ParameterValue | None:
    if parameter.kind is bool:
        word = raw.lower()
        return True if word in _TRUE else False if word in _FALSE else None
    try:
        value = int(raw) if parameter.kind is int else float(raw)
    except ValueError:
        return None
    low, high = parameter.minimum, parameter.maximum
    # written so that NaN is outside
    return value if low is not None and high is not None and low <= value <= high else None


def _default(preferred: _T, allowed: Sequence[_T], offered: Sequence[_T]) -> _T:
    """The default, or the highest allowed value below it, or the lowest allowed one above it."""
    if preferred in allowed:
        return preferred
    below = [value for value in allowed if offered.index(value) < offered.index(preferred)]
    return below[-1] if below else allowed[0]


def _lines(resolution: str) -> int:
    return int(resolution.rstrip("pP"))
