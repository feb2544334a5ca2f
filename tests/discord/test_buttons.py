"""Everything that leads on from a card or a video."""

from __future__ import annotations

import io
from pathlib import Path

import av
from PIL import Image, ImageChops

from bot.jobs.job import State
from tests.discord.steps import keep_for
from tests.discord.worlds import World, is_private, labels, open_world, picture, text_of
from tests.imitations.pixeldojo import PixelDojoImitation

WAN_22 = "pixeldojo/wan-2.2-standard"


async def made(world: World, **options: object) -> None:
    """Alice's finished video."""
    await world.video(**{"prompt": "A cat", "duration": 2, **options})
    await world.finish()


async def test_what_a_card_and_a_video_offer(world: World) -> None:
    answer = await world.video(prompt="A cat", duration=2)
    assert answer.response is not None
    assert labels(answer.response) == ["Cancel", "Refresh"]
    await world.finish()
    assert labels(answer.response) == []
    (video,) = world.posted()
    assert labels(video) == ["Again", "Edit and rerun", "Extend", "Details", "Delete", "Report"]


async def test_again_makes_the_same_with_another_seed_for_whoever_asks(world: World) -> None:
    await made(world, image=("a.png", picture()), seed=7)
    (video,) = world.posted()
    again = await world.bob.click(video, label="Again")
    assert not is_private(again)
    assert text_of(again).startswith("Queued")
    assert "seed random" in text_of(again)
    await world.finish()
    assert len(world.posted()) == 2
    assert (await world.account(world.bob)).available == 99
    assert (await world.account(world.alice)).available == 99


async def test_a_button_works_after_a_restart(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await made(world, image=("a.png", picture()))
        (video,) = world.posted()
        form = await world.bob.click(video, label="Edit and rerun")
        # as after a restart, nothing is known of the form that is open
        for name in ("cogs.buttons", "cogs.wan"):
            await world.app.bot.reload_extension(name)
        sent = await world.bob.submit_modal(form, {"prompt": "A dog", "settings": "", "negative_prompt": ""})
        assert text_of(sent).startswith("Queued")
        assert "A dog" in text_of(sent)
        await world.finish()


async def test_edit_and_rerun_shows_what_was_asked_for_and_takes_what_is_changed(world: World) -> None:
    await made(world, image=("a.png", picture()), resolution="480p")
    (video,) = world.posted()
    form = await world.alice.click(video, label="Edit and rerun")
    sent = await world.alice.submit_modal(form, {"prompt": "A dog", "shape": ["720p//3"]})
    text = text_of(sent)
    assert "A dog" in text
    assert "720p · 3 s · from an image" in text
    await world.finish()
    jobs = await world.jobs()
    assert [job.request.prompt for job in jobs] == ["A dog", "A cat"]
    assert jobs[0].request.image is not None


async def test_new_files_of_a_form_replace_the_old_ones(world: World) -> None:
    await made(world, image=("a.png", picture()))
    (video,) = world.posted()
    form = await world.alice.click(video, label="Edit and rerun")
    files = [("first.png", picture(colour="red")), ("last.png", picture(colour="blue"))]
    sent = await world.alice.submit_modal(form, {"prompt": "A dog", "files": files})
    assert "first and last image" in text_of(sent)
    await world.finish()


async def test_extend_goes_on_from_the_last_picture(world: World) -> None:
    await made(world)
    (video,) = world.posted()
    form = await world.alice.click(video, label="Extend")
    sent = await world.alice.submit_modal(form, {"prompt": "It jumps"})
    assert "from an image" in text_of(sent)
    await world.finish()
    newest, oldest = await world.jobs()
    assert newest.request.image is not None
    kept = world.settings.data_dir / "inputs" / newest.request.image.path
    with av.open(str(world.settings.data_dir / "videos" / f"{oldest.id}.mp4")) as container:
        *_, last = container.decode(video=0)
        expected = Image.fromarray(last.to_ndarray(format="rgb24"))
    with Image.open(kept) as image:
        found = image.convert("RGB")
    assert found.size == expected.size
    centre = (found.width // 2, found.height // 2)
    difference = ImageChops.difference(found, expected).getpixel(centre)
    assert isinstance(difference, tuple)
    assert max(difference) < 12


async def test_extend_continues_the_clip_where_a_model_can(dojo: World, vendor: PixelDojoImitation) -> None:
    await dojo.mona.slash(dojo.channel, "wan-admin credits grant", member=dojo.alice, amount=1000)
    await dojo.video(prompt="A cat", model=WAN_22)
    vendor.finish(vendor.submissions[0].job_id)
    await dojo.finish()
    (video,) = dojo.posted()
    form = await dojo.alice.click(video, label="Extend")
    sent = await dojo.alice.submit_modal(form, {"prompt": "It jumps"})
    assert "continues a video" in text_of(sent)
    assert "Wan 2.7" in text_of(sent)
    await dojo.work()
    vendor.finish(vendor.submissions[-1].job_id)
    await dojo.finish()


async def test_delete_is_for_the_owner_and_asks_once_more(world: World) -> None:
    await made(world)
    (video,) = world.posted()
    refused = await world.bob.click(video, label="Delete")
    assert is_private(refused)
    assert f"This is <@{world.alice.id}>'s video" in text_of(refused)
    asked = await world.alice.click(video, label="Delete")
    assert asked.response is not None
    await world.alice.click(asked.response, label="Remove it for good")
    assert world.channel.history() == []


async def test_refresh_shows_the_card_as_it_is_now(world: World) -> None:
    await world.mona.slash(world.channel, "wan-admin limits set", member_jobs=1)
    await world.video(prompt="A cat", duration=2)
    waiting = await world.video(prompt="A dog", duration=2)
    assert waiting.response is not None
    await world.alice.click(waiting.response, label="Refresh")
    assert "Place 1 in the queue" in text_of(waiting)
    await world.finish()


async def test_nothing_is_made_again_of_what_is_no_longer_kept(world: World) -> None:
    await made(world)
    (video,) = world.posted()
    await keep_for(world, 1)
    await world.env.advance_time(2 * 86_400)
    await world.app.services.retention.run_once()
    for label in ("Again", "Edit and rerun", "Extend"):
        assert "Nothing is kept of this video any more" in text_of(await world.alice.click(video, label=label))


async def test_a_form_makes_a_video_with_a_long_prompt(world: World) -> None:
    form = await world.alice.slash(world.channel, "wan compose")
    prompt = "A very long story. " * 100
    values = {"prompt": prompt, "files": [("a.png", picture())], "shape": ["480p//2"], "negative_prompt": ""}
    sent = await world.alice.submit_modal(form, values)
    assert text_of(sent).startswith("Queued")
    await world.finish()
    (job,) = await world.jobs()
    assert (job.request.prompt, job.request.duration, job.state) == (prompt, 2, State.SUCCEEDED)


async def test_a_picture_of_a_message_is_animated(world: World) -> None:
    message = await world.bob.send(world.channel, "Look!", attachments=[("fox.png", picture(colour="orange"))])
    form = await world.alice.context_menu(world.channel, "Animate with Wan", message)
    sent = await world.alice.submit_modal(form, {"prompt": "It runs"})
    assert "from an image" in text_of(sent)
    await world.finish()
    (job,) = await world.jobs()
    assert job.request.image is not None
    with Image.open(io.BytesIO((world.settings.data_dir / "inputs" / job.request.image.path).read_bytes())) as image:
        colour = image.convert("RGB").getpixel((10, 10))
    assert isinstance(colour, tuple)
    assert (colour[0] > 200, colour[2] < 60) == (True, True)
