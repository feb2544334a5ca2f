"""The whole bot on a real PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from tests.discord.worlds import open_world, picture, text_of


async def test_a_video_is_made_cancelled_and_paid_for_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    async with open_world(tmp_path, {"DATABASE_URL": postgres_url}) as world:
        kept = await world.video(prompt="A cat", image=("cat.png", picture()), duration=2)
        stopped = await world.video(prompt="A dog", duration=2)
        assert stopped.response is not None
        await world.alice.click(stopped.response, label="Cancel")
        await world.finish()
        assert text_of(kept).startswith("Done")
        assert text_of(stopped).startswith("Cancelled")
        assert "Available: 99" in text_of(await world.alice.slash(world.channel, "wan balance"))
        again = await world.alice_elsewhere.slash(world.elsewhere_channel, "wan balance")
        assert "Available: 100" in text_of(again)
        refused = await world.alice.slash(world.channel, "wan video", prompt="A cat", duration=99)
        assert "2 to 10 seconds" in text_of(refused)
        given = await world.mona.slash(world.channel, "wan-admin credits grant", member=world.bob, amount=5)
        assert "**105**" in text_of(given)
        ruled = await world.mona.slash(world.channel, "wan-admin models deny", model="demo")
        assert "Now: denied" in text_of(ruled)
