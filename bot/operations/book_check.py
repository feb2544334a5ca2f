"""Compares the books with their entries, in slices and seldom: it is a net below a net."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final, Protocol

import structlog

from bot.clock import Clock
from bot.credits import ledger
from bot.database.engine import Database
from bot.operations import store

log = structlog.stdlib.get_logger(__name__)

#: seconds between two comparisons of all accounts
EVERY: Final = 3600.0
#: accounts of one slice, and seconds between two: a hundred thousand accounts take two minutes, and nobody notices
SLICE: Final = 1000
_PAUSE: Final = 1.0


class BooksObserver(Protocol):
    """Is told how a comparison went."""

    def books_checked(self, *, accounts: str, mismatches: int, stray: int, at: float) -> None:
        """Note it: of the ``held`` or of ``all`` accounts; ``at`` is in seconds since 1970."""
        ...


class BookCheck:
    """``run`` goes on until cancelled."""

    def __init__(self, *, database: Database, observer: BooksObserver, clock: Clock, pause: float = _PAUSE) -> None:
        self._database = database
        self._observer = observer
        self._clock = clock
        self._pause = pause

    async def run(self) -> None:
        """Look at what is held at once, at everything after an hour, and every hour from then on."""
        await self._carefully(only_held=True)
        while True:
            await asyncio.sleep(EVERY)
            await self._carefully(only_held=False)

    async def check(self, *, only_held: bool) -> int:
        """Compare the accounts with something held, or all; gives how many differ."""
        wrong = await self._wrong_holders() if only_held else await self._wrong_accounts()
        stray = await self._database.read(store.stray_credits)
        accounts = "held" if only_held else "all"
        self._observer.books_checked(accounts=accounts, mismatches=wrong, stray=stray, at=self._clock().timestamp())
        if wrong or stray:
            log.error("the books are wrong: run `wanbot check`", accounts=wrong, stray_credits=stray)
        return wrong

    async def _carefully(self, *, only_held: bool) -> None:
        try:
            await self.check(only_held=only_held)
        except Exception:
            log.exception("the books can't be compared; trying again in an hour")

    async def _wrong_holders(self) -> int:
        return len(await self._database.read(partial(ledger.mismatches, only_held=True)))

    async def _wrong_accounts(self) -> int:
        wrong = 0
        for first in range(1, await self._database.read(store.last_account) + 1, SLICE):
            within = range(first, first + SLICE)
            wrong += len(await self._database.read(partial(ledger.mismatches, within=within)))
            await asyncio.sleep(self._pause)
        return wrong
