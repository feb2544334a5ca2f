"""Whatever happens in whatever order, the books add up: after every single step, on each database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import IntegrityError, NoResultFound

from bot.credits import ledger
from bot.credits.allowance import AllowanceRule, PeriodLength, period_at, refill
from bot.credits.ledger import Account, InsufficientCredits
from bot.database.engine import Database, open_database
from bot.database.tables import accounts, ledger_entries
from tests.clocks import Clock

T = TypeVar("T")

_MEMBERS = (1, 2)
#: guilds, jobs and members of one run meet those of no other
_numbers = count(1)
_amounts = st.integers(0, 120)


@dataclass
class Held:
    """A job's hold, as it should be."""

    owner: tuple[int, int]
    amount: int
    from_allowance: int
    #: ``held``, then ``settled`` or ``released``, then ``refunded``
    state: str = "held"


@dataclass
class Expected:
    """An account, as it should be."""

    available: int = 0
    held: int = 0
    allowance: int = 0
    granted: dict[str, int] = field(default_factory=dict[str, int])


class Books(RuleBasedStateMachine):
    """Two guilds with two members each, and a model of them that knows nothing of SQL."""

    database: ClassVar[Database]
    runner: ClassVar[asyncio.Runner]
    jobs: Bundle[str] = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.guilds = (next(_numbers), next(_numbers))
        self.expected = {(guild, member): Expected() for guild in self.guilds for member in _MEMBERS}
        self.holds: dict[str, Held] = {}

    owners = st.tuples(st.integers(0, 1), st.sampled_from(_MEMBERS))

    @rule(days=st.integers(0, 40))
    def let_time_pass(self, days: int) -> None:
        self.clock.advance(timedelta(days=days).total_seconds())

    @rule(owner=owners, amount=_amounts, length=st.sampled_from(PeriodLength), cap=st.none() | _amounts)
    def look_at_the_allowance(self, owner: tuple[int, int], amount: int, length: PeriodLength, cap: int | None) -> None:
        period = period_at(self.clock(), length)
        allowance = AllowanceRule(amount=amount, length=length, cap=cap)

        def work(connection: Connection, account: Account) -> Account:
            return ledger.give_allowance(connection, account, allowance, period, now=self.clock())

        given = self.on_account(owner, work)
        account = self.account(owner)
        due = max(0, amount - account.granted.get(period.key, 0))
        if due:
            account.granted[period.key] = account.granted.get(period.key, 0) + due
            kept = min(account.allowance + due, amount if cap is None else cap)
            account.available += kept - account.allowance
            account.allowance = kept
        assert (given.available, given.held, given.allowance) == astuple(account)[:3]

    @rule(owner=owners, amount=_amounts)
    def grant(self, owner: tuple[int, int], amount: int) -> None:
        self.on_account(owner, partial(_grant, amount=amount, clock=self.clock))
        self.account(owner).available += amount

    @rule(owner=owners, amount=_amounts)
    def take(self, owner: tuple[int, int], amount: int) -> None:
        taken = self.on_account(owner, partial(_take, amount=amount, clock=self.clock))
        account = self.account(owner)
        assert taken == min(amount, account.available)
        account.available -= taken
        account.allowance = min(account.allowance, account.available)

    @rule(target=jobs, owner=owners, amount=_amounts)
    def hold(self, owner: tuple[int, int], amount: int) -> Any:
        job_id = f"{next(_numbers)}"
        account = self.account(owner)
        work = partial(_hold, amount=amount, job_id=job_id, clock=self.clock)
        if account.available < amount:
            with pytest.raises(InsufficientCredits):
                self.on_account(owner, work)
            return multiple()
        self.on_account(owner, work)
        from_allowance = min(amount, account.allowance)
        self.holds[job_id] = Held((self.guilds[owner[0]], owner[1]), amount, from_allowance)
        account.available -= amount
        account.held += amount
        account.allowance -= from_allowance
        return job_id

    @rule(job_id=jobs)
    def hold_again(self, job_id: str) -> None:
        guild, member = self.holds[job_id].owner
        with pytest.raises(IntegrityError):
            self.on_account(
                (self.guilds.index(guild), member), partial(_hold, amount=0, job_id=job_id, clock=self.clock)
            )

    @rule(job_id=jobs)
    def settle(self, job_id: str) -> None:
        with self.allowed(self.holds[job_id].state == "held", IntegrityError):
            self.write(partial(ledger.settle, job_id=job_id, now=self.clock()))
            self.settled(job_id)

    @rule(job_id=jobs)
    def release(self, job_id: str) -> None:
        with self.allowed(self.holds[job_id].state == "held", IntegrityError):
            self.write(partial(ledger.release, job_id=job_id, now=self.clock()))
            self.released(job_id)

    @rule(job_id=jobs)
    def refund(self, job_id: str) -> None:
        with self.allowed(self.holds[job_id].state == "settled", (IntegrityError, NoResultFound)):
            self.write(partial(ledger.refund, job_id=job_id, now=self.clock()))
            self.given_back(job_id, "refunded")

    @rule(job_id=jobs, settles=st.integers(1, 3), releases=st.integers(1, 3))
    def resolve_at_once(self, job_id: str, settles: int, releases: int) -> None:
        now = self.clock()
        steps = [partial(ledger.settle, job_id=job_id, now=now)] * settles
        steps += [partial(ledger.release, job_id=job_id, now=now)] * releases
        outcomes = self.write_at_once(steps)
        won = [number for number, outcome in enumerate(outcomes) if outcome is None]
        assert all(outcome is None or isinstance(outcome, IntegrityError) for outcome in outcomes)
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
        expected = {owner: astuple(account)[:3] for owner, account in self.expected.items() if owner in found}
        assert found == expected
        assert sums == found
        assert all(not any(astuple(self.expected[owner])[:3]) for owner in self.expected.keys() - found.keys())
        assert all(number >= 0 for numbers in found.values() for number in numbers)
        assert all(allowance <= available for available, _, allowance in found.values())

    @invariant()
    def what_is_held_is_what_jobs_hold(self) -> None:
        for owner, account in self.expected.items():
            own = [hold.amount for hold in self.holds.values() if hold.owner == owner and hold.state == "held"]
            assert account.held == sum(own)

    def teardown(self) -> None:
        assert self.read(ledger.mismatches) == []

    def account(self, owner: tuple[int, int]) -> Expected:
        return self.expected[self.guilds[owner[0]], owner[1]]

    def settled(self, job_id: str) -> None:
        hold = self.holds[job_id]
        hold.state = "settled"
        self.expected[hold.owner].held -= hold.amount

    def released(self, job_id: str) -> None:
        self.expected[self.holds[job_id].owner].held -= self.holds[job_id].amount
        self.given_back(job_id, "released")

    def given_back(self, job_id: str, state: str) -> None:
        hold = self.holds[job_id]
        hold.state = state
        self.expected[hold.owner].available += hold.amount
        self.expected[hold.owner].allowance += hold.from_allowance

    @contextmanager
    def allowed(self, is_allowed: bool, error: type[Exception] | tuple[type[Exception], ...]) -> Iterator[None]:  # noqa: FBT001
        if is_allowed:
            yield
            return
        with pytest.raises(error):
            yield

    def work_of(
        self, owner: tuple[int, int], work: Callable[[Connection, Account], T]
    ) -> Callable[[Connection], T]:
        guild_id, user_id = self.guilds[owner[0]], owner[1]
        return lambda connection: work(connection, ledger.account_of(connection, guild_id, user_id))

    def on_account(self, owner: tuple[int, int], work: Callable[[Connection, Account], T]) -> T:
        return self.write(self.work_of(owner, work))

    def write(self, work: Callable[[Connection], T]) -> T:
        return self.runner.run(_outcome(self.database.write(work)))

    def read(self, work: Callable[[Connection], T]) -> T:
        return self.runner.run(_outcome(self.database.read(work)))

    def write_at_once(self, works: list[Callable[[Connection], Any]]) -> list[object]:
        async def together() -> list[object]:
            return await asyncio.gather(*map(self.database.write, works), return_exceptions=True)

        return self.runner.run(together())
