"""Who decided what: in the audit, in the log channel, and page by page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import discord
import simcord

from cogs.admin.records import ACTIONS
from tests.discord.steps import accepted, accepted_elsewhere, ask, audited, check_elsewhere, decide, refused
from tests.discord.worlds import World, all_text, is_private, labels, text_of


@dataclass(frozen=True, kw_only=True)
class Step:
    """A decision, and what must be written of it."""

    command: str
    options: Callable[[World, simcord.RoleHandle], dict[str, Any]]
    action: str
    target: Callable[[World, simcord.RoleHandle], str] = lambda _world, _role: ""
    before: str
    after: str
    reason: str = ""


def _alice(world: World, _role: simcord.RoleHandle) -> str:
    return world.alice.mention


def _channel(world: World, _role: simcord.RoleHandle) -> str:
    return world.channel.mention


def _demo(_world: World, _role: simcord.RoleHandle) -> str:
    return "demo"


#: every kind of decision once; what a channel is called is written as CHANNEL here
STEPS = [
    Step(
        command="credits grant",
        options=lambda world, _: {"member": world.alice, "amount": 5, "reason": "For the *poster*"},
        action="credits.grant",
        target=_alice,
        before="100",
        after="105",
        reason="For the *poster*",
    ),
    Step(
        command="credits revoke",
        options=lambda world, _: {"member": world.alice, "amount": 7, "reason": "A mistake"},
        action="credits.revoke",
        target=_alice,
        before="105",
        after="98",
        reason="A mistake",
    ),
    Step(
        command="allowance set",
        options=lambda _, __: {"amount": 40, "period": "week", "cap": 90},
        action="allowance.set",
        before="100 credits each day",
        after="40 credits each week, at most 90 pile up",
    ),
    Step(
        command="allowance role",
        options=lambda _, role: {"role": role, "amount": 60},
        action="allowance.role",
        target=lambda _, role: role.mention,
        before="as everybody",
        after="60 credits each week",
    ),
    Step(
        command="models deny",
        options=lambda _, __: {"model": "demo"},
        action="models.deny",
        target=_demo,
        before="allowed",
        after="denied",
    ),
    Step(
        command="models allow",
        options=lambda world, _: {"model": "demo", "channel": world.channel},
        action="models.allow",
        target=_demo,
        before="denied",
        after="denied, allowed in CHANNEL",
    ),
    Step(
        command="models price",
        options=lambda _, __: {"model": "demo", "factor": 1.5},
        action="models.price",
        target=_demo,
        before="the catalogue's price",
        after="1.5 times the catalogue's price",
    ),
    Step(
        command="models default",
        options=lambda _, __: {"model": "demo"},
        action="models.default",
        before="none",
        after="`demo`",
    ),
    Step(
        command="limits set",
        options=lambda _, __: {"duration": 4, "adult": "age_restricted"},
        action="limits.set",
        before="`duration`: no limit\n`adult`: anywhere",
        after="`duration`: up to 4 seconds\n`adult`: in age-restricted channels",
    ),
    Step(
        command="channels deny",
        options=lambda world, _: {"channel": world.channel},
        action="channels.deny",
        target=_channel,
        before="everywhere",
        after="everywhere but in CHANNEL",
    ),
    Step(
        command="channels allow",
        options=lambda world, _: {"channel": world.channel},
        action="channels.allow",
        target=_channel,
        before="everywhere but in CHANNEL",
        after="everywhere",
    ),
    Step(
        command="words block",
        options=lambda _, __: {"text": "*Fox*"},
        action="words.block",
        target=lambda _, __: "*fox*",
        before="not blocked",
        after="blocked, as rule 1",
    ),
    Step(
        command="words unblock",
        options=lambda _, __: {"text": "*fox*"},
        action="words.unblock",
        target=lambda _, __: "*fox*",
        before="blocked, as rule 1",
        after="not blocked",
    ),
    Step(
        command="members block",
        options=lambda world, _: {"member": world.alice, "reason": "Spam"},
        action="members.block",
        target=_alice,
        before="not blocked",
        after="blocked",
        reason="Spam",
    ),
    Step(
        command="members unblock",
        options=lambda world, _: {"member": world.alice},
        action="members.unblock",
        target=_alice,
        before="blocked",
        after="not blocked",
    ),
    Step(
        command="options set",
        options=lambda _, __: {"keep_days": 40},
        action="options.keep_days",
        before="30 days (the operator's choice)",
        after="40 days",
    ),
]


async def open_log(world: World) -> simcord.ChannelHandle:
    """A channel where moderators read of changes."""
    log = world.guild.create_text_channel("mod-log")
    await decide(world, "log", channel=log)
    return log


async def newest(world: World, **options: Any) -> simcord.InteractionResult:
    """The first page of the audit."""
    answer = await world.mona.slash(world.channel, "wan-admin audit", **options)
    assert is_private(answer)
    return answer


async def turned(world: World, who: simcord.MemberActor, page: simcord.InteractionResult, label: str) -> str:
    """What stands on the same message when a button was pressed."""
    assert page.response is not None
    await who.click(page.response, label=label)
    return text_of(page)


async def pages(world: World, who: simcord.MemberActor, first: simcord.InteractionResult) -> list[str]:
    """Every page, from the first on; each but the last has ``Older``, each but the first ``Newer``."""
    found = [text_of(first)]
    while "Older" in labels(first.response):
        found.append(await turned(world, who, first, "Older"))
        assert "Newer" in labels(first.response)
    return found


async def test_every_change_has_a_row_with_all_that_is_to_know_and_a_line_in_the_log_channel(world: World) -> None:
    role = world.guild.create_role("Gold")
    log = await open_log(world)
    for step in STEPS:
        await decide(world, step.command, **step.options(world, role))
    rows = (await audited(world))[1:]
    lines = [message.content for message in log.history()][1:]
    assert len(rows) == len(lines) == len(STEPS)
    for step, row, line in zip(STEPS, rows, lines, strict=True):
        target = step.target(world, role)
        before, after = (text.replace("CHANNEL", world.channel.mention) for text in (step.before, step.after))
        assert (row.actor_id, row.action, row.target) == (world.mona.id, step.action, target)
        assert (row.before, row.after, row.reason) == (before, after, step.reason)
        assert line.startswith(f"{world.mona.mention} · **{step.action.replace('.', ' ')}**")
        assert f": {before} → {after}".replace("\n", ", ") in line
        shown = target if target.startswith("<") else f"`{target}`"
        assert not target or f" · {shown}: " in line, "words as code, or Discord would eat the stars"
    assert lines[0].endswith(" · For the \\*poster\\*")
    assert {row.action for row in rows} <= set(ACTIONS), "else it couldn't be filtered"
    assert [row.entry_id is not None for row in rows] == [step.command.startswith("credits") for step in STEPS]
    await check_elsewhere(world)


async def test_the_log_channel_is_told_of_itself_and_of_nothing_once_it_is_left_out(world: World) -> None:
    log = await open_log(world)
    assert [message.content for message in log.history()] == [
        f"{world.mona.mention} · **log channel**: none → {log.mention}"
    ]
    assert f"Log channel: {log.mention}" in await decide(world, "options show")
    assert f"Before: {log.mention}\nNow: none" in await decide(world, "log")
    await decide(world, "models deny", model="demo")
    assert len(log.history()) == 1
    assert len(await audited(world)) == 3


async def test_a_log_channel_that_the_bot_may_not_write_in_is_refused(world: World) -> None:
    assert world.env.bot.user is not None
    mute = discord.PermissionOverwrite(send_messages=False)
    log = world.guild.create_text_channel("mod-log", overwrites={world.env.bot.user: mute})
    said = await decide(world, "log", channel=log)
    assert f"I can't write in {log.mention}. Allow me **Send Messages** there first." in said
    assert await audited(world) == []


async def test_a_log_channel_that_is_gone_holds_up_no_decision(world: World) -> None:
    log = await open_log(world)
    world.env.backend.delete_channel(log.id)
    assert "Now: denied" in await decide(world, "models deny", model="demo")
    assert "isn't allowed here" in await refused(world, model="demo")


async def test_what_changes_nothing_and_what_is_refused_leaves_nothing_in_the_audit(world: World) -> None:
    for command in ("allowance show", "credits show", "models list", "limits show", "options show", "providers"):
        await decide(world, command, **({"member": world.alice} if command == "credits show" else {}))
    await decide(world, "models deny", model="nonsense")
    await decide(world, "limits set")
    await decide(world, "words unblock", text="fox")
    await ask(world.alice, world.channel, "balance")
    assert await audited(world) == []
    assert text_of(await newest(world)) == "Nothing was changed yet."


# --- pages ------------------------------------------------------------------------------------------


async def test_the_audit_is_paged_from_the_newest_to_the_oldest_and_back(world: World) -> None:
    for amount in range(1, 21):
        await decide(world, "credits grant", member=world.alice, amount=amount, reason=f"number {amount}!")
        await world.env.advance_time(1)
    first = await newest(world)
    assert labels(first.response) == ["Older"]
    found = await pages(world, world.mona, first)
    assert [re.findall(r"number (\d+)!", page) for page in found] == [
        [str(number) for number in range(20, 12, -1)],
        [str(number) for number in range(12, 4, -1)],
        [str(number) for number in range(4, 0, -1)],
    ]
    assert labels(first.response) == ["Newer"]
    assert await turned(world, world.mona, first, "Newer") == found[1]
    assert labels(first.response) == ["Newer", "Older"]
    assert await turned(world, world.mona, first, "Newer") == found[0]
    assert labels(first.response) == ["Older"]


async def test_a_page_that_is_just_full_has_no_older_one(world: World) -> None:
    for amount in range(1, 9):
        await decide(world, "credits grant", member=world.alice, amount=amount)
    assert labels((await newest(world)).response) == []
    await decide(world, "credits grant", member=world.alice, amount=9)
    assert labels((await newest(world)).response) == ["Older"]


async def test_however_long_its_rows_are_none_is_lost_between_the_pages(world: World) -> None:
    for number in range(18):
        reason = f"({number}) " + "*_~`|>[]()" * 25
        await decide(world, "credits grant", member=world.alice, amount=1, reason=reason)
    found = await pages(world, world.mona, await newest(world))
    assert [len(page.splitlines()) for page in found] == [8, 8, 2]
    assert all(len(page) <= 2000 for page in found)
    assert re.findall(r"\\\((\d+)\\\)", "\n".join(found)) == [str(number) for number in range(17, -1, -1)]


async def test_a_model_with_very_many_rules_is_audited_logged_and_listed(world: World) -> None:
    log = await open_log(world)
    for number in range(40):
        role = world.guild.create_role(f"Role {number}")
        await decide(world, "models deny", model="demo", role=role)
    assert len(log.history()) == 41
    assert all(len(message.content) <= 2000 for message in log.history())
    found = await pages(world, world.mona, await newest(world, action="models"))
    assert [len(page.splitlines()) for page in found] == [8] * 5


async def test_the_audit_shows_one_member_alone_as_actor_and_as_target(world: World) -> None:
    zoe = world.guild.add_member(world.env.create_user("zoe"), roles=[world.guild.roles["Moderators"]])
    await decide(world, "credits grant", member=world.alice, amount=1)
    await decide(world, "credits grant", member=world.bob, amount=2)
    await zoe.slash(world.channel, "wan-admin credits grant", member=world.bob, amount=3)
    await zoe.slash(world.channel, "wan-admin members block", member=world.mona)

    async def amounts(who: simcord.MemberActor) -> list[str]:
        return [line.split(" **")[1] for line in text_of(await newest(world, member=who)).splitlines()]

    grant = "credits grant** {}: 100 → {}"
    blocked = f"members block** {world.mona.mention}: not blocked → blocked"
    to_alice, to_bob = grant.format(world.alice.mention, 101), grant.format(world.bob.mention, 102)
    again = f"credits grant** {world.bob.mention}: 102 → 105"
    assert await amounts(world.alice) == [to_alice]
    assert await amounts(world.bob) == [again, to_bob]
    assert await amounts(world.mona) == [blocked, to_bob, to_alice]
    assert await amounts(zoe) == [blocked, again]


async def test_the_audit_shows_one_kind_of_change_or_a_group_of_them(world: World) -> None:
    await decide(world, "credits grant", member=world.alice, amount=1)
    await decide(world, "credits revoke", member=world.alice, amount=1)
    await decide(world, "models deny", model="demo")

    async def kinds(action: str, **options: Any) -> list[str]:
        return re.findall(r"\*\*(.+?)\*\*", text_of(await newest(world, action=action, **options)))

    assert await kinds("credits") == ["credits revoke", "credits grant"]
    for written in ("credits.grant", "credits grant", " Credits Grant "):
        assert await kinds(written) == ["credits grant"]
    assert await kinds("models", member=world.mona) == ["models deny"]
    assert await kinds("models", member=world.alice) == []
    for nothing in ("cred", "%", "credits_grant"):
        assert text_of(await newest(world, action=nothing)) == "Nothing like this was changed."


async def test_filters_hold_on_the_other_pages_too(world: World) -> None:
    for amount in range(1, 13):
        await decide(world, "credits grant", member=world.alice, amount=amount, reason=f"number {amount}!")
        await decide(world, "credits grant", member=world.bob, amount=amount)
        await decide(world, "models deny", model="demo")
    found = await pages(world, world.mona, await newest(world, member=world.alice, action="credits.grant"))
    assert re.findall(r"number (\d+)!", "\n".join(found)) == [str(number) for number in range(12, 0, -1)]
    assert len(found) == 2
    assert world.bob.mention not in "\n".join(found)


async def test_kinds_of_changes_are_suggested_while_typing(world: World) -> None:
    async def suggested(typed: str) -> list[str]:
        found = await world.mona.autocomplete(world.channel, "wan-admin audit", "action", typed)
        return [each["value"] for each in found]

    assert await suggested("CREDITS") == ["credits", "credits.grant", "credits.revoke"]
    assert await suggested("grant") == ["credits.grant"]
    assert await suggested("credits g") == ["credits.grant"]
    assert await suggested("nonsense") == []
    everything = await suggested("")
    assert len(everything) == 25
    assert {name.partition(".")[0] for name in ACTIONS} <= set(everything), "at least every group"


async def test_the_audit_of_one_guild_is_not_that_of_another(world: World) -> None:
    zoe = world.elsewhere.add_member(world.env.create_user("zoe"), roles=[_moderators(world)])
    for amount in range(1, 11):
        await decide(world, "credits grant", member=world.alice, amount=amount)
    there = await zoe.slash(world.elsewhere_channel, "wan-admin audit")
    assert text_of(there) == "Nothing was changed yet."
    of_alice = await zoe.slash(world.elsewhere_channel, "wan-admin audit", member=world.alice.user)
    assert text_of(of_alice) == "Nothing like this was changed."
    await zoe.slash(world.elsewhere_channel, "wan-admin models deny", model="demo")
    there = await zoe.slash(world.elsewhere_channel, "wan-admin audit")
    assert len(text_of(there).splitlines()) == 1
    assert zoe.mention not in text_of(await newest(world))


# --- history, which has pages too -------------------------------------------------------------------


async def test_the_history_is_paged_and_loses_no_video_however_long_the_prompts_are(world: World) -> None:
    for number in range(20):
        await accepted(world, prompt=f"({number}) " + "*_~`|>[]() " * 20)
        await world.env.advance_time(1)
    await accepted(world, world.bob, prompt="(99) bob's")
    await accepted_elsewhere(world, prompt="(98) elsewhere")
    first = await world.alice.slash(world.channel, "wan history")
    assert is_private(first)
    found = await pages(world, world.alice, first)
    numbers = re.findall(r"\\\((\d+)\\\)", "\n".join(found))
    assert numbers == [str(number) for number in range(19, -1, -1)]
    assert all(len(page) <= 2000 for page in found)
    assert all(line.endswith(")") for page in found for line in page.splitlines())
    assert labels(first.response) == ["Newer"]
    for before in reversed(found[:-1]):
        assert await turned(world, world.alice, first, "Newer") == before


async def test_a_page_is_turned_for_whoever_presses_with_what_is_theirs(world: World) -> None:
    """Buttons carry no name: even one that got into other hands would show what belongs to those hands."""
    for number in range(10):
        await accepted(world, prompt=f"alice's {number}")
        await world.env.advance_time(1)
    await accepted(world, world.bob, prompt="bob's own")
    mine = await world.bob.slash(world.channel, "wan history")
    assert "bob's own" in text_of(mine)
    assert "alice" not in all_text(mine.response)
    assert labels(mine.response) == []


# --- who decides ------------------------------------------------------------------------------------


async def test_two_guilds_decide_apart_though_the_same_member_is_in_both(world: World) -> None:
    zoe = world.elsewhere.add_member(world.env.create_user("zoe"), roles=[_moderators(world)])
    await decide(world, "limits set", duration=3)
    await zoe.slash(world.elsewhere_channel, "wan-admin limits set", duration=8)
    assert "2 or 3 seconds" in await refused(world, duration=9)
    assert "2 to 8 seconds" in await refused(world, world.alice_elsewhere, world.elsewhere_channel, duration=9)
    await accepted_elsewhere(world, duration=8)
    await zoe.slash(world.elsewhere_channel, "wan-admin limits set", duration=0)
    await accepted_elsewhere(world, duration=10)
    assert "2 or 3 seconds" in await refused(world, duration=9)
    assert {row.actor_id for row in await audited(world, world.elsewhere)} == {zoe.id}
    assert {row.actor_id for row in await audited(world)} == {world.mona.id}


def _moderators(world: World) -> simcord.RoleHandle:
    """A role of the other guild."""
    return world.elsewhere.create_role("Moderators", permissions=discord.Permissions(manage_guild=True))
