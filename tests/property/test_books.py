"""Whatever happens in whatever order, the books add up: after every single step, on each database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any, Final, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, Executable, func, select
from sqlalchemy.exc import IntegrityError, NoResultFound

from bot.communities.member_keys import MemberKeys
from bot.communities.rules import Community
from bot.credits import ledger
from bot.credits.accounts import Accounts
from bot.credits.allowance import AllowanceRule, PeriodLength, period_at, refill
from bot.credits.ledger import Account, InsufficientCredits
from bot.database.engine import Database, open_database
from bot.database.tables import accounts, ledger_entries
from tests.clocks import Clock
from tests.property.reference import Period, Wallet, period_of

T = TypeVar("T")
_Numbers = dict[tuple[int, int], tuple[int, int, int]]

#: how many orders of events are tried, and of how many steps
EXAMPLES: Final = {"sqlite": 35, "postgres": 12}
STEPS: Final = 30

_MEMBERS = (1, 2)
_ROLES = (11, 12)
_KEYS = MemberKeys("a secret")
#: what a second resolution comes to, and one without a hold
_NOT_POSSIBLE = (IntegrityError, NoResultFound)
#: guilds, jobs and members of one run meet those of no other
_numbers = count(1)
_amounts = st.integers(0, 120)


@dataclass
class Held:
    """A job's hold, as it should be."""

    owner: tuple[int, int]
    amount: int
    from_allowance: int
    #: ``refused``; or ``held``, then ``settled`` or ``released``, then ``refunded``
    state: str = "held"


