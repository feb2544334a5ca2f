"""Everybody at once, on each database: nothing is spent that isn't there, and nobody waits for another forever."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import pytest

from bot.communities.decisions import Change, Member
from bot.communities.rules import MAX_WAITING, Limits
from bot.credits import ledger
from bot.credits.allowance import AllowanceRule, PeriodLength
from bot.credits.pricing import PriceRule
from bot.errors import AlreadyAccepted, Refusal
from bot.jobs import store
from bot.jobs.job import Job, State
from tests.clocks import Clock
from tests.property.offices import MODEL, Office, open_office, step_to
from tests.property.pictures import Picture, picture_of
from tests.property.reference import Why

GUILD, ELSEWHERE, ROLE = 1, 2, 77
#: credits for a video
PRICE: Final = 10
MEMBERS: Final = range(1, 201)
#: so many of one member at once; some ask for one or two more
ASKS: Final = 6
#: how many members, or decisions, are under way
AT_ONCE: Final = 20
#: for how many videos an allowance is enough in the end, and with the role
OWN: Final = 5
OWN_WITH_ROLE: Final = 7
#: for how many videos the budget is enough: at first, and as it is changed meanwhile
BUDGET: Final = 100
BUDGETS: Final = (150, 250, 120, 300, 200)
HIGHEST: Final = max(BUDGETS)
#: the last digit of the members to whom something happens
WITH_ROLE, TWICE, GRANTED, REVOKED, BLOCKED, FORGOTTEN = 0, 1, 3, 5, 7, 9
#: how many asks of one member come at once
CROWD: Final = 200

_TO_THE_END: Final = (State.SUBMITTING, State.RUNNING, State.DELIVERING, State.SUCCEEDED)


class Rush:
    """What everybody does in one guild."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.decisions, self.database = office.services.decisions, office.services.database
        #: credits that moderators gave, and took
        self.booked = Counter[int]()

    async def everything(self) -> None:
        """What all members do, each all of it at once, and the decisions spread among that; so many at a time."""
        order, door = random.Random(5), asyncio.Semaphore(AT_ONCE)
        doings = [self.come(member) for member in MEMBERS]
        doings += [self.forget(member) for member in _members(FORGOTTEN) for _ in range(4)]
        decisions = [self.set_budget(videos) for videos in BUDGETS]
        decisions += [self.set_amounts(OWN, OWN_WITH_ROLE)]
        decisions += [self.block(member) for member in _members(BLOCKED)]
        decisions += [self.book(self.decisions.grant, member) for member in _members(GRANTED)]
        decisions += [self.book(self.decisions.revoke, member) for member in _members(REVOKED)]
        order.shuffle(doings)
        order.shuffle(decisions)
        for number, decision in enumerate(decisions, 1):
            doings.insert(number * len(doings) // len(decisions), decision)

        async def through_the_door(doing: Coroutine[Any, Any, object]) -> None:
            async with door:
                await doing

        await asyncio.gather(*map(through_the_door, doings))

    # --- members ---------------------------------------------------------------------------------

    async def come(self, member: int) -> None:
        """Ask for everything at once."""
        asks = [self.ask_and_see(member) for _ in range(ASKS + member % 3)]
        await asyncio.gather(*asks, *([self.ask_twice(member)] if member in _members(TWICE) else []))

    async def ask(self, member: int) -> Job | None:
        """Ask for a video; None: refused."""
        try:
            return await self.office.ask(GUILD, member, _roles(member))
        except Refusal:
            return None

    async def ask_and_see(self, member: int) -> None:
        """Of what is accepted, some is cancelled, some is made, and some of that is given back."""
        job = await self.ask(member)
        if job is not None:
            match job.interaction_id % 8:
                case 0 | 1:
                    await self.move(job, State.CANCELLED)
                case 2 | 3:
                    await self.move(job, *_TO_THE_END)
                case 4:
                    await self.move(job, *_TO_THE_END)
                    await self.database.write(partial(ledger.refund, job_id=job.id, now=self.office.clock()))
                case _ if member in _members(FORGOTTEN):
                    await self.move(job, State.CANCELLED)
                case _:
                    pass

    async def ask_twice(self, member: int) -> None:
        """The same interaction arrives twice."""
        prepared = await self.office.prepare(GUILD, member, _roles(member))
        outcomes = await asyncio.gather(
            self.office.accept(prepared), self.office.accept(prepared), return_exceptions=True
        )
        assert all(isinstance(outcome, Job | Refusal | AlreadyAccepted) for outcome in outcomes)
        assert sum(isinstance(outcome, Job) for outcome in outcomes) <= 1

    async def forget(self, member: int) -> None:
        """Everything that is kept of them is deleted, unless a video is under way, or nothing is kept."""
        with suppress(Refusal):
            await self.office.services.forgetting.forget(GUILD, member)

    async def move(self, job: Job, *states: State) -> None:
        for state in states:
            job = await self.database.write(partial(store.move, job=job, step=step_to(state), now=self.office.clock()))

    # --- moderators ------------------------------------------------------------------------------

    async def set_budget(self, videos: int) -> None:
        def change(limits: Limits) -> Limits:
            return replace(limits, guild_budget=videos * PRICE)

        await self.decisions.set_limits(self.office.actor(GUILD), change)

    async def set_amounts(self, own: int, with_role: int) -> None:
        allowance = AllowanceRule(amount=own * PRICE, length=PeriodLength.WEEK)
        await self.decisions.set_allowance(self.office.actor(GUILD), allowance)
        await self.decisions.set_role_amount(self.office.actor(GUILD), ROLE, with_role * PRICE)

    async def block(self, member: int) -> None:
        """What was prepared before isn't accepted any more."""
        prepared = await self.office.prepare(GUILD, member, _roles(member))
        await self.decisions.block_member(self.office.actor(GUILD), member, "rude")
        (outcome,) = await asyncio.gather(self.office.accept(prepared), return_exceptions=True)
        assert isinstance(outcome, Refusal)
        assert Why.BLOCKED in outcome.text

    async def book(self, book: Callable[..., Coroutine[Any, Any, Change]], member: int) -> None:
        """Give or take the credits for a video, in an interaction that arrives twice."""
        actor, about = self.office.actor(GUILD), Member(user_id=member, role_ids=_roles(member))
        outcomes = await asyncio.gather(*(book(actor, about, PRICE, "") for _ in range(2)), return_exceptions=True)
        assert [isinstance(outcome, Refusal) for outcome in outcomes].count(True) == 1
        (change,) = (outcome for outcome in outcomes if isinstance(outcome, Change))
        self.booked[member] += change.amount


# a busy machine takes its time
@pytest.mark.timeout(600)
async def test_members_who_ask_at_once_while_moderators_decide_get_what_is_theirs(
    database_url: str, tmp_path: Path, clock: Clock
) -> None:
    async with open_office(database_url, tmp_path, clock) as office:
        rush, read = Rush(office), office.services.database.read
        await _open_elsewhere(office)
        elsewhere = await read(partial(picture_of, guild_id=ELSEWHERE))
        await _set_price(office, GUILD)
        await rush.set_budget(BUDGET)
        await rush.set_amounts(OWN - 2, OWN - 1)

        await rush.everything()
        assert max(_spent_so_far(await read(partial(picture_of, guild_id=GUILD)))) <= HIGHEST * PRICE

        await rush.set_budget(HIGHEST)
        while any(await asyncio.gather(*map(rush.ask, MEMBERS))):
            pass  # until the budget is used up
        await asyncio.gather(*map(rush.forget, _members(FORGOTTEN)))
        for _ in range(2):
            await asyncio.gather(*(office.services.balances.of(GUILD, each, _roles(each)) for each in MEMBERS))

        found = await read(partial(picture_of, guild_id=GUILD))
        assert max(_spent_so_far(found)) == _spent_so_far(found)[-1] == HIGHEST * PRICE
        _check_members(found, rush.booked)
        assert await read(partial(picture_of, guild_id=ELSEWHERE)) == elsewhere
        assert await read(ledger.mismatches) == []


@pytest.mark.parametrize(("price", "accepted"), [(PRICE, OWN), (0, MAX_WAITING)])
async def test_of_what_one_member_asks_at_once_as_much_is_accepted_as_may_be(
    database_url: str, tmp_path: Path, clock: Clock, price: int, accepted: int
) -> None:
    async with open_office(database_url, tmp_path, clock) as office:
        rush = Rush(office)
        await _set_price(office, GUILD, price)
        await rush.set_amounts(OWN - 1, OWN)
        asks = [office.ask(GUILD, 1, [ROLE]) for _ in range(CROWD)]
        outcomes = await asyncio.gather(*asks, return_exceptions=True)
        assert [isinstance(outcome, Job) for outcome in outcomes].count(True) == accepted
        refusals = [outcome.text for outcome in outcomes if isinstance(outcome, Refusal)]
        assert len(refusals) == CROWD - accepted
        assert all((Why.CREDITS if price else Why.WAITING) in text for text in refusals)
        found = await office.services.database.read(partial(picture_of, guild_id=GUILD))
        (account,) = found["accounts"]
        assert (account.available, account.held) == (OWN * PRICE - accepted * price, accepted * price)
        assert [row.kind for row in found["ledger_entries"]] == ["grant", *["hold"] * accepted]
        assert len(found["jobs"]) == len(found["job_events"]) == accepted


async def test_a_decision_holds_where_nobody_has_heard_of_it(database_url: str, tmp_path: Path, clock: Clock) -> None:
    async with (
        open_office(database_url, tmp_path / "here", clock) as here,
        open_office(database_url, tmp_path / "there", clock) as there,
    ):
        asking, deciding = Rush(here), Rush(replace(there, numbers=here.numbers))
        await _set_price(here, GUILD)
        await asking.set_amounts(OWN, OWN)
        assert await asking.ask(1)
        await deciding.set_budget(1)
        assert not await asking.ask(1)
        await deciding.set_budget(2)
        assert await asking.ask(1)
        await deciding.set_budget(3)
        await deciding.decisions.block_member(deciding.office.actor(GUILD), 1, "rude")
        assert not await asking.ask(1)
        assert await asking.ask(2)


def _members(digit: int) -> Sequence[int]:
    return [member for member in MEMBERS if member % 10 == digit]


def _roles(member: int) -> Sequence[int]:
    return [ROLE] if member % 10 == WITH_ROLE else []


async def _set_price(office: Office, guild_id: int, price: int = PRICE) -> None:
    await office.services.decisions.price_model(office.actor(guild_id), MODEL, PriceRule(credits=price))


async def _open_elsewhere(office: Office) -> None:
    """Some of the same members have credits and videos in another guild too."""
    await _set_price(office, ELSEWHERE)
    for member in MEMBERS[:5]:
        about = Member(user_id=member)
        await office.services.decisions.grant(office.actor(ELSEWHERE), about, 3 * PRICE, "")
        await office.ask(ELSEWHERE, member)


def _spent_so_far(found: Picture) -> Sequence[int]:
    """What videos held and cost, less what came back, after each entry: each counts what was committed before."""
    return list(accumulate(-entry.available_change for entry in found["ledger_entries"] if entry.job_id is not None))


def _check_members(found: Picture, booked: Counter[int]) -> None:
    """Everybody was given exactly their allowance, and has what of it, and of moderators' credits, isn't spent."""
    given, spent = Counter[int](), Counter[int]()
    for entry in found["ledger_entries"]:
        given[entry.account_id] += entry.allowance_change if entry.kind == "grant" else 0
        spent[entry.account_id] -= entry.available_change if entry.job_id is not None else 0
    assert "expire" not in {entry.kind for entry in found["ledger_entries"]}
    members = {account.user_id: account for account in found["accounts"] if account.user_id > 0}
    assert members.keys() == set(MEMBERS)
    for member in set(MEMBERS) - set(_members(FORGOTTEN)):
        account, own = members[member], OWN_WITH_ROLE if member % 10 == WITH_ROLE else OWN
        assert given.pop(account.id) == own * PRICE
        assert account.available == own * PRICE + booked[member] - spent[account.id] >= 0
    # nobody can tell whose it was before they were forgotten
    assert given.total() == len(_members(FORGOTTEN)) * OWN * PRICE
