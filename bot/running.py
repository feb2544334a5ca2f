"""One run of the bot: from its login to its stop."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial

import structlog

from bot.app import App, open_app
from bot.client import use_api
from bot.credits import ledger
from bot.database.engine import Database
from bot.database.lock import only_process
from bot.settings import Settings
from bot.vendors import compare_catalogue
from providers.http import warm_up

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Signals:
    """What a running process is told from outside."""

    #: SIGTERM or SIGINT
    stopped: asyncio.Event
    #: SIGHUP: read the settings again
    reload: asyncio.Event
    reread: Callable[[], Settings]

    @classmethod
    def heard(cls, reread: Callable[[], Settings]) -> _Signals:
        """Listen from now on."""
        signals = cls(asyncio.Event(), asyncio.Event(), reread)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, signals.stopped.set)
        loop.add_signal_handler(signal.SIGHUP, signals._hung_up, _is_terminal())
        return signals

    def _hung_up(self, had_terminal: bool) -> None:  # noqa: FBT001 - a handler's arguments have no names
        """A reload, unless the terminal is gone that we were started from."""
        (self.stopped if had_terminal and not _is_terminal() else self.reload).set()


def _is_terminal() -> bool:
    """Whether somebody sits in front of us; false once the terminal has hung up."""
    return os.isatty(0)


async def run(settings: Settings, reread: Callable[[], Settings]) -> None:
    """Serve Discord until SIGTERM or SIGINT; at SIGHUP take over what ``reread`` gives, as far as that is safe.

    Raises ``discord.LoginFailure`` for a token that isn't one.
    """
    if settings.discord_token is None:
        raise ValueError("no token")
    use_api(settings.discord_api_url)
    signals = _Signals.heard(reread)
    with only_process(settings.database_url):
        await _serve_until(signals, settings, settings.discord_token.get_secret_value())
    log.info("stopped")


async def _serve_until(signals: _Signals, settings: Settings, token: str) -> None:
    async with open_app(settings) as app, app.bot, app.watched(settings):
        await _check_books(app.services.database)
        if await _done_before(signals.stopped, _begin(app, token)):
            await _serve(app, token, signals)


async def _begin(app: App, token: str) -> None:
    """Log in, and take up what the last run left."""
    await app.bot.login(token)
    await app.resume()


async def _done_before(stopped: asyncio.Event, work: Coroutine[None, None, None]) -> bool:
    """Do the work unless told to stop meanwhile: a Discord that doesn't answer holds up no stop."""
    tasks = working, stopping = asyncio.create_task(work), asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        return not stopping.done()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _serve(app: App, token: str, signals: _Signals) -> None:
    """Keep the connection, the worker and the cards going until told to stop, or until one of them ends."""
    stopped = signals.stopped
    tasks: list[asyncio.Task[object]] = [
        asyncio.create_task(_do_what_can_wait(app, stopped), name="catalogue"),
        asyncio.create_task(app.bot.stay_connected(token), name="gateway"),
        asyncio.create_task(app.services.worker.run(), name="worker"),
        asyncio.create_task(app.services.takeover.run(), name="lease"),
        asyncio.create_task(app.services.presenter.run(), name="cards"),
        asyncio.create_task(app.services.latecomers.run(), name="late videos"),
        asyncio.create_task(app.services.orders.run(), name="orders"),
        asyncio.create_task(app.services.retention.run(), name="retention"),
        asyncio.create_task(app.reloading.run(signals.reload, signals.reread), name="settings"),
        asyncio.create_task(stopped.wait(), name="signal"),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        log.info("stopping", why=", ".join(task.get_name() for task in done))
        await app.stop()
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        # in the midst of a reconnect discord.py swallows the cancellation; once closed, it goes no further
        await app.bot.close()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _do_what_can_wait(app: App, stopped: asyncio.Event) -> None:
    """Once commands are answered: what would have kept them waiting."""
    await app.bot.wait_until_ready()
    await asyncio.to_thread(warm_up)
    await compare_catalogue(app.services.registry, stopped)


async def _check_books(database: Database) -> None:
    """Compare the accounts with something held with their entries; the operator hears of a difference."""
    for mismatch in await database.read(partial(ledger.mismatches, only_held=True)):
        log.error("an account differs from its entries: run `wanbot check`", account=mismatch.account_id)
