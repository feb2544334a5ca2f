"""Which providers there are, as the settings say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import structlog

from bot.clock import Clock
from bot.database.engine import Database
from bot.settings import Settings
from providers.budget import Tally
from providers.contract import Provider
from providers.demo import DemoProvider
from providers.errors import ProviderError
from providers.observing import UNOBSERVED, Observer
from providers.pixeldojo import PixelDojo
from providers.registry import Registry

log = structlog.stdlib.get_logger(__name__)


def no_tally(_provider: str) -> None:
    """Of a process that is alone with its database."""


def make_providers(
    settings: Settings,
    *,
    clock: Clock,
    observer: Observer = UNOBSERVED,
    tally_of: Callable[[str], Tally | None] = no_tally,
) -> list[Provider]:
    """Every provider that has its key, ``demo`` last."""
    providers: list[Provider] = []
    if settings.pixeldojo_api_key is not None:
        providers.append(
            PixelDojo.connect(
                api_key=settings.pixeldojo_api_key.get_secret_value(),
                base_url=settings.pixeldojo_base_url,
                requests_per_minute=settings.pixeldojo_requests_per_minute,
                observer=observer,
                tally=tally_of(PixelDojo.name),
            )
        )
    if settings.pixazo_api_key is not None:
        from providers.pixazo import Pixazo  # noqa: PLC0415 - a vendor without a key isn't loaded

        providers.append(
            Pixazo.connect(
                api_key=settings.pixazo_api_key.get_secret_value(),
                base_url=settings.pixazo_base_url,
                requests_per_minute=settings.pixazo_requests_per_minute,
                kf2v_path=settings.pixazo_kf2v_path,
                observer=observer,
                tally=tally_of(Pixazo.name),
            )
        )
    if settings.pixwith_api_key is not None:
        from providers.pixwith import Pixwith  # noqa: PLC0415

        providers.append(
            Pixwith.connect(
                api_key=settings.pixwith_api_key.get_secret_value(),
                base_url=settings.pixwith_base_url,
                requests_per_minute=settings.pixwith_requests_per_minute,
                observer=observer,
                tally=tally_of(Pixwith.name),
            )
        )
    if settings.vtrix_api_key is not None:
        from providers.vtrix import Vtrix  # noqa: PLC0415

        providers.append(
            Vtrix.connect(
                api_key=settings.vtrix_api_key.get_secret_value(),
                base_url=settings.vtrix_base_url,
                requests_per_minute=settings.vtrix_requests_per_minute,
                body_shape=settings.vtrix_body_shape,
                observer=observer,
                tally=tally_of(Vtrix.name),
            )
        )
    if settings.demo_provider:
        providers.append(demo_of(settings, clock=clock))
    return providers


def trusted_hosts(settings: Settings, registry: Registry) -> frozenset[str]:
    """The hosts whose addresses may be private: those that the operator has named."""
    named = {host for provider in registry.providers.values() for host in provider.trusted_hosts}
    return frozenset(named | {urlsplit(settings.discord_api_url).hostname or ""})


def demo_of(settings: Settings, *, clock: Clock) -> DemoProvider:
    """The one that draws on this machine."""
    return DemoProvider(folder=settings.data_dir / "demo", seconds=settings.demo_seconds, now=clock)


@asynccontextmanager
async def tallies(database: Database, process: str | None) -> AsyncGenerator[Callable[[str], Tally | None]]:
    """What counts the requests to a provider, together with those of other processes."""
    if process is None:
        yield no_tally
        return
    from bot.budgets import SharedBudgets  # noqa: PLC0415 - who is alone doesn't load it

    budgets = SharedBudgets(database=database, process=process)
    try:
        yield budgets.of
    finally:
        await budgets.close()


async def compare_catalogue(registry: Registry, stopped: asyncio.Event) -> None:
    """Warn, once, where a vendor's own list and our catalogue differ."""
    for provider in registry.providers.values():
        models = [spec for spec in registry.models.values() if spec.provider == provider.name]
        try:
            for line in await provider.disagreements(models):
                log.warning("the catalogue differs from the vendor's list", what=line)
        except ProviderError as error:
            log.warning("the vendor's list can't be read", provider=provider.name, why=str(error))
        except Exception:
            # it is advice, and no reason to stop the bot
            log.exception("a provider raised what its contract doesn't name", provider=provider.name)
    await stopped.wait()
