"""What the operator decides on the command line while the bot runs: it hears of it, and its cards say so."""

from __future__ import annotations

import pytest

from bot.communities import audit
from bot.communities.audit import OPERATOR, Deed
from bot.communities.decisions import Actor
from bot.database.engine import Connection
from bot.jobs import store
from bot.jobs.job import Job, Reason, State
from bot.jobs.leases import Leases
from bot.jobs.orders import Orders
from bot.support import credits as accounts
from bot.support import jobs as support
from bot.support.errors import CannotBeDone
from bot.support.opening import opened
from tests.discord.restarts import restarted
from tests.discord.steps import audited
from tests.discord.test_discord_in_trouble import Wire, always, refusal
from tests.discord.test_late_videos import entries
from tests.discord.worlds import World, text_of
from tests.imitations.pixeldojo import PixelDojoImitation, Route

WAN_22 = "pixeldojo/wan-2.2-standard"
MISSING_PERMISSIONS = 50013


async def release(world: World, job: Job, reason: str = "It hung") -> Job:
    """As ``wanbot jobs release`` does, beside the bot."""
    async with opened(world.settings.database_url) as database:
        return await support.release(database, job.id, reason=reason, now=world.env.now())


async def redeliver(world: World, job: Job) -> Job:
    """As ``wanbot jobs redeliver`` does, beside the bot."""
    videos = world.settings.data_dir / "videos"
    async with opened(world.settings.database_url) as database:
        return await support.redeliver(database, job.id, videos=videos, reason="", now=world.env.now())


async def hear(world: World) -> None:
    """Let the running bot look for orders, and for what they are about."""
    await world.app.services.orders.run_once()
    await world.app.services.latecomers.run_once()
    await world.work()


async def only_job(world: World) -> Job:
    (job,) = await world.jobs()
    return job


