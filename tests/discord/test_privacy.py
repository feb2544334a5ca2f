"""What is kept of a member is told, given, and deleted: in one guild, and without harm to the books."""

from __future__ import annotations

import io
import json
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import simcord
from sqlalchemy import select

from bot.app import open_app
from bot.credits import ledger
from bot.database.tables import accounts, audit, job_events, jobs, ledger_entries
from bot.jobs.job import State
from providers.types import Mode
from tests.discord.steps import keep_for
from tests.discord.traces import bytes_of, files_below, traces
from tests.discord.worlds import World, all_text, is_private, labels, open_world, picture, text_of

DAY = 86_400
SECRET = "A purple elephant in Timbuktu"  # what is looked for later


async def press(who: simcord.MemberActor, answer: simcord.InteractionResult, label: str) -> simcord.InteractionResult:
    """Press a button of a private answer."""
    assert answer.response is not None
    return await who.click(answer.response, label=label)


async def privacy(who: simcord.MemberActor, channel: simcord.ChannelHandle) -> simcord.InteractionResult:
    answer = await who.slash(channel, "wan privacy")
    assert is_private(answer)
    return answer


async def delete(who: simcord.MemberActor, channel: simcord.ChannelHandle) -> str:
    """Delete a member's data; gives what the member is told at the end."""
    answer = await privacy(who, channel)
    await press(who, answer, "Delete my data")
    await press(who, answer, "Delete everything")
    return text_of(answer)


async def exported(who: simcord.MemberActor, channel: simcord.ChannelHandle) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A member's file, and the pictures in it."""
    got = await press(who, await privacy(who, channel), "Get my data")
    assert is_private(got)
    assert got.response is not None
    (attachment,) = got.response.attachments
    content = await attachment.read()
    if attachment.filename == "my-wan-data.json":
        return json.loads(content), {}
    assert attachment.filename == "my-wan-data.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(files.pop("my-wan-data.json")), files


async def rows(world: World, table: Any, **key: object) -> list[Any]:
    query = select(table).where(*(table.c[name] == value for name, value in key.items()))
    return list(await world.app.services.database.read(lambda connection: connection.execute(query).all()))


async def make(world: World, who: simcord.MemberActor, channel: simcord.ChannelHandle, prompt: str) -> None:
    """Let a member make a video from a picture."""
    await who.slash(channel, "wan video", prompt=prompt, image=("cat.png", picture()), duration=2, seed=7)
    await world.finish()


async def test_what_is_kept_and_for_how_long_is_told(world: World) -> None:
    answer = await privacy(world.alice, world.channel)
    assert "for 30 days after a video's end" in text_of(answer)
    assert "stay in their channels until somebody removes them" in text_of(answer)
    assert answer.response is not None
    assert labels(answer.response) == ["Get my data", "Delete my data"]
    await keep_for(world, 1)
    assert "for a day after a video's end" in text_of(await privacy(world.alice, world.channel))
    assert "for 30 days" in text_of(await privacy(world.alice_elsewhere, world.elsewhere_channel))


