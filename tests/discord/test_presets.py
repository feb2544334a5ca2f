"""Options under a name: a member's own, and those that moderators offer to everybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import simcord

from tests.discord.restarts import restarted
from tests.discord.steps import accepted, ask, audited, decide, keep_for, refused
from tests.discord.test_privacy import delete, exported
from tests.discord.traces import traces
from tests.discord.worlds import World, open_world, text_of

WIDE: dict[str, Any] = {"resolution": "720p", "aspect_ratio": "1:1", "duration": 3, "seed": 7}


async def make(world: World, who: simcord.MemberActor | None = None, **options: Any) -> None:
    """Let a member (alice) make a video."""
    await (who or world.alice).slash(world.channel, "wan video", **{"prompt": "A cat", "duration": 2, **options})
    await world.finish()


async def card_of(who: simcord.MemberActor, channel: simcord.ChannelHandle, **options: Any) -> str:
    """The card of a video that a member asks for with nothing but these options."""
    text = text_of(await who.slash(channel, "wan video", prompt="A cat", **options))
    assert text.startswith("Queued"), text
    return text


async def suggested(who: simcord.MemberActor, channel: simcord.ChannelHandle, typed: str = "") -> list[str]:
    """The presets that a member is shown while typing."""
    found = await who.autocomplete(channel, "wan video", "preset", typed, prompt="x")
    return [each["value"] for each in found]


async def test_the_options_of_the_last_video_are_saved_and_used_again(world: World) -> None:
    assert "You have made no video here yet" in await ask(world.alice, world.channel, "preset save", name="Wide")
    await make(world, **WIDE)
    said = await ask(world.alice, world.channel, "preset save", name="Wide")
    assert said.startswith("Saved: **Wide** · `demo` · 720p · 1:1 · 3 s · seed 7")
    card = await card_of(world.alice, world.channel, preset="wide")
    assert "720p · 1:1 · 3 s · seed 7" in card
    await world.finish()
    newest, first = await world.jobs()
    assert newest.request == first.request
    assert newest.model == first.model


async def test_what_is_typed_wins_over_the_preset(world: World) -> None:
    await make(world, **WIDE)
    await ask(world.alice, world.channel, "preset save", name="Wide")
    card = await accepted(world, preset="Wide", duration=2, resolution="480p", seed=9)
    assert "480p · 1:1 · 2 s · seed 9" in card
    await world.finish()


async def test_names_are_the_same_whatever_their_case_and_a_name_is_used_once(world: World) -> None:
    await make(world, **WIDE)
    await ask(world.alice, world.channel, "preset save", name="Wide  shot")
    await make(world, resolution="480p")
    said = await ask(world.alice, world.channel, "preset save", name="\uff37\uff29\uff24\uff25 shot")
    assert said.startswith("Saved in place of the old one: **WIDE shot** · `demo` · 480p")
    assert await suggested(world.alice, world.channel) == ["WIDE shot"]
    assert "Deleted: **WIDE shot**" in await ask(world.alice, world.channel, "preset delete", name="wide shot")
    assert "There is no preset yet" in await ask(world.alice, world.channel, "preset list")
    for bad, why in (("---", "no letter or digit"), ("a<b", "it can't hold"), ("ﷺ" * 2, "may have 32 characters")):
        assert why in await ask(world.alice, world.channel, "preset save", name=bad)


async def test_a_preset_is_made_of_a_video_that_is_chosen(world: World) -> None:
    await make(world, prompt="The first", **WIDE)
    await make(world, prompt="The second")
    await make(world, world.bob, prompt="Bob's own")
    found = await world.alice.autocomplete(world.channel, "wan preset save", "job", "", name="x")
    assert len(found) == 2
    assert "The first" in found[1]["name"]
    said = await ask(world.alice, world.channel, "preset save", name="x", job=found[1]["value"])
    assert "720p · 1:1" in said
    bobs = (await world.bob.autocomplete(world.channel, "wan preset save", "job", "", name="x"))[0]["value"]
    assert "no such video of yours" in await ask(world.alice, world.channel, "preset save", name="y", job=bobs)


async def test_nothing_is_saved_of_a_last_video_that_is_no_longer_kept(world: World) -> None:
    await make(world)
    (job,) = await world.jobs()
    await keep_for(world, 1)
    await world.env.advance_time(2 * 86_400)
    await world.app.services.retention.run_once()
    said = await ask(world.alice, world.channel, "preset save", name="wide")
    assert said == "Your last video's options aren't kept any more."
    # only who names a video hears about the option
    assert (await ask(world.alice, world.channel, "preset save", name="wide", job=job.id)).startswith("**job**: ")


async def test_twenty_five_are_kept_and_no_more(world: World) -> None:
    await make(world)
    for number in range(25):
        assert "Saved: " in await ask(world.alice, world.channel, "preset save", name=f"Number {number}")
    assert "You have 25 presets" in await ask(world.alice, world.channel, "preset save", name="One more")
    assert "Saved in place" in await ask(world.alice, world.channel, "preset save", name="number 3")
    assert len(await suggested(world.alice, world.channel)) == 25
    assert len((await ask(world.alice, world.channel, "preset list")).splitlines()) == 26


async def test_a_preset_is_its_owners_and_only_in_its_guild(world: World) -> None:
    await make(world, **WIDE)
    await ask(world.alice, world.channel, "preset save", name="Wide")
    assert await suggested(world.alice, world.channel) == ["Wide"]
    assert await suggested(world.bob, world.channel) == []
    assert await suggested(world.alice_elsewhere, world.elsewhere_channel) == []
    said = await refused(world, world.alice_elsewhere, world.elsewhere_channel, preset="Wide")
    assert said == ("**preset**: there is no preset yet. `/wan preset save` keeps the options of your last video.")


async def test_moderators_offer_presets_to_everybody_here(world: World) -> None:
    await make(world, world.mona, **WIDE)
    log = world.guild.create_text_channel("log")
    await decide(world, "log", channel=log)
    said = await decide(world, "preset offer", name="House style")
    assert "Before: not offered\nNow: **House style** · `demo` · 720p" in said
    assert await suggested(world.bob, world.channel, "house") == ["House style"]
    assert await suggested(world.alice_elsewhere, world.elsewhere_channel) == []
    assert "preset offer" in log.history()[-1].content
    assert "720p · 1:1 · 3 s" in await card_of(world.bob, world.channel, preset="house STYLE")
    assert "**Offered here**\n**House style**" in await ask(world.bob, world.channel, "preset list")
    # a member's own of the same name comes first
    await world.finish()
    await make(world, world.bob, resolution="480p")
    await ask(world.bob, world.channel, "preset save", name="House Style")
    assert await suggested(world.bob, world.channel) == ["House Style"]
    assert "480p" in await accepted(world, world.bob, preset="house style")
    assert "Now: not offered" in await decide(world, "preset remove", name="house style")
    assert "there is no preset yet" in await decide(world, "preset remove", name="house style")
    assert await suggested(world.alice, world.channel) == []
    assert [row.action for row in await audited(world)] == ["log.channel", "preset.offer", "preset.remove"]
    await world.finish()


async def test_what_is_allowed_no_more_is_refused_with_the_name_of_the_preset(world: World) -> None:
    await make(world, **WIDE)
    await ask(world.alice, world.channel, "preset save", name="Wide")
    await decide(world, "limits set", resolution="480p")
    said = await refused(world, preset="wide")
    assert "**resolution**" in said
    assert said.endswith("From the preset **Wide**: `model`, `resolution`. What you type in the command wins over it.")
    await accepted(world, preset="wide", resolution="480p")
    await world.finish()
    await decide(world, "models deny", model="demo")
    said = await refused(world, preset="wide")
    assert "`demo` isn't allowed here" in said
    assert "From the preset **Wide**: `model`." in said


async def test_presets_outlive_a_restart(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await make(world, **WIDE)
        await ask(world.alice, world.channel, "preset save", name="Wide")
        async with restarted(world):
            assert await suggested(world.alice, world.channel) == ["Wide"]
            assert "720p · 1:1" in text_of(
                await world.alice.slash(world.channel, "wan video", prompt="A cat", preset="wide")
            )
            await world.finish()


async def test_presets_are_given_and_deleted_with_the_members_data(world: World) -> None:
    await make(world, **WIDE)
    await ask(world.alice, world.channel, "preset save", name="Zanzibar")
    await make(world, world.bob)
    await ask(world.bob, world.channel, "preset save", name="Timbuktu")
    document, _pictures = await exported(world.alice, world.channel)
    assert [each["name"] for each in document["presets"]] == ["Zanzibar"]
    assert document["presets"][0]["options"]["seed"] == 7
    assert "is deleted" in await delete(world.alice, world.channel)
    assert traces(world, "Zanzibar") == []
    assert traces(world, "Timbuktu") != []
    assert await suggested(world.alice, world.channel) == []


async def test_the_models_own_settings_are_part_of_a_preset(dojo: World) -> None:
    options = {"model": "pixeldojo/wan-2.2-standard", "settings": "steps=40"}
    assert "steps=40" in text_of(await dojo.alice.slash(dojo.channel, "wan video", prompt="A cat", **options))
    said = await ask(dojo.alice, dojo.channel, "preset save", name="Forty")
    assert "`pixeldojo/wan-2.2-standard` · " in said
    assert said.splitlines()[0].endswith(" · steps=40")
    assert "steps=40" in await card_of(dojo.alice, dojo.channel, preset="forty")
    # a preset for another model than the one that is typed
    said = await refused(dojo, preset="forty", model="demo", duration=2)
    assert "**settings**" in said
    assert "From the preset **Forty**: " in said
