"""Providers that take no submissions because a key or the funds behind it failed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final

import structlog

from providers.contract import Provider
from providers.errors import AuthFailed, ProviderError

#: a paused provider is asked again this often, by one call that costs nothing
RETRY_EVERY: Final = timedelta(minutes=5)

log = structlog.stdlib.get_logger(__name__)


class Pauses:
    """Which providers are paused, since when and why. In memory: a restart tries again."""

    def __init__(self, *, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._retry_at: dict[str, datetime] = {}

    def is_paused(self, provider: str) -> bool:
        """Whether submissions to this provider are refused."""
        return provider in self._retry_at

    def retry_at(self, provider: str) -> datetime | None:
        """When a paused provider is asked again; None: it isn't paused."""
        return self._retry_at.get(provider)

    def pause(self, provider: Provider, error: AuthFailed) -> bool:
        """Take no submissions for now, and tell the operator, once; true: it wasn't paused before."""
        if provider.name in self._retry_at:
            return False  # a look that fails as well puts nothing off
        log.error("provider paused: check its key and its funds", provider=provider.name, why=str(error))
        self._retry_at[provider.name] = self._clock() + RETRY_EVERY
        return True

    def try_again(self, present: Collection[str]) -> None:
        """Ask the paused providers at once: a key may be another now. Those that aren't there any more are dropped."""
        self._retry_at = {name: self._clock() for name in self._retry_at if name in present}

    def next_at(self) -> datetime | None:
        """When a paused provider is to be asked again."""
        return min(self._retry_at.values(), default=None)

    async def retry(self, providers: Callable[[str], Provider]) -> None:
        """Ask the paused providers whose time has come."""
        now = self._clock()
        due = [name for name, when in self._retry_at.items() if when <= now]
        # all of them first: while one is asked, nobody need look after the others
        self._retry_at.update(dict.fromkeys(due, now + RETRY_EVERY))
        for name in due:
            try:
                await providers(name).check()
            except ProviderError as error:
                log.warning("provider still paused", provider=name, why=str(error))
            except Exception:
                log.exception("a provider raised what its contract doesn't name", provider=name)
            else:
                del self._retry_at[name]
                log.info("provider works again", provider=name)
