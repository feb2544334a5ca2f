"""What is suggested while members type. From memory only: Discord waits three seconds, people don't."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import discord
from discord import app_commands

from bot.communities.rules import Community, Place
from bot.delivery.prices import price_text
from bot.delivery.words import shortened
from bot.languages import _, ngettext, say
from bot.members.presets import Preset, found, key_of
from bot.services import Services
from providers.options import allowed_durations, allowed_resolutions, describe
from providers.types import ModelSpec

_MOST: Final = 25
_NAME: Final = 100
#: seconds; a usual time is rounded to so many, and from then on to minutes
_ROUND_TO: Final = 5
_MINUTES_FROM: Final = 90
#: threads are as their parent
_MAY_BE_AGE_RESTRICTED: Final = (
    discord.TextChannel,
    discord.VoiceChannel,
    discord.StageChannel,
    discord.ForumChannel,
    discord.Thread,
)


def place_of(interaction: discord.Interaction[Any]) -> Place:
    """Where a command was used, and with which roles."""
    channel, user = interaction.channel, interaction.user
    parent_id = channel.parent_id if isinstance(channel, discord.Thread) else None
    # the role that everybody has is no role of anybody's
    roles = tuple(role.id for role in user.roles if not role.is_default()) if isinstance(user, discord.Member) else ()
    return Place(
        channel_id=interaction.channel_id or 0,
        parent_id=parent_id,
        role_ids=roles,
        is_age_restricted=isinstance(channel, _MAY_BE_AGE_RESTRICTED) and channel.is_nsfw(),
    )


async def usable_models(services: Services, interaction: discord.Interaction[Any]) -> list[ModelSpec]:
    """The models that the member may use here."""
    community = await services.communities.of(interaction.guild_id or 0)
    usable = services.chooser.usable(community, place_of(interaction))
    return [spec for spec in usable if community.can_make(spec)]


async def models(
    services: Services, interaction: discord.Interaction[Any], typed: str
) -> list[app_commands.Choice[str]]:
    """Models that may be used here, with their prices and, where it is known, how long they take."""
    community = await services.communities.of(interaction.guild_id or 0)
    specs = await usable_models(services, interaction)
    return _fitting(
        [_priced(services, community, spec, spec.name, _usual_time(services, spec)) for spec in specs], typed
    )


async def every_model(
    services: Services, interaction: discord.Interaction[Any], typed: str
) -> list[app_commands.Choice[str]]:
    """Every model of the configured providers with its prices, for moderators."""
    community = await services.communities.of(interaction.guild_id or 0)
    specs = services.registry.models.values()
    return _fitting([_priced(services, community, spec, spec.id) for spec in specs], typed)


async def resolutions(
    services: Services, interaction: discord.Interaction[Any], typed: str
) -> list[app_commands.Choice[str]]:
    """What the chosen model, or any usable one, can make."""
    most = (await services.communities.of(interaction.guild_id or 0)).limits.resolution
    specs = await _specs(services, interaction)
    offered = {name for spec in specs for name in allowed_resolutions(spec, most)}
    return _fitting([_choice(name) for name in sorted(offered, key=lambda name: int(name.rstrip("p")))], typed)


async def durations(
    services: Services, interaction: discord.Interaction[Any], typed: str
) -> list[app_commands.Choice[int]]:
    """The seconds that the chosen model, or any usable one, can make."""
    most = (await services.communities.of(interaction.guild_id or 0)).limits.duration
    specs = await _specs(services, interaction)
    offered = {seconds for spec in specs for seconds in allowed_durations(spec, most)}
    fitting = [seconds for seconds in sorted(offered) if str(seconds).startswith(typed)]
    return [app_commands.Choice(name=_seconds(seconds), value=seconds) for seconds in fitting[:_MOST]]


async def settings(
    services: Services, interaction: discord.Interaction[Any], typed: str
) -> list[app_commands.Choice[str]]:
    """The next setting to add to what is typed already."""
    done, _, begun = typed.rpartition(" ")
    given = {word.partition("=")[0] for word in done.split()}
    choices: list[app_commands.Choice[str]] = []
    for spec in await _specs(services, interaction):
        for parameter in spec.parameters:
            if parameter.key in given or not parameter.key.startswith(begun.partition("=")[0]):
                continue
            default = str(parameter.default).lower() if parameter.kind is bool else f"{parameter.default:g}"
            value = begun if begun.startswith(f"{parameter.key}=") else f"{parameter.key}={default}"
            text = f"{done} {value}".strip()
            if len(text) <= _NAME:
                choices.append(
                    app_commands.Choice(name=shortened(f"{text} ({say(describe(parameter))})", _NAME), value=text)
                )
    return list({choice.value: choice for choice in choices}.values())[:_MOST]


async def presets(
    services: Services, interaction: discord.Interaction[Any], typed: str
) -> list[app_commands.Choice[str]]:
    """The member's own presets, and those that the community offers."""
    own, offered = await _presets(services, interaction)
    by_key = {preset.key: preset for preset in (*offered, *own)}
    return _fitting([_preset_choice(preset) for preset in by_key.values()], typed)