async def test_the_file_has_everything_of_the_member_and_nothing_of_others(world: World) -> None:
    await make(world, world.alice, world.channel, SECRET)
    await world.alice.slash(world.channel, "wan video", prompt="A second one", aspect_ratio="1:1", duration=3)
    await make(world, world.bob, world.channel, "Bob's own idea")
    await make(world, world.alice_elsewhere, world.elsewhere_channel, "Something in the other community")
    reason = f"Better than <@{world.bob.id}>"
    await world.mona.slash(world.channel, "wan-admin credits grant", member=world.alice, amount=50, reason=reason)
    await world.mona.slash(world.channel, "wan-admin members block", member=world.alice, reason="Too many elephants")
    first, second = reversed(await world.jobs())
    await world.bob.slash(world.channel, "wan report", job=first.id, reason="Bob finds it ugly")
    await world.alice.slash(world.channel, "wan report", job=(await bobs_job(world)).id, reason="Alice finds it dull")

    document, pictures = await exported(world.alice, world.channel)

    assert document["member_id"] == str(world.alice.id)
    assert document["community_id"] == str(world.guild.id)
    assert document["credits"] == {"available": 148, "held": 0, "of_which_allowance": 98}
    assert document["block"] == {"reason": "Too many elephants"}
    assert [grant["granted"] for grant in document["allowances_of_periods"]] == [100]
    stored = await rows(world, ledger_entries, account_id=(await world.account()).id)
    assert [(each["kind"], each["available_change"], each["video"]) for each in document["ledger"]] == [
        (row.kind, row.available_change, row.job_id) for row in stored
    ]
    assert sum(each["available_change"] for each in document["ledger"]) == 148
    assert [video["id"] for video in document["videos"]] == [first.id, second.id]
    one, two = document["videos"]
    assert (one["prompt"], two["prompt"]) == (SECRET, "A second one")
    assert one["options"] == first.request.model_dump(
        mode="json", exclude={"prompt", "image", "last_image", "video"}, exclude_none=True
    )
    assert (one["options"]["seed"], two["options"]["aspect_ratio"]) == (7, "1:1")
    assert (one["state"], one["price_in_credits"], one["kept_video"]) == (
        "succeeded",
        1,
        f"/wan history job:{first.id}",
    )
    assert [event["what"] for event in one["events"]][-1] == "delivering -> succeeded"
    assert one["asked_at"] < one["submitted_at"] < one["ended_at"]
    (attached,) = one["attached"]
    kept = (world.settings.data_dir / "inputs" / first.id / "image.png").read_bytes()
    assert pictures == {attached["file"]: kept}
    told = [(each["what"], each["by"], each["about"], each["reason"]) for each in document["moderation"]]
    assert told == [
        ("credits.grant", "somebody else", "you", "Better than somebody else"),
        ("members.block", "somebody else", "you", "Too many elephants"),
        ("results.report", "somebody else", "you", None),
        ("results.report", "you", "somebody else", "Alice finds it dull"),
    ]
    text = json.dumps(document)
    for foreign in (world.bob.id, world.mona.id, "Bob's own idea", "the other community", "Bob finds it ugly"):
        assert str(foreign) not in text
    assert list((world.settings.data_dir / "exports").iterdir()) == []


async def bobs_job(world: World) -> Any:
    (row,) = await rows(world, jobs, user_id=world.bob.id)
    return row


async def test_who_has_done_nothing_gets_a_file_that_says_so(world: World) -> None:
    document, pictures = await exported(world.bob, world.channel)
    assert (document["credits"], document["ledger"], document["videos"], document["moderation"]) == (None, [], [], [])
    assert pictures == {}
    answer = await privacy(world.bob, world.channel)
    await press(world.bob, answer, "Delete my data")
    said = await press(world.bob, answer, "Delete everything")
    assert text_of(said) == "Nothing is kept of you here."


