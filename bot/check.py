"""``wanbot check``: what is configured, what is missing, and whether the books are right."""

from __future__ import annotations

import asyncio
from functools import partial

from bot.clock import system_clock
from bot.credits import ledger
from bot.database.engine import open_database
from bot.database.migrate import migrate
from bot.settings import Settings
from bot.vendors import make_providers
from providers.contract import Provider
from providers.errors import ProviderError
from providers.registry import Registry
from providers.types import ModelSpec


async def check(settings: Settings, *, live: bool) -> bool:
    """Print a table; tells whether everything that was checked is right."""
    prices = settings.prices()
    registry = Registry.of(make_providers(settings, clock=system_clock))
    try:
        rows = [
            ("Discord token", "set" if settings.discord_token else "missing: `wanbot run` needs DISCORD_TOKEN", True)
        ]
        for provider in registry.providers.values():
            specs = [spec for spec in registry.models.values() if spec.provider == provider.name]
            rows.append(await _provider_row(provider, specs, live=live))
        unknown = sorted(prices.keys() - registry.models.keys())
        if unknown:
            rows.append(("Prices", f"PRICES_FILE names models that aren't offered: {', '.join(unknown)}", True))
        rows.append(await _books_row(settings))
    finally:
        await registry.close()
    width = max(len(name) for name, _, _ in rows)
    for name, verdict, _ in rows:
        print(f"{name:{width}}  {verdict}")  # noqa: T201 - it is what the command is for
    return all(is_right for _, _, is_right in rows)


async def _provider_row(provider: Provider, specs: list[ModelSpec], *, live: bool) -> tuple[str, str, bool]:
    text = f"{len(specs)} model{'' if len(specs) == 1 else 's'}: {', '.join(spec.id for spec in specs)}"
    if not live:
        return provider.title, text, True
    try:
        await provider.check()
        balance = await provider.balance()
        differences = await provider.disagreements(specs)
    except ProviderError as error:
        return provider.title, f"{error}; {text}", False
    left = "" if balance is None else f", {balance} left"
    warnings = "".join(f"; {line}" for line in differences)
    works = "works" if provider.is_local else "reachable, key accepted"
    return provider.title, f"{works}{left}; {text}{warnings}", True


async def _books_row(settings: Settings) -> tuple[str, str, bool]:
    await asyncio.to_thread(migrate, settings.database_url, now=system_clock())
    database = open_database(settings.database_url)
    try:
        wrong = await database.read(partial(ledger.mismatches))
    finally:
        await database.close()
    if wrong:
        accounts = ", ".join(str(mismatch.account_id) for mismatch in wrong[:20])
        return "Books", f"{len(wrong)} accounts differ from the sum of their entries: {accounts}", False
    return "Books", "every account equals the sum of its entries", True
