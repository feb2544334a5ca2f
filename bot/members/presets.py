"""Options that are kept under a name, to be used again. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pydantic import BaseModel, ConfigDict

from bot.delivery.words import disarmed, enhanced_text, one_line, seconds_text
from bot.errors import Refusal
from bot.languages import _, say_name
from providers.options import Wish

#: characters of a name
LONGEST: Final = 32
#: of one member, and of all that a community offers
MOST: Final = 25
#: of what is typed; no name is so long
_LONGEST_TYPED: Final = 200
_NEGATIVE_SHOWN: Final = 60
#: with these, mentions and code begin
_SIGNS_OF_DISCORD: Final = frozenset("`<>@")
#: the options of ``/wan video`` that a preset may set beside ``model``
OPTIONS: Final = (
    "resolution",
    "aspect_ratio",
    "duration",
    "negative_prompt",
    "seed",
    "enhance_prompt",
    "settings",
)


class PresetOptions(BaseModel):
    """What a preset sets, as members write it; None: nothing."""

    model_config = ConfigDict(frozen=True)

    model: str
    resolution: str | None = None
    aspect_ratio: str | None = None
    #: seconds
    duration: int | None = None
    negative_prompt: str | None = None
    seed: int | None = None
    enhance_prompt: bool | None = None
    #: ``steps=40 fps=24``
    settings: str | None = None


@dataclass(frozen=True, slots=True)
class Preset:
    """Options under a name."""

    #: as it was written, but on one line
    name: str
    options: PresetOptions

    @property
    def key(self) -> str:
        """The name as it is looked for: regardless of case, and of how its characters are put together."""
        return key_of(self.name)


@dataclass(frozen=True, slots=True)
class PresetUse:
    """Which options of a request come from a preset, and not from who asks."""

    name: str
    options: frozenset[str]


def normalised(name: str) -> str:
    """A name on one line, in plain letters. Raises ``Refusal`` for one without a letter or digit, or too long."""
    plain = _plain(name)
    if not any(each.isalnum() for each in plain):
        raise Refusal(_("**name**: there is no letter or digit in it. Choose a name as `clay` or `wide shot`."))
    if len(plain) > LONGEST:
        raise Refusal(_("**name**: it may have {most} characters.").format(most=LONGEST))
    if not _SIGNS_OF_DISCORD.isdisjoint(plain):
        raise Refusal(_("**name**: it can't hold {signs}.").format(signs=" ".join(sorted(_SIGNS_OF_DISCORD))))
    return plain


def key_of(name: str) -> str:
    """Of two names that people take for the same, the keys are the same."""
    # some of what is typed is no name, and is looked at for each letter that follows
    return _plain(name[:_LONGEST_TYPED]).casefold()


def found(name: str, own: Iterable[Preset], offered: Iterable[Preset], *, option: str = "name") -> Preset:
    """The preset of this name: a member's own before one that is offered. Raises ``Refusal`` about the option."""
    presets = [*own, *offered]
    key = key_of(name)
    for preset in presets:
        if preset.key == key:
            return preset
    if not presets:
        text = _("**{option}**: there is no preset yet. `/wan preset save` keeps the options of your last video.")
        raise Refusal(text.format(option=say_name(option)))
    names = ", ".join(dict.fromkeys(disarmed(preset.name, LONGEST) for preset in presets))
    text = _("**{option}**: there is no preset **{name}**. There are: {names}.")
    raise Refusal(text.format(option=say_name(option), name=disarmed(name, LONGEST), names=names))


def applied(wish: Wish, model: str | None, preset: Preset) -> tuple[Wish, str, PresetUse]:
    """The wish and the model with what the preset sets; what was typed wins."""
    given = {name: getattr(preset.options, name) for name in OPTIONS}
    taken = {name: value for name, value in given.items() if value is not None and getattr(wish, name) is None}
    names = [*taken, "model"] if model is None else [*taken]
    return replace(wish, **taken), model or preset.options.model, PresetUse(preset.name, frozenset(names))


def explained(text: str, use: PresetUse | None, options: Iterable[str]) -> str:
    """A refusal that is about these options, with a word on those that the preset has set."""
    if use is None:
        return text
    named = [name for name in ("model", *OPTIONS) if name in use.options and (name in set(options) or name == "model")]
    if not named:
        return text
    more = _("From the preset **{name}**: {options}. What you type in the command wins over it.")
    listed = ", ".join(f"`{say_name(name)}`" for name in named)
    return f"{text}\n{more.format(name=disarmed(use.name, LONGEST), options=listed)}"


def line(preset: Preset) -> str:
    """A preset on one line of a list."""
    options = preset.options
    parts = [
        f"**{disarmed(preset.name, LONGEST)}**",
        f"`{options.model}`",
        options.resolution,
        options.aspect_ratio,
        None if options.duration is None else seconds_text(options.duration),
        None if options.seed is None else _("seed {seed}").format(seed=options.seed),
        enhanced_text(options.enhance_prompt),
        options.settings,
    ]
    if options.negative_prompt:
        parts.append(_("without: {what}").format(what=disarmed(options.negative_prompt, _NEGATIVE_SHOWN)))
    return " · ".join(part for part in parts if part)


def list_text(own: Sequence[Preset], offered: Sequence[Preset]) -> list[str]:
    """The lines of a list of all that a member may use here."""
    if not own and not offered:
        return [_("There is no preset yet. `/wan preset save` keeps the options of your last video under a name.")]
    lines = [_("**Your presets**"), *map(line, own)] if own else []
    return lines + ([_("**Offered here**"), *map(line, offered)] if offered else [])


def _plain(name: str) -> str:
    # first the letters, since some of them are written out: one may become eighteen
    letters = unicodedata.normalize("NFKC", name)
    return one_line(letters, len(letters))