async def test_everything_of_the_member_is_deleted_in_this_guild_only(world: World) -> None:
    await make(world, world.alice, world.channel, SECRET)
    await make(world, world.alice_elsewhere, world.elsewhere_channel, "An owl elsewhere")
    await make(world, world.bob, world.channel, "A dog of Bob's")
    await world.mona.slash(world.channel, "wan-admin credits grant", member=world.alice, amount=50, reason="For alice")
    await world.mona.slash(
        world.channel, "wan-admin credits grant", member=world.bob, amount=1, reason=f"As <@{world.alice.id}> said"
    )
    await world.bob.slash(world.channel, "wan report", job=(await world.jobs())[0].id, reason="Ugly elephant")
    (job,) = await world.jobs()
    before = await world.account()
    elsewhere = await world.account(world.alice, world.elsewhere)
    messages = len(world.channel.history())

    answer = await privacy(world.alice, world.channel)
    await press(world.alice, answer, "Delete my data")
    assert "You lose 149 credits." in text_of(answer)
    assert answer.response is not None
    assert labels(answer.response) == ["Delete everything", "Keep it"]
    await press(world.alice, answer, "Delete everything")
    assert text_of(answer) == (
        "Everything I kept of you here is deleted. 149 credits went with it. Should you come back, you begin anew."
    )
    assert labels(answer.response) == []

    # the same job and the same account, but nobody's
    (row,) = await rows(world, jobs, id=job.id)
    (account,) = await rows(world, accounts, id=before.id)
    assert row.user_id == account.user_id < 0
    assert (account.available, account.held, account.allowance) == (0, 0, 0)
    assert row.purged_at is not None
    assert (row.state, row.quote, row.model) == ("succeeded", 1, "demo")
    request = json.loads(row.request)
    assert request == {"prompt": "", "mode": Mode.IMAGE, "resolution": job.request.resolution, "duration": 2}
    emptied = (row.video_path, row.result_url, row.result_expires_at, row.vendor_message, row.advice)
    assert emptied == (None,) * 5
    assert {event.detail for event in await rows(world, job_events, job_id=job.id)} == {""}
    kinds = [(entry.kind, entry.available_change) for entry in await rows(world, ledger_entries, account_id=before.id)]
    assert kinds[-1] == ("adjust", -149)
    assert await world.app.services.database.read(ledger.mismatches) == []

    # what is left of her stands in the other guild
    assert SECRET not in str(traces(world, SECRET))
    assert {place.partition(":")[0] for place in traces(world, world.alice.id)} <= {"accounts.user_id", "jobs.user_id"}
    assert all(row.guild_id == world.elsewhere.id for row in await rows(world, jobs, user_id=world.alice.id))
    assert all(row.guild_id == world.elsewhere.id for row in await rows(world, accounts, user_id=world.alice.id))
    assert traces(world, "Ugly elephant", "For alice") == []
    gone = [name for name in files_below(world.settings.data_dir) if job.id in name]
    assert gone == []
    assert traces(world, "An owl elsewhere", "A dog of Bob's") != []
    assert await world.account(world.alice, world.elsewhere) == elsewhere

    # the audit knows that somebody was there
    deeds = [(deed.action, deed.actor_id, deed.target, deed.reason) for deed in await rows(world, audit)]
    nobody = f"<@{row.user_id}>"
    assert deeds == [
        ("credits.grant", world.mona.id, nobody, ""),
        ("credits.grant", world.mona.id, f"<@{world.bob.id}>", f"As {nobody} said"),
        ("results.report", world.bob.id, nobody, ""),
        ("members.forget", row.user_id, nobody, ""),
    ]
    page = text_of(await world.mona.slash(world.channel, "wan-admin audit", action="members.forget"))
    assert "somebody who is gone **members forget** somebody who is gone" in page

    assert len(world.channel.history()) == messages


async def test_a_video_whose_time_is_over_stays_where_it_was_posted(world: World) -> None:
    await make(world, world.alice, world.channel, SECRET)
    await world.env.advance_time(30 * DAY + 60)
    await make(world, world.alice, world.channel, "A young one")
    old = (await world.jobs())[1]
    await world.app.services.retention.run_once()
    assert traces(world, SECRET) == []
    assert not [name for name in files_below(world.settings.data_dir) if old.id in name]
    history = text_of(await world.alice.slash(world.channel, "wan history"))
    assert "**Done** · the prompt isn't kept any more · 480p · 1 credit" in history
    assert "A young one" in history
    kept = await world.alice.autocomplete(world.channel, "wan history", "job", "")
    assert old.id not in str(kept)
    assert len(kept) == 1
    refused = await world.alice.slash(world.channel, "wan history", job=old.id)
    assert "isn't kept any more" in text_of(refused)
    assert len(world.posted()) == 2
    video = next(message for message in world.posted() if old.id in str(message.components))
    answer = (await world.bob.click(video, label="Details")).response
    assert answer is not None
    details = all_text(answer)
    assert "The prompt isn't kept any more." in details
    assert "Options: 480p · 2 s" in details
    document, pictures = await exported(world.alice, world.channel)
    assert [video["prompt"] for video in document["videos"]] == [None, "A young one"]
    assert len(pictures) == 1


