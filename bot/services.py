"""What the cogs work with, in one frozen bundle on the bot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bot.clock import Clock
from bot.communities.decisions import Decisions
from bot.communities.memory import Communities
from bot.credits.balances import Balances
from bot.credits.pricing import Pricing
from bot.database.engine import Database
from bot.delivery.presenter import DiscordPresenter
from bot.delivery.results import Results
from bot.jobs.cancelling import Cancelling
from bot.jobs.choosing import Chooser
from bot.jobs.durations import Durations
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
from bot.members.memory import Members
from bot.privacy.exports import Exports
from bot.privacy.forgetting import Forgetting
from bot.privacy.retention import Retention
from providers.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Made by ``bot.app``; the cogs make nothing themselves."""

    database: Database
    communities: Communities
    members: Members
    registry: Registry
    pauses: Pauses
    requests: Requests
    cancelling: Cancelling
    decisions: Decisions
    balances: Balances
    chooser: Chooser
    pricing: Pricing
    presenter: DiscordPresenter
    results: Results
    worker: Worker
    durations: Durations
    latecomers: Latecomers
    leaving: Leaving
    orders: Orders
    leases: Leases
    takeover: Takeover
    forgetting: Forgetting
    exports: Exports
    retention: Retention
    images: Images
    charts: Charts
    videos: Videos
    sheets: Sheets
    #: the members' pictures, by job
    inputs_folder: Path
    #: the finished videos
    videos_folder: Path
    #: days; for communities that haven't decided
    keep_days: int
    clock: Clock
