"""The composition root: opens everything, hands it on, closes it in order. Only here are classes chosen."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import structlog

from bot.client import WanBot
from bot.clock import Clock, system_clock
from bot.communities.decisions import Decisions
from bot.communities.member_keys import MemberKeys
from bot.communities.memory import Communities
from bot.credits.accounts import Accounts
from bot.credits.balances import Balances
from bot.credits.pricing import Pricing
from bot.database import remembered
from bot.database.engine import Database, open_database
from bot.database.migrate import migrate
from bot.delivery.places import place_of_job
from bot.delivery.presenter import DiscordPresenter
from bot.delivery.results import Results
from bot.delivery.threads import Threads
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
from bot.vendors import demo_of, make_providers, tallies, trusted_hosts
from providers.catalogue import MODELS
from providers.demo import DemoProvider
from providers.observing import UNOBSERVED
from providers.pixeldojo import PixelDojo
from providers.registry import Registry
from providers.transport import AiohttpTransport
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
        tally_of = await stack.enter_async_context(tallies(database, process))
        connect = partial(make_providers, clock=clock, observer=observer, tally_of=tally_of)
        registry = Registry.of(connect(settings), models)
        stack.push_async_callback(registry.close)
        # apart, so that a member's picture never waits for a long encoding
        image_workers, video_workers = MediaWorkers(count=1, time_limit=30), MediaWorkers(count=1)
        stack.push_async_callback(image_workers.close)
        stack.push_async_callback(video_workers.close)
        client = await stack.enter_async_context(
            httpx.AsyncClient(transport=AiohttpTransport(repeats=True), trust_env=False)
        )
        videos = Videos(workers=video_workers, client=client, trusted_hosts=trusted_hosts(settings, registry))
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
        holds=lambda: leases.holds,
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
    providers.setdefault(DemoProvider.name, demo_of(settings, clock=clock))
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