async def test_no_byte_of_a_deleted_member_is_left_on_the_disk(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        bob, prompt = world.bob.id, "A violet giraffe, " + "far away, " * 150
        await make(world, world.bob, world.channel, prompt)
        await world.bob.slash(world.channel, "wan report", job=(await bobs_job(world)).id, reason="Mine")
        before = bytes_of(tmp_path)
        (image,) = [content for name, content in before.items() if name.startswith("inputs/")]
        needles = (b"violet giraffe", b"far away", str(bob).encode(), bob.to_bytes(8, "big"), image[100:200])
        assert all(any(needle in content for content in before.values()) for needle in needles)
        await world.mona.slash(world.channel, "wan-admin members block", member=world.bob, reason="Spam")
        assert "deleted" in await delete(world.bob, world.channel)
        assert files_below(tmp_path) == []
        assert traces(world, bob, "violet giraffe") == []
    left = bytes_of(tmp_path)
    assert list(left) == ["wanbot.db"]
    assert [needle for needle in needles if needle in left["wanbot.db"]] == []


async def test_nothing_is_deleted_while_a_video_is_under_way(world: World) -> None:
    answer = await privacy(world.alice, world.channel)
    await press(world.alice, answer, "Delete my data")
    await world.video(prompt=SECRET, duration=2)
    said = await press(world.alice, answer, "Delete everything")
    assert is_private(said)
    assert "You have a video under way." in text_of(said)
    assert "/wan cancel" in text_of(said)
    await world.alice.slash(world.channel, "wan video", prompt="Two", duration=2)
    asked = await press(world.alice, await privacy(world.alice, world.channel), "Delete my data")
    assert "You have 2 videos under way." in text_of(asked)
    await world.finish()
    assert len(await world.jobs()) == 2
    assert (await world.account()).available == 98
    assert traces(world, SECRET) != []


async def test_who_thinks_again_keeps_everything(world: World) -> None:
    await world.video(prompt=SECRET, duration=2)
    await world.finish()
    answer = await privacy(world.alice, world.channel)
    await press(world.alice, answer, "Delete my data")
    await press(world.alice, answer, "Keep it")
    assert text_of(answer) == "Nothing was deleted."
    assert answer.response is not None
    assert labels(answer.response) == []
    assert (await world.account()).available == 99
    assert SECRET in text_of(await world.alice.slash(world.channel, "wan history"))


async def test_a_second_press_finds_nothing(world: World) -> None:
    await world.video(prompt=SECRET, duration=2)
    await world.finish()
    first, second = [await privacy(world.alice, world.channel) for _ in range(2)]
    for answer in (first, second):
        await press(world.alice, answer, "Delete my data")
    await press(world.alice, first, "Delete everything")
    said = await press(world.alice, second, "Delete everything")
    assert text_of(said) == "Nothing is kept of you here."
    assert len(await rows(world, audit, action="members.forget")) == 1


async def test_who_comes_back_begins_anew_but_gets_no_allowance_twice(world: World) -> None:
    await world.video(prompt=SECRET, duration=2)
    await world.finish()
    for _ in range(2):  # also when they do it again
        await delete(world.alice, world.channel)
        balance = text_of(await world.alice.slash(world.channel, "wan balance"))
        assert "Available: 0" in balance
        assert "100 credits each day, the next" in balance
    refused = text_of(await world.alice.slash(world.channel, "wan video", prompt="Again", duration=2))
    assert "This costs 1 credit; you have 0." in refused
    assert "no video here yet" in text_of(await world.alice.slash(world.channel, "wan history"))
    assert "Available: 100" in text_of(await world.alice_elsewhere.slash(world.elsewhere_channel, "wan balance"))
    # what moderators raise, and give, comes as to anybody
    await world.mona.slash(world.channel, "wan-admin allowance set", amount=130, period="day")
    assert "Available: 30" in text_of(await world.alice.slash(world.channel, "wan balance"))
    await delete(world.alice, world.channel)
    assert "Available: 0" in text_of(await world.alice.slash(world.channel, "wan balance"))
    await world.mona.slash(world.channel, "wan-admin credits grant", member=world.alice, amount=5)
    assert "Available: 5" in text_of(await world.alice.slash(world.channel, "wan balance"))
    await world.env.advance_time(DAY)
    assert "Available: 135" in text_of(await world.alice.slash(world.channel, "wan balance"))
    await world.video(prompt="A new one", duration=2)
    await world.finish()
    assert "A new one" in text_of(await world.alice.slash(world.channel, "wan history"))
    await world.app.services.retention.run_once()
    assert await rows(world, ledger.forgotten_grants) == []


async def test_a_block_outlives_the_deletion(world: World) -> None:
    await world.mona.slash(world.channel, "wan-admin members block", member=world.alice, reason="Spam")
    assert "deleted" in await delete(world.alice, world.channel)
    refused = text_of(await world.alice.slash(world.channel, "wan video", prompt="Again", duration=2))
    assert "have blocked you from making videos" in refused
    assert "Spam" in refused
    assert traces(world, world.alice.id) == []
    await world.mona.slash(world.channel, "wan-admin members unblock", member=world.alice)
    answer = await world.video(prompt="Again", duration=2)
    assert not is_private(answer) or "blocked" not in text_of(answer)
    await world.finish()


async def test_a_moderator_who_never_made_a_video_leaves_the_audit(world: World) -> None:
    await world.mona.slash(world.channel, "wan-admin credits grant", member=world.bob, amount=5, reason="A gift")
    assert "deleted" in await delete(world.mona, world.channel)
    assert traces(world, world.mona.id) == []
    given, forgotten = await rows(world, audit)
    assert (given.actor_id, given.reason, given.target) == (forgotten.actor_id, "A gift", f"<@{world.bob.id}>")
    assert given.actor_id < 0


async def test_the_buttons_work_after_a_restart(world: World) -> None:
    await world.video(prompt=SECRET, duration=2)
    await world.finish()
    answers = [await privacy(world.alice, world.channel) for _ in range(2)]
    await press(world.alice, answers[1], "Delete my data")
    await world.app.bot.close()
    async with open_app(world.settings, clock=world.env.now) as second:
        await world.env.restart_bot(second.bot)
        got = await press(world.alice, answers[0], "Get my data")
        assert got.response is not None
        assert SECRET in (await got.response.attachments[0].read()).decode()
        await press(world.alice, answers[1], "Delete everything")
        assert "deleted" in text_of(answers[1])
        assert traces(world, SECRET, world.alice.id) == []
        await second.bot.close()


async def test_a_video_of_a_deleted_member_can_still_be_reported(world: World) -> None:
    await world.video(prompt=SECRET, duration=2)
    await world.finish()
    (job,) = await world.jobs()
    await delete(world.alice, world.channel)
    channel = world.guild.create_text_channel("wan-log")
    await world.mona.slash(world.channel, "wan-admin log", channel=channel)
    await world.bob.slash(world.channel, "wan report", job=job.id, reason="Old and ugly")
    assert "has reported somebody who is gone's video" in channel.history()[-1].content
    names = await world.bob.autocomplete(world.channel, "wan report", "job", "")
    assert "the prompt isn't kept any more" in str(names)


async def test_all_of_it_works_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    async with open_world(tmp_path, {"DATABASE_URL": postgres_url}) as world:
        await make(world, world.alice, world.channel, SECRET)
        await world.mona.slash(world.channel, "wan-admin credits grant", member=world.alice, amount=5, reason="Hers")
        document, pictures = await exported(world.alice, world.channel)
        assert [video["prompt"] for video in document["videos"]] == [SECRET]
        assert len(pictures) == 1
        assert "104 credits went with it" in await delete(world.alice, world.channel)
        assert "Available: 0" in text_of(await world.alice.slash(world.channel, "wan balance"))
        (job,) = await world.app.services.database.read(
            lambda c: [row for row in c.execute(select(jobs)) if row.state == State.SUCCEEDED]
        )
        assert job.user_id < 0
        assert files_below(tmp_path) == []
        find = partial(ledger.account_if_any, guild_id=world.guild.id, user_id=job.user_id)
        emptied = await world.app.services.database.read(find)
        assert emptied is not None
        assert emptied.available == 0
