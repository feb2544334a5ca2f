"""The economy as it should be, in plain numbers: it shares no arithmetic with the bot, and knows nothing of SQL."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final

#: its length, and its first day
Period = tuple[str, date]

#: how many videos of one member may wait
_MOST_WAITING: Final = 20
_OPEN: Final = frozenset({"queued", "submitting", "running", "delivering"})


class Why(StrEnum):
    """Why an ask is refused, in words that its answer holds."""

    BLOCKED = "have blocked you"
    WAITING = "waiting already"
    MEMBER_VIDEOS = "You have made your"
    GUILD_VIDEOS = "This community has made its"
    BUDGET = "This community's budget"
    CREDITS = "This costs"


def period_of(now: datetime, length: str) -> Period:
    """The day, the week from Monday, or the month that an instant lies in."""
    today = now.date()
    first = {
        "day": today,
        "week": today - timedelta(days=today.isoweekday() - 1),
        "month": today.replace(day=1),
    }
    return length, first[length]


def start_of(period: Period) -> datetime:
    """The first instant of a period."""
    first = period[1]
    return datetime(first.year, first.month, first.day, tzinfo=UTC)


@dataclass
class Wallet:
    """An account."""

    available: int = 0
    held: int = 0
    allowance: int = 0

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Available, held, allowance."""
        return self.available, self.held, self.allowance

    def give(self, amount: int) -> int:
        """Beside the allowance; gives how much that was."""
        self.available += amount
        return amount

    def give_allowance(self, due: int, *, most: int) -> None:
        """Add to the allowance, of which no more than ``most`` stays when there is anything to add."""
        if due:
            kept = min(self.allowance + due, most)
            self.available += kept - self.allowance
            self.allowance = kept

    def take(self, amount: int) -> int:
        """Take what is there, the allowance last; gives how much that was."""
        taken = min(amount, self.available)
        self.available -= taken
        self.allowance = min(self.allowance, self.available)
        return taken

    def hold(self, amount: int) -> int:
        """Set aside; gives how much of it came from the allowance."""
        from_allowance = min(amount, self.allowance)
        self.available -= amount
        self.held += amount
        self.allowance -= from_allowance
        return from_allowance

    def settle(self, amount: int) -> None:
        """Spend what was held."""
        self.held -= amount

    def give_back(self, amount: int, from_allowance: int) -> None:
        """Undo what a hold took from what is available."""
        self.available += amount
        self.allowance += from_allowance


@dataclass
class Video:
    """A job."""

    owner: int
    price: int
    from_allowance: int
    asked_at: datetime
    state: str = "queued"
    is_refunded: bool = False

    @property
    def is_open(self) -> bool:
        return self.state in _OPEN

    @property
    def counts(self) -> bool:
        """Whether it is one of the period's videos: it is paid for, or may still be."""
        return (self.is_open or self.state == "succeeded") and not self.is_refunded


@dataclass
class Guild:
    """The rules of a guild, and everything that its members have."""

    amount: int = 0
    #: ``day``, ``week``, ``month``
    length: str = "week"
    #: None: one amount
    cap: int | None = None
    role_amounts: dict[int, int] = field(default_factory=dict[int, int])
    price: int = 1
    budget: int | None = None
    member_videos: int | None = None
    guild_videos: int | None = None
    blocked: set[int] = field(default_factory=set[int])
    #: of whom the audit tells
    mentioned: set[int] = field(default_factory=set[int])
    #: by owner: a member, or what its account is called since the member was deleted
    wallets: dict[int, Wallet] = field(default_factory=dict[int, Wallet])
    videos: dict[str, Video] = field(default_factory=dict[str, Video])
    #: the best amount that a member was seen with in a period, which is what it was given; outlives a deletion
    given: dict[tuple[int, Period], int] = field(default_factory=dict[tuple[int, Period], int])

    def amount_for(self, roles: Collection[int]) -> int:
        """What a member with these roles receives: the best."""
        return max(self.amount, *(self.role_amounts.get(role, 0) for role in roles), 0)

    def wallet(self, owner: int) -> Wallet:
        """Found, or opened."""
        return self.wallets.setdefault(owner, Wallet())

    def refill(self, member: int, roles: Collection[int], now: datetime) -> Wallet:
        """Give what the present period owes."""
        wallet = self.wallet(member)
        due, most = self._due(member, roles, now)
        wallet.give_allowance(due, most=most)
        key = member, period_of(now, self.length)
        self.given[key] = self.given.get(key, 0) + due
        return wallet

    def why_not(self, member: int, roles: Collection[int], price: int, now: datetime) -> Why | None:
        """Why the member can't have a video at this price; changes nothing."""
        if member in self.blocked:
            return Why.BLOCKED
        own = [video for video in self.videos.values() if video.owner == member]
        if sum(video.state == "queued" for video in own) >= _MOST_WAITING:
            return Why.WAITING
        since = start_of(period_of(now, self.length))
        counted = [video for video in self.videos.values() if video.counts and video.asked_at >= since]
        if self.member_videos is not None and sum(each.owner == member for each in counted) >= self.member_videos:
            return Why.MEMBER_VIDEOS
        if self.guild_videos is not None and len(counted) >= self.guild_videos:
            return Why.GUILD_VIDEOS
        if price and self.budget is not None and sum(each.price for each in counted) + price > self.budget:
            return Why.BUDGET
        wallet = replace(self.wallets.get(member, Wallet()))
        due, most = self._due(member, roles, now)
        wallet.give_allowance(due, most=most)
        return None if wallet.available >= price else Why.CREDITS

    def accept(self, job_id: str, member: int, roles: Collection[int], price: int, now: datetime) -> None:
        """Hold the price of a new video."""
        from_allowance = self.refill(member, roles, now).hold(price)
        self.videos[job_id] = Video(member, price, from_allowance, now)

    def move(self, job_id: str, state: str) -> None:
        """Bring a video into another state, and pay or give back at its end."""
        video = self.videos[job_id]
        video.state = state
        if video.is_open:
            return
        self.wallets[video.owner].settle(video.price)
        if state != "succeeded":
            self.wallets[video.owner].give_back(video.price, video.from_allowance)

    def refund(self, job_id: str) -> None:
        """Give back what a posted video has cost."""
        video = self.videos[job_id]
        video.is_refunded = True
        self.wallets[video.owner].give_back(video.price, video.from_allowance)

    def why_not_forget(self, member: int) -> str | None:
        """Why the member can't be deleted, in words that the answer holds."""
        if any(video.is_open and video.owner == member for video in self.videos.values()):
            return "under way"
        return None if member in self.wallets or member in self.mentioned else "Nothing is kept"

    def forget(self, member: int, *, left_as: int) -> int:
        """Delete a member, whose account and videos are called something else from now on; gives what that cost."""
        self.mentioned.discard(member)
        for video in self.videos.values():
            if video.owner == member:
                video.owner = left_as
        if member not in self.wallets:
            return 0
        wallet = self.wallets[left_as] = self.wallets.pop(member)
        return wallet.take(wallet.available)

    def _due(self, member: int, roles: Collection[int], now: datetime) -> tuple[int, int]:
        """What the period still owes, and how much of the allowance may be available."""
        amount = self.amount_for(roles)
        given = self.given.get((member, period_of(now, self.length)), 0)
        return max(0, amount - given), amount if self.cap is None else self.cap
