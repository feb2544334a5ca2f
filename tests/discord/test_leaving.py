"""The bot is removed from a guild, also while nobody listens, and may come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from simcord.backend import serializers
from sqlalchemy import select

from bot.app import open_app
from bot.communities import departures
from bot.credits import ledger
from bot.database.tables import audit, guilds, jobs
from bot.jobs import store
from bot.jobs.job import Job, Reason, State
from bot.shards import Shards
from tests.discord.steps import keep_for
from tests.discord.traces import files_below, traces
from tests.discord.worlds import World, is_private, open_world, text_of

DAY = 86_400


def remove(world: World) -> Callable[[], None]:
    """Remove the bot from the guild; gives what invites it again."""
    backend = world.env.backend
    guild = backend.guilds[world.guild.id]
    channels = {key: channel for key, channel in backend.channels.items() if key in guild.channel_ids}
    messages = {key: backend.messages[key] for key in channels if key in backend.messages}
    backend.remove_guild(guild.id)

    def invite() -> None:
        backend.guilds[guild.id] = guild
        backend.channels.update(channels)
        backend.messages.update(messages)
        payload = dict(serializers.guild_create_payload(backend, guild))
        # which is how a new guild differs from one that was out of reach
        payload.pop("unavailable", None)
        backend.emit("GUILD_CREATE", payload)

    return invite


async def heard(world: World) -> None:
    """Let the bot hear what happened."""
    await world.env.settle()


async def job_of(world: World, job_id: str) -> Job:
    job = await world.app.services.database.read(partial(store.load, job_id=job_id))
    assert job is not None
    return job


async def left_at(world: World) -> dict[int, bool]:
    """Of which guilds the database says that the bot has left them."""
    known = await world.app.services.database.read(departures.known_guilds)
    return {guild_id: left is not None for guild_id, left in known.items()}


@asynccontextmanager
async def unable_to_post(world: World) -> AsyncGenerator[None]:
    """Discord takes no videos for now."""
    http: Any = world.app.bot.http
    inner = http.request

    async def request(route: Any, **kwargs: Any) -> Any:
        if route.method == "POST" and kwargs.get("files"):
            raise ConnectionResetError
        return await inner(route, **kwargs)

    http.request = request
    yield
    http.request = inner


async def until(world: World, job_id: str, state: State) -> None:
    for _ in range(200):
        await world.advance(2)
        if (await job_of(world, job_id)).state is state:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{job_id} never was {state}")


async def test_waiting_jobs_end_at_once_and_started_ones_in_their_own_way(world: World) -> None:
    async with unable_to_post(world):
        await world.video(prompt="Delivering", duration=2)
        (first,) = await world.jobs()
        await until(world, first.id, State.DELIVERING)
    for number in range(3):
        await world.video(prompt=f"More {number}", duration=2)
        await world.env.advance_time(0.1)
    await world.alice_elsewhere.slash(world.elsewhere_channel, "wan video", prompt="Elsewhere", duration=2)
    waiting, *running, delivering = await world.jobs()
    assert [each.state for each in (waiting, *running, delivering)] == [
        State.QUEUED,
        State.RUNNING,
        State.RUNNING,
        State.DELIVERING,
    ]
    assert (await world.account()).held == 4
    remove(world)
    await heard(world)
    ended = await job_of(world, waiting.id)
    assert (ended.state, ended.reason) == (State.FAILED, Reason.GUILD_GONE)
    assert (await world.account()).held == 3
    assert {(await job_of(world, each.id)).state for each in running} == {State.RUNNING}
    assert await left_at(world) == {world.guild.id: True, world.elsewhere.id: False}
    await world.finish()
    for each in (*running, delivering):
        ended = await job_of(world, each.id)
        assert (ended.state, ended.reason) == (State.FAILED, Reason.UNDELIVERABLE)
        assert ended.video_path is not None
    account = await world.account()
    assert (account.available, account.held) == (100, 0)
    # the other guild has noticed nothing
    (elsewhere,) = [job for job in await all_jobs(world) if job.guild_id == world.elsewhere.id]
    assert elsewhere.state == "succeeded"
    assert (await world.account(world.alice, world.elsewhere)).available == 99


async def all_jobs(world: World) -> list[Any]:
    return list(await world.app.services.database.read(lambda connection: connection.execute(select(jobs)).all()))


async def test_a_guild_that_comes_back_finds_its_decisions_and_its_kept_videos(world: World) -> None:
    await world.mona.slash(world.channel, "wan-admin models deny", model="demo", role=world.guild.create_role("New"))
    await world.video(prompt="Undeliverable", duration=2)
    (job,) = await world.jobs()
    invite = remove(world)
    await heard(world)
    await world.finish()
    invite()
    await heard(world)
    assert await left_at(world) == {world.guild.id: False}
    again = await world.alice.slash(world.channel, "wan history", job=job.id)
    assert is_private(again)
    assert "Here it is again, free." in text_of(again)
    assert "denied for" in text_of(await world.mona.slash(world.channel, "wan-admin models list"))
    await world.env.advance_time(31 * DAY)
    await world.app.services.retention.run_once()
    assert "denied for" in text_of(await world.mona.slash(world.channel, "wan-admin models list"))


async def test_what_is_known_of_a_guild_is_deleted_some_time_after_it_was_left(world: World) -> None:
    await world.video(prompt="A purple elephant", duration=2)
    await world.finish()
    await keep_for(world, 3)
    await world.mona.slash(world.channel, "wan-admin models deny", model="demo")
    await world.mona.slash(world.channel, "wan-admin credits grant", member=world.alice, amount=9, reason="Elephants")
    await world.mona.slash(world.channel, "wan-admin members block", member=world.bob, reason="Spam")
    elsewhere = await world.account(world.alice, world.elsewhere)
    invite = remove(world)
    await heard(world)
    await world.env.advance_time(3 * DAY - 60)
    await world.app.services.retention.run_once()
    # the video is a little older than the departure, and stays for as long as any
    assert traces(world, "Elephants", "Spam") != []
    await world.env.advance_time(120)
    await world.app.services.retention.run_once()
    assert traces(world, "elephant", "Spam", world.bob.id, world.mona.id) == []
    assert {place.partition(":")[0] for place in traces(world, world.alice.id)} == {"accounts.user_id"}
    assert files_below(world.settings.data_dir) == []
    for table in (guilds, audit):
        rows = await world.app.services.database.read(
            lambda connection, table=table: connection.execute(select(table.c.guild_id)).scalars().all()
        )
        assert world.guild.id not in rows
    assert await world.account(world.alice, world.elsewhere) == elsewhere
    assert await world.app.services.database.read(ledger.mismatches) == []
    invite()
    await heard(world)
    # as if it had never been there, also in the same process
    assert "no video here yet" in text_of(await world.alice.slash(world.channel, "wan history"))
    assert "Available: 100" in text_of(await world.alice.slash(world.channel, "wan balance"))
    assert "Nothing was changed yet." in text_of(await world.mona.slash(world.channel, "wan-admin audit"))
    assert not is_private(await world.video(prompt="Again", duration=2))
    # but for blocks: nobody gets rid of one by sending the bot away
    refusal = await world.bob.slash(world.channel, "wan video", prompt="Again", duration=2)
    assert text_of(refusal) == "The moderators here have blocked you from making videos."
    await world.finish()


async def test_an_outage_is_no_departure(world: World) -> None:
    for number in range(4):
        await world.video(prompt=f"Cat {number}", duration=2)
    world.env.backend.emit("GUILD_DELETE", {"id": str(world.guild.id), "unavailable": True})
    await heard(world)
    assert [job.state for job in await world.jobs()].count(State.QUEUED) == 1
    assert await left_at(world) == {world.guild.id: False}
    bot = world.app.bot
    await world.app.services.leaving.catch_up({guild.id for guild in bot.guilds}, Shards(1, {0}))
    assert await left_at(world) == {world.guild.id: False}
    await world.finish()
    assert {job.state for job in await world.jobs()} == {State.SUCCEEDED}


async def test_a_removal_and_a_return_that_nobody_heard_of_are_found_at_the_next_start(world: World) -> None:
    for number in range(4):
        await world.video(prompt=f"Cat {number}", duration=2)
    await world.alice_elsewhere.slash(world.elsewhere_channel, "wan balance")
    await world.app.services.leaving.left(world.elsewhere.id)
    assert await left_at(world) == {world.guild.id: False, world.elsewhere.id: True}
    waiting = (await world.jobs())[0]
    await world.app.stop()
    await world.app.bot.close()
    # while no bot listens
    del world.env.backend.guilds[world.guild.id]
    async with open_app(world.settings, clock=world.env.now) as second:
        await world.env.restart_bot(second.bot)
        first, world.app = world.app, second
        assert await left_at(world) == {world.guild.id: True, world.elsewhere.id: False}
        ended = await job_of(world, waiting.id)
        assert (ended.state, ended.reason) == (State.FAILED, Reason.GUILD_GONE)
        await second.resume()
        await world.finish()
        assert {job.reason for job in await world.jobs()} == {Reason.GUILD_GONE, Reason.UNDELIVERABLE}
        account = await world.account()
        assert (account.available, account.held) == (100, 0)
        await second.stop()
        await second.bot.close()
        world.app = first


async def test_guilds_of_other_processes_are_none_of_its_business(world: World) -> None:
    """Two processes share a database, each with half of the shards."""
    for member, channel in ((world.alice, world.channel), (world.alice_elsewhere, world.elsewhere_channel)):
        await member.slash(channel, "wan balance")
    here, elsewhere = world.guild.id, world.elsewhere.id
    count = 3
    own = (here >> 22) % count
    others = Shards(count, {each for each in range(count) if each != own})
    await world.app.services.leaving.catch_up(set(), others)
    assert (await left_at(world))[here] is False
    await world.app.services.leaving.catch_up(set(), Shards(count, {own}))
    assert (await left_at(world))[here] is True
    await world.app.services.leaving.catch_up({here, elsewhere}, others)
    assert (await left_at(world))[here] is True
    await world.app.services.leaving.catch_up({here, elsewhere}, Shards(count, {own}))
    assert (await left_at(world))[here] is False


async def test_a_departure_is_noted_on_postgresql(tmp_path: Any, postgres_url: str) -> None:
    async with open_world(tmp_path, {"DATABASE_URL": postgres_url}) as world:
        for number in range(4):
            await world.video(prompt=f"Cat {number}", duration=2)
        remove(world)
        await heard(world)
        assert [job.reason for job in await world.jobs()].count(Reason.GUILD_GONE) == 1
        await world.finish()
        assert (await world.account()).held == 0
        await world.env.advance_time(31 * DAY)
        await world.app.services.retention.run_once()
        assert await left_at(world) == {}
        assert all(row.user_id < 0 for row in await all_jobs(world))


def test_a_guild_belongs_to_the_shard_that_discord_says() -> None:
    guild_id = 197038439483310086  # the example of Discord's reference
    shard = (guild_id >> 22) % 4
    assert Shards(4, {shard}).have(guild_id)
    assert not Shards(4, {0, 1, 2, 3} - {shard}).have(guild_id)
    assert Shards(1, {0}).have(guild_id)
