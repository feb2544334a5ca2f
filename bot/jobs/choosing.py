"""Which model makes a video: the one that was named, or the one that suits best. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bot.communities import describing
from bot.communities.rules import Community, Place
from bot.errors import Refusal, Unreachable
from bot.jobs.alternatives import able_models
from bot.languages import _
from providers.options import MODE_NAMES, OptionProblem, OptionsRefused, one_of
from providers.registry import Registry
from providers.texts import Text
from providers.types import Mode, ModelSpec

#: what to change when nothing starts from this: the first that some model can (None: whatever they can)
_CHANGES: Final[Mapping[Mode, Sequence[tuple[Mode | None, str, Text]]]] = {
    Mode.TEXT: (
        (Mode.IMAGE, "image", Text("No model here makes a video from text alone: attach a first image.")),
        (Mode.FIRST_LAST, "image", Text("No model here makes a video from text alone: attach two images.")),
        (None, "video", Text("No model here makes a video from text alone: attach a clip.")),
    ),
    Mode.IMAGE: (
        (Mode.TEXT, "image", Text("No model here starts from an image: leave it out.")),
        (Mode.FIRST_LAST, "last_image", Text("No model here starts from one image alone: attach a last one too.")),
        (None, "image", Text("No model here starts from an image: attach a clip in `video` instead.")),
    ),
    Mode.FIRST_LAST: (
        (Mode.IMAGE, "last_image", Text("No model here takes a last image: leave it out.")),
        (Mode.TEXT, "image", Text("No model here takes images: leave both out.")),
        (None, "image", Text("No model here takes images: attach a clip in `video` instead.")),
    ),
    Mode.EXTEND: (
        (Mode.TEXT, "video", Text("No model here continues a clip: leave it out.")),
        (Mode.IMAGE, "video", Text("No model here continues a clip: attach a picture in `image` instead.")),
        (None, "video", Text("No model here continues a clip: attach two images instead.")),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chooser:
    """Knows the models, and which providers take jobs."""

    registry: Registry
    is_paused: Callable[[str], bool]

    def usable(self, community: Community, place: Place) -> list[ModelSpec]:
        """The models that may be used here, in the order of the catalogue."""
        return [spec for spec in self.registry.models.values() if community.allows(spec, place)]

    def named(self, model: str, community: Community, place: Place) -> ModelSpec:
        """A model that was chosen; it is never swapped. Raises ``Refusal``."""
        usable = {spec.id: spec for spec in self.usable(community, place)}
        spec = usable.get(model)
        if spec is None:
            names = ", ".join(f"`{each}`" for each in usable) or _("none")
            why = self._what_is_wrong(model, community, place)
            raise Refusal(_("**model**: {why}. You can use: {models}.").format(why=why, models=names))
        if self.is_paused(spec.provider):
            raise Unreachable(self._paused(spec, usable), model=spec.id)
        return spec

    def suiting(self, mode: Mode, community: Community, place: Place, *, last: str | None) -> ModelSpec:
        """The member's last model, else the guild's default, else the first that can.

        Raises ``Refusal`` and ``OptionsRefused``.
        """
        usable = self.usable(community, place)
        able = able_models(usable, mode=mode, community=community, place=place, is_paused=self.is_paused)
        by_id = {spec.id: spec for spec in able}
        if last in by_id:
            return by_id[last]
        if community.default_model in {spec.id for spec in usable}:
            return self.named(community.default_model, community, place)
        if able:
            return able[0]
        if not usable:
            raise Refusal(_("No model may be used here. Ask a moderator to allow one with `/wan-admin models allow`."))
        fitting = [spec for spec in usable if mode in spec.modes]
        if not fitting:
            raise OptionsRefused([_why_none_can(mode, usable)])
        if not any(map(community.can_make, fitting)):
            raise Refusal(_why_none_may(community))
        raise Refusal(
            _(
                "No model that could make this can be reached at the moment; the people who run this bot have been "
                "told. Try again later."
            )
        )

    def who_can(self, mode: Mode, community: Community, place: Place) -> str:
        """Which models that may be used here can start from this, in a sentence; empty: none."""
        usable = self.usable(community, place)
        able = able_models(usable, mode=mode, community=community, place=place, is_paused=self.is_paused)
        if not able:
            return ""
        return _("Models here that can: {models}.").format(models=", ".join(f"`{spec.id}`" for spec in able))

    def _what_is_wrong(self, model: str, community: Community, place: Place) -> str:
        """Why a model can't be used."""
        known = self.registry.models.get(model)
        if known is not None:
            if community.permits(model, place):
                text = _("`{model}` can make adult content, which isn't allowed in this channel")
                return text.format(model=_shown(model))
            return _("`{model}` isn't allowed here").format(model=_shown(model))
        retired = self.registry.every.get(model)
        if retired is not None and retired.successor is not None:
            text = _("`{model}` isn't offered any more; its successor is `{successor}`")
            return text.format(model=_shown(model), successor=retired.successor)
        return _("`{model}` isn't a model that I know").format(model=_shown(model))

    def _paused(self, spec: ModelSpec, usable: Mapping[str, ModelSpec]) -> str:
        others = ", ".join(f"`{each.id}`" for each in usable.values() if not self.is_paused(each.provider))
        text = _("**model**: `{model}` can't be used at the moment; the people who run this bot have been told.")
        paused = text.format(model=spec.id)
        if not others:
            return paused
        return _("{paused} Meanwhile you can use: {models}.").format(paused=paused, models=others)


def _why_none_can(mode: Mode, usable: Iterable[ModelSpec]) -> OptionProblem:
    """No model that may be used here can start from what is attached: which option to change, and what would do."""
    able = {each for spec in usable for each in spec.modes}
    option, what = next((option, what) for needed, option, what in _CHANGES[mode] if needed is None or needed in able)
    accepted = one_of(name for each, name in MODE_NAMES.items() if each in able)
    text = Text("{what} Models here start from {accepted}; `/wan models` shows which.", what=what, accepted=accepted)
    return OptionProblem(option, text)


def _why_none_may(community: Community) -> str:
    """The community's limits leave nothing of the models that could."""
    texts = describing.limits(community.limits, community.allowance.length)
    names = [name for name in ("resolution", "duration") if getattr(community.limits, name) is not None]
    limits = ", ".join(f"`{name}` {texts[name]}" for name in names)
    text = _("No model here stays within this community's limits: {limits}. Ask a moderator to raise them.")
    return text.format(limits=limits)


def _shown(text: str) -> str:
    """The beginning of what was written, to be put between backticks."""
    return "".join(each if each.isprintable() and each != "`" else "'" for each in text[:60])
