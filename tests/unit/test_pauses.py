from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

import pytest
from structlog.testing import capture_logs

from bot.jobs.pauses import RETRY_EVERY, Pauses
from providers.contract import BeforeSending, Provider, at_once
from providers.errors import AuthFailed, ContractBroken, ProviderError, Unavailable
from providers.types import GenerationRequest, ModelSpec, Pending, Submission, TaskStatus
from tests.clocks import Clock

NO_KEY = AuthFailed("no such key")
FIVE_MINUTES = 300.0


class Vendor(Provider):
    """A vendor whose free call fails as long as it is told to."""

    name: ClassVar[str] = "vendor"
    title: ClassVar[str] = "Vendor"

    def __init__(self, trouble: ProviderError | None = NO_KEY) -> None:
        self.trouble = trouble
        self.checks = 0

    async def submit(self, request: GenerationRequest, *, before_sending: BeforeSending = at_once) -> Submission:
        raise AssertionError("a retry costs nothing")

    async def status(self, task_id: str, model: ModelSpec) -> TaskStatus:
        return Pending()

    async def check(self) -> None:
        self.checks += 1
        if self.trouble is not None:
            raise self.trouble


class Other(Vendor):
    name: ClassVar[str] = "other"


@pytest.fixture
def pauses(clock: Clock) -> Pauses:
    return Pauses(clock=clock)


def test_nobody_is_paused_at_first(pauses: Pauses) -> None:
    assert not pauses.is_paused("vendor")
    assert pauses.next_at() is None


def test_a_provider_whose_key_failed_is_paused_and_the_others_are_not(pauses: Pauses, clock: Clock) -> None:
    pauses.pause(Vendor(), NO_KEY)
    assert pauses.is_paused("vendor")
    assert not pauses.is_paused("other")
    assert timedelta(minutes=5) == RETRY_EVERY
    assert pauses.next_at() == clock.now + RETRY_EVERY


async def test_a_paused_provider_is_asked_by_one_free_call_every_five_minutes(pauses: Pauses, clock: Clock) -> None:
    vendor = Vendor()
    pauses.pause(vendor, NO_KEY)
    asked: list[float] = []
    for seconds in range(0, 1000, 10):
        before = vendor.checks
        await pauses.retry({"vendor": vendor}.__getitem__)
        asked += [seconds] * (vendor.checks - before)
        clock.advance(10)
    assert asked == [300, 600, 900]


async def test_it_works_again_as_soon_as_the_call_does(pauses: Pauses, clock: Clock) -> None:
    vendor = Vendor()
    pauses.pause(vendor, NO_KEY)
    vendor.trouble = None
    await pauses.retry({"vendor": vendor}.__getitem__)
    assert pauses.is_paused("vendor"), "not before five minutes have passed"
    clock.advance(FIVE_MINUTES)
    await pauses.retry({"vendor": vendor}.__getitem__)
    assert not pauses.is_paused("vendor")
    assert pauses.next_at() is None
    assert vendor.checks == 1


@pytest.mark.parametrize("trouble", [NO_KEY, Unavailable("busy"), ContractBroken("what")], ids=repr)
async def test_it_stays_paused_while_the_call_fails_in_whatever_way(
    trouble: ProviderError, pauses: Pauses, clock: Clock
) -> None:
    pauses.pause(Vendor(), NO_KEY)
    clock.advance(FIVE_MINUTES)
    await pauses.retry({"vendor": Vendor(trouble)}.__getitem__)
    assert pauses.is_paused("vendor")
    assert pauses.next_at() == clock.now + RETRY_EVERY


async def test_failing_looks_at_jobs_under_way_put_the_next_call_off_by_nothing(pauses: Pauses, clock: Clock) -> None:
    vendor = Vendor()
    for _ in range(30):
        pauses.pause(vendor, NO_KEY)
        clock.advance(10)
    await pauses.retry({"vendor": vendor}.__getitem__)
    assert vendor.checks == 1


async def test_each_provider_has_its_own_time(pauses: Pauses, clock: Clock) -> None:
    vendor, other = Vendor(None), Other(None)
    pauses.pause(vendor, NO_KEY)
    clock.advance(60)
    pauses.pause(other, NO_KEY)
    clock.advance(240)
    await pauses.retry({"vendor": vendor, "other": other}.__getitem__)
    assert not pauses.is_paused("vendor")
    assert pauses.is_paused("other")
    assert (vendor.checks, other.checks) == (1, 0)


async def test_the_operator_is_told_once_for_each_pause(pauses: Pauses, clock: Clock) -> None:
    vendor = Vendor(None)
    with capture_logs() as lines:
        assert pauses.pause(vendor, NO_KEY)
        assert not pauses.pause(vendor, NO_KEY), "it is paused already"
    assert [(line["log_level"], line["provider"]) for line in lines] == [("error", "vendor")]
    clock.advance(FIVE_MINUTES)
    with capture_logs() as lines:
        await pauses.retry({"vendor": vendor}.__getitem__)
        pauses.pause(vendor, NO_KEY)
    assert [line["log_level"] for line in lines] == ["info", "error"]


async def test_while_one_provider_is_asked_nobody_need_look_after_the_other(pauses: Pauses, clock: Clock) -> None:
    """Else the worker would spin until the first one answers."""
    seen: list[datetime | None] = []

    class Slow(Vendor):
        async def check(self) -> None:
            seen.append(pauses.next_at())

    vendors: dict[str, Vendor] = {"vendor": Slow(), "other": Other()}
    for vendor in vendors.values():
        pauses.pause(vendor, NO_KEY)
    clock.advance(FIVE_MINUTES)
    await pauses.retry(vendors.__getitem__)
    assert seen == [clock.now + RETRY_EVERY]


async def test_a_provider_that_raises_what_it_may_not_stays_paused_and_the_others_are_asked(
    pauses: Pauses, clock: Clock
) -> None:
    class Broken(Vendor):
        async def check(self) -> None:
            raise KeyError("models")

    vendors: dict[str, Vendor] = {"vendor": Broken(), "other": Other(None)}
    for vendor in vendors.values():
        pauses.pause(vendor, NO_KEY)
    clock.advance(FIVE_MINUTES)
    with capture_logs() as lines:
        await pauses.retry(vendors.__getitem__)
    assert (pauses.is_paused("vendor"), pauses.is_paused("other")) == (True, False)
    assert [line["provider"] for line in lines if line["log_level"] == "error"] == ["vendor"]
