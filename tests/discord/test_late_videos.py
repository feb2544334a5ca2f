"""A video that comes after its deadline: nobody waits for it any more, nobody pays for it, and it is posted."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import simcord
from sqlalchemy import select, update

from bot.database.engine import Database
from bot.database.tables import jobs, ledger_entries
from bot.jobs import store
from tests.discord.conftest import SimulatedLinks
from tests.discord.restarts import restarted
from tests.discord.worlds import World, open_world, text_of
from tests.imitations.pixeldojo import HTML_502, NO_CREDITS, PixelDojoImitation, Route
from tests.recovery.test_sweep import NEVER, Fuse, FusedDatabase, Killed

WAN_22 = "pixeldojo/wan-2.2-standard"
PAST_THE_DEADLINE = 21 * 60
DAY = 24 * 3600


async def expire(world: World, vendor: PixelDojoImitation) -> simcord.InteractionResult:
    """Alice asks for a video that isn't finished in time."""
    answer = await world.video(prompt="A slow cat", model=WAN_22)
    await world.advance(PAST_THE_DEADLINE)
    await world.advance(10)
    assert text_of(answer).startswith("Expired")
    assert len(vendor.submissions) == 1
    return answer


async def look(world: World, *, seconds: float = 300) -> None:
    """Let time pass, then look for late videos as the bot does every five minutes."""
    await world.env.advance_time(seconds)
    await world.app.services.latecomers.run_once()
    await world.app.services.presenter.flush()


async def entries(world: World) -> list[str]:
    query = select(ledger_entries.c.kind).where(ledger_entries.c.job_id.is_not(None)).order_by(ledger_entries.c.id)
    return list(await world.app.services.database.read(lambda c: c.execute(query).scalars().all()))


async def waiting(world: World) -> int:
    """How many expired jobs are still looked at."""
    return len(await world.app.services.database.read(partial(store.late_jobs, now=world.env.now())))


