"""Settings that are read again while the bot runs: what changes at once, what doesn't, and what nobody notices."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.settings import Settings, SettingsError
from providers.catalogue import MODELS
from tests.discord.conftest import SimulatedLinks
from tests.discord.worlds import World, open_world, picture, text_of
from tests.imitations.pixeldojo import PixelDojoImitation, Route

WAN_22 = "pixeldojo/wan-2.2-standard"


def settings_of(world: World, vendor: PixelDojoImitation, **changed: str) -> Settings:
    """The settings of the world, some of them changed; an empty one is taken away."""
    given = {
        "DATA_DIR": str(world.settings.data_dir),
        "DEMO_SECONDS": "4",
        "SHARD_COUNT": "1",
        "PIXELDOJO_API_KEY": "pd_test",
        "PIXELDOJO_BASE_URL": vendor.base_url,
        "PIXELDOJO_REQUESTS_PER_MINUTE": "6000",
        "DEFAULT_ALLOWANCE": "200",
    }
    return Settings.load({**given, **changed})


async def reload(world: World, vendor: PixelDojoImitation, **changed: str) -> list[str]:
    """Read the settings again; gives what the operator is told of those that need a restart."""
    with capture_logs() as lines:
        await world.app.reloading.apply(settings_of(world, vendor, **changed))
    return [line["name"] for line in lines if line["log_level"] == "warning"]


async def test_a_job_under_way_is_looked_at_with_the_new_key(dojo: World, vendor: PixelDojoImitation) -> None:
    answer = await dojo.video(prompt="A cat", model=WAN_22)
    vendor.key = "pd_new"
    assert await reload(dojo, vendor, PIXELDOJO_API_KEY="pd_new") == []
    vendor.finish(vendor.submissions[0].job_id)
    await dojo.advance(60)
    assert text_of(answer).startswith("Done")
    assert len(dojo.posted()) == 1
    assert vendor.count(Route.SUBMIT) == 1


async def test_a_submission_under_way_gets_its_answer_although_the_key_has_changed(tmp_path: Path) -> None:
    asked, may_answer = asyncio.Event(), asyncio.Event()
    links = SimulatedLinks()

    async def fetch(url: str) -> bytes:
        asked.set()
        await may_answer.wait()
        return await links(url)

    async with PixelDojoImitation(key="pd_test", fetch=fetch) as vendor:
        environment = {
            "PIXELDOJO_API_KEY": "pd_test",
            "PIXELDOJO_BASE_URL": vendor.base_url,
            "PIXELDOJO_REQUESTS_PER_MINUTE": "6000",
            "DEFAULT_ALLOWANCE": "200",
        }
        async with open_world(tmp_path, environment) as world:
            links.world = world
            # the vendor answers once it has the picture
            asking = asyncio.create_task(world.video(prompt="A cat", model=WAN_22, image=("cat.png", picture())))
            await asked.wait()
            vendor.key = "pd_new"
            await reload(world, vendor, PIXELDOJO_API_KEY="pd_new")
            may_answer.set()
            answer = await asking
            assert text_of(answer).startswith("Running")
            vendor.finish(vendor.submissions[0].job_id)
            await world.advance(60)
            assert text_of(answer).startswith("Done")
            assert vendor.count(Route.SUBMIT) == 1


async def test_a_paused_provider_is_asked_at_once_whether_it_works_now(dojo: World, vendor: PixelDojoImitation) -> None:
    vendor.key = "pd_new"
    refused = await dojo.video(prompt="A cat", model=WAN_22)
    assert text_of(refused).startswith("Failed")
    assert dojo.app.services.pauses.is_paused("pixeldojo")
    await reload(dojo, vendor)
    await dojo.work()
    assert dojo.app.services.pauses.is_paused("pixeldojo"), "the key is as wrong as before"
    await reload(dojo, vendor, PIXELDOJO_API_KEY="pd_new")
    await dojo.work()
    assert not dojo.app.services.pauses.is_paused("pixeldojo")
    assert text_of(await dojo.video(prompt="A cat", model=WAN_22)).startswith("Running")


async def test_a_provider_comes_and_goes(dojo: World, vendor: PixelDojoImitation) -> None:
    everything = set(dojo.app.services.registry.models)
    await reload(dojo, vendor, PIXELDOJO_API_KEY="", VTRIX_API_KEY="vx_test")
    models = set(dojo.app.services.registry.models)
    assert {spec.provider for spec in MODELS if spec.id in models} == {"vtrix", "demo"}
    assert "isn't a model that I know" in text_of(await dojo.video(prompt="A cat", model=WAN_22))
    assert "Vtrix" in text_of(await dojo.mona.slash(dojo.channel, "wan-admin providers"))
    await reload(dojo, vendor)
    assert set(dojo.app.services.registry.models) == everything
    assert text_of(await dojo.video(prompt="A cat", model=WAN_22)).startswith("Running")


async def test_a_paused_provider_that_is_gone_is_not_asked_any_more(dojo: World, vendor: PixelDojoImitation) -> None:
    vendor.key = "pd_other"
    await dojo.video(prompt="A cat", model=WAN_22)
    await reload(dojo, vendor, PIXELDOJO_API_KEY="")
    assert dojo.app.services.pauses.next_at() is None


async def test_a_video_already_asked_for_keeps_its_price_and_the_next_has_the_new_one(
    dojo: World, vendor: PixelDojoImitation, tmp_path: Path
) -> None:
    first = await dojo.video(prompt="A cat", model="demo", duration=2)
    await reload(dojo, vendor, CREDITS_PER_USD="500")
    second = await dojo.video(prompt="A dog", model="demo", duration=2)
    prices = tmp_path / "prices.toml"
    prices.write_text("demo = 0.03")
    await reload(dojo, vendor, PRICES_FILE=str(prices))
    third = await dojo.video(prompt="A bird", model="demo", duration=2)
    # the same name, another content
    prices.write_text("demo = 0.04")
    await reload(dojo, vendor, PRICES_FILE=str(prices))
    fourth = await dojo.video(prompt="A fish", model="demo", duration=2)
    await dojo.finish()
    told = [text_of(answer).partition("Price: ")[2].splitlines()[0] for answer in (first, second, third, fourth)]
    assert told == ["1 credit", "5 credits", "3 credits", "4 credits"]
    assert (await dojo.account()).available == 200 - 13


async def test_the_default_allowance_changes_where_moderators_have_said_nothing(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    assert "Available: 200" in text_of(await dojo.alice_elsewhere.slash(dojo.elsewhere_channel, "wan balance"))
    assert "Available: 200" in text_of(await dojo.alice.slash(dojo.channel, "wan balance"))
    await reload(dojo, vendor, DEFAULT_ALLOWANCE="250")
    assert "Available: 250" in text_of(await dojo.alice.slash(dojo.channel, "wan balance"))
    await dojo.mona.slash(dojo.channel, "wan-admin allowance set", amount=300, period="day")
    await reload(dojo, vendor, DEFAULT_ALLOWANCE="400")
    assert "Available: 300" in text_of(await dojo.alice.slash(dojo.channel, "wan balance"))
    assert "Available: 400" in text_of(await dojo.alice_elsewhere.slash(dojo.elsewhere_channel, "wan balance"))


async def test_what_needs_a_restart_is_said_each_time_and_stays_as_it_is(
    dojo: World, vendor: PixelDojoImitation
) -> None:
    changed = {"WANBOT_KEEP_DAYS": "1", "UPLOAD_LIMIT_MIB": "5", "DEMO_SECONDS": "9", "LOG_FORMAT": "json"}
    told = ["DEMO_SECONDS", "LOG_FORMAT", "UPLOAD_LIMIT_MIB", "WANBOT_KEEP_DAYS"]
    assert await reload(dojo, vendor, **changed) == told
    assert await reload(dojo, vendor, **changed) == told
    assert await reload(dojo, vendor) == []


async def test_a_price_list_that_is_gone_meanwhile_changes_nothing(
    dojo: World, vendor: PixelDojoImitation, tmp_path: Path
) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text("demo = 0.03")
    given = settings_of(dojo, vendor, PRICES_FILE=str(prices), PIXELDOJO_API_KEY="pd_new")
    prices.unlink()
    before = dojo.app.services.registry.providers["pixeldojo"]
    with pytest.raises(SettingsError, match="PRICES_FILE"):
        await dojo.app.reloading.apply(given)
    assert dojo.app.services.registry.providers["pixeldojo"] is before
    answer = await dojo.video(prompt="A cat", model="demo", duration=2)
    assert "Price: 1 credit," in text_of(answer)


async def test_nothing_new_leaves_every_provider_as_it_is(dojo: World, vendor: PixelDojoImitation) -> None:
    before = dict(dojo.app.services.registry.providers)
    await reload(dojo, vendor)
    await reload(dojo, vendor, VTRIX_API_KEY="vx_test")
    after = dojo.app.services.registry.providers
    assert all(after[name] is provider for name, provider in before.items())
