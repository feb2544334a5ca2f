"""The composition root: opens everything, hands it on, closes it in order. Only here are classes chosen."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import signal
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx
import structlog

from bot.client import WanBot, use_api
from bot.clock import Clock, system_clock
from bot.communities.decisions import Decisions
from bot.communities.member_keys import MemberKeys
from bot.communities.memory import Communities
from bot.credits import ledger
from bot.credits.accounts import Accounts
from bot.credits.balances import Balances
from bot.credits.pricing import Pricing
from bot.database import remembered
from bot.database.engine import Database, open_database
from bot.database.lock import only_process
from bot.database.migrate import migrate
from bot.delivery.places import place_of_job
from bot.delivery.presenter import DiscordPresenter
from bot.delivery.results import Results
from bot.delivery.threads import Threads
from bot.downloads import DownloadTransport
from bot.jobs import recovery
from bot.jobs.cancelling import Cancelling
from bot.jobs.choosing import Chooser
from bot.jobs.delivering import Delivery
from bot.jobs.durations import Durations
from bot.jobs.fallback import Fallback
from bot.jobs.files import JobFiles
from bot.jobs.latecomers import Latecomers
from bot.jobs.leases import Leases
from bot.jobs.leaving import Leaving
from bot.jobs.orders import Orders
from bot.jobs.pauses import Pauses
from bot.jobs.requests import Requests
from bot.jobs.takeover import Takeover
from bot.jobs.worker import Worker
from bot.media.charts import Charts
from bot.media.images import Images
from bot.media.sheets import Sheets
from bot.media.videos import Videos
from bot.media.workers import MediaWorkers
from bot.members.memory import Members
from bot.privacy.departed import DepartedGuilds
from bot.privacy.erasing import Erasing
from bot.privacy.exports import Exports
from bot.privacy.forgetting import Forgetting
from bot.privacy.retention import Retention
from bot.reloading import Reloading
from bot.services import Services
from bot.settings import Settings
from bot.shards import Shards
from providers.budget import Tally
from providers.catalogue import MODELS
from providers.contract import Provider
from providers.demo import DemoProvider
from providers.errors import ProviderError
from providers.http import warm_up
from providers.observing import UNOBSERVED, Observer
from providers.pixeldojo import PixelDojo
from providers.registry import Registry
from providers.types import ModelSpec

if TYPE_CHECKING:
    from bot.operations.serving import Operations

log = structlog.stdlib.get_logger(__name__)

#: seconds that steps under way get at a stop, and beside them the answers to members (two more to tell whose is cut
#: short); then the cards: well below ten in all
_STEPS_PATIENCE: Final = 4.0
_ANSWERS_PATIENCE: Final = 4.0
_CARDS_PATIENCE: Final = 1.5


@dataclass(frozen=True, slots=True)
class App:
    """The bot and everything that it works with, open."""

    bot: WanBot
    services: Services
    reloading: Reloading
    #: None: nobody has set HTTP_PORT
    operations: Operations | None = None

    async def resume(self) -> None:
        """Take up every open job, as if nothing had happened."""
        services, database = self.services, self.services.database
        files, now = JobFiles(services.inputs_folder, services.videos_folder), services.clock()
        await recovery.sweep(database=database, files=files, now=now)
        await recovery.teach(database=database, durations=services.durations)
        await services.takeover.begin()

    async def stop(self) -> None:
        """Begin nothing more, and finish what can be finished soon."""
        await asyncio.gather(
            self.bot.finish_answers(patience=_ANSWERS_PATIENCE), self.services.worker.stop(patience=_STEPS_PATIENCE)
        )
        await self.services.presenter.stop(patience=_CARDS_PATIENCE)
        await self.services.takeover.end()

    @asynccontextmanager
    async def watched(self, settings: Settings) -> AsyncGenerator[None]:
        """Serve health, metrics and the operator's page within the block, if ``HTTP_PORT`` is set."""
        if self.operations is None:
            yield
            return
        async with self.operations.serving(settings, self.services, self.bot):
            yield


