"""What a community's rules say to a request. Pure; asked from memory first, then again where credits are held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bot.communities import describing
from bot.communities.rules import MAX_WAITING, Community, Limits, Place
from bot.communities.words import broken_rule
from bot.credits.allowance import Period, PeriodLength
from bot.delivery.words import credits_text, disarmed, relative_time
from bot.errors import Refusal
from bot.languages import N_, _, ngettext
from providers.options import OptionProblem, Options, allowed_durations, allowed_resolutions
from providers.texts import Text
from providers.types import ModelSpec

_NOW: Final[Mapping[PeriodLength, str]] = {
    PeriodLength.DAY: N_("today"),
    PeriodLength.WEEK: N_("this week"),
    PeriodLength.MONTH: N_("this month"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What was accepted since a period began, those without a video not counted."""

    member_jobs: int
    guild_jobs: int
    #: held and spent
    guild_credits: int


def check_asker(community: Community, place: Place, *, member_key: str, prompt: str) -> None:
    """Whether the member may make videos at all, here, and of this. Raises ``Refusal``."""
    if member_key in community.blocked_members:
        reason = community.blocked_members[member_key]
        text = _("The moderators here have blocked you from making videos.")
        if reason:
            text = _("The moderators here have blocked you from making videos. Their reason: {reason}")
        raise Refusal(text.format(reason=disarmed(reason, 300)))
    if not community.works_in(place):
        text = _("Videos aren't made in this channel. They are made {where}.")
        raise Refusal(text.format(where=describing.channels(community)))
    number = broken_rule(prompt, community.blocked_words)
    if number is not None:
        text = _(
            "**prompt**: it has a word that this community blocks (its rule {number}). Write it differently; nothing "
            "was charged."
        )
        raise Refusal(text.format(number=number))


def check_limits(limits: Limits, spec: ModelSpec, options: Options) -> None:
    """Whether what was possible when it was asked for still is. Raises ``Refusal``."""
    is_allowed = {
        "resolution": options.resolution in allowed_resolutions(spec, limits.resolution),
        "duration": options.duration in allowed_durations(spec, limits.duration),
    }
    problems = [
        OptionProblem(name, Text("This isn't allowed here any more."))
        for name, is_so in is_allowed.items()
        if not is_so
    ]
    if problems:
        raise Refusal.of(problems)


def check_waiting(waiting: int) -> None:
    """Whether one more may wait for its turn. Raises ``Refusal``."""
    if waiting >= MAX_WAITING:
        text = _("You have {n} videos waiting already. Wait for one, or `/wan cancel` one.")
        raise Refusal(text.format(n=MAX_WAITING))


def check_period(limits: Limits, use: Use, *, price: int, period: Period) -> None:
    """Whether the limits of the period leave room for one more at this price. Raises ``Refusal``."""
    now, again = _(_NOW[period.length]), relative_time(period.end)
    if limits.member_period_jobs is not None and use.member_jobs >= limits.member_period_jobs:
        text = _("You have made your {videos} for {period}. You can make more {when}.")
        raise Refusal(text.format(videos=_videos(limits.member_period_jobs), period=now, when=again))
    if limits.guild_period_jobs is not None and use.guild_jobs >= limits.guild_period_jobs:
        text = _("This community has made its {videos} for {period}. More can be made {when}.")
        raise Refusal(text.format(videos=_videos(limits.guild_period_jobs), period=now, when=again))
    # what is free spends nothing, also when a budget that was lowered is spent already
    if price and limits.guild_budget is not None and use.guild_credits + price > limits.guild_budget:
        text = _(
            "This community's budget for {period} is {budget}: {left} left, and this video costs {price}. The budget "
            "starts again {when}. Nothing of your own credits was taken."
        )
        left = max(0, limits.guild_budget - use.guild_credits)
        raise Refusal(
            text.format(
                period=now,
                budget=credits_text(limits.guild_budget),
                left=f"{left:,}",
                price=f"{price:,}",
                when=again,
            )
        )


def _videos(number: int) -> str:
    return ngettext("one video", "{n} videos", number).format(n=f"{number:,}")
