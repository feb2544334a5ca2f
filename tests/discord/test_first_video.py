"""The first video: from the command to the posted MP4."""

from __future__ import annotations

import asyncio
import io

import av

from tests.discord.worlds import World, all_text, is_private, labels, picture, text_of


async def test_a_member_makes_a_video_from_a_prompt(world: World) -> None:
    answer = await world.alice.slash(world.channel, "wan video", prompt="A red fox in fresh snow", duration=2)
    assert answer.response is not None
    card = answer.response
    assert card.embeds[0].title == "Queued"
    assert labels(card) == ["Cancel", "Refresh"]
    assert (await world.account()).held == 1

    await world.work()
    assert card.embeds[0].title == "Running"
    await world.finish()

    assert card.embeds[0].title == "Done"
    assert labels(card) == []
    (message,) = world.posted()
    assert message.reference is not None
    assert message.reference.message_id == card.id
    assert message.content == f"<@{world.alice.id}> Your video is ready."
    (video,) = message.attachments
    assert video.description == "A red fox in fresh snow"
    with av.open(io.BytesIO(await video.read())) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 854, 480)
    account = await world.account()
    assert (account.available, account.held) == (99, 0)


async def test_the_card_names_what_was_asked_for(world: World) -> None:
    answer = await world.video(
        prompt="A *lighthouse* @everyone", resolution="480p", aspect_ratio="9:16", duration=2, seed=42
    )
    text = text_of(answer)
    for part in ("Demo", "480p", "9:16", "2 s", "seed 42", "1 credit", r"\*lighthouse\*"):
        assert part in text
    assert "@everyone" not in text
    await world.advance(9)
    assert "Expected <t:" in text_of(answer)
    assert "%" in text_of(answer)
    await world.finish()


async def test_a_member_starts_from_a_picture_and_the_card_shows_what_was_fitted(world: World) -> None:
    answer = await world.video(
        prompt="It wakes up",
        image=("cat.png", picture(5000, 2500)),
        last_image=("end.jpg", picture(kind="JPEG")),
        duration=2,
    )
    assert answer.response is not None
    assert [attachment.filename for attachment in answer.response.attachments] == ["image.png", "last_image.jpg"]
    assert "scaled from 5000 x 2500 to 4096 x 2048" in text_of(answer)
    await world.finish()
    assert answer.response.embeds[0].title == "Done"
    # edits keep what is attached
    assert len(answer.response.attachments) == 2


async def test_until_its_end_a_card_has_no_word_of_an_ending(world: World) -> None:
    endings = ("Done", "Failed", "Expired", "Cancelled", "Lost", "Succeeded")
    answer = await world.video(prompt="A quiet sea", duration=2)
    seen: list[str] = []
    for _ in range(300):
        await world.advance(1)
        await asyncio.sleep(0.02)  # drawing takes real time
        text = text_of(answer)
        if not await world.open_jobs():
            break
        seen.append(text.split("\n")[0])
        assert not any(word in text for word in endings), text
    assert seen
    await world.advance(5)
    assert text_of(answer).startswith("Done")


async def test_a_spoiler_stays_hidden(world: World) -> None:
    await world.video(prompt="The end of the film", spoiler=True, duration=2)
    await world.finish()
    (message,) = world.posted()
    assert message.attachments[0].is_spoiler()


async def test_details_tell_everything_about_a_video(world: World) -> None:
    await world.video(prompt="A kite", seed=5, duration=2)
    await world.finish()
    (message,) = world.posted()
    answer = await world.bob.click(message, label="Details")
    assert is_private(answer)
    assert "seed 5" in text_of(answer)
    assert all_text(message)
