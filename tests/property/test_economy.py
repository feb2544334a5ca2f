"""Whatever members ask, moderators decide and jobs come to, in whatever order: after every single step the database
holds what the reference says, and nothing has changed where nothing was done.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError, NoResultFound

from bot.communities.decisions import Change, Member
from bot.communities.rules import Limits
from bot.credits import ledger
from bot.credits.allowance import AllowanceRule, PeriodLength
from bot.credits.balances import Statement
from bot.credits.pricing import PriceRule
from bot.database.tables import audit, ledger_entries
from bot.errors import AlreadyAccepted, Refusal
from bot.jobs import store
from bot.jobs.job import Job, State
from bot.jobs.lifecycle import ALLOWED
from bot.jobs.store import JobMoved
from tests.clocks import NOON, Clock
from tests.property.offices import MODEL, Office, open_office, step_to
from tests.property.pictures import Picture, picture_of
from tests.property.reference import Guild, Period, Why, period_of, start_of

T = TypeVar("T")

#: how many orders of events are tried, and of how many steps
EXAMPLES: Final = {"sqlite": 40, "postgres": 15}
STEPS: Final = 40

_GUILDS: Final = (0, 1)
_ROLES: Final = (11, 12)
_WAY: Final = (State.QUEUED, State.SUBMITTING, State.RUNNING, State.DELIVERING, State.SUCCEEDED)
#: guilds of one run meet those of no other
_guild_ids = count(1001)


@dataclass(frozen=True)
class Asker:
    """A member of a guild, with the roles of the moment."""

    guild: int
    member: int
    roles: Collection[int] = ()


@dataclass(frozen=True)
class Asked:
    """The jobs, by guild, that came of an ask; none when it was refused.

    Refused or not, an ask is drawn from later: on PostgreSQL chance decides which of two comes first, and what
    hypothesis draws may not depend on that.
    """

    jobs: Sequence[tuple[int, str]]


@dataclass(frozen=True)
class Accepted:
    """A job, and the budget that it had to fit into."""

    job_id: str
    period: Period
    budget: int | None


class Economy(RuleBasedStateMachine):
    """Two guilds with the same members and roles, which must notice nothing of each other."""

    asks: Bundle[Asked] = Bundle("asks")

    # one guild and one member do the most, so that much happens to one account
    guild_numbers = st.sampled_from([0, 0, 0, 1])
    members = st.sampled_from([1, 1, 2, 3])
    roles = st.frozensets(st.sampled_from(_ROLES))
    askers = st.builds(Asker, guild_numbers, members, roles)
    amounts = st.integers(0, 60)
    prices = st.sampled_from([10, 10, 10, 7, 25, 0])
    lengths = st.sampled_from([PeriodLength.WEEK, PeriodLength.WEEK, PeriodLength.DAY, PeriodLength.MONTH])
    most_credits = st.none() | st.sampled_from(range(0, 121, 5))
    most_videos = st.none() | st.integers(1, 4)

    def __init__(self, office: Office, runner: asyncio.Runner) -> None:
        super().__init__()
        self.office, self.runner = office, runner
        self.decisions, self.database = office.services.decisions, office.services.database
        self.clock = office.clock
        self.clock.now = NOON
        self.ids = next(_guild_ids), next(_guild_ids)
        self.guilds = Guild(), Guild()
        #: where the step under way may change something
        self.touched: set[int] = set()
        self.pictures = self.read(partial(_pictures, guild_ids=self.ids))
        #: by guild, in this order
        self.accepted: tuple[list[Accepted], list[Accepted]] = [], []
        #: whose an account is, or was
        self.members_of: dict[int, int] = {}
        #: what members were given of their allowance, as the entries tell
        self.paid = Counter[tuple[int, Period]](), Counter[tuple[int, Period]]()

    @initialize(
        amount=st.integers(20, 60),
        length=lengths,
        role_amount=amounts,
        price=prices,
        most=st.tuples(most_credits, most_videos, most_videos),
    )
    def open_for_business(
        self,
        amount: int,
        length: PeriodLength,
        role_amount: int,
        price: int,
        most: tuple[int | None, int | None, int | None],
    ) -> None:
        for guild in _GUILDS:
            self.set_price(guild=guild, price=price)
            self.set_allowance(guild=guild, amount=amount, length=length, cap=None)
            self.set_role_amount(guild=guild, role=_ROLES[0], amount=role_amount)
            self.set_limits(guild, *most)
            self.book(asker=Asker(guild, 1), amount=40, takes=False, times=1)

    @rule(hours=st.sampled_from([1, 12, 24, 24 * 3, 24 * 7, 24 * 31]))
    def let_time_pass(self, hours: int) -> None:
        self.clock.advance(timedelta(hours=hours).total_seconds())
        self.touched.update(_GUILDS)
        # what was kept for long enough is deleted
        self.run(self.office.services.retention.run_once())

    # --- members ---------------------------------------------------------------------------------

    @rule(
        target=asks,
        guilds=st.sampled_from([(0,), (0,), (1,), (0, 1)]),
        member=members,
        roles=roles,
        times=st.sampled_from([1, 1, 2, 5]),
        end=st.sampled_from([None, State.FAILED, State.SUCCEEDED, State.SUCCEEDED]),
        is_refunded=st.booleans(),
    )
    def ask(
        self,
        guilds: Collection[int],
        member: int,
        roles: Collection[int],
        *,
        times: int,
        end: State | None,
        is_refunded: bool,
    ) -> Asked:
        """The same, so many times at once; perhaps wait for the end; perhaps it is given back."""
        asks = [self.office.ask(self.ids[guild], member, roles) for guild in guilds for _ in range(times)]
        outcomes = self.at_once(asks)
        new: list[tuple[int, str]] = []
        for number, guild in enumerate(guilds):
            came = outcomes[number * times : (number + 1) * times]
            new += self.taken(Asker(guild, member, roles), self.guilds[guild].price, came)
        asked = Asked(new)
        if end is not None:
            self.finish(asked, end)
        if is_refunded:
            self.refund(asked)
        return asked

    @rule(asker=askers, times=st.integers(1, 3))
    def look_at_the_balance(self, asker: Asker, times: int) -> None:
        """So many times at once."""
        guild, guild_id = self.guilds[asker.guild], self.ids[asker.guild]
        balances = self.office.services.balances
        outcomes = self.at_once([balances.of(guild_id, asker.member, asker.roles) for _ in range(times)])
        self.touched.add(asker.guild)
        wallet = guild.refill(asker.member, asker.roles, self.clock())
        since = start_of(period_of(self.clock(), guild.length))
        for seen in outcomes:
            assert isinstance(seen, Statement)
            self.members_of[seen.account.id] = asker.member
            assert (seen.account.available, seen.account.held, seen.account.allowance) == wallet.numbers
            assert seen.rule.amount == guild.amount_for(asker.roles)
            assert seen.opening == self.available_before(asker.guild, seen.account.id, since)

    @rule(asker=askers, returns=st.lists(roles, max_size=3))
    def forget(self, asker: Asker, returns: Sequence[Collection[int]]) -> None:
        """Delete everything that is kept of a member, again each time that the member comes back."""
        self.delete(asker)
        for roles in returns:
            self.look_at_the_balance(replace(asker, roles=roles), times=1)
            self.delete(asker)

    # --- jobs ------------------------------------------------------------------------------------

    @rule(asked=asks, end=st.sampled_from([State.SUCCEEDED, State.SUCCEEDED, State.FAILED]))
    def finish(self, asked: Asked, end: State) -> None:
        for guild, job_id in asked.jobs:
            video = self.guilds[guild].videos[job_id]
            if video.is_open:
                states = [*_WAY[_WAY.index(State(video.state)) + 1 : -1], end]
                self.touched.add(guild)
                self.write(partial(_moved, job_id=job_id, states=states, now=self.clock()))
                self.guilds[guild].move(job_id, end)

    @rule(asked=asks, choices=st.lists(st.integers(0, 5), min_size=1, max_size=3))
    def move_at_once(self, asked: Asked, choices: list[int]) -> None:
        """Of those who all know the same state of a job, one may go on."""
        for guild, job_id in asked.jobs[:1]:
            known = self.read(partial(store.load, job_id=job_id))
            assert known is not None
            possible = [*sorted(ALLOWED.get(known.state, ())), State.SUCCEEDED]
            steps = [possible[choice % len(possible)] for choice in choices]
            moves = [partial(store.move, job=known, step=step_to(state), now=self.clock()) for state in steps]
            outcomes = self.at_once(list(map(self.database.write, moves)))
            won = [outcome for outcome in outcomes if isinstance(outcome, Job)]
            assert all(isinstance(outcome, Job | JobMoved) for outcome in outcomes)
            assert len(won) == any(state in ALLOWED.get(known.state, ()) for state in steps)
            for each in won:
                self.touched.add(guild)
                self.guilds[guild].move(job_id, each.state)

    @rule(asked=asks)
    def refund(self, asked: Asked) -> None:
        for guild, job_id in asked.jobs[:1]:
            video = self.guilds[guild].videos[job_id]
            work = partial(ledger.refund, job_id=job_id, now=self.clock())
            if video.state == State.SUCCEEDED and not video.is_refunded:
                self.touched.add(guild)
                self.write(work)
                self.guilds[guild].refund(job_id)
            else:
                with pytest.raises((IntegrityError, NoResultFound)):
                    self.write(work)

    # --- moderators ------------------------------------------------------------------------------

    @rule(asker=askers, amount=amounts, takes=st.booleans(), times=st.integers(1, 3))
    def book(self, asker: Asker, amount: int, *, takes: bool, times: int) -> None:
        """In one interaction that arrives so many times at once."""
        guild, actor = self.guilds[asker.guild], self.office.actor(self.ids[asker.guild])
        book = self.decisions.revoke if takes else self.decisions.grant
        about = Member(user_id=asker.member, role_ids=asker.roles)
        outcomes = self.at_once([book(actor, about, amount, "") for _ in range(times)])
        self.touched.add(asker.guild)
        guild.mentioned.add(asker.member)
        wallet = guild.refill(asker.member, asker.roles, self.clock())
        change = -wallet.take(amount) if takes else wallet.give(amount)
        assert [outcome.amount for outcome in outcomes if isinstance(outcome, Change)] == [change]
        refusals = [outcome.text for outcome in outcomes if isinstance(outcome, Refusal)]
        assert len(refusals) == times - 1
        assert all("was done already" in text for text in refusals)

    def set_allowance(self, guild: int, amount: int, length: PeriodLength, cap: int | None) -> None:
        rules = self.guilds[guild]
        why = "**cap**" if cap is not None and cap < max([amount, *rules.role_amounts.values()]) else None
        allowance = AllowanceRule(amount=amount, length=length, cap=cap)
        if self.decided(guild, self.decisions.set_allowance(self.office.actor(self.ids[guild]), allowance), why):
            rules.amount, rules.length, rules.cap = amount, length, cap

    def set_role_amount(self, guild: int, role: int, amount: int | None) -> None:
        rules = self.guilds[guild]
        why = "**amount**" if rules.cap is not None and rules.cap < (amount or 0) else None
        if self.decided(guild, self.decisions.set_role_amount(self.office.actor(self.ids[guild]), role, amount), why):
            rules.role_amounts.pop(role, None)
            if amount is not None:
                rules.role_amounts[role] = amount

    def set_limits(
        self, guild: int, budget: int | None = None, member_videos: int | None = None, guild_videos: int | None = None
    ) -> None:
        def change(limits: Limits) -> Limits:
            return replace(
                limits, guild_budget=budget, member_period_jobs=member_videos, guild_period_jobs=guild_videos
            )

        self.decided(guild, self.decisions.set_limits(self.office.actor(self.ids[guild]), change))
        rules = self.guilds[guild]
        rules.budget, rules.member_videos, rules.guild_videos = budget, member_videos, guild_videos

    def set_price(self, guild: int, price: int) -> None:
        self.decided(
            guild, self.decisions.price_model(self.office.actor(self.ids[guild]), MODEL, PriceRule(credits=price))
        )
        self.guilds[guild].price = price

    def block(self, guild: int, member: int) -> None:
        self.decided(guild, self.decisions.block_member(self.office.actor(self.ids[guild]), member, "rude"))
        self.guilds[guild].blocked.add(member)
        self.guilds[guild].mentioned.add(member)

    def unblock(self, guild: int, member: int) -> None:
        self.decided(guild, self.decisions.unblock_member(self.office.actor(self.ids[guild]), member))
        self.guilds[guild].blocked.discard(member)
        self.guilds[guild].mentioned.add(member)

    choices = st.one_of(
        st.builds(partial, st.just(set_allowance), amount=amounts, length=lengths, cap=most_credits),
        st.builds(partial, st.just(set_role_amount), role=st.sampled_from(_ROLES), amount=st.none() | amounts),
        st.builds(partial, st.just(set_limits), budget=most_credits),
        st.builds(partial, st.just(set_limits), member_videos=most_videos, guild_videos=most_videos),
        st.builds(partial, st.just(set_price), price=prices),
        st.builds(partial, st.just(block), member=members),
        st.builds(partial, st.just(unblock), member=members),
    )

    @rule(guild=guild_numbers, choice=choices)
    def decide(self, guild: int, choice: Callable[..., None]) -> None:
        choice(self, guild=guild)

    @rule(target=asks, asker=askers, choice=choices, hours=st.sampled_from([0, 0, 24]), times=st.sampled_from([1, 3]))
    def decide_between(self, asker: Asker, choice: Callable[..., None], *, hours: int, times: int) -> Asked:
        """After a request was prepared, and before it arrives, perhaps more than once."""
        guild = self.guilds[asker.guild]
        why = Why.BLOCKED if asker.member in guild.blocked else None
        prepared = self.outcome(self.office.prepare(self.ids[asker.guild], asker.member, asker.roles), why)
        choice(self, guild=asker.guild)
        if hours:
            self.let_time_pass(hours)
        if prepared is None:
            return Asked(())
        outcomes = self.at_once([self.office.accept(prepared) for _ in range(times)])
        again = [each for each in outcomes if isinstance(each, AlreadyAccepted)]
        new = self.taken(asker, prepared.quote, [each for each in outcomes if each not in again])
        assert len(again) == (times - 1 if new else 0)
        assert all(each.job.id == prepared.job_id for each in again)
        return Asked(new)

    # --- what always holds -----------------------------------------------------------------------

    @invariant()
    def the_database_holds_what_the_reference_says(self) -> None:
        before, self.pictures = self.pictures, self.read(partial(_pictures, guild_ids=self.ids))
        touched, self.touched = self.touched, set()
        for guild in _GUILDS:
            if guild not in touched:
                assert self.pictures[guild] == before[guild]
            else:
                self.accounts_are_right(guild)
                self.videos_are_right(guild)
                self.nothing_is_given_twice(guild, known={entry.id for entry in before[guild]["ledger_entries"]})
                self.budgets_are_kept(guild)

    def accounts_are_right(self, guild: int) -> None:
        sums = {account.id: (0, 0, 0) for account in self.pictures[guild]["accounts"]}
        for entry in self.pictures[guild]["ledger_entries"]:
            available, held, allowance = sums[entry.account_id]
            changes = entry.available_change, entry.held_change, entry.allowance_change
            sums[entry.account_id] = available + changes[0], held + changes[1], allowance + changes[2]
        for account in self.pictures[guild]["accounts"]:
            assert (account.available, account.held, account.allowance) == sums[account.id]
            assert account.held >= 0
            assert 0 <= account.allowance <= account.available
        found = {account.user_id: sums[account.id] for account in self.pictures[guild]["accounts"]}
        assert found == {owner: wallet.numbers for owner, wallet in self.guilds[guild].wallets.items()}

    def videos_are_right(self, guild: int) -> None:
        found = {job.id: (job.user_id, job.state, job.quote) for job in self.pictures[guild]["jobs"]}
        videos = self.guilds[guild].videos
        assert found == {job_id: (video.owner, video.state, video.price) for job_id, video in videos.items()}

    def nothing_is_given_twice(self, guild: int, *, known: set[int]) -> None:
        """Not more than the best amount that a member was seen with in the period, deleted meanwhile or not."""
        accounts = self.pictures[guild]["accounts"]
        self.members_of |= {account.id: account.user_id for account in accounts if account.user_id > 0}
        for entry in self.pictures[guild]["ledger_entries"]:
            if entry.id not in known and entry.kind == "grant":
                period = period_of(entry.created_at, self.guilds[guild].length)
                self.paid[guild][self.members_of[entry.account_id], period] += entry.allowance_change
        assert +self.paid[guild] == +Counter(self.guilds[guild].given)

    def budgets_are_kept(self, guild: int) -> None:
        """By all that was accepted in the period until then: held and spent, less what came back."""
        spent = Counter[str]()
        for entry in self.pictures[guild]["ledger_entries"]:
            spent[entry.job_id] -= entry.available_change
        asked_at = {job.id: job.created_at for job in self.pictures[guild]["jobs"]}
        quotes = {job.id: job.quote for job in self.pictures[guild]["jobs"]}
        for number, accepted in enumerate(self.accepted[guild], 1):
            # a free video is in every budget, also in one that was spent before it was set
            if accepted.budget is not None and quotes[accepted.job_id]:
                since = start_of(accepted.period)
                earlier = [each.job_id for each in self.accepted[guild][:number]]
                assert sum(spent[job_id] for job_id in earlier if asked_at[job_id] >= since) <= accepted.budget

    def teardown(self) -> None:
        assert self.read(ledger.mismatches) == []

    # --- how -------------------------------------------------------------------------------------

    def taken(self, asker: Asker, price: int, outcomes: Sequence[Job | BaseException]) -> list[tuple[int, str]]:
        """Compare what the same wish came to, so many times at once: first it is accepted, then refused."""
        guild, now = self.guilds[asker.guild], self.clock()
        accepted = self.read(partial(_in_order, job_ids=[each.id for each in outcomes if isinstance(each, Job)]))
        for job_id in accepted:
            assert guild.why_not(asker.member, asker.roles, price, now) is None
            guild.accept(job_id, asker.member, asker.roles, price, now)
            self.accepted[asker.guild].append(Accepted(job_id, period_of(now, guild.length), guild.budget))
            self.touched.add(asker.guild)
        for outcome in outcomes:
            if not isinstance(outcome, Job):
                why = guild.why_not(asker.member, asker.roles, price, now)
                assert isinstance(outcome, Refusal)
                assert why is not None
                assert why in outcome.text
        return [(asker.guild, job_id) for job_id in accepted]

    def delete(self, asker: Asker) -> None:
        guild, guild_id = self.guilds[asker.guild], self.ids[asker.guild]
        why = guild.why_not_forget(asker.member)
        forfeited = self.outcome(self.office.services.forgetting.forget(guild_id, asker.member), why)
        if forfeited is not None:
            self.touched.add(asker.guild)
            nobody = self.read(partial(_latest_nobody, guild_id=guild_id))
            assert forfeited == guild.forget(asker.member, left_as=nobody)

    def decided(self, guild: int, deciding: Coroutine[Any, Any, Change], why: str | None = None) -> Change | None:
        """Decide; None: refused, as it must be."""
        if why is None:
            self.touched.add(guild)
        return self.outcome(deciding, why)

    def outcome(self, doing: Coroutine[Any, Any, T], why: str | None) -> T | None:
        """Do it, or see it refused in these words."""
        if why is None:
            return self.run(doing)
        with pytest.raises(Refusal) as refusal:
            self.run(doing)
        assert why in refusal.value.text
        return None

    def available_before(self, guild: int, account_id: int, since: datetime) -> int:
        return sum(
            entry.available_change
            for entry in self.pictures[guild]["ledger_entries"]
            if entry.account_id == account_id and entry.created_at < since
        )

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(doing)

    def write(self, work: Callable[[Connection], T]) -> T:
        return self.run(self.database.write(work))

    def read(self, work: Callable[[Connection], T]) -> T:
        return self.run(self.database.read(work))

    def at_once(self, doings: Sequence[Awaitable[T]]) -> list[T | BaseException]:
        async def together() -> list[T | BaseException]:
            return await asyncio.gather(*doings, return_exceptions=True)

        return self.run(together())


def _moved(connection: Connection, *, job_id: str, states: Sequence[State], now: datetime) -> None:
    job = store.load(connection, job_id)
    assert job is not None
    for state in states:
        job = store.move(connection, job, step_to(state), now=now)


def _in_order(connection: Connection, *, job_ids: Sequence[str]) -> Sequence[str]:
    """The jobs in the order in which they were accepted, which is that in which they used up the allowance."""
    entry = ledger_entries.c
    holds = select(entry.job_id).where(entry.job_id.in_(job_ids), entry.kind == "hold").order_by(entry.id)
    return connection.execute(holds).scalars().all()


def _pictures(connection: Connection, *, guild_ids: Sequence[int]) -> list[Picture]:
    return [picture_of(connection, guild_id) for guild_id in guild_ids]


def _latest_nobody(connection: Connection, *, guild_id: int) -> int:
    """What was put in place of the member that was deleted last."""
    deeds = select(audit.c.actor_id).where(audit.c.guild_id == guild_id, audit.c.action == "members.forget")
    return connection.execute(deeds.order_by(audit.c.id.desc()).limit(1)).scalar_one()


# to make a failure small takes minutes
@pytest.mark.timeout(600)
def test_the_economy_is_right_after_every_step(database_url: str, backend: str, tmp_path: Path, clock: Clock) -> None:
    chosen = settings(
        max_examples=EXAMPLES[backend],
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        database=None,
        # explaining a failure takes minutes, and says little here
        phases=[Phase.generate, Phase.shrink],
    )
    with asyncio.Runner() as runner:
        opening = open_office(database_url, tmp_path, clock)
        office = runner.run(opening.__aenter__())

        class EconomyHere(Economy):
            def __init__(self) -> None:
                super().__init__(office, runner)

        try:
            run_state_machine_as_test(EconomyHere, settings=chosen)
        finally:
            runner.run(opening.__aexit__(None, None, None))
