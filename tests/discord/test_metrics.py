"""Every metric, as it is scraped over HTTP while the bot works, and the alerts about jobs, money and vendors."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import update

from bot.database.tables import accounts
from tests.discord.conftest import SimulatedLinks
from tests.discord.watching import get, look_anew, open_watched, scraped, watched
from tests.discord.worlds import World, text_of
from tests.imitations.pixeldojo import CUT, NO_CREDITS, Fault, PixelDojoImitation, Route
from tests.scraping import Rise, scrape, threshold

WAN_22 = "pixeldojo/wan-2.2-standard"
FAILURES = "Unavailable|AuthFailed|OutcomeUnknown|ContractBroken"


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    look_anew(monkeypatch)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World]:
    """In place of the usual one: with an operator."""
    async with open_watched(tmp_path) as world:
        yield world


@pytest.fixture
async def dojo(tmp_path: Path, vendor: PixelDojoImitation, links: SimulatedLinks) -> AsyncGenerator[World]:
    """In place of the usual one: with an operator."""
    environment = {
        "PIXELDOJO_API_KEY": "pd_test",
        "PIXELDOJO_BASE_URL": vendor.base_url,
        "PIXELDOJO_REQUESTS_PER_MINUTE": "6000",
        "DEFAULT_ALLOWANCE": "200",
    }
    async with open_watched(tmp_path, environment) as world:
        links.world = world
        yield world


# --- jobs --------------------------------------------------------------------------------------------


async def test_jobs_are_counted_by_state_and_model_while_they_go_on_and_when_they_have_ended(world: World) -> None:
    async with scraped(world) as (url, before):
        assert before.values("wanbot_open_jobs", model="demo") == [0, 0, 0, 0]
        await world.video(prompt="A cat")
        during = await scrape(url)
        assert during.total("wanbot_open_jobs", state="running", model="demo") == 1
        assert during.total("wanbot_open_jobs") == 1
        assert during.total("wanbot_held_credits") == 1
        await world.finish()
        rise = Rise(before, await scrape(url))
    assert rise.of("wanbot_jobs_accepted_total", model="demo") == 1
    assert rise.of("wanbot_jobs_ended_total", model="demo", state="succeeded") == 1
    assert rise.of("wanbot_jobs_ended_total") == 1
    assert rise.of("wanbot_jobs_unposted_total") == 0
    assert rise.of("wanbot_posting_lag_seconds_count", provider="demo") == 1
    assert rise.after.total("wanbot_open_jobs") == 0
    assert rise.after.total("wanbot_held_credits") == 0


async def test_what_a_member_or_a_leaving_guild_ends_is_counted_with_its_reason(world: World) -> None:
    async with scraped(world) as (url, before):
        await world.video(prompt="A cat")
        await world.alice.slash(world.channel, "wan cancel")
        rise = Rise(before, await scrape(url))
    assert rise.of("wanbot_jobs_ended_total", state="cancelled", model="demo") == 1
    assert rise.of("wanbot_jobs_unposted_total", reason="by_member") == 1


async def test_what_was_before_the_start_is_not_counted_again(world: World) -> None:
    await world.video(prompt="A cat")
    await world.finish()
    async with scraped(world) as (_, first):
        assert first.total("wanbot_jobs_accepted_total") == 0
        assert first.total("wanbot_jobs_ended_total") == 0


async def test_communities_are_counted(world: World) -> None:
    async with scraped(world) as (_, metrics):
        assert metrics.total("wanbot_guilds") == 2


async def test_a_job_that_waits_long_is_an_alert(tmp_path: Path) -> None:
    # its deadline would end it before the others have waited long enough
    async with open_watched(tmp_path, {"DEMO_SECONDS": "3600"}) as world, scraped(world) as (url, before):
        assert before.total("wanbot_queue_age_seconds") == 0
        for number in range(4):
            await world.video(prompt=f"Cat {number}")
        during = await scrape(url)
        assert during.total("wanbot_open_jobs", state="queued") == 1
        await world.advance(threshold("WanbotQueueOld") + 1)
        assert (await scrape(url)).total("wanbot_queue_age_seconds") > threshold("WanbotQueueOld")
        await world.advance(600)
        await world.advance(10)
        assert (await scrape(url)).total("wanbot_queue_age_seconds") == 0
        for _ in range(3):
            await world.advance(1300)


async def test_many_jobs_that_fail_are_an_alert(dojo: World, vendor: PixelDojoImitation) -> None:
    async with scraped(dojo) as (url, before):
        for number in range(5):
            await dojo.video(prompt=f"Cat {number}", model=WAN_22)
            vendor.fail(vendor.submissions[-1].job_id)
            await dojo.finish()
        rise = Rise(before, await scrape(url))
    ended = rise.of("wanbot_jobs_ended_total")
    assert ended >= 5
    assert rise.of("wanbot_jobs_ended_total", state="failed|expired|lost") / ended > threshold("WanbotJobsFailing")
    assert rise.of("wanbot_jobs_unposted_total", reason="not_made") == 5


async def test_a_lost_submission_is_an_alert(dojo: World, vendor: PixelDojoImitation) -> None:
    vendor.fault_next(Route.SUBMIT, CUT)
    async with scraped(dojo) as (url, before):
        answer = await dojo.video(prompt="A cat", model=WAN_22)
        await dojo.finish()
        rise = Rise(before, await scrape(url))
    assert text_of(answer).startswith("Lost")
    assert rise.of("wanbot_jobs_ended_total", state="lost") > threshold("WanbotJobLost")
    assert rise.of("wanbot_provider_requests_total", operation="submit", outcome="OutcomeUnknown") == 1


async def test_a_video_that_is_posted_long_after_it_was_finished_is_an_alert(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    async with scraped(dojo) as (url, before):
        await dojo.video(prompt="A cat", model=WAN_22)
        vendor.fault_always(Route.FILE, Fault(status=404))
        vendor.finish(vendor.submissions[0].job_id)
        for _ in range(16):
            await dojo.advance(5)
        vendor.fault_always(Route.FILE, None)
        await dojo.finish()
        rise = Rise(before, await scrape(url))
    assert len(dojo.posted()) == 1
    assert rise.of("wanbot_posting_lag_seconds_sum", provider="pixeldojo") > threshold("WanbotPostingSlow")
    assert rise.share_above("wanbot_posting_lag_seconds", "60.0", provider="pixeldojo") > 0.05


# --- vendors -----------------------------------------------------------------------------------------


async def test_requests_to_a_vendor_are_counted_and_timed_by_what_they_are_and_how_they_went(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    async with scraped(dojo) as (url, before):
        await dojo.video(prompt="A cat", model=WAN_22)
        vendor.fault_next(Route.STATUS, Fault(status=500))
        await dojo.advance(10)
        vendor.finish(vendor.submissions[0].job_id)
        await dojo.finish()
        rise = Rise(before, await scrape(url))
    looks = vendor.count(Route.STATUS)
    assert rise.of("wanbot_provider_requests_total", provider="pixeldojo", operation="submit", outcome="ok") == 1
    assert rise.of("wanbot_provider_requests_total", provider="pixeldojo", operation="ask", outcome="ok") == looks - 1
    assert rise.of("wanbot_provider_requests_total", operation="ask", outcome="Unavailable") == 1
    assert rise.after.total("wanbot_provider_request_seconds_count", operation="ask") == looks
    assert rise.after.total("wanbot_provider_request_seconds_sum", operation="submit") > 0


async def test_a_vendor_most_of_whose_requests_fail_is_an_alert(dojo: World, vendor: PixelDojoImitation) -> None:
    async with scraped(dojo) as (url, before):
        await dojo.video(prompt="A cat", model=WAN_22)
        vendor.fault_always(Route.STATUS, Fault(status=503))
        for _ in range(6):
            await dojo.advance(40)
        vendor.fault_always(Route.STATUS, None)
        rise = Rise(before, await scrape(url))
        vendor.finish(vendor.submissions[0].job_id)
        await dojo.finish()
    failed = rise.of("wanbot_provider_requests_total", provider="pixeldojo", outcome=FAILURES)
    total = rise.of("wanbot_provider_requests_total", provider="pixeldojo")
    assert failed / total > threshold("WanbotProviderFailing")


async def test_a_provider_whose_funds_are_refused_is_an_alert_until_it_works_again(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    vendor.fault_always(Route.SUBMIT, NO_CREDITS)
    async with scraped(dojo) as (url, before):
        assert before.total("wanbot_provider_paused", provider="pixeldojo") == 0
        await dojo.video(prompt="A cat", model=WAN_22)
        during = await scrape(url)
        vendor.fault_always(Route.SUBMIT, None)
        await dojo.advance(301)
        after = await scrape(url)
    assert during.total("wanbot_provider_paused", provider="pixeldojo") > threshold("WanbotProviderPaused")
    assert during.total("wanbot_provider_paused", provider="demo") == 0
    assert after.total("wanbot_provider_paused") == 0
    assert Rise(before, during).of("wanbot_provider_requests_total", outcome="AuthFailed") == 1


# --- money -------------------------------------------------------------------------------------------


async def test_books_that_are_wrong_are_an_alert(world: World) -> None:
    await world.video(prompt="A cat")
    account = await world.account()

    async def set_held(held: int) -> None:
        changed = update(accounts).where(accounts.c.id == account.id).values(held=held)
        await world.app.services.database.write(lambda c: c.execute(changed))

    await set_held(account.held + 5)
    async with watched(world) as url:
        while not (wrong := await scrape(url)).has("wanbot_ledger_checked_timestamp_seconds"):
            pass
    await set_held(account.held)
    async with watched(world) as url:
        while (right := await scrape(url)).total("wanbot_ledger_mismatched_accounts"):
            pass
    assert wrong.total("wanbot_ledger_mismatched_accounts") > threshold("WanbotBooksWrong")
    assert abs(wrong.total("wanbot_ledger_stray_credits")) > threshold("WanbotStrayHolds")
    assert right.total("wanbot_ledger_stray_credits") == 0
    checked = right.total("wanbot_ledger_checked_timestamp_seconds", accounts="held")
    assert checked == world.env.now().timestamp()


# --- the bot itself ----------------------------------------------------------------------------------


async def test_a_worker_that_is_silent_is_not_ready_and_an_alert(world: World) -> None:
    async with scraped(world) as (url, _):
        await world.work()
        status, told, _ = await get(url, "/readyz")
        assert (status, told) == (200, "discord: ok\ndatabase: ok\nworker: ok\n")
        assert (await scrape(url)).total("wanbot_ready", part="worker") == 1
        await world.env.advance_time(200)
        silent = await scrape(url)
        status, told, _ = await get(url, "/readyz")
        alive, _, _ = await get(url, "/healthz")
    assert silent.total("wanbot_ready", part="worker") < threshold("WanbotNotReady")
    assert silent.total("wanbot_ready", part="discord") == 1
    assert (status, told) == (503, "discord: ok\ndatabase: ok\nworker: hasn't looked at its jobs for 200 s\n")
    assert alive == 200


async def test_without_a_database_the_rest_is_still_told(world: World) -> None:
    def rename(before: str, after: str) -> None:
        with closing(sqlite3.connect(world.settings.data_dir / "wanbot.db")) as connection:
            connection.execute(f"ALTER TABLE {before} RENAME TO {after}")

    await world.work()
    async with watched(world) as url:
        rename("jobs", "jobs_of_yesterday")
        status, told, _ = await get(url, "/readyz")
        metrics = await scrape(url)
        alive, _, _ = await get(url, "/healthz")
        rename("jobs_of_yesterday", "jobs")
        again, _, _ = await get(url, "/readyz")
    assert (status, told) == (503, "discord: ok\ndatabase: OperationalError\nworker: ok\n")
    assert metrics.total("wanbot_ready", part="database") < threshold("WanbotNotReady")
    assert metrics.total("wanbot_ready", part="worker") == 1
    assert alive == 200
    assert again == 200


async def test_the_delay_of_the_event_loop_is_measured(world: World) -> None:
    async with watched(world) as url:
        while not (metrics := await scrape(url)).total("wanbot_event_loop_delay_seconds_count"):
            pass
    assert metrics.total("wanbot_event_loop_delay_seconds_bucket", le=r"\+Inf") >= 1


async def test_no_metric_names_a_community_or_a_member(world: World) -> None:
    async with scraped(world) as (url, _):
        await world.video(prompt="A secret cat")
        await world.finish()
        text = (await get(url, "/metrics"))[1]
    for private in (world.guild.id, world.channel.id, world.alice.id, "alice", "secret", "Here"):
        assert str(private) not in text
