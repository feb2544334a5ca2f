"""A live community moves to PostgreSQL: the bot is stopped, everything is moved, and it goes on there."""

from __future__ import annotations

from bot.credits import ledger
from bot.database.moving import move
from bot.jobs.job import State
from tests.discord.restarts import restarted
from tests.discord.worlds import World, picture, text_of
from tests.imitations.pixeldojo import PixelDojoImitation, Route

WAN_22 = "pixeldojo/wan-2.2-standard"


async def test_open_jobs_go_on_after_the_move_and_everybody_pays_once(
    dojo: World, vendor: PixelDojoImitation, postgres_url: str
) -> None:
    await dojo.mona.slash(dojo.channel, "wan-admin limits set", member_jobs=2)
    made = await dojo.video(prompt="A bird", model=WAN_22)
    vendor.finish(vendor.submissions[0].job_id)
    await dojo.advance(60)
    running = await dojo.video(prompt="A cat", model=WAN_22, image=("cat.png", picture()))
    other = await dojo.video(prompt="A fish", model=WAN_22)
    waiting = await dojo.video(prompt="A dog", model=WAN_22)
    states = [job.state for job in await dojo.jobs()]
    assert states == [State.QUEUED, State.RUNNING, State.RUNNING, State.SUCCEEDED]
    before = await dojo.account()
    assert before.held > 0
    await dojo.app.stop()
    moved = move(dojo.settings.database_url, postgres_url, now=dojo.env.now())
    assert (moved.open_jobs, moved.held) == (3, before.held)
    dojo.settings = dojo.settings.model_copy(update={"given_database_url": postgres_url})
    async with restarted(dojo) as second:
        assert await dojo.account() == before
        for submission in vendor.submissions:
            vendor.finish(submission.job_id)
        await dojo.advance(30)
        vendor.finish(vendor.submissions[-1].job_id)
        await dojo.advance(60)
        assert [text_of(answer)[:4] for answer in (made, running, other, waiting)] == ["Done"] * 4
        assert vendor.count(Route.SUBMIT) == 4
        assert len(dojo.posted()) == 4
        account = await dojo.account()
        assert (account.available, account.held) == (before.available, 0)
        assert await second.services.database.read(ledger.mismatches) == []
