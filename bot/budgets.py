"""One budget for all processes that share a PostgreSQL: a request to a provider is counted there before it is sent."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

import structlog

from bot.database import provider_requests
from bot.database.engine import Database
from providers.budget import CannotCount, Wait, Wanted

log = structlog.stdlib.get_logger(__name__)

#: seconds that the database gets to count a request
_PATIENCE: Final = 5.0
#: seconds until what couldn't be noted is tried again
_RETRY: Final = 1.0
#: seconds that a stop waits for what is still to be noted
_LAST: Final = 1.0
#: seconds between two looks for requests that don't count any more
_TIDY: Final = 60.0


class SharedBudgets:
    """Counts the requests of this process among those of all. ``close`` writes what is still to be noted."""

    def __init__(self, *, database: Database, process: str) -> None:
        self._database = database
        self._process = process
        #: requests that have ended, or were never sent
        self._sent: set[int] = set()
        self._unsent: set[int] = set()
        #: until when nobody may ask a provider, in seconds of the loop's clock
        self._held: dict[str, float] = {}
        self._writer: asyncio.Task[None] | None = None
        self._tidied_at: float | None = None
        self._is_reached = True

    def of(self, provider: str) -> ProviderTally:
        """The tally of one provider."""
        return ProviderTally(budgets=self, provider=provider)

    async def begin(self, provider: str, wanted: Wanted) -> int | Wait:
        """Count a request. Raises ``CannotCount``."""
        work = partial(provider_requests.begin, provider=provider, process=self._process, wanted=wanted)
        try:
            answer = await self._database.write(work)
        except Exception as error:
            self.is_not_reached(error)
            raise CannotCount("its requests can't be counted at the moment") from error
        self._is_reached_again()
        return answer

    def end(self, number: int, *, was_sent: bool) -> None:
        """Note soon that a request has ended, or that it was never sent."""
        (self._sent if was_sent else self._unsent).add(number)
        self._write_soon()

    def hold(self, provider: str, seconds: float) -> None:
        """Note soon that nobody may ask a provider for so many seconds from now."""
        until = asyncio.get_running_loop().time() + seconds
        self._held[provider] = max(until, self._held.get(provider, until))
        self._write_soon()

    async def close(self) -> None:
        """Write what is still to be noted. What can't be written counts until its time is over."""
        if self._writer is not None:
            await asyncio.wait({self._writer}, timeout=_LAST)
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)

    def is_not_reached(self, error: Exception) -> None:
        """Tell the operator, once for each time that the database is away."""
        if self._is_reached:
            log.warning("requests can't be counted in the database, so none is sent", why=type(error).__name__)
        self._is_reached = False

    def _is_reached_again(self) -> None:
        if not self._is_reached:
            log.info("requests are counted again")
        self._is_reached = True

    def _write_soon(self) -> None:
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write(), name="ended requests")

    async def _write(self) -> None:
        """Write until there is nothing left."""
        while self._sent or self._unsent or self._held:
            sent, unsent, held = set(self._sent), set(self._unsent), dict(self._held)
            now = asyncio.get_running_loop().time()
            left = {provider: until - now for provider, until in held.items()}
            try:
                await self._database.write(partial(provider_requests.note, sent=sent, unsent=unsent, held=left))
                await self._tidy(now)
                self._is_reached_again()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                self.is_not_reached(error)
                await asyncio.sleep(_RETRY)
                continue
            self._sent -= sent
            self._unsent -= unsent
            self._held = {name: until for name, until in self._held.items() if until != held.get(name)}

    async def _tidy(self, now: float) -> None:
        if self._tidied_at is None or now - self._tidied_at > _TIDY:
            self._tidied_at = now
            await self._database.write(provider_requests.forget)


class ProviderTally:
    """Counts the requests to one provider: see ``providers.budget.Tally``."""

    def __init__(self, *, budgets: SharedBudgets, provider: str) -> None:
        self._budgets = budgets
        self._provider = provider
        self._asking: asyncio.Task[int | Wait] | None = None

    async def begin(self, wanted: Wanted) -> int | Wait:
        """See ``Tally``."""
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._ask(wanted)
        except TimeoutError as error:
            self._budgets.is_not_reached(error)
            raise CannotCount("its requests can't be counted in time") from error

    def end(self, number: int, *, was_sent: bool = True) -> None:
        """See ``Tally``."""
        self._budgets.end(number, was_sent=was_sent)

    def hold(self, seconds: float) -> None:
        """See ``Tally``."""
        self._budgets.hold(self._provider, seconds)

    async def _ask(self, wanted: Wanted) -> int | Wait:
        if self._asking is not None:
            # nobody waits for it any more; one after the other, so that a silent database keeps few threads busy
            await asyncio.wait({self._asking})
        self._asking = asking = asyncio.create_task(self._budgets.begin(self._provider, wanted))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            asking.add_done_callback(self._hand_back)
            raise

    def _hand_back(self, asking: asyncio.Task[int | Wait]) -> None:
        """A request that was counted for somebody who is gone is never sent."""
        if asking.cancelled() or asking.exception() is not None:
            return
        answer = asking.result()
        if not isinstance(answer, Wait):
            self.end(answer, was_sent=False)