class Books(RuleBasedStateMachine):
    """Two guilds with two members each, and a model of them that knows nothing of SQL."""

    jobs: Bundle[str] = Bundle("jobs")

    def __init__(self, database: Database, runner: asyncio.Runner) -> None:
        super().__init__()
        self.database = database
        self.runner = runner
        self.clock = Clock()
        self.guilds = (next(_numbers), next(_numbers))
        self.expected = {(guild, member): Wallet() for guild in self.guilds for member in _MEMBERS}
        #: the best amount that each was seen with in a period, which is what it was given
        self.given: dict[tuple[int, int, Period], int] = {}
        self.holds: dict[str, Held] = {}

    # one member does the most, so that much happens to one account
    owners = st.sampled_from([(0, 1), (0, 1), (0, 1), (0, 2), (1, 1)])

    @initialize(amount=st.integers(20, 120), granted=st.integers(20, 120))
    def open_for_business(self, amount: int, granted: int) -> None:
        allowance = AllowanceRule(amount=amount, length=PeriodLength.WEEK)
        self.look_at_the_allowance(owner=(0, 1), allowance=allowance, role_amounts={}, roles=())
        self.grant(owner=(0, 1), amount=granted)

    @rule(days=st.integers(0, 40))
    def let_time_pass(self, days: int) -> None:
        self.clock.advance(timedelta(days=days).total_seconds())

    @rule(
        owner=owners,
        allowance=st.builds(
            AllowanceRule, amount=_amounts, length=st.sampled_from(PeriodLength), cap=st.none() | _amounts
        ),
        role_amounts=st.dictionaries(st.sampled_from(_ROLES), _amounts),
        roles=st.frozensets(st.sampled_from(_ROLES)),
    )
    def look_at_the_allowance(
        self,
        owner: tuple[int, int],
        allowance: AllowanceRule,
        role_amounts: Mapping[int, int],
        roles: Collection[int],
    ) -> None:
        guild_id, member = self.guilds[owner[0]], owner[1]
        community = Community(guild_id=guild_id, allowance=allowance, role_amounts=role_amounts)
        refilled = partial(Accounts(member_keys=_KEYS).refilled, community=community, user_id=member, role_ids=roles)
        given = self.write(partial(refilled, now=self.clock()))
        best = max([allowance.amount, *(amount for role, amount in role_amounts.items() if role in roles)])
        key = (guild_id, member, period_of(self.clock(), allowance.length))
        due = max(0, best - self.given.get(key, 0))
        self.given[key] = self.given.get(key, 0) + due
        self.account(owner).give_allowance(due, most=best if allowance.cap is None else allowance.cap)
        assert (given.available, given.held, given.allowance) == self.account(owner).numbers

    @rule(owner=owners)
    def forget(self, owner: tuple[int, int]) -> None:
        """Let the account be nobody's: what it held must be resolved, and what it was given is known by its key."""
        name, nobody = (self.guilds[owner[0]], owner[1]), -next(_numbers)
        work = partial(_forget, nobody=nobody, clock=self.clock)
        if self.account(owner).held:
            with pytest.raises(ValueError, match="still holds"):
                self.on_account(owner, work)
            return
        assert self.on_account(owner, work) == self.account(owner).available
        left = self.expected[name[0], nobody] = self.expected[name]
        left.take(left.available)
        self.expected[name] = Wallet()
        for hold in self.holds.values():
            if hold.owner == name:
                hold.owner = name[0], nobody

    @rule(owner=owners, amount=_amounts)
    def grant(self, owner: tuple[int, int], amount: int) -> None:
        self.on_account(owner, partial(_grant, amount=amount, clock=self.clock))
        self.account(owner).give(amount)

    @rule(owner=owners, amount=_amounts)
    def take(self, owner: tuple[int, int], amount: int) -> None:
        taken = self.on_account(owner, partial(_take, amount=amount, clock=self.clock))
        assert taken == self.account(owner).take(amount)

    @rule(target=jobs, owner=owners, amount=_amounts)
    def hold(self, owner: tuple[int, int], amount: int) -> str:
        """Held or refused, the job is drawn from later: what is drawn may not depend on who was faster before."""
        job_id = f"{next(_numbers)}"
        account = self.account(owner)
        work = partial(_hold, amount=amount, job_id=job_id, clock=self.clock)
        self.holds[job_id] = hold = Held((self.guilds[owner[0]], owner[1]), amount, 0, state="refused")
        with self.allowed(account.available >= amount, InsufficientCredits):
            self.on_account(owner, work)
            hold.from_allowance, hold.state = account.hold(amount), "held"
        return job_id

    @rule(job_id=jobs)
    def hold_again(self, job_id: str) -> None:
        guild_id, member = self.holds[job_id].owner
        if self.holds[job_id].state != "refused":
            with pytest.raises(IntegrityError):
                self.on_account(
                    (self.guilds.index(guild_id), member), partial(_hold, amount=0, job_id=job_id, clock=self.clock)
                )

    @rule(job_id=jobs)
    def settle(self, job_id: str) -> None:
        with self.allowed(self.holds[job_id].state == "held", _NOT_POSSIBLE):
            self.write(partial(ledger.settle, job_id=job_id, now=self.clock()))
            self.settled(job_id)

    @rule(job_id=jobs)
    def release(self, job_id: str) -> None:
        with self.allowed(self.holds[job_id].state == "held", _NOT_POSSIBLE):
            self.write(partial(ledger.release, job_id=job_id, now=self.clock()))
            self.released(job_id)

    @rule(job_id=jobs)
    def refund(self, job_id: str) -> None:
        with self.allowed(self.holds[job_id].state == "settled", _NOT_POSSIBLE):
            self.write(partial(ledger.refund, job_id=job_id, now=self.clock()))
            self.given_back(job_id, "refunded")

    @rule(job_id=jobs, settles=st.integers(1, 3), releases=st.integers(1, 3))
    def resolve_at_once(self, job_id: str, settles: int, releases: int) -> None:
        now = self.clock()
        steps = [partial(ledger.settle, job_id=job_id, now=now)] * settles
        steps += [partial(ledger.release, job_id=job_id, now=now)] * releases
        outcomes = self.write_at_once(steps)
        won = [number for number, outcome in enumerate(outcomes) if outcome is None]
        assert all(outcome is None or isinstance(outcome, _NOT_POSSIBLE) for outcome in outcomes)
        assert len(won) == (self.holds[job_id].state == "held")
        for number in won:
            (self.settled if number < settles else self.released)(job_id)

    @rule(owner=owners, amounts=st.lists(st.integers(1, 60), min_size=2, max_size=5))
    def hold_and_give_up(self, owner: tuple[int, int], amounts: list[int]) -> None:
        """Units that hold, settle, and then fail leave nothing."""

        def work(connection: Connection, account: Account, amount: int) -> None:
            ledger.grant(connection, account, amount, now=self.clock())
            account = ledger.locked(connection, account.id)
            job_id = f"{next(_numbers)}"
            ledger.hold(connection, account, amount, job_id=job_id, now=self.clock())
            ledger.settle(connection, job_id=job_id, now=self.clock())
            raise LookupError(job_id)

        units = [self.work_of(owner, partial(work, amount=amount)) for amount in amounts]
        assert all(isinstance(outcome, LookupError) for outcome in self.write_at_once(units))

    @invariant()
    def balances_are_what_they_should_be(self) -> None:
        found, sums = self.read(partial(_balances, guilds=self.guilds))
        expected = {owner: wallet.numbers for owner, wallet in self.expected.items() if owner in found}
        assert found == expected
        assert sums == found
        assert all(not any(self.expected[owner].numbers) for owner in self.expected.keys() - found.keys())
        assert all(number >= 0 for numbers in found.values() for number in numbers)
        assert all(allowance <= available for available, _, allowance in found.values())

    @invariant()
    def what_is_held_is_what_jobs_hold(self) -> None:
        for owner, wallet in self.expected.items():
            own = [hold.amount for hold in self.holds.values() if hold.owner == owner and hold.state == "held"]
            assert wallet.held == sum(own)

    def teardown(self) -> None:
        assert self.read(ledger.mismatches) == []

    def account(self, owner: tuple[int, int]) -> Wallet:
        return self.expected[self.guilds[owner[0]], owner[1]]

    def settled(self, job_id: str) -> None:
        hold = self.holds[job_id]
        hold.state = "settled"
        self.expected[hold.owner].settle(hold.amount)

    def released(self, job_id: str) -> None:
        self.settled(job_id)
        self.given_back(job_id, "released")

    def given_back(self, job_id: str, state: str) -> None:
        hold = self.holds[job_id]
        hold.state = state
        self.expected[hold.owner].give_back(hold.amount, hold.from_allowance)

    @contextmanager
    def allowed(self, is_allowed: bool, error: type[Exception] | tuple[type[Exception], ...]) -> Generator[None]:  # noqa: FBT001
        if is_allowed:
            yield
            return
        with pytest.raises(error):
            yield

    def work_of(self, owner: tuple[int, int], work: Callable[[Connection, Account], T]) -> Callable[[Connection], T]:
        guild_id, user_id = self.guilds[owner[0]], owner[1]
        return lambda connection: work(connection, ledger.account_of(connection, guild_id, user_id))

    def on_account(self, owner: tuple[int, int], work: Callable[[Connection, Account], T]) -> T:
        return self.write(self.work_of(owner, work))

    def write(self, work: Callable[[Connection], T]) -> T:
        return self.runner.run(self.database.write(work))

    def read(self, work: Callable[[Connection], T]) -> T:
        return self.runner.run(self.database.read(work))

    def write_at_once(self, works: list[Callable[[Connection], Any]]) -> list[object]:
        async def together() -> list[object]:
            return await asyncio.gather(*map(self.database.write, works), return_exceptions=True)

        return self.runner.run(together())