async def test_a_late_video_is_posted_as_a_reply_to_its_card_and_nothing_is_booked(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    answer = await expire(dojo, vendor)
    assert "If the video still comes, it is posted here, free." in text_of(answer)
    assert await entries(dojo) == ["hold", "release"]
    await look(dojo)
    assert dojo.posted() == []
    vendor.finish(vendor.submissions[0].job_id)
    await look(dojo)
    (message,) = dojo.posted()
    assert message.content == f"<@{dojo.alice.id}> Your video came late, so it is free."
    assert answer.response is not None
    assert message.reference is not None
    assert message.reference.message_id == answer.response.id
    assert text_of(answer).startswith("Expired")
    assert f"It came late, so it is free. [Watch it]({message.jump_url})" in text_of(answer)
    assert await entries(dojo) == ["hold", "release"]
    account = await dojo.account()
    assert (account.available, account.held) == (200, 0)
    looks = vendor.count(Route.STATUS)
    await look(dojo)
    assert (vendor.count(Route.STATUS), len(dojo.posted())) == (looks, 1)


async def test_a_late_video_can_be_had_again_from_the_history(dojo: World, vendor: PixelDojoImitation) -> None:
    await expire(dojo, vendor)
    vendor.finish(vendor.submissions[0].job_id)
    await look(dojo)
    (job,) = await dojo.jobs()
    again = await dojo.alice.slash(dojo.channel, "wan history", job=job.id)
    assert "Here it is again, free." in text_of(again)


async def test_what_the_vendor_gives_up_is_looked_for_no_more(dojo: World, vendor: PixelDojoImitation) -> None:
    answer = await expire(dojo, vendor)
    vendor.fail(vendor.submissions[0].job_id)
    await look(dojo)
    assert await waiting(dojo) == 0
    assert text_of(answer).startswith("Expired")
    looks = vendor.count(Route.STATUS)
    await look(dojo)
    assert vendor.count(Route.STATUS) == looks
    assert await entries(dojo) == ["hold", "release"]


async def test_a_vendor_in_trouble_is_asked_again_and_one_that_is_paused_is_left_alone(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    await expire(dojo, vendor)
    task = vendor.submissions[0].job_id
    vendor.finish(task)
    vendor.fault_next(Route.STATUS, HTML_502)
    await look(dojo)
    assert await waiting(dojo) == 1
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    await dojo.video(prompt="Another", model=WAN_22)
    looks = vendor.count(Route.STATUS)
    await look(dojo, seconds=60)
    assert (vendor.count(Route.STATUS), len(dojo.posted())) == (looks, 0)
    await dojo.advance(301)
    await look(dojo)
    assert len(dojo.posted()) == 1


async def test_nobody_looks_longer_than_a_vendor_keeps_a_result(dojo: World, vendor: PixelDojoImitation) -> None:
    answer = await expire(dojo, vendor)
    (job,) = await dojo.jobs()
    assert job.submitted_at is not None
    assert job.late_until == job.submitted_at + timedelta(hours=24)
    await look(dojo, seconds=DAY - PAST_THE_DEADLINE - 60)
    looks = vendor.count(Route.STATUS)
    vendor.finish(vendor.submissions[0].job_id)
    await look(dojo, seconds=60)
    assert vendor.count(Route.STATUS) == looks
    assert dojo.posted() == []
    assert text_of(answer).startswith("Expired")


async def test_a_channel_that_is_gone_ends_the_search(dojo: World, vendor: PixelDojoImitation) -> None:
    await expire(dojo, vendor)
    vendor.finish(vendor.submissions[0].job_id)
    dojo.env.backend.delete_channel(dojo.channel.id)
    await look(dojo)
    assert await waiting(dojo) == 0
    assert await entries(dojo) == ["hold", "release"]


async def test_a_late_video_is_looked_for_after_a_restart_too(dojo: World, vendor: PixelDojoImitation) -> None:
    answer = await expire(dojo, vendor)
    vendor.finish(vendor.submissions[0].job_id)
    async with restarted(dojo):
        await look(dojo)
        assert len(dojo.posted()) == 1
        assert "It came late, so it is free." in text_of(answer)
        assert await waiting(dojo) == 0


async def test_a_late_video_that_a_restored_copy_knows_nothing_of_is_not_posted_again(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    answer = await expire(dojo, vendor)
    (job,) = await dojo.jobs()
    vendor.finish(vendor.submissions[0].job_id)
    await look(dojo)
    as_before = update(jobs).values(late_until=job.late_until, result_message_id=None, version=job.version)
    await dojo.app.services.database.write(lambda c: c.execute(as_before))
    async with restarted(dojo):
        await look(dojo)
        assert len(dojo.posted()) == 1
        assert f"[Watch it]({dojo.posted()[0].jump_url})" in text_of(answer)
        assert await waiting(dojo) == 0


async def test_a_death_at_any_commit_of_a_late_video_posts_it_once(
    tmp_path: Path, vendor: PixelDojoImitation, links: SimulatedLinks
) -> None:
    death, deaths = 0, 0
    while await die_while_late(death, tmp_path / str(death), vendor, links):
        death, deaths = death + 1, deaths + 1
    # before and after: the fresh link, the suspicion, the attempt, the end, the card
    assert deaths >= 8


async def die_while_late(death: int, folder: Path, vendor: PixelDojoImitation, links: SimulatedLinks) -> bool:
    """Die at a commit while a late video is posted, then start again; false: it was done before."""
    fuse = Fuse(NEVER)
    vendor.submissions.clear()

    def wrap(database: Database) -> Database:
        return FusedDatabase(database, fuse)

    environment = {
        "PIXELDOJO_API_KEY": "pd_test",
        "PIXELDOJO_BASE_URL": vendor.base_url,
        "PIXELDOJO_REQUESTS_PER_MINUTE": "6000",
    }
    async with open_world(folder, environment, wrap_database=wrap) as world:
        links.world = world
        answer = await expire(world, vendor)
        vendor.finish(vendor.submissions[0].job_id)
        fuse.passed.clear()
        fuse.at = death
        with suppress(Killed):
            await look(world)
        has_died, fuse.is_dead, fuse.at = fuse.is_dead, False, NEVER
        async with restarted(world):
            await look(world)
            where = fuse.passed[-1:]
            assert len(world.posted()) == 1, where
            assert "It came late, so it is free." in text_of(answer), where
            assert await entries(world) == ["hold", "release"], where
            assert await waiting(world) == 0, where
    return has_died


async def test_a_channel_where_much_is_written_gets_its_late_video_all_the_same(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    answer = await expire(dojo, vendor)
    for number in range(1100):
        dojo.env.backend.create_message(dojo.channel.id, dojo.bob.id, content=f"chatter {number}")
    vendor.finish(vendor.submissions[0].job_id)
    await look(dojo)
    assert len(dojo.posted()) == 1
    assert "It came late, so it is free." in text_of(answer)