@dataclass(frozen=True, slots=True)
class _Folders:
    """Where files are kept."""

    inputs: Path
    videos: Path
    #: files that are made for an answer
    exports: Path

    @classmethod
    def below(cls, folder: Path) -> _Folders:
        """The folders of a data folder, made when they aren't there."""
        folders = cls(folder / "inputs", folder / "videos", folder / "exports")
        for each in (folders.inputs, folders.videos, folders.exports):
            each.mkdir(parents=True, exist_ok=True)
        return folders


@asynccontextmanager
async def open_app(
    settings: Settings,
    *,
    clock: Clock = system_clock,
    chance: random.Random | None = None,
    wrap_database: Callable[[Database], Database] = lambda database: database,
    models: Iterable[ModelSpec] = MODELS,
) -> AsyncGenerator[App]:
    """Open everything but the connection to Discord. Migrates the database first."""
    pricing, operations = _pricing(settings), _operations(settings)
    shards = Shards.of(settings.shard_count, settings.shard_ids)
    folders = _Folders.below(settings.data_dir)
    async with contextlib.AsyncExitStack() as stack:
        await asyncio.to_thread(migrate, settings.database_url, now=clock())
        database = wrap_database(open_database(settings.database_url))
        stack.push_async_callback(database.close)
        observer = UNOBSERVED if operations is None else operations.meters
        process, models = _process_name(settings), list(models)
        tally_of = await stack.enter_async_context(_tallies(database, process))
        connect = partial(make_providers, clock=clock, observer=observer, tally_of=tally_of)
        registry = Registry.of(connect(settings), models)
        stack.push_async_callback(registry.close)
        # apart, so that a member's picture never waits for a long encoding
        image_workers, video_workers = MediaWorkers(count=1, time_limit=30), MediaWorkers(count=1)
        stack.push_async_callback(image_workers.close)
        stack.push_async_callback(video_workers.close)
        client = await stack.enter_async_context(httpx.AsyncClient(transport=DownloadTransport(), trust_env=False))
        videos = Videos(workers=video_workers, client=client, trusted_hosts=_trusted_hosts(settings, registry))
        ground = _Ground(
            settings=settings,
            pricing=pricing,
            clock=clock,
            dice=chance or random.Random(secrets.randbits(64)),  # noqa: S311 - it spreads requests, it guards nothing
            folders=folders,
            database=database,
            member_keys=MemberKeys(await database.write(remembered.secret_of_member_keys)),
            registry=registry,
            leases=Leases(database=database, clock=clock, name=process, shards=str(shards)),
            shards=shards,
            images=Images(workers=image_workers),
            charts=Charts(workers=image_workers),
            videos=videos,
            sheets=Sheets(videos=videos, workers=image_workers),
            bot=WanBot(
                shard_count=settings.shard_count,
                shard_ids=settings.shard_ids,
                http_trace=None if operations is None else operations.trace(),
            ),
        )
        services = _services(ground)
        ground.bot.equip(services)
        reloading = Reloading(
            settings=settings,
            make_providers=connect,
            make_pricing=_pricing,
            models=models,
            registry=registry,
            pricing=pricing,
            communities=services.communities,
            pauses=services.pauses,
            videos=videos,
            wake=services.worker.wake,
        )
        yield App(ground.bot, services, reloading, operations)


def _operations(settings: Settings) -> Operations | None:
    """What operators can look at; loaded only for those who do: it takes time and memory."""
    if settings.http_port is None:
        return None
    from bot.operations.serving import Operations  # noqa: PLC0415

    return Operations()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ground:
    """What is open, and everything else stands on."""

    settings: Settings
    pricing: Pricing
    clock: Clock
    dice: random.Random
    folders: _Folders
    database: Database
    member_keys: MemberKeys
    registry: Registry
    leases: Leases
    shards: Shards
    images: Images
    charts: Charts
    videos: Videos
    sheets: Sheets
    bot: WanBot


