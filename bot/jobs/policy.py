"""What a community's rules say to a request. Pure; asked from memory first, then again where credits are held."""

from __future__ import annotations

from dataclasses import dataclass

from bot.communities import describing
from bot.communities.rules import MAX_WAITING, Community, Limits, Place
from bot.communities.words import broken_rule
from bot.credits.allowance import Period
from bot.delivery.words import credits_text, disarmed, relative_time
from bot.errors import Refusal


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
        why = f" Their reason: {disarmed(reason, 300)}" if reason else ""
        raise Refusal(f"The moderators here have blocked you from making videos.{why}")
    if not community.works_in(place):
        raise Refusal(f"Videos aren't made in this channel. They are made {describing.channels(community)}.")
    number = broken_rule(prompt, community.blocked_words)
    if number is not None:
        raise Refusal(
            f"**prompt**: it breaks rule {number} of the words that this community blocks. Write it differently; "
            "nothing was charged."
        )


def check_waiting(waiting: int) -> None:
    """Whether one more may wait for its turn. Raises ``Refusal``."""
    if waiting >= MAX_WAITING:
        raise Refusal(f"You have {MAX_WAITING} videos waiting already. Wait for one, or `/wan cancel` one.")


def check_period(limits: Limits, use: Use, *, price: int, period: Period) -> None:
    """Whether the limits of the period leave room for one more at this price. Raises ``Refusal``."""
    again = f"It starts again {relative_time(period.end)}."
    if limits.member_period_jobs is not None and use.member_jobs >= limits.member_period_jobs:
        raise Refusal(f"You have made your {_videos(limits.member_period_jobs)} of this {period.length}. {again}")
    if limits.guild_period_jobs is not None and use.guild_jobs >= limits.guild_period_jobs:
        raise Refusal(
            f"This community has made its {_videos(limits.guild_period_jobs)} of this {period.length}. {again}"
        )
    if limits.guild_budget is not None and use.guild_credits + price > limits.guild_budget:
        left = max(0, limits.guild_budget - use.guild_credits)
        raise Refusal(
            f"This community's budget of {credits_text(limits.guild_budget)} for this {period.length} leaves "
            f"{left:,}, and this costs {price:,}. {again} Nothing of your own credits was taken."
        )


def _videos(number: int) -> str:
    return "one video" if number == 1 else f"{number:,} videos"
