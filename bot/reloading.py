"""SIGHUP: the settings are read again, and what can change without a restart does. Jobs under way aren't disturbed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

import structlog

from bot import logs
from bot.communities.memory import Communities
from bot.credits.pricing import Pricing
from bot.jobs.pauses import Pauses
from bot.media.videos import Videos
from bot.settings import Settings, SettingsError
from providers.contract import Provider
from providers.registry import Registry
from providers.types import ModelSpec

log = structlog.stdlib.get_logger(__name__)

_PROVIDERS: Final = ("pixeldojo", "pixazo", "pixwith", "vtrix")
_OTHERS: Final = frozenset({"prices_file", "credits_per_usd", "default_allowance", "default_period", "log_level"})


class Reloading:
    """Takes over what may change. ``run`` goes on until cancelled."""

    def __init__(
        self,
        *,
        settings: Settings,
        make_providers: Callable[[Settings], Iterable[Provider]],
        make_pricing: Callable[[Settings], Pricing],
        models: Iterable[ModelSpec],
        registry: Registry,
        pricing: Pricing,
        communities: Communities,
        pauses: Pauses,
        videos: Videos,
        wake: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._make_providers = make_providers
        self._make_pricing = make_pricing
        self._models = list(models)
        self._registry = registry
        self._pricing = pricing
        self._communities = communities
        self._pauses = pauses
        self._videos = videos
        #: lets the worker look at the paused providers
        self._wake = wake

    async def run(self, asked: asyncio.Event, reread: Callable[[], Settings]) -> None:
        """Read the settings again whenever somebody asks for it."""
        while True:
            await asked.wait()
            asked.clear()
            try:
                await self.apply(await asyncio.to_thread(reread))
            except SettingsError as error:
                for line in error.lines:
                    log.error("the settings are wrong, so nothing has changed", what=line)  # noqa: TRY400 - no fault of ours
            except Exception:
                log.exception("the settings can't be taken over")

    async def apply(self, given: Settings) -> None:
        """Take over what may change, and say what needs a restart. Raises ``SettingsError`` before anything changes."""
        pricing, before = self._make_pricing(given), self._settings
        taken = {name: getattr(given, name) for name in Settings.model_fields if can_change(name)}
        settings = before.model_copy(update=taken)
        await self._renew_providers(before, settings)
        is_dearer_or_cheaper = pricing != self._pricing
        self._pricing.become(pricing)
        if before.default_allowance_rule != settings.default_allowance_rule:
            await self._communities.use_default(settings.default_allowance_rule)
        if before.log_level != settings.log_level:
            logs.set_level(settings.log_level)
        self._settings = settings
        self._pauses.try_again(self._registry.providers.keys())
        self._wake()
        changed = _changed(before, settings)
        log.info("the settings were read again", changed=", ".join(changed) or "none", prices=is_dearer_or_cheaper)
        for name in _changed(settings, given):
            log.warning("this setting needs a restart", name=name)

    async def _renew_providers(self, before: Settings, settings: Settings) -> None:
        """Connect anew those whose settings have changed; the others go on with what they know."""
        stale = {name for name in _PROVIDERS if _of_provider(before, name) != _of_provider(settings, name)}
        if not stale:
            return
        providers: list[Provider] = []
        for made in self._make_providers(settings):
            present = self._registry.providers.get(made.name)
            if present is None or made.name in stale:
                providers.append(made)
            else:
                await made.close()
                providers.append(present)
        self._videos.trust({host for provider in providers for host in provider.trusted_hosts})
        self._registry.become(Registry.of(providers, self._models))


def can_change(name: str) -> bool:
    """Whether a field of the settings may change while the bot runs."""
    return name in _OTHERS or any(name.startswith(f"{provider}_") for provider in _PROVIDERS)


def _of_provider(settings: Settings, provider: str) -> Mapping[str, object]:
    """What a provider is connected with."""
    names: Collection[str] = [name for name in Settings.model_fields if name.startswith(f"{provider}_")]
    return {name: getattr(settings, name) for name in names if name != "pixeldojo_usd_per_credit"}


def _changed(before: Settings, after: Settings) -> list[str]:
    """The variables whose values differ."""
    return sorted(
        field.alias or name
        for name, field in Settings.model_fields.items()
        if getattr(before, name) != getattr(after, name)
    )