async def own_presets(
    services: Services, interaction: discord.Interaction[Any], typed: str
) -> list[app_commands.Choice[str]]:
    """The member's own presets."""
    own, _offered = await _presets(services, interaction)
    return _fitting(map(_preset_choice, own), typed)


async def offered_presets(
    services: Services, interaction: discord.Interaction[Any], typed: str
) -> list[app_commands.Choice[str]]:
    """The presets that the community offers."""
    _own, offered = await _presets(services, interaction)
    return _fitting(map(_preset_choice, offered), typed)


async def preset_named(services: Services, interaction: discord.Interaction[Any], name: str) -> Preset:
    """A preset that the member may use here. Raises ``Refusal``."""
    return found(name, *await _presets(services, interaction), option="preset")


async def _presets(
    services: Services, interaction: discord.Interaction[Any]
) -> tuple[Sequence[Preset], Sequence[Preset]]:
    """The member's own, and those that are offered here."""
    guild_id = interaction.guild_id or 0
    own = await services.members.presets_of(guild_id, interaction.user.id)
    return own, (await services.communities.of(guild_id)).presets


def _preset_choice(preset: Preset) -> app_commands.Choice[str]:
    model = preset.options.model
    return app_commands.Choice(name=shortened(f"{preset.name} · {model}", _NAME), value=preset.name)


async def _specs(services: Services, interaction: discord.Interaction[Any]) -> Sequence[ModelSpec]:
    """The chosen model alone, if one is chosen, by its name or with a preset."""
    usable = await usable_models(services, interaction)
    model = getattr(interaction.namespace, "model", None)
    preset = getattr(interaction.namespace, "preset", None)
    if not model and preset:
        own, offered = await _presets(services, interaction)
        key = key_of(preset)
        model = next((each.options.model for each in (*own, *offered) if each.key == key), None)
    chosen = [spec for spec in usable if spec.id == model]
    return chosen or usable


def _priced(
    services: Services, community: Community, spec: ModelSpec, name: str, time: str = ""
) -> app_commands.Choice[str]:
    prices = price_text(services.pricing.range(spec, community.prices.get(spec.id)))
    parts = [part for part in (name, prices, time) if part]
    return app_commands.Choice(name=shortened(" · ".join(parts), _NAME), value=spec.id)


def _usual_time(services: Services, spec: ModelSpec) -> str:
    """``about 40 s``; empty: too few have finished."""
    seconds = services.durations.usual_seconds(spec.id)
    if seconds is None:
        return ""
    if seconds < _MINUTES_FROM:
        return _("about {seconds} s").format(seconds=max(_ROUND_TO, _ROUND_TO * round(seconds / _ROUND_TO)))
    return _("about {minutes} min").format(minutes=round(seconds / 60))


def _seconds(number: int) -> str:
    return ngettext("{n} second", "{n} seconds", number).format(n=number)


def _choice(value: str) -> app_commands.Choice[str]:
    return app_commands.Choice(name=value, value=value)


def _fitting(choices: Iterable[app_commands.Choice[str]], typed: str) -> list[app_commands.Choice[str]]:
    sought = typed.lower()
    return [choice for choice in choices if sought in choice.name.lower() or sought in choice.value.lower()][:_MOST]
