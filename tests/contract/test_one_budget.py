"""Several processes ask one vendor over real sockets, and count what they ask in one PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from bot.budgets import SharedBudgets
from bot.database.engine import open_database
from bot.settings import Settings
from bot.vendors import make_providers
from providers.answers import TaskId
from providers.budget import RequestBudget
from providers.contract import at_once
from providers.errors import Unavailable
from providers.http import VendorAnswer, VendorHttp
from tests.clocks import Clock
from tests.imitations.pixeldojo import Fault, PixelDojoImitation, Route, rate_limited

KEY: Final = "pd_test"
LIMIT: Final = 10
#: seconds of the machine that are a minute of the vendor's
MINUTE: Final = 0.5
#: a server that isn't there
NOWHERE: Final = "postgresql://wanbot@127.0.0.1:1/wanbot"


class Job(VendorAnswer):
    status: str


class Process:
    """What one process has of a vendor."""

    def __init__(self, vendor: PixelDojoImitation, url: str, name: str) -> None:
        self.database = open_database(url)
        self.budgets = SharedBudgets(database=self.database, process=name)
        self.http = VendorHttp(
            name="pixeldojo",
            base_url=vendor.base_url,
            headers={"Authorization": f"Bearer {KEY}"},
            budget=RequestBudget(requests_per_minute=LIMIT, window=MINUTE, tally=self.budgets.of("pixeldojo")),
        )

    async def close(self) -> None:
        await self.http.close()
        await self.budgets.close()
        await self.database.close()


async def opened(stack: AsyncExitStack, vendor: PixelDojoImitation, url: str, name: str) -> Process:
    process = Process(vendor, url, name)
    stack.push_async_callback(process.close)
    return process


async def submitted(process: Process) -> str:
    body = {"prompt": "a cat", "aspect_ratio": "16:9"}
    answer = await process.http.submit(
        "/models/wan-2.2-standard/run", json=body, answer=_Accepted, before_sending=at_once
    )
    return answer.jobId


class _Accepted(VendorAnswer):
    jobId: TaskId  # noqa: N815 - the vendor's name for it


async def test_a_vendor_refuses_no_request_of_three_processes_that_stay_within_its_limit_together(
    postgres_url: str,
) -> None:
    async with AsyncExitStack() as stack:
        vendor = await stack.enter_async_context(PixelDojoImitation(key=KEY, requests_per_minute=LIMIT))
        vendor.seconds = lambda: time.monotonic() * 60 / MINUTE
        three = [await opened(stack, vendor, postgres_url, f"process {number}") for number in range(3)]
        job_id = await submitted(three[0])
        async with asyncio.TaskGroup() as group:
            for number in range(33):
                group.create_task(three[number % 3].http.ask(f"/jobs/{job_id}", answer=Job))
            for process in three:
                group.create_task(submitted(process))
    assert vendor.count(Route.STATUS) == 33
    assert len(vendor.submissions) == 4
    assert {call.status for call in vendor.calls} <= {200, 202}
    assert vendor.busiest_minute() <= LIMIT


async def test_a_429_to_one_process_keeps_all_of_them_away(postgres_url: str) -> None:
    async with AsyncExitStack() as stack:
        vendor = await stack.enter_async_context(PixelDojoImitation(key=KEY))
        one, two = [await opened(stack, vendor, postgres_url, name) for name in ("one", "two")]
        vendor.fault_next(Route.SUBMIT, rate_limited("60"))
        with pytest.raises(Unavailable, match="wants fewer requests"):
            await submitted(one)
        await one.budgets.close()
        with pytest.raises(Unavailable, match="takes no request for 60 s") as told:
            await submitted(two)
        assert 50.0 < (told.value.retry_after or 0.0) <= 60.0
    assert vendor.count(Route.SUBMIT) == 1


async def test_a_submission_that_cannot_be_counted_is_not_sent_and_may_be_tried_again() -> None:
    async with AsyncExitStack() as stack:
        vendor = await stack.enter_async_context(PixelDojoImitation(key=KEY))
        process = await opened(stack, vendor, NOWHERE, "alone")
        with capture_logs() as lines:
            with pytest.raises(Unavailable, match="pixeldojo isn't asked: its requests can't be counted"):
                await submitted(process)
            with pytest.raises(Unavailable, match="isn't asked"):
                await process.http.ask("/jobs/1", answer=Job)
    assert vendor.calls == []
    assert [line["log_level"] for line in lines] == ["warning"]


async def test_a_request_without_an_answer_has_ended_all_the_same(postgres_url: str) -> None:
    async with AsyncExitStack() as stack:
        vendor = await stack.enter_async_context(PixelDojoImitation(key=KEY))
        process = await opened(stack, vendor, postgres_url, "one")
        vendor.fault_always(Route.STATUS, Fault(cut=True))
        # more than there may be at once: if their ends weren't told, the fifth would wait for a minute
        for _ in range(6):
            with pytest.raises(Unavailable, match="gave no answer"):
                await process.http.ask("/jobs/1", answer=Job)
    assert vendor.count(Route.STATUS) == 6


async def test_every_vendor_that_the_bot_connects_to_asks_its_tally(postgres_url: str) -> None:
    names = ["pixeldojo", "pixazo", "pixwith", "vtrix"]
    settings = Settings.load({f"{name.upper()}_API_KEY": "k" * 20 for name in names})
    database = open_database(postgres_url)
    tallies = {name: SharedBudgets(database=database, process="one").of(name) for name in names}
    vendors = [each for each in make_providers(settings, clock=Clock(), tally_of=tallies.get) if not each.is_local]
    assert [vendor.name for vendor in vendors] == names
    for vendor in vendors:
        seams: Any = vendor
        assert seams._http.budget._tally is tallies[vendor.name]
        await vendor.close()
    await database.close()