def _grant(connection: Connection, account: Account, *, amount: int, clock: Clock) -> None:
    ledger.grant(connection, account, amount, now=clock())


def _take(connection: Connection, account: Account, *, amount: int, clock: Clock) -> int:
    return ledger.take(connection, account, amount, now=clock())[1]


def _hold(connection: Connection, account: Account, *, amount: int, job_id: str, clock: Clock) -> None:
    ledger.hold(connection, account, amount, job_id=job_id, now=clock())


def _forget(connection: Connection, account: Account, *, nobody: int, clock: Clock) -> int:
    forfeited = ledger.forfeit(connection, account, now=clock())
    periods = [period_at(clock(), length) for length in PeriodLength]
    key = _KEYS.of(account.guild_id, account.user_id)
    ledger.remember_grants(connection, account, periods, member_key=key)
    ledger.make_nobodys(connection, account, nobody)
    return forfeited


def _balances(connection: Connection, *, guilds: tuple[int, int]) -> tuple[_Numbers, _Numbers]:
    """What the accounts say, and what their entries come to."""
    ours = accounts.c.guild_id.in_(guilds)
    entry = ledger_entries.c
    changes = (entry.available_change, entry.held_change, entry.allowance_change)
    sums = (func.coalesce(func.sum(change), 0) for change in changes)
    owner = (accounts.c.guild_id, accounts.c.user_id)
    summed = select(*owner, *sums).outerjoin_from(accounts, ledger_entries).where(ours).group_by(*owner)
    recorded = select(*owner, accounts.c.available, accounts.c.held, accounts.c.allowance).where(ours)
    return _by_owner(connection, recorded), _by_owner(connection, summed)


def _by_owner(connection: Connection, query: Executable) -> _Numbers:
    rows = [[int(number) for number in row] for row in connection.execute(query)]
    return {(guild, member): (available, held, allowance) for guild, member, available, held, allowance in rows}


def test_the_books_add_up_after_every_step(database_url: str, backend: str) -> None:
    chosen = settings(
        max_examples=EXAMPLES[backend],
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
        database=None,
    )
    with asyncio.Runner() as runner:
        database = open_database(database_url)

        class BooksHere(Books):
            def __init__(self) -> None:
                super().__init__(database, runner)

        run_state_machine_as_test(BooksHere, settings=chosen)
        runner.run(database.close())


@given(amount=_amounts, cap=st.none() | _amounts, granted=st.integers(0, 200), available=st.integers(0, 200))
def test_a_refill_gives_what_is_owed_and_lets_pile_up_no_more_than_the_cap(
    amount: int, cap: int | None, granted: int, available: int
) -> None:
    rule = AllowanceRule(amount=amount, length=PeriodLength.DAY, cap=cap)
    due = refill(rule, granted=granted, available_allowance=available)
    assert granted + due.grant == max(granted, amount)
    after = available + due.grant - due.expire
    assert after >= 0
    assert after == available if not due.is_due else after == min(available + due.grant, rule.limit)
    again = refill(rule, granted=granted + due.grant, available_allowance=after)
    assert (again.grant, again.expire) == (0, 0)