def _services(ground: _Ground) -> Services:
    """Everything that the cogs and the worker use, put together."""
    settings, database, registry, clock = ground.settings, ground.database, ground.registry, ground.clock
    leases = ground.leases
    communities = Communities(database=database, default=settings.default_allowance_rule, shards=ground.shards)
    members = Members(database=database)
    accounts = Accounts(member_keys=ground.member_keys)
    pauses, durations = Pauses(clock=clock), Durations()
    chooser = Chooser(registry=registry, is_paused=pauses.is_paused)
    pricing = ground.pricing
    presenter = DiscordPresenter(
        client=ground.bot,
        database=database,
        registry=registry,
        shards=ground.shards,
        clock=clock,
        folder=ground.folders.inputs,
        upload_limit_mib=settings.upload_limit_mib,
    )
    delivery = Delivery(
        database=database,
        presenter=presenter,
        videos=ground.videos,
        folder=ground.folders.videos,
        clock=clock,
        place_of=Threads(client=ground.bot, communities=communities, presenter=presenter).place_of,
    )
    requests = Requests(
        database=database,
        leases=leases,
        communities=communities,
        accounts=accounts,
        member_keys=ground.member_keys,
        chooser=chooser,
        pricing=pricing,
        clock=clock,
        chance=partial(ground.dice.getrandbits, 20),
    )
    worker = Worker(
        database=database,
        registry=registry,
        leases=leases,
        communities=communities,
        presenter=presenter,
        delivery=delivery,
        durations=durations,
        pauses=pauses,
        clock=clock,
        chance=ground.dice.random,
        media_path=ground.folders.inputs.joinpath,
        fallback=Fallback(
            communities=communities,
            requests=requests,
            images=ground.images,
            place_of=partial(place_of_job, ground.bot),
            inputs=ground.folders.inputs,
            clock=clock,
            chance=partial(ground.dice.getrandbits, 22),
        ),
    )
    decisions = Decisions(
        database=database,
        communities=communities,
        accounts=accounts,
        member_keys=ground.member_keys,
        keep_days=settings.keep_days,
        clock=clock,
    )
    latecomers = Latecomers(
        database=database,
        registry=registry,
        leases=leases,
        presenter=presenter,
        delivery=delivery,
        is_paused=pauses.is_paused,
        clock=clock,
    )
    return Services(
        database=database,
        communities=communities,
        members=members,
        registry=registry,
        pauses=pauses,
        requests=requests,
        cancelling=Cancelling(database=database, registry=registry, worker=worker, presenter=presenter, clock=clock),
        decisions=decisions,
        balances=Balances(database=database, communities=communities, accounts=accounts, clock=clock),
        chooser=chooser,
        pricing=pricing,
        presenter=presenter,
        results=Results(
            database=database,
            communities=communities,
            presenter=presenter,
            videos_folder=ground.folders.videos,
            clock=clock,
        ),
        worker=worker,
        durations=durations,
        latecomers=latecomers,
        leaving=Leaving(
            database=database,
            communities=communities,
            members=members,
            worker=worker,
            presenter=presenter,
            clock=clock,
        ),
        orders=Orders(database=database, leases=leases, worker=worker, latecomers=latecomers, presenter=presenter),
        leases=leases,
        takeover=Takeover(
            database=database,
            leases=leases,
            worker=worker,
            latecomers=latecomers,
            presenter=presenter,
            clock=clock,
        ),
        forgetting=Forgetting(
            database=database,
            members=members,
            accounts=accounts,
            erasing=_erasing(ground),
            clock=clock,
            chance=_bits_of_ids,
        ),
        exports=Exports(
            database=database,
            member_keys=ground.member_keys,
            inputs=ground.folders.inputs,
            folder=ground.folders.exports,
            clock=clock,
        ),
        retention=_retention(ground, communities, members, accounts),
        images=ground.images,
        charts=ground.charts,
        videos=ground.videos,
        sheets=ground.sheets,
        inputs_folder=ground.folders.inputs,
        videos_folder=ground.folders.videos,
        keep_days=settings.keep_days,
        clock=clock,
    )