async def test_a_running_job_that_is_released_is_dropped_by_the_running_bot_and_its_video_is_not_posted(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    await hear(dojo)
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    await dojo.advance(10)
    job = await only_job(dojo)
    assert job.state is State.RUNNING
    ended = await release(dojo, job)
    assert (ended.state, ended.reason) == (State.FAILED, Reason.BY_OPERATOR)
    await hear(dojo)
    assert text_of(answer).startswith("Failed")
    assert "The people who run this bot have ended it." in text_of(answer)
    looks = vendor.count(Route.STATUS)
    vendor.finish(vendor.submissions[0].job_id)
    await dojo.advance(60)
    assert (vendor.count(Route.STATUS), dojo.posted()) == (looks, [])
    assert await entries(dojo) == ["hold", "release"]
    account = await dojo.account()
    assert (account.available, account.held) == (200, 0)


async def test_a_job_that_is_released_in_the_midst_of_a_step_is_left_by_the_worker(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    vendor.finish(vendor.submissions[0].job_id)
    await release(dojo, await only_job(dojo))
    # nobody has told the worker yet: it looks, sees the video, and may not take the job on
    await dojo.advance(60)
    assert dojo.posted() == []
    assert await entries(dojo) == ["hold", "release"]
    await hear(dojo)
    assert text_of(answer).startswith("Failed")


async def test_a_waiting_job_that_is_released_leaves_the_queue(world: World) -> None:
    await world.mona.slash(world.channel, "wan-admin limits set", member_jobs=1)
    await world.video(prompt="A cat", duration=2)
    waiting = await world.video(prompt="A dog", duration=2)
    job = (await world.jobs())[0]
    assert job.state is State.QUEUED
    await release(world, job)
    await hear(world)
    assert text_of(waiting).startswith("Failed")
    await world.finish()
    assert len(world.posted()) == 1
    account = await world.account()
    assert (account.available, account.held) == (99, 0)


async def test_the_next_start_paints_the_card_of_what_was_released_while_nobody_ran(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    await release(dojo, await only_job(dojo))
    async with restarted(dojo):
        await dojo.work()
        assert text_of(answer).startswith("Failed")
        assert vendor.count(Route.SUBMIT) == 1


async def test_moderators_see_what_the_operator_did(world: World) -> None:
    await world.video(prompt="A cat", duration=2)
    job = await only_job(world)
    await release(world, job, reason="It hung")
    async with opened(world.settings.database_url) as database:
        whom = (world.guild.id, world.alice.id)
        await accounts.grant(database, world.settings, whom, 5, reason="Sorry", clock=world.env.now)
    shown = text_of(await world.mona.slash(world.channel, "wan-admin audit"))
    assert f"the operator of this bot **jobs release** <@{world.alice.id}>: job {job.id} · It hung" in shown
    assert f"the operator of this bot **credits grant** <@{world.alice.id}>: 100 → 105 · Sorry" in shown
    only = text_of(await world.mona.slash(world.channel, "wan-admin audit", action="jobs.release"))
    assert "credits grant" not in only
    assert [row.actor_id for row in await audited(world)] == [OPERATOR, OPERATOR]
    assert "Available: 105" in text_of(await world.alice.slash(world.channel, "wan balance"))


async def test_a_video_whose_message_was_deleted_is_posted_again_free(world: World) -> None:
    answer = await world.video(prompt="A cat", duration=2)
    await world.finish()
    (first,) = world.posted()
    await first.delete()
    await redeliver(world, await only_job(world))
    await hear(world)
    (second,) = world.posted()
    assert second.id != first.id
    assert f"[Watch it]({second.jump_url})" in text_of(answer)
    assert text_of(answer).startswith("Done")
    assert await entries(world) == ["hold", "settle"]
    assert (await only_job(world)).late_until is None


async def test_a_video_that_still_stands_is_not_posted_twice(world: World) -> None:
    await world.video(prompt="A cat", duration=2)
    await world.finish()
    before = world.posted()
    await redeliver(world, await only_job(world))
    await hear(world)
    assert [message.id for message in world.posted()] == [message.id for message in before]
    assert (await only_job(world)).result_message_id == before[0].id


async def test_a_video_that_could_not_be_posted_is_posted_once_the_channel_takes_it_and_stays_free(
    world: World,
) -> None:
    answer = await world.video(prompt="A cat", duration=2)
    wire = Wire(world)
    wire.before_upload = always(refusal(403, MISSING_PERMISSIONS))
    await world.finish()
    job = await only_job(world)
    assert (job.state, job.reason) == (State.FAILED, Reason.UNDELIVERABLE)
    await redeliver(world, job)
    await hear(world)
    assert world.posted() == []
    assert (await only_job(world)).late_until is None, "one refusal for good is enough"
    assert "`/wan history` has it" in text_of(answer)
    wire.before_upload = lambda: None
    await redeliver(world, job)
    await hear(world)
    (message,) = world.posted()
    assert f"It was posted after all, free. [Watch it]({message.jump_url})" in text_of(answer)
    assert text_of(answer).startswith("Failed")
    assert await entries(world) == ["hold", "release"]
    assert (await world.account()).available == 100


async def test_an_ordered_video_is_posted_by_the_next_start(world: World) -> None:
    await world.video(prompt="A cat", duration=2)
    await world.finish()
    (first,) = world.posted()
    await first.delete()
    await redeliver(world, await only_job(world))
    async with restarted(world) as second:
        await second.services.latecomers.run_once()
        (message,) = world.posted()
        assert message.id != first.id


async def test_what_was_removed_is_not_posted_again(world: World) -> None:
    await world.video(prompt="A cat", duration=2)
    await world.finish()
    job = await only_job(world)
    await world.app.services.results.remove(Actor(guild_id=job.guild_id, user_id=1, interaction_id=1), job.id)
    with pytest.raises(CannotBeDone, match="removed by its owner or a moderator"):
        await redeliver(world, job)


async def test_an_order_is_heard_once(world: World) -> None:
    answer = await world.video(prompt="A cat", duration=2)
    await release(world, await only_job(world))
    await hear(world)
    shown = text_of(answer)
    wire = Wire(world)
    await world.advance(3600)
    await hear(world)
    assert (text_of(answer), wire.edits) == (shown, 0)


async def test_an_order_of_long_ago_is_not_looked_at_again(world: World) -> None:
    await world.video(prompt="A cat", duration=2)
    job = await only_job(world)
    await release(world, job)
    await hear(world)
    deed = Deed(guild_id=1, actor_id=2, interaction_id=None, action="models.allow", target="demo", before="", after="")

    def much_happens(connection: Connection) -> None:
        for _ in range(150):
            audit.record(connection, deed, now=world.env.now())
        # a card that Discord has lost would be tried again and again
        store.card_shows(connection, job.id, 0)

    await world.app.services.database.write(much_happens)
    services, wire = world.app.services, Wire(world)
    later = Orders(
        database=services.database,
        leases=Leases(database=services.database, clock=services.clock, name=None),
        worker=services.worker,
        latecomers=services.latecomers,
        presenter=services.presenter,
    )
    for _ in range(3):
        await later.run_once()
        await services.orders.run_once()
    await world.advance(10)
    assert wire.edits == 0
