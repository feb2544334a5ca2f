"""Videos that are larger than what the guild takes."""

from __future__ import annotations

import io
import os
from pathlib import Path

import av

from tests.discord.worlds import open_world, text_of
from tests.imitations.pixeldojo import PixelDojoImitation

LIMIT = 1 << 20


def noise(seconds: float = 2.0) -> bytes:
    """A real video that is hard to make small."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=24)  # pyright: ignore[reportUnknownMemberType] - PyAV's options
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        stream.bit_rate = 20_000_000
        for _ in range(int(seconds * 24)):
            frame = av.VideoFrame(640, 360, "rgb24")
            frame.planes[0].update(os.urandom(frame.planes[0].buffer_size))
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


async def test_a_video_over_the_limit_is_made_smaller(tmp_path: Path) -> None:
    async with PixelDojoImitation(key="pd_test") as vendor:
        environment = {
            "PIXELDOJO_API_KEY": "pd_test",
            "PIXELDOJO_BASE_URL": vendor.base_url,
            "PIXELDOJO_REQUESTS_PER_MINUTE": "6000",
            "UPLOAD_LIMIT_MIB": "1",
        }
        async with open_world(tmp_path, environment, upload_limit=LIMIT) as world:
            answer = await world.video(prompt="Snow", model="pixeldojo/wan-2.2-standard")
            vendor.finish(vendor.submissions[0].job_id, video=noise())
            await world.finish()
            assert text_of(answer).startswith("Done")
            (message,) = world.posted()
            video = await message.attachments[0].read()
            assert len(video) <= LIMIT
            with av.open(io.BytesIO(video)) as container:
                assert container.streams.video[0].codec_context.name == "h264"


async def test_a_refusal_that_should_not_be_is_answered_with_a_smaller_video(tmp_path: Path) -> None:
    """Discord takes 10 MiB here although its documents say 20; the library's tier limit is used until a restart."""
    async with PixelDojoImitation(key="pd_test") as vendor:
        environment = {
            "PIXELDOJO_API_KEY": "pd_test",
            "PIXELDOJO_BASE_URL": vendor.base_url,
            "PIXELDOJO_REQUESTS_PER_MINUTE": "6000",
        }
        async with open_world(tmp_path, environment, upload_limit=10 << 20) as world:
            answer = await world.video(prompt="Snow", model="pixeldojo/wan-2.2-standard")
            big = noise(5)
            assert 10 << 20 < len(big) < 20 << 20
            vendor.finish(vendor.submissions[0].job_id, video=big)
            await world.finish()
            assert text_of(answer).startswith("Done")
            (message,) = world.posted()
            assert len(await message.attachments[0].read()) <= 10 << 20
