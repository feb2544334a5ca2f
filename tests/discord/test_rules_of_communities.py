"""Which models may be used, where, by whom, how many at once, how long and how sharp."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import simcord

from bot.jobs.job import State
from providers.catalogue import DEMO
from tests.discord.steps import (
    accepted,
    accepted_elsewhere,
    ask,
    cancel_all,
    check_elsewhere,
    decide,
    decided,
    give_role,
    refused,
    restrict_to_adults,
    take_role,
    thread_in,
    until,
)
from tests.discord.worlds import World, is_private, open_world, picture, text_of
from tests.imitations.pixeldojo import NO_CREDITS, PixelDojoImitation, Route

WAN_22 = "pixeldojo/wan-2.2-standard"
WAN_27 = "pixeldojo/wan-2.7-i2v"
TOMORROW = datetime(2026, 1, 2, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("undecided_elsewhere")


def titles(answers: list[simcord.InteractionResult]) -> list[str]:
    """The states that the cards show."""
    return [text_of(answer).split("\n")[0] for answer in answers]


async def suggested(
    world: World, option: str, channel: simcord.ChannelHandle | None = None, **filled: Any
) -> list[Any]:
    """What alice is offered for an option of ``/wan video``."""
    found = await world.alice.autocomplete(
        channel or world.channel, "wan video", option, "", **{"prompt": "x", **filled}
    )
    return [each["value"] for each in found]


# --- models -----------------------------------------------------------------------------------------


async def test_a_model_that_is_denied_in_a_channel_is_so_in_its_threads(world: World) -> None:
    other = world.guild.create_text_channel("films")
    thread, other_thread = thread_in(world, world.channel), thread_in(world, other)
    said = await decide(world, "models deny", model="demo", channel=world.channel)
    assert f"Now: allowed, denied in {world.channel.mention}" in said
    for place in (world.channel, thread):
        assert "`demo` isn't allowed here. You can use: none." in await refused(world, channel=place, model="demo")
        assert "No model may be used here" in await ask(world.alice, place, "models")
        assert await suggested(world, "model", place) == []
    for place in (other, other_thread):
        await accepted(world, channel=place, model="demo")
        assert await suggested(world, "model", place) == ["demo"]
    await accepted_elsewhere(world, model="demo")


async def test_a_model_of_one_channel_only(world: World) -> None:
    films = world.guild.create_text_channel("films")
    await decide(world, "models deny", model="demo")
    said = await decide(world, "models allow", model="demo", channel=films)
    assert f"Now: denied, allowed in {films.mention}" in said
    await accepted(world, channel=films)
    await accepted(world, channel=thread_in(world, films))
    assert "No model may be used here" in await refused(world)
    assert "No model may be used here" in await refused(world, channel=thread_in(world, world.channel))


async def test_a_model_of_one_role_is_gone_with_the_role(world: World) -> None:
    vip = world.guild.create_role("VIP")
    await decide(world, "models deny", model="demo")
    await decide(world, "models allow", model="demo", role=vip)
    await refused(world)
    give_role(world, world.alice, vip)
    await accepted(world)
    assert await suggested(world, "model") == ["demo"]
    take_role(world, world.alice, vip)
    await refused(world)
    assert await suggested(world, "model") == []
    await accepted_elsewhere(world)


async def test_a_role_that_is_denied_in_one_channel_alone(world: World) -> None:
    muted, films = world.guild.create_role("Muted"), world.guild.create_text_channel("films")
    give_role(world, world.alice, muted)
    said = await decide(world, "models deny", model="demo", channel=films, role=muted)
    assert f"Now: allowed, denied in {films.mention} for {muted.mention}" in said
    await refused(world, channel=films)
    await refused(world, channel=thread_in(world, films))
    await accepted(world, world.bob, films)
    await accepted(world)


async def test_the_most_specific_rule_wins_and_allow_wins_among_roles(world: World) -> None:
    vip, muted = world.guild.create_role("VIP"), world.guild.create_role("Muted")
    give_role(world, world.alice, vip)
    await decide(world, "models deny", model="demo", channel=world.channel)
    await decide(world, "models allow", model="demo", role=vip)
    await accepted(world)
    await refused(world, world.bob)
    await decide(world, "models deny", model="demo", role=muted)
    give_role(world, world.alice, muted)
    await accepted(world)
    await decide(world, "models deny", model="demo", channel=world.channel, role=muted)
    await refused(world)


async def test_everybodys_role_means_everybody(world: World) -> None:
    said = await decide(world, "models deny", model="demo", role=world.guild.default_role)
    assert "Now: denied" in said
    assert "Now: allowed" in await decide(world, "models allow", model="demo")
    await accepted(world)


async def test_what_is_denied_while_a_video_is_made_does_not_stop_it(world: World) -> None:
    await world.video(prompt="A cat", duration=2)
    await decide(world, "models deny", model="demo")
    await world.finish()
    assert len(world.posted()) == 1


async def test_a_denied_model_is_not_suggested_and_the_others_are_named(dojo: World) -> None:
    await decide(dojo, "models deny", model=WAN_22)
    assert await suggested(dojo, "model") == [WAN_27, "demo"]
    said = await refused(dojo, model=WAN_22)
    assert f"`{WAN_22}` isn't allowed here. You can use: `{WAN_27}`, `demo`." in said
    assert WAN_22 not in await ask(dojo.alice, dojo.channel, "models")
    found = await dojo.mona.autocomplete(dojo.channel, "wan-admin models allow", "model", "2.2")
    assert [each["value"] for each in found] == [WAN_22], "or it could never be allowed again"
    assert WAN_22 in await ask(dojo.alice_elsewhere, dojo.elsewhere_channel, "models")


# --- channels ---------------------------------------------------------------------------------------


async def test_once_a_channel_is_allowed_only_allowed_ones_work(world: World) -> None:
    films, forum = world.guild.create_text_channel("films"), world.guild.create_forum_channel("ideas")
    said = await decide(world, "channels allow", channel=films)
    assert f"Before: everywhere\nNow: in {films.mention}, in no other channel" in said
    said = await refused(world)
    assert f"Videos aren't made in this channel. They are made in {films.mention}, in no other channel." in said
    await refused(world, channel=thread_in(world, world.channel))
    await accepted(world, channel=films)
    await accepted(world, channel=thread_in(world, films))
    said = await decide(world, "channels allow", channel=forum)
    assert f"Now: in {films.mention}, {forum.mention}, in no other channel" in said
    await accepted(world, channel=thread_in(world, forum))
    await refused(world)
    await accepted_elsewhere(world)
    assert f"Channels: in {films.mention}, {forum.mention}" in await decide(world, "limits show")


async def test_a_denied_channel_is_the_only_one_that_does_not_work(world: World) -> None:
    films = world.guild.create_text_channel("films")
    said = await decide(world, "channels deny", channel=world.channel)
    assert f"Before: everywhere\nNow: everywhere but in {world.channel.mention}" in said
    assert f"They are made everywhere but in {world.channel.mention}." in await refused(world)
    await refused(world, channel=thread_in(world, world.channel))
    await accepted(world, channel=films)
    await accepted(world, channel=thread_in(world, films))
    await accepted_elsewhere(world)


async def test_a_denial_is_taken_back_without_closing_the_other_channels(world: World) -> None:
    films = world.guild.create_text_channel("films")
    await decide(world, "channels deny", channel=world.channel)
    for _ in range(2):
        assert "Now: everywhere" in await decide(world, "channels allow", channel=world.channel)
        await accepted(world)
        await accepted(world, channel=films)


async def test_a_denied_channel_stays_closed_when_another_is_allowed(world: World) -> None:
    films = world.guild.create_text_channel("films")
    await decide(world, "channels deny", channel=world.channel)
    await decide(world, "channels allow", channel=films)
    await refused(world)
    await decide(world, "channels allow", channel=world.channel)
    await accepted(world)
    await accepted(world, channel=films)


async def test_where_no_videos_are_made_everything_else_still_answers(world: World) -> None:
    await accepted(world)
    await decide(world, "channels deny", channel=world.channel)
    assert "Available:" in await ask(world.alice, world.channel, "balance")
    assert "Queued" in await ask(world.alice, world.channel, "queue")
    assert "went back" in await ask(world.alice, world.channel, "cancel")


# --- how many ---------------------------------------------------------------------------------------


async def test_what_exceeds_a_members_jobs_waits_and_is_made_in_the_end(world: World) -> None:
    assert "Now: `member_jobs`: 1 at once; more wait" in await decide(world, "limits set", member_jobs=1)
    answers: list[simcord.InteractionResult] = []
    here, there = [(who, world.channel) for who in (world.alice, world.alice, world.bob)], world.elsewhere_channel
    for who, channel in [*here, (world.alice_elsewhere, there), (world.alice_elsewhere, there)]:
        answers.append(await who.slash(channel, "wan video", prompt="A cat", duration=2))
        await world.env.advance_time(0.1)
    await world.work()
    assert titles(answers) == ["Running", "Queued", "Running", "Running", "Running"]
    assert "Place 1 in the queue" in text_of(answers[1])
    assert "Now: `member_jobs`: 3 at once; more wait" in await decide(world, "limits set", member_jobs=0)
    await world.work()
    assert [job.state for job in await world.open_jobs()] == [State.RUNNING] * 5
    await world.finish()
    assert titles(answers) == ["Done"] * 5


async def test_what_exceeds_the_guilds_jobs_waits_whoever_asked(world: World) -> None:
    await decide(world, "limits set", guild_jobs=1)
    answers: list[simcord.InteractionResult] = []
    for who in (world.alice, world.bob):
        answers.append(await who.slash(world.channel, "wan video", prompt="A cat", duration=2))
        await world.env.advance_time(0.1)
    answers.append(await world.alice_elsewhere.slash(world.elsewhere_channel, "wan video", prompt="A cat", duration=2))
    await world.work()
    assert titles(answers) == ["Running", "Queued", "Running"]
    await world.finish()
    assert titles(answers) == ["Done"] * 3


async def test_a_member_who_has_made_all_videos_of_the_period_waits_for_the_next(world: World) -> None:
    said = await decide(world, "limits set", member_period_jobs=2)
    assert "Now: `member_period_jobs`: up to 2 videos each day" in said
    await accepted(world)
    await accepted(world)
    when = f"You can make more <t:{int(TOMORROW.timestamp())}:R>."
    assert await refused(world) == f"You have made your 2 videos for today. {when}"
    await accepted(world, world.bob)
    await accepted_elsewhere(world)
    await world.finish()
    await refused(world)
    await until(world, TOMORROW)
    await accepted(world)


async def test_what_gave_no_video_is_not_counted(world: World) -> None:
    await decide(world, "limits set", member_period_jobs=1)
    for _ in range(3):
        await accepted(world)
        assert "your one video for today" in await refused(world)
        await cancel_all(world)
    await accepted(world)


async def test_all_videos_of_the_guild_in_the_period(world: World) -> None:
    await decide(world, "allowance set", amount=100, period="month")
    await decide(world, "limits set", guild_period_jobs=1)
    await accepted(world, world.bob)
    said = await refused(world)
    stamp = int(datetime(2026, 2, 1, tzinfo=UTC).timestamp())
    assert said == f"This community has made its one video for this month. More can be made <t:{stamp}:R>."
    await accepted_elsewhere(world)
    await decide(world, "limits set", guild_period_jobs=0)
    await accepted(world)


# --- how long, how sharp ----------------------------------------------------------------------------


async def test_a_longer_video_is_refused_and_an_unset_length_is_the_longest_allowed(world: World) -> None:
    assert "Now: `duration`: up to 4 seconds" in await decide(world, "limits set", duration=4)
    assert "5 seconds isn't offered by Demo here; choose 2, 3 or 4 seconds." in await refused(world, duration=5)
    # the model's own default is 5
    answer = await world.alice.slash(world.channel, "wan video", prompt="A cat")
    assert "· 4 s ·" in text_of(answer)
    assert await suggested(world, "duration") == [2, 3, 4]
    assert "2, 3 or 4 seconds" in await ask(world.alice, world.channel, "models")
    there = await world.alice_elsewhere.slash(world.elsewhere_channel, "wan video", prompt="A cat")
    assert "· 5 s ·" in text_of(there)
    await decide(world, "limits set", duration=0)
    await accepted(world, duration=10)


async def test_a_default_within_the_limit_is_kept(world: World) -> None:
    await decide(world, "limits set", duration=9, resolution="1080p")
    answer = await world.alice.slash(world.channel, "wan video", prompt="A cat")
    assert "Options: 480p · 5 s" in text_of(answer)


async def test_a_sharper_video_is_refused_and_an_unset_one_is_the_sharpest_allowed(tmp_path: Path) -> None:
    sharp = replace(DEMO, default_resolution="1080p")
    async with open_world(tmp_path, models=[sharp]) as world:
        assert "Now: `resolution`: up to 720p" in await decide(world, "limits set", resolution="720p")
        said = await refused(world, resolution="1080p")
        assert "**resolution**: 1080p isn't offered by Demo here; choose 480p or 720p." in said
        assert "Options: 720p · 2 s" in await accepted(world)
        assert await suggested(world, "resolution") == ["480p", "720p"]
        assert "480p or 720p ·" in await ask(world.alice, world.channel, "models")
        assert "Options: 1080p · 2 s" in await accepted_elsewhere(world)
        await decide(world, "limits set", resolution="0")
        assert "Options: 1080p · 2 s" in await accepted(world)
        await check_elsewhere(world)


async def test_a_model_that_starts_above_the_limits_is_not_offered_and_says_why(dojo: World) -> None:
    await decide(dojo, "limits set", resolution="480p")
    assert await suggested(dojo, "model") == [WAN_22, "demo"]
    assert WAN_27 not in await ask(dojo.alice, dojo.channel, "models")
    said = await refused(dojo, model=WAN_27, image=("cat.png", picture()))
    assert "**resolution**: This community allows up to 480p; Wan 2.7 Image to Video starts above it." in said
    assert WAN_27 in await ask(dojo.alice_elsewhere, dojo.elsewhere_channel, "models")


async def test_limits_that_leave_no_model_at_all_are_named(world: World) -> None:
    await decide(world, "limits set", duration=1)
    said = await refused(world)
    assert "No model here stays within this community's limits: `duration` up to 1 second." in said
    assert "Ask a moderator" in said
    assert "raise `/wan-admin limits`" in await ask(world.alice, world.channel, "models")
    assert await suggested(world, "model") == []
    assert await suggested(world, "duration") == []


async def test_limits_left_out_stay_as_they_are_and_nought_takes_each_away(world: World) -> None:
    everything = {
        "member_jobs": 2,
        "guild_jobs": 4,
        "member_period_jobs": 5,
        "guild_period_jobs": 6,
        "duration": 7,
        "confirm_above": 80,
        "guild_budget": 900,
    }
    fresh = (await decided(world)).limits
    await decide(world, "limits set", **everything, resolution="720p", adult="nowhere")
    assert await decide(world, "limits show") == (
        "`member_jobs`: 2 at once; more wait\n"
        "`guild_jobs`: 4 at once; more wait\n"
        "`member_period_jobs`: up to 5 videos each day\n"
        "`guild_period_jobs`: up to 6 videos each day\n"
        "`duration`: up to 7 seconds\n"
        "`resolution`: up to 720p\n"
        "`confirm_above`: asked above 80\n"
        "`guild_budget`: up to 900 credits each day\n"
        "`adult`: nowhere\n"
        "Channels: everywhere\n"
        "Blocked words: none"
    )
    said = await decide(world, "limits set", duration=3)
    assert said == "Limits\nBefore: `duration`: up to 7 seconds\nNow: `duration`: up to 3 seconds"
    said = await decide(world, "limits set", duration=3)
    assert said == "The limits are as you want them already: nothing changed."
    limits = (await decided(world)).limits
    assert {name: getattr(limits, name) for name in everything} == {**everything, "duration": 3}
    for _ in range(2):
        await decide(world, "limits set", **dict.fromkeys(everything, 0), resolution="0", adult="anywhere")
        assert (await decided(world)).limits == fresh
    assert "Name at least one limit" in await decide(world, "limits set")


# --- adult content ----------------------------------------------------------------------------------


async def test_adult_models_are_used_nowhere(dojo: World) -> None:
    assert "Now: `adult`: nowhere" in await decide(dojo, "limits set", adult="nowhere")
    grown_up = dojo.guild.create_text_channel("grown-up")
    restrict_to_adults(dojo, grown_up)
    for place in (dojo.channel, grown_up, thread_in(dojo, grown_up)):
        said = await refused(dojo, channel=place, model=WAN_22)
        assert f"`{WAN_22}` can make adult content, which isn't allowed in this channel. You can use: `demo`." in said
        assert await suggested(dojo, "model", place) == ["demo"]
        assert "Model: Demo" in await accepted(dojo, channel=place)
    await accepted_elsewhere(dojo, model=WAN_22, duration=5)


async def test_adult_models_are_used_in_age_restricted_channels_and_their_threads_alone(dojo: World) -> None:
    said = await decide(dojo, "limits set", adult="age_restricted")
    assert "Now: `adult`: in age-restricted channels" in said
    grown_up = dojo.guild.create_text_channel("grown-up")
    restrict_to_adults(dojo, grown_up)
    for place in (grown_up, thread_in(dojo, grown_up)):
        await accepted(dojo, channel=place, model=WAN_22, duration=5)
        assert await suggested(dojo, "model", place) == [WAN_22, WAN_27, "demo"]
    for place in (dojo.channel, thread_in(dojo, dojo.channel)):
        assert "adult content" in await refused(dojo, channel=place, model=WAN_22)
        assert await suggested(dojo, "model", place) == ["demo"]
    await accepted_elsewhere(dojo, model=WAN_22, duration=5)


async def test_adult_models_are_used_anywhere_unless_somebody_says_otherwise(dojo: World) -> None:
    await accepted(dojo, model=WAN_22, duration=5)
    await decide(dojo, "limits set", adult="nowhere")
    await refused(dojo, model=WAN_22)
    await decide(dojo, "limits set", adult="anywhere")
    await accepted(dojo, model=WAN_22, duration=5)


async def test_a_denied_model_stays_denied_where_adult_content_is_allowed(dojo: World) -> None:
    grown_up = dojo.guild.create_text_channel("grown-up")
    restrict_to_adults(dojo, grown_up)
    await decide(dojo, "limits set", adult="age_restricted")
    await decide(dojo, "models deny", model=WAN_22)
    assert f"`{WAN_22}` isn't allowed here" in await refused(dojo, channel=grown_up, model=WAN_22)


# --- who decides ------------------------------------------------------------------------------------


async def test_who_moderates_one_guild_is_a_plain_member_of_another(world: World) -> None:
    mona_elsewhere = world.elsewhere.add_member(world.mona.user)
    with pytest.raises(simcord.SetupError):
        await mona_elsewhere.slash(world.elsewhere_channel, "wan-admin limits set", member_jobs=1)
    assert not any(name.startswith("wan-admin") for name in mona_elsewhere.available_commands(world.elsewhere_channel))
    card = await world.alice_elsewhere.slash(world.elsewhere_channel, "wan video", prompt="A cat", duration=2)
    assert card.response is not None
    said = await mona_elsewhere.click(card.response, label="Cancel")
    assert is_private(said)
    assert f"This is <@{world.alice.id}>'s video" in text_of(said)


Setup = Callable[[World], dict[str, Any]]
_REPEATED: dict[str, Setup] = {
    "allowance set": lambda _: {"amount": 40, "period": "week", "cap": 80},
    "allowance role": lambda world: {"role": world.guild.create_role("Gold"), "amount": 300},
    "models allow": lambda world: {"model": "demo", "channel": world.channel},
    "models deny": lambda world: {"model": "demo", "role": world.guild.create_role("Muted")},
    "models price": lambda _: {"model": "demo", "credits": 5},
    "models default": lambda _: {"model": "demo"},
    "limits set": lambda _: {"member_jobs": 2, "resolution": "720p", "adult": "nowhere"},
    "channels allow": lambda world: {"channel": world.channel},
    "channels deny": lambda world: {"channel": world.channel},
    "words block": lambda _: {"text": "fox*"},
    "members block": lambda world: {"member": world.bob, "reason": "Spam"},
    "members unblock": lambda world: {"member": world.bob},
    "log": lambda world: {"channel": world.channel},
    "options set": lambda _: {"keep_days": 40},
}


@pytest.mark.parametrize("command", _REPEATED)
async def test_every_decision_can_be_repeated_without_harm(world: World, command: str) -> None:
    options = _REPEATED[command](world)
    await decide(world, command, **options)
    once = await decided(world)
    for version in (2, 3):
        await decide(world, command, **options)
        assert replace(await decided(world), version=1) == once
        assert (await decided(world)).version == version
        assert await world.app.services.communities.of(world.guild.id) == await decided(world), "memory knows too"


# --- providers --------------------------------------------------------------------------------------


async def test_a_provider_that_takes_no_jobs_is_shown_as_paused(dojo: World, vendor: PixelDojoImitation) -> None:
    assert await decide(dojo, "providers") == ("**PixelDojo**: takes jobs · 2 models\n**Demo**: takes jobs · 1 model")
    vendor.fault_next(Route.SUBMIT, NO_CREDITS)
    await dojo.video(prompt="A cat", model=WAN_22)
    paused = await decide(dojo, "providers")
    again = int(dojo.env.now().timestamp()) + 300
    assert paused == (f"**PixelDojo**: paused, tried again <t:{again}:R> · 2 models\n**Demo**: takes jobs · 1 model")
    await dojo.advance(301)
    assert "**PixelDojo**: takes jobs" in await decide(dojo, "providers")


async def test_when_all_that_could_make_it_are_paused_members_are_told_so(
    tmp_path: Path, vendor: PixelDojoImitation
) -> None:
    environment = {
        "PIXELDOJO_API_KEY": "pd_test",
        "PIXELDOJO_BASE_URL": vendor.base_url,
        "PIXELDOJO_REQUESTS_PER_MINUTE": "6000",
        "DEMO_PROVIDER": "false",
    }
    async with open_world(tmp_path, environment) as world:
        vendor.fault_next(Route.SUBMIT, NO_CREDITS)
        await world.video(prompt="A cat", model=WAN_22)
        said = await refused(world)
        assert "can be reached at the moment; the people who run this bot have been told. Try again later." in said