def _process_name(settings: Settings) -> str | None:
    """A name of this process alone, where others may share its database."""
    return None if settings.database_url.startswith("sqlite") else secrets.token_hex(8)


def _no_tally(_provider: str) -> None:
    """Of a process that is alone with its database."""


@asynccontextmanager
async def _tallies(database: Database, process: str | None) -> AsyncGenerator[Callable[[str], Tally | None]]:
    """What counts the requests to a provider, together with those of other processes."""
    if process is None:
        yield _no_tally
        return
    from bot.budgets import SharedBudgets  # noqa: PLC0415 - who is alone doesn't load it

    budgets = SharedBudgets(database=database, process=process)
    try:
        yield budgets.of
    finally:
        await budgets.close()


def _pricing(settings: Settings) -> Pricing:
    """How prices are reckoned. Raises ``SettingsError`` for a price list that can't be read."""
    return Pricing(
        credits_per_usd=settings.credits_per_usd,
        usd_per_vendor_credit={PixelDojo.name: settings.pixeldojo_usd_per_credit},
        own_prices=settings.prices(),
    )


#: what an id in place of a member's is made of; not the dice, whose throws could be guessed
_bits_of_ids = partial(secrets.randbits, 63)


def _erasing(ground: _Ground) -> Erasing:
    return Erasing(files=JobFiles(ground.folders.inputs, ground.folders.videos), registry=ground.registry)


def _retention(ground: _Ground, communities: Communities, members: Members, accounts: Accounts) -> Retention:
    settings, database, clock = ground.settings, ground.database, ground.clock
    erasing = _erasing(ground)
    providers = dict(ground.registry.providers)
    # its folder may be there, although it isn't offered any more
    providers.setdefault(DemoProvider.name, _demo(settings, clock=clock))
    return Retention(
        database=database,
        erasing=erasing,
        departed=DepartedGuilds(
            database=database,
            communities=communities,
            members=members,
            accounts=accounts,
            erasing=erasing,
            # of the guilds of other shards their own process knows
            is_present=lambda id_: not ground.shards.have(id_) or ground.bot.get_guild(id_) is not None,
            keep_days=settings.keep_days,
            clock=clock,
            chance=_bits_of_ids,
        ),
        files=JobFiles(ground.folders.inputs, ground.folders.videos),
        exports=ground.folders.exports,
        providers=list(providers.values()),
        is_first=lambda: ground.leases.is_first,
        keep_days=settings.keep_days,
        clock=clock,
    )


def _demo(settings: Settings, *, clock: Clock) -> DemoProvider:
    return DemoProvider(folder=settings.data_dir / "demo", seconds=settings.demo_seconds, now=clock)


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


def make_providers(
    settings: Settings,
    *,
    clock: Clock,
    observer: Observer = UNOBSERVED,
    tally_of: Callable[[str], Tally | None] = _no_tally,
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
        providers.append(_demo(settings, clock=clock))
    return providers


def _trusted_hosts(settings: Settings, registry: Registry) -> frozenset[str]:
    """The hosts whose addresses may be private: those that the operator has named."""
    named = {host for provider in registry.providers.values() for host in provider.trusted_hosts}
    return frozenset(named | {urlsplit(settings.discord_api_url).hostname or ""})


async def _do_what_can_wait(app: App, stopped: asyncio.Event) -> None:
    """Once commands are answered: what would have kept them waiting."""
    await app.bot.wait_until_ready()
    await asyncio.to_thread(warm_up)
    await compare_catalogue(app.services.registry, stopped)


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


async def _check_books(database: Database) -> None:
    """Compare the accounts with something held with their entries; the operator hears of a difference."""
    for mismatch in await database.read(partial(ledger.mismatches, only_held=True)):
        log.error("an account differs from its entries: run `wanbot check`", account=mismatch.account_id)
