"""What a member sees of old videos: the contact sheet of the history, and texts for those who can't see."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import discord
import simcord
from PIL import Image

from tests.discord.restarts import restarted
from tests.discord.test_privacy import delete
from tests.discord.traces import files_below
from tests.discord.worlds import World, labels, open_world, picture, text_of

TILE, GAP = (320, 180), 8
GREY = (0x4A, 0x4D, 0x55)


async def make(world: World, **options: Any) -> None:
    await world.alice.slash(world.channel, "wan video", **{"prompt": "A cat", "duration": 2, **options})
    await world.finish()


async def opened(attachment: discord.Attachment) -> Image.Image:
    with Image.open(io.BytesIO(await attachment.read())) as found:
        return found.convert("RGB")


def colour_of(sheet: Image.Image, place: int, at: tuple[int, int] = (300, 160)) -> tuple[int, ...]:
    """A colour near the lower right corner of a tile."""
    row, column = divmod(place, 4)
    found = sheet.getpixel((GAP + column * (TILE[0] + GAP) + at[0], GAP + row * (TILE[1] + GAP) + at[1]))
    assert isinstance(found, tuple)
    return found


async def history(world: World) -> simcord.ResponseMessage:
    answer = await world.alice.slash(world.channel, "wan history")
    assert answer.response is not None
    return answer.response


async def remove(world: World, video: discord.Message) -> None:
    asked = (await world.alice.click(video, label="Delete")).response
    assert asked is not None
    await world.alice.click(asked, label="Remove it for good")


async def test_the_history_shows_a_picture_of_each_video_and_hides_what_is_hidden(world: World) -> None:
    await make(world, prompt="A red fox\nin the snow")
    await make(world, prompt="A secret", spoiler=True)
    await world.alice.slash(world.channel, "wan video", prompt="Not made yet", duration=2)
    shown = await history(world)
    assert shown.ephemeral
    lines = shown.content.splitlines()
    assert lines[0].startswith("`1` **Queued** · Not made yet")
    assert lines[1].startswith("`2` **Done** · A secret")
    (sheet,) = shown.attachments
    assert sheet.description == "Pictures of your videos. 2: hidden behind a spoiler; 3: A red fox in the snow"
    found = await opened(sheet)
    assert found.size == (2 * (TILE[0] + GAP) + GAP, TILE[1] + 2 * GAP)
    near = [abs(one - other) for one, other in zip(colour_of(found, 0), GREY, strict=True)]
    assert max(near) < 8, "a grey tile"
    colours = found.crop((GAP + TILE[0] + GAP, GAP, found.width - GAP, found.height - GAP)).getcolors(1 << 20)
    assert colours is not None
    assert len(colours) > 100, "a picture"
    # only what is shown was ever cut
    hidden, fox = (await world.jobs())[1:]
    assert f"videos/{fox.id}.frame.jpg" in files_below(world.settings.data_dir)
    assert f"videos/{hidden.id}.frame.jpg" not in files_below(world.settings.data_dir)
    await world.finish()


async def test_each_page_has_its_own_sheet_and_buttons_work_after_a_restart(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        for number in range(8):
            await make(world, prompt=f"Number {number}")
        shown = await history(world)
        assert labels(shown) == ["Older"]
        assert "7: Number 1" in (shown.attachments[0].description or "")
        async with restarted(world):
            await world.alice.click(shown, label="Older")
            assert shown.content.startswith("`8` **Done** · Number 0")
            assert [each.description for each in shown.attachments] == ["Pictures of your videos. 8: Number 0"]
            (video,) = [message for message in world.posted() if "Number 0" in str(message.attachments[0].description)]
            await remove(world, video)
            await world.alice.click(shown, label="Newer")
            await world.alice.click(shown, label="Older")
            assert shown.content.startswith("`8` **Removed**")
            assert shown.attachments == []


async def test_without_a_video_there_is_no_sheet(world: World) -> None:
    assert (await history(world)).attachments == []
    await make(world, spoiler=True)
    shown = await history(world)
    assert shown.attachments == []
    assert text_of(await world.alice.slash(world.channel, "wan history")).startswith("`1` **Done**")


async def test_a_video_that_can_not_be_read_is_left_out(world: World) -> None:
    await make(world, prompt="Broken")
    await make(world, prompt="Whole")
    broken = (await world.jobs())[1]
    (world.settings.data_dir / "videos" / f"{broken.id}.mp4").write_bytes(b"no video")
    shown = await history(world)
    assert [each.description for each in shown.attachments] == ["Pictures of your videos. 1: Whole"]
    whole = (await world.jobs())[0]
    for name in (f"{whole.id}.mp4", f"{whole.id}.frame.jpg"):
        (world.settings.data_dir / "videos" / name).write_bytes(b"no video")
    shown = await history(world)
    assert shown.attachments == []
    assert "Whole" in shown.content


async def test_frames_go_with_their_videos(world: World) -> None:
    for prompt in ("One", "Two"):
        await make(world, prompt=prompt)
    await history(world)
    two, one = await world.jobs()
    assert {f"videos/{job.id}.frame.jpg" for job in (one, two)} <= set(files_below(world.settings.data_dir))
    (video,) = [message for message in world.posted() if message.attachments[0].description == "One"]
    await remove(world, video)
    assert not [name for name in files_below(world.settings.data_dir) if one.id in name and "videos/" in name]
    assert "is deleted" in await delete(world.alice, world.channel)
    assert not [name for name in files_below(world.settings.data_dir) if two.id in name]


async def test_a_frame_that_a_death_left_behind_is_swept(world: World) -> None:
    await make(world)
    (job,) = await world.jobs()
    await delete(world.alice, world.channel)
    left = world.settings.data_dir / "videos" / f"{job.id}.frame.jpg"
    left.write_bytes(b"left")
    await world.app.services.retention.run_once()
    assert not left.exists()


async def test_everything_that_is_posted_has_words_for_those_who_can_not_see_it(world: World) -> None:
    files = {"image": ("a.png", picture()), "last_image": ("b.png", picture(colour="red"))}
    answer = await world.video(prompt="A **red** fox\n@everyone", **files, duration=2)
    await world.finish()
    assert answer.response is not None
    assert [each.description for each in answer.response.attachments] == [
        "The picture that the video starts from",
        "The picture that the video ends on",
    ]
    (video,) = world.posted()
    assert [each.description for each in video.attachments] == ["A **red** fox @everyone"]
    await make(world, prompt="A secret", spoiler=True)
    assert [each.description for each in world.posted()[-1].attachments] == [
        "A video made with Wan, hidden behind a spoiler"
    ]
