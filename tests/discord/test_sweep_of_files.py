"""What a death leaves half done is deleted at the next start; what belongs to a job stays."""

from __future__ import annotations

import os

from tests.discord.worlds import World, picture


async def test_a_start_deletes_what_belongs_to_no_job(world: World) -> None:
    await world.video(prompt="A cat", image=("cat.png", picture()), duration=2)
    await world.finish()
    (job,) = await world.jobs()
    inputs, videos = world.settings.data_dir / "inputs", world.settings.data_dir / "videos"
    (inputs / "0123456789ab").mkdir()
    (inputs / "0123456789ab" / "image.upload").write_bytes(b"half")
    for name in (f"{job.id}.new.mp4", f"{job.id}.new.mp4.part"):
        (videos / name).write_bytes(b"half")
    (inputs / "ba9876543210").mkdir()  # somebody may still be at work on it
    for old in (inputs / "0123456789ab", *videos.glob("*.new*")):
        os.utime(old, (0, 0))
    await world.app.resume()
    assert {folder.name for folder in inputs.iterdir()} == {job.id, "ba9876543210"}
    assert [video.name for video in videos.iterdir()] == [f"{job.id}.mp4"]
