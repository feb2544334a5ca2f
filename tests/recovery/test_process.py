"""The whole bot as a process: stories, stops, kills, and a Discord that fails in the ways it does."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import av
import pytest
from aiohttp import web
from av import VideoFrame
from PIL import Image
from sqlalchemy import text, update

from bot.clock import system_clock
from bot.database.tables import jobs, remembered
from bot.jobs.job import Reason, State
from bot.jobs.lifecycle import CARD_PATIENCE
from tests.imitations import pixeldojo
from tests.imitations.discord_server import CutAfter, CutBefore, Delay, Fails, Fault, Interaction, RateLimited
from tests.imitations.discord_server.faults import Handle
from tests.imitations.pixeldojo import Route
from tests.recovery.processes import PATIENCE, Stage, until
from tests.recovery.soak import picture

#: longer than any test lasts
FOREVER = Delay(600)
FOREVER_AFTERWARDS = Delay(600, after=True)
CALLBACK = "/interactions/*/*/callback"
#: seconds that a stop may take
LONGEST_STOP = 10
MIB = 1 << 20


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncGenerator[Stage]:
    async with Stage.open(tmp_path) as opened:
        yield opened


def noisy_video(size: int) -> bytes:
    """A real MP4 that no encoder makes small by itself."""
    file = io.BytesIO()
    width, height = 320, 240
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=24, options={"qp": "1", "preset": "ultrafast"})  # pyright: ignore[reportUnknownMemberType] - its keywords
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        while file.tell() < size:
            noise = Image.frombytes("RGB", (width, height), os.urandom(width * height * 3))
            container.mux(stream.encode(VideoFrame.from_image(noise)))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - its types are partial
        container.mux(stream.encode())
    return file.getvalue()


# --- stories ---------------------------------------------------------------------------------------


async def test_a_command_becomes_a_card_and_then_a_video(stage: Stage) -> None:
    async with stage.serving() as bot:
        run = await stage.ask_demo("a cat on a roof")
        await run.answered(PATIENCE)
        card = run.message
        assert card is not None
        assert card.text.startswith("Queued")
        assert card.labels == ["Cancel", "Refresh"]

        job = await stage.done(run)

        titles = [edit.embeds[0]["title"] for edit in card.edits]
        assert titles[-1] == "Done"
        assert titles == sorted(titles, key=["Queued", "Submitting", "Running", "Delivering", "Done"].index)
        assert {edit.via for edit in card.edits} == {"bot"}
        video = stage.videos(run)[0]
        assert video.referenced is card
        assert video.mentions == [stage.alice.id]
        (file,) = video.attachments
        assert (file.filename, file.description) == (f"wan-{job.id}.mp4", "a cat on a roof")
        assert file.content[4:8] == b"ftyp"
        stage.books.check()

        code, seconds = await bot.terminate()
        assert code == 0
        assert seconds < LONGEST_STOP
        assert not bot.errors


async def test_a_vendor_fetches_the_picture_from_the_card(stage: Stage) -> None:
    stage.vendor.polls = 0
    async with stage.serving() as bot:
        run = await stage.ask("it turns its head", image=("cat.png", picture()))
        await run.answered(PATIENCE)
        # what the member sent is gone soon; the copy on the card is what counts
        stage.discord.drop_uploads()

        job = await stage.done(run)

        (submission,) = stage.vendor.submissions
        (attached,) = stage.cards(run)[0].attachments
        link = urlsplit(str(submission.body["image_url"]))
        assert (link.hostname, link.path) == ("127.0.0.1", attached.path)
        assert submission.media["image_url"] == attached.content
        assert stage.videos(run)[0].attachments[0].content == pixeldojo.small_video()
        assert (job.quote, job.cost_amount) == (15, Decimal(3))
        stage.books.check()
        assert not bot.errors


async def test_a_slow_answer_is_announced_and_then_becomes_the_card(stage: Stage) -> None:
    async with stage.serving():
        with stage.books.locked():
            run = await stage.ask_demo()
            await run.acked(PATIENCE)
            announced = run.message
            assert announced is not None
            assert announced.loading
        await stage.done(run)
        assert stage.cards(run) == [announced]
        stage.books.check()


async def test_shards_share_one_process(tmp_path: Path) -> None:
    async with Stage.open(tmp_path, shards=2) as stage, stage.bot(SHARD_COUNT="2") as bot:
        guild = stage.discord.add_guild(shard=1)
        channel, bob = guild.add_channel(), guild.add_member("bob")
        await stage.discord.wait_ready(timeout=PATIENCE)
        assert sorted(stage.discord.gateway.identifies) == [(0, 2), (1, 2)]
        await stage.done(await stage.ask_demo(channel=channel, member=bob))
        stage.books.check()
        assert (await bot.terminate())[0] == 0


# --- starting --------------------------------------------------------------------------------------


async def test_commands_are_told_to_discord_only_when_they_changed(stage: Stage) -> None:
    for expected in (1, 1):
        async with stage.serving() as bot:
            assert (await bot.terminate())[0] == 0
        assert len(stage.discord.syncs) == expected
    # what an older version of the bot would have left
    stage.books.write(lambda c: c.execute(update(remembered).values(value="another definition")))
    async with stage.serving() as bot:
        assert len(stage.discord.syncs) == 2
        assert (await bot.terminate())[0] == 0


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        pytest.param({"DISCORD_TOKEN": "wrong.token.entirely"}, "DISCORD_TOKEN: Discord doesn't accept it", id="wrong"),
        pytest.param({"DISCORD_TOKEN": ""}, "DISCORD_TOKEN: is missing", id="missing"),
        pytest.param({"DISCORD_TOKN": "secret"}, "DISCORD_TOKN: there is no such setting", id="unknown"),
    ],
)
async def test_a_start_with_bad_settings_ends_with_one_line_for_each(
    stage: Stage, settings: dict[str, str], line: str
) -> None:
    async with stage.bot(**settings) as bot:
        assert await bot.exit_code() == 2
        plain = [each for each in bot.lines if not each.startswith("{")]
        assert len(plain) == 1
        assert plain[0].startswith(line)
        assert not any(value in each for value in settings.values() if value for each in bot.lines)


async def ends_with_one_line(stage: Stage, **settings: str) -> str:
    """Start in vain: what the operator reads."""
    async with stage.bot(**settings) as bot:
        assert await bot.exit_code() == 1
        (line,) = bot.lines
        return line


async def test_a_database_that_can_not_be_used_ends_the_start_with_one_line(stage: Stage, tmp_path: Path) -> None:
    path = stage.books.path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this is no database, but a letter to somebody" * 100)
    assert "file is not a database" in await ends_with_one_line(stage)
    path.unlink()
    async with stage.serving():
        pass
    stage.books.write(lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    assert "update the program" in await ends_with_one_line(stage)
    unreachable = await ends_with_one_line(stage, DATABASE_URL="postgresql://wanbot:hidden@127.0.0.1:1/wanbot")
    assert "the database can't be used" in unreachable
    assert "refused" in unreachable
    assert "hidden" not in unreachable


async def test_a_stop_is_obeyed_while_discord_does_not_answer_the_start(stage: Stage) -> None:
    stage.discord.faults.add("GET", "/users/@me", FOREVER)
    async with stage.bot() as bot:
        await until(lambda: stage.discord.requests.to("GET", "/users/@me"), lambda: bot.lines)
        code, seconds = await bot.terminate()
        assert code == 0
        assert seconds < LONGEST_STOP


async def test_a_discord_that_can_not_be_reached_is_told_by_the_exit_code(stage: Stage) -> None:
    stage.discord.faults.add("GET", "/users/@me", CutBefore(), times=None)
    async with stage.bot() as bot:
        assert await bot.exit_code() == 1
        (line,) = bot.lines
        assert line.startswith("Discord doesn't answer")


async def test_jobs_go_on_though_discord_takes_no_commands(stage: Stage) -> None:
    async with stage.serving(DEMO_SECONDS="2") as bot:
        run = await stage.ask_demo()
        await stage.reached(run, State.RUNNING)
        await stage.kill(bot)
    stage.books.write(lambda c: c.execute(update(remembered).values(value="another definition")))
    daily_limit = 30034
    stage.discord.faults.add("PUT", "/applications/*/commands", Fails(400, daily_limit))
    async with stage.serving() as bot:
        await stage.done(run)
        assert len(bot.errors) == 1
        assert len(stage.discord.syncs) == 1


# --- stopping --------------------------------------------------------------------------------------


async def test_a_stop_leaves_running_jobs_to_the_next_start(stage: Stage) -> None:
    async with stage.serving(DEMO_SECONDS="3") as bot:
        drawn, made = await stage.ask_demo(), await stage.ask_vendor("a dog")
        for run in (drawn, made):
            await stage.reached(run, State.RUNNING)
        code, seconds = await bot.terminate()
        assert code == 0
        assert seconds < LONGEST_STOP / 2
        assert not bot.errors
    (submission,) = stage.vendor.submissions
    stage.vendor.finish(submission.job_id)
    async with stage.serving(DEMO_SECONDS="3"):
        for run in (drawn, made):
            await stage.done(run)
    assert len(stage.vendor.submissions) == 1
    stage.books.check()


async def test_a_stop_finishes_what_ends_soon(stage: Stage) -> None:
    stage.discord.faults.add("POST", f"/channels/{stage.channel.id}/messages", Delay(1))
    async with stage.serving() as bot:
        run = await stage.ask_demo()
        await until(lambda: stage.discord.requests.to("POST", "/channels/*/messages"), lambda: bot.lines)
        assert (await bot.terminate())[0] == 0
        # nothing is left for the next start
        await stage.done(run)
        stage.books.check()


async def test_a_stop_does_not_wait_for_slow_submissions_uploads_and_edits(stage: Stage) -> None:
    slow = stage.guild.add_channel("slow")
    stage.discord.faults.add("POST", f"/channels/{slow.id}/messages", FOREVER)
    stage.discord.faults.add("PATCH", "/channels/*/messages/*", FOREVER, times=None)
    stage.vendor.fault_next(Route.SUBMIT, pixeldojo.HANG_AFTER_JOB)
    async with stage.serving() as bot:
        uploaded, submitted = await stage.ask_demo(channel=slow), await stage.ask_vendor("a dog")
        (submission,) = await stage.submitted()
        await until(lambda: stage.discord.requests.to("POST", f"/channels/{slow.id}/messages"), lambda: bot.lines)
        code, seconds = await bot.terminate()
        assert code == 0
        assert seconds < LONGEST_STOP
        assert not bot.errors
    stage.discord.faults.clear()
    async with stage.serving():
        await stage.done(uploaded)
        found = await stage.reached(submitted, State.RUNNING)
        assert found.task_id == submission.job_id
        assert stage.vendor.count(Route.SUBMIT) == 1


async def test_a_stop_is_obeyed_while_the_connection_is_made_anew(stage: Stage) -> None:
    async with stage.serving() as bot, stage.discord.gateway_down():
        await until(lambda: stage.discord.gateway.waiting, lambda: bot.lines)
        # it isn't greeted before the context ends
        assert (await bot.terminate())[0] == 0
        assert not bot.errors


# --- kills -----------------------------------------------------------------------------------------


async def test_a_kill_while_jobs_wait_changes_nothing(stage: Stage) -> None:
    stage.vendor.polls = 0
    stage.vendor.fault_next(Route.SUBMIT, pixeldojo.rate_limited("2"))
    async with stage.serving() as bot:
        waiting = await stage.ask("waits for the vendor")
        job = await stage.reached(waiting, State.QUEUED)
        await until(lambda: len(stage.books.transitions(job)) == 3, lambda: stage.books.transitions(job))
        await stage.kill(bot)
    assert not stage.vendor.submissions
    async with stage.serving():
        await stage.done(waiting)
    assert len(stage.vendor.submissions) == 1
    stage.books.check()


async def test_a_kill_between_a_job_and_its_card_leaves_one_of_each(stage: Stage) -> None:
    heard = stage.discord.faults.add("POST", CALLBACK, FOREVER_AFTERWARDS)
    async with stage.serving() as bot:
        with_card = await stage.ask_demo("the card was posted, the bot never knew")
        await until(lambda: with_card.message, lambda: bot.lines)
        assert heard.hits == 1
        stage.discord.faults.add("POST", CALLBACK, FOREVER)
        without_card = await stage.ask_demo("the answer never arrived")
        await stage.reached(without_card, State.QUEUED)
        await stage.kill(bot)
    stage.discord.faults.clear()
    # else the next start would wait for the cards
    long_ago = system_clock() - CARD_PATIENCE
    stage.books.write(lambda c: c.execute(update(jobs).values(created_at=long_ago)))
    async with stage.serving():
        for run in (with_card, without_card):
            await stage.done(run)
    assert stage.cards(with_card) == [with_card.message]
    stage.books.check()


@pytest.mark.parametrize("way", ["button", "command"])
async def test_a_card_that_a_killed_bot_never_heard_of_tells_of_its_cancellation(stage: Stage, way: str) -> None:
    stage.discord.faults.add("POST", CALLBACK, FOREVER_AFTERWARDS)
    async with stage.serving() as bot:
        run = await stage.ask_demo()
        card = await until(lambda: run.message, lambda: bot.lines)
        await stage.kill(bot)
    stage.discord.faults.clear()
    async with stage.serving():
        # before the worker looks for the card, which it leaves to the answer for ten seconds
        if way == "button":
            await stage.alice.click(card, "wan:cancel:")
        else:
            await stage.alice.slash(stage.channel, "wan cancel")
        await stage.released(run, State.CANCELLED)
    assert stage.cards(run) == [card]
    stage.books.check()


async def test_a_kill_during_a_submission_never_submits_twice(stage: Stage) -> None:
    # asked for one by one, since faults are told in the order of the submissions
    asked: list[Interaction] = []
    async with stage.serving() as bot:
        for prompt, fault in (
            ("the answer takes long", pixeldojo.HANG_AFTER_JOB),
            ("the answer was cut", pixeldojo.CUT_AFTER_JOB),
            ("it never arrived", pixeldojo.HANG),
        ):
            stage.vendor.fault_next(Route.SUBMIT, fault)
            asked.append(await stage.ask(prompt))
            await until(lambda: stage.vendor.count(Route.SUBMIT) == len(asked), lambda: bot.lines)
        for run in asked:
            await stage.reached(run, State.SUBMITTING)
        await stage.kill(bot)
    for submission in stage.vendor.submissions:
        stage.vendor.finish(submission.job_id)
    async with stage.serving() as bot:
        lost = await stage.released(asked[2], State.LOST)
        assert lost.reason is Reason.NO_ANSWER
        # the operator is told
        assert [error["job"] for error in bot.errors] == [lost.id]
        for run in asked[:2]:
            await stage.done(run)
    assert stage.vendor.count(Route.SUBMIT) == 3
    assert len(stage.vendor.submissions) == 2
    stage.books.check()


async def test_a_kill_while_jobs_run_loses_nothing(stage: Stage) -> None:
    async with stage.serving(DEMO_SECONDS="2") as bot:
        drawn, made = await stage.ask_demo(), await stage.ask_vendor("a dog")
        for run in (drawn, made):
            await stage.reached(run, State.RUNNING)
        await stage.kill(bot)
    (submission,) = stage.vendor.submissions
    stage.vendor.finish(submission.job_id)
    async with stage.serving(DEMO_SECONDS="2"):
        for run in (drawn, made):
            await stage.done(run)
    assert len(stage.vendor.submissions) == 1
    stage.books.check()


async def test_a_kill_during_a_delivery_posts_once(stage: Stage) -> None:
    before, after = stage.guild.add_channel("before"), stage.guild.add_channel("after")
    stage.discord.faults.add("POST", f"/channels/{before.id}/messages", FOREVER)
    stage.discord.faults.add("POST", f"/channels/{after.id}/messages", FOREVER_AFTERWARDS)
    async with stage.serving() as bot:
        asked = [await stage.ask_demo(channel=channel) for channel in (before, after)]
        for run in asked:
            job = await stage.reached(run, State.DELIVERING)
            await until(
                lambda path=f"/channels/{job.channel_id}/messages": stage.discord.requests.to("POST", path),
                lambda: bot.lines,
            )
        await until(lambda: stage.videos(asked[1]), lambda: bot.lines)
        await stage.kill(bot)
    stage.discord.faults.clear()
    assert not stage.videos(asked[0])
    async with stage.serving():
        for run in asked:
            await stage.done(run)
    stage.books.check()


async def test_an_attempt_of_long_ago_is_looked_for_in_the_channel(tmp_path: Path) -> None:
    # Discord remembers nonces for minutes only
    async with Stage.open(tmp_path, nonce_seconds=0) as stage:
        stage.discord.faults.add("POST", f"/channels/{stage.channel.id}/messages", FOREVER_AFTERWARDS)
        async with stage.serving() as bot:
            run = await stage.ask_demo()
            await stage.reached(run, State.DELIVERING)
            await until(lambda: stage.videos(run), lambda: bot.lines)
            await stage.kill(bot)
        stage.discord.faults.clear()
        long_ago = system_clock() - timedelta(minutes=3)
        stage.books.write(lambda c: c.execute(update(jobs).values(attempted_at=long_ago)))
        async with stage.serving():
            await stage.done(run)
        stage.books.check()


async def test_a_kill_before_the_last_edit_leaves_no_card_unfinished(stage: Stage) -> None:
    stage.discord.faults.add("PATCH", "/channels/*/messages/*", FOREVER, times=None)
    async with stage.serving() as bot:
        run = await stage.ask_demo()
        await stage.reached(run, State.SUCCEEDED)
        await stage.kill(bot)
    assert stage.cards(run)[0].text.startswith("Queued")
    stage.discord.faults.clear()
    async with stage.serving():
        await stage.done(run)
    stage.books.check()


# --- Discord fails ---------------------------------------------------------------------------------


async def test_jobs_go_on_while_the_gateway_is_away(stage: Stage) -> None:
    gateway = stage.discord.gateway
    async with stage.serving() as bot:
        run = await stage.ask_demo()
        await stage.reached(run, State.RUNNING)
        async with stage.discord.gateway_down("abort"):
            await stage.done(run)
        await until(lambda: gateway.resumes == 1, lambda: bot.lines)
        # a command that came meanwhile is told again
        stage.discord.drop_gateway("reconnect")
        await stage.done(await stage.ask_demo())
        assert gateway.resumes == 2
        stage.discord.drop_gateway("reconnect", resumable=False)
        await until(lambda: len(gateway.identifies) == 2, lambda: bot.lines)
        await stage.done(await stage.ask_demo())
        stage.books.check()
        assert (await bot.terminate())[0] == 0


async def test_a_second_process_on_the_same_file_is_refused_and_the_first_goes_on(stage: Stage) -> None:
    async with stage.serving() as bot:
        async with stage.bot() as second:
            assert await second.exit_code() == 1
            (line,) = second.lines
            assert f"is in use by another wanbot (process {bot.pid}): stop it first" in line
        await stage.done(await stage.ask_demo())
        await stage.kill(bot)
    # the kernel dropped the lock with the process
    async with stage.serving():
        await stage.done(await stage.ask_demo())


async def test_an_event_that_can_not_be_understood_is_passed_over(stage: Stage) -> None:
    gateway = stage.discord.gateway
    async with stage.serving() as bot:
        for event in ("GUILD_UPDATE", "CHANNEL_CREATE", "INTERACTION_CREATE"):
            gateway.emit(event, {"id": "no number", "guild_id": [], "type": "odd"})
        await bot.hears("Discord told of something that can't be understood; it is passed over", 2)
        await stage.done(await stage.ask_demo())
        assert len(gateway.identifies) == 1
        assert (await bot.terminate())[0] == 0


async def test_jobs_live_on_while_a_connection_that_talks_nonsense_is_made_anew(stage: Stage) -> None:
    gateway = stage.discord.gateway
    async with stage.serving() as bot:
        run = await stage.ask_demo()
        await stage.reached(run, State.RUNNING)
        gateway.babble("{this is no JSON")
        await bot.hears("the connection to Discord broke; jobs go on, and it is made anew")
        await until(lambda: len(gateway.identifies) == 2, lambda: bot.lines)
        await stage.done(run)
        await stage.done(await stage.ask_demo())
        stage.books.check()
        assert (await bot.terminate())[0] == 0


async def test_a_command_that_is_told_twice_is_one_job(stage: Stage) -> None:
    async with stage.serving() as bot:
        run = await stage.ask_demo()
        stage.discord.redeliver(run)
        await stage.done(run)
        stage.discord.redeliver(run)
        # and one that the bot surely handles afterwards
        await stage.done(await stage.ask_demo())
        assert stage.books.jobs == 2
        assert len(stage.cards(run)) == 1
        stage.books.check()
        assert not bot.errors


async def test_however_an_answer_fails_there_is_one_job_and_one_card(stage: Stage) -> None:
    faults: dict[str, Fault] = {
        "500": Fails(500),
        "500, though it was done": Fails(500, handled=True),
        "429": RateLimited(0.3),
        "cut, though it was done": CutAfter(),
    }
    async with stage.serving() as bot:
        asked: list[Interaction] = []
        for name, fault in faults.items():
            rule = stage.discord.faults.add("POST", CALLBACK, fault)
            asked.append(await stage.ask_demo(name, member=stage.guild.add_member(name)))
            await until(lambda rule=rule: rule.hits, lambda: bot.lines)
        for run in asked:
            job = await stage.done(run)
            # nobody waited for the time after which a card is made anew
            assert job.submitted_at is not None
            assert job.submitted_at - job.created_at < CARD_PATIENCE
        assert stage.books.jobs == len(faults)
        stage.books.check()
        assert not bot.errors


async def test_an_answer_that_comes_too_late_costs_nothing(tmp_path: Path) -> None:
    async with Stage.open(tmp_path, ack_seconds=0) as stage, stage.serving() as bot:
        run = await stage.ask_demo()
        job = await stage.reached(run, State.CANCELLED)
        assert job.reason is Reason.UNANSWERED
        assert stage.books.entries(job) == ["hold", "release"]
        assert not stage.channel.messages
        stage.books.check()
        assert not bot.errors


async def test_a_job_that_went_on_without_its_answer_is_not_given_up(stage: Stage) -> None:
    @dataclass
    class RefusedLate:
        """What repeated 5xx lead to: the last try finds the interaction gone, and the job on its way."""

        gone: asyncio.Event = field(default_factory=asyncio.Event)

        async def apply(self, request: web.Request, handle: Handle) -> web.Response:
            await self.gone.wait()
            return await Fails(404, 10062).apply(request, handle)

    refusal = RefusedLate()
    async with stage.serving() as bot:
        stage.discord.faults.add("POST", CALLBACK, refusal)
        run = await stage.ask_demo()
        await stage.reached(run, State.QUEUED)
        # as if the worker had waited for the card; the next command makes it look again
        long_ago = system_clock() - CARD_PATIENCE
        stage.books.write(lambda c: c.execute(update(jobs).values(created_at=long_ago)))
        await stage.done(await stage.ask_demo("a dog"))
        await stage.reached(run, State.RUNNING, State.DELIVERING, State.SUCCEEDED)
        refusal.gone.set()
        await stage.done(run)
        assert (await bot.terminate())[0] == 0
        assert not bot.errors
        stage.books.check()


async def test_however_an_edit_fails_the_card_tells_the_end(stage: Stage) -> None:
    faults: list[tuple[Fault, int]] = [(RateLimited(0.2), 3), (Fails(503), 1), (CutBefore(), 1), (CutAfter(), 1)]
    async with stage.serving() as bot:
        asked: list[Interaction] = []
        for fault, times in faults:
            channel = stage.guild.add_channel()
            stage.discord.faults.add("PATCH", f"/channels/{channel.id}/messages/*", fault, times)
            asked.append(await stage.ask_demo(channel=channel, member=stage.guild.add_member()))
        for run in asked:
            await stage.done(run)
        stage.books.check()
        assert not bot.errors


async def test_however_a_post_fails_there_is_one_video(stage: Stage) -> None:
    faults: list[tuple[Fault, int]] = [
        (CutAfter(), 1),
        (CutBefore(), 1),
        (Fails(500), 2),
        (Fails(502, handled=True), 1),
        (Fails(503), 1),
        (RateLimited(0.2), 2),
    ]
    async with stage.serving() as bot:
        asked: list[Interaction] = []
        for fault, times in faults:
            channel = stage.guild.add_channel()
            stage.discord.faults.add("POST", f"/channels/{channel.id}/messages", fault, times)
            asked.append(await stage.ask_demo(channel=channel, member=stage.guild.add_member()))
        for run in asked:
            await stage.done(run)
        stage.books.check()
        assert not bot.errors


async def test_a_video_that_discord_finds_too_large_is_made_smaller(stage: Stage) -> None:
    # Nitro counts for what the member's command says, and not for what the bot may post
    bob = stage.guild.add_member("bob", upload_limit=50 * MIB)
    stage.vendor.video, stage.vendor.polls = noisy_video(12 * MIB), 0
    async with stage.serving() as bot:
        run = await stage.ask(member=bob)
        await stage.done(run)
        assert [each.status for each in stage.discord.requests.to("POST", "/channels/*/messages")] == [413, 200]
        (file,) = stage.videos(run)[0].attachments
        assert MIB < len(file.content) <= 10 * MIB
        stage.books.check()
        assert not bot.errors


async def test_a_video_is_posted_though_its_card_was_deleted(stage: Stage) -> None:
    async with stage.serving(DEMO_SECONDS="2.5") as bot:
        run = await stage.ask_demo()
        job = await stage.reached(run, State.RUNNING)
        (card,) = stage.cards(run)
        card.delete()
        job = await stage.reached(run, State.SUCCEEDED)
        (video,) = stage.videos(run)
        assert video.referenced is None
        assert stage.books.entries(job) == ["hold", "settle"]
        stage.books.check()
        assert (await bot.terminate())[0] == 0
        assert stage.cards(run) == [card]
        # one is enough to learn that it is gone
        edits = stage.discord.requests.to("PATCH", f"/channels/{run.channel.id}/messages/{card.id}")
        assert [edit.status for edit in edits].count(404) <= 1
        assert not bot.errors


async def test_a_video_that_can_not_be_posted_costs_nothing(stage: Stage) -> None:
    silent, gone = stage.guild.add_channel("silent"), stage.guild.add_channel("gone")
    async with stage.serving(DEMO_SECONDS="1") as bot:
        asked = [await stage.ask_demo(channel=channel) for channel in (silent, gone)]
        for run in asked:
            await stage.reached(run, State.RUNNING)
        silent.deny("send_messages")
        gone.delete()
        job = await stage.released(asked[0], State.FAILED)
        assert job.reason is Reason.UNDELIVERABLE
        job = await stage.reached(asked[1], State.FAILED)
        assert job.reason is Reason.UNDELIVERABLE
        assert stage.books.entries(job) == ["hold", "release"]
        # for /wan history
        assert (stage.folder / "data" / "videos" / f"{job.id}.mp4").is_file()
        stage.books.check()
        assert not bot.errors
