"""What a guild doesn't undo by sending the bot away, waiting for the deletion, and taking it back."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from bot.communities import departures
from bot.credits.allowance import AllowanceRule, PeriodLength
from bot.errors import Refusal
from tests.clocks import Clock
from tests.property.offices import Office, open_office

GUILD, MEMBER = 1, 5
TWO_DAYS = 2 * 86_400


async def leave_for_good(office: Office, clock: Clock) -> None:
    """Leave the guild, and let everything be deleted that is."""
    await office.services.decisions.keep_for(office.actor(GUILD), 1)
    await office.services.database.write(partial(departures.note_departure, guild_id=GUILD, now=clock()))
    clock.advance(TWO_DAYS)
    await office.services.retention.run_once()


async def test_an_allowance_is_given_once_in_a_period(database_url: str, tmp_path: Path, clock: Clock) -> None:
    async with open_office(database_url, tmp_path, clock) as office:
        rule = AllowanceRule(amount=50, length=PeriodLength.MONTH)
        decisions, balances = office.services.decisions, office.services.balances
        await decisions.set_allowance(office.actor(GUILD), rule)
        assert (await balances.of(GUILD, MEMBER, ())).account.available == 50
        await leave_for_good(office, clock)
        await decisions.set_allowance(office.actor(GUILD), rule)
        assert (await balances.of(GUILD, MEMBER, ())).account.available == 0
        await decisions.set_allowance(office.actor(GUILD), replace(rule, amount=60))
        assert (await balances.of(GUILD, MEMBER, ())).account.available == 10


async def test_a_block_stays_and_its_reason_goes(database_url: str, tmp_path: Path, clock: Clock) -> None:
    async with open_office(database_url, tmp_path, clock) as office:
        await office.services.decisions.block_member(office.actor(GUILD), MEMBER, "rude")
        await leave_for_good(office, clock)
        with pytest.raises(Refusal) as refused:
            await office.prepare(GUILD, MEMBER)
        assert "blocked you" in refused.value.text
        assert "rude" not in refused.value.text
