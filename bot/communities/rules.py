"""What a community has decided, and what follows from it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from bot.communities.words import BlockedWord
from bot.credits.allowance import AllowanceRule
from bot.credits.pricing import PriceRule
from bot.members.presets import Preset
from providers.options import allowed_durations, allowed_resolutions
from providers.types import ModelSpec

#: how many jobs of one member, and of one guild, may run at once in a fresh guild
DEFAULT_MEMBER_JOBS: Final = 3
DEFAULT_GUILD_JOBS: Final = 20
#: how many jobs of one member may wait for their turn
MAX_WAITING: Final = 20


class Adult(StrEnum):
    """Where models may be used whose vendor allows adult content; from strict to free."""

    NOWHERE = "nowhere"
    AGE_RESTRICTED = "age_restricted"
    ANYWHERE = "anywhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRule:
    """A model allowed or denied: for a channel (0: everywhere) and a role (0: everyone)."""

    model: str
    is_allowed: bool
    channel_id: int = 0
    role_id: int = 0

    @property
    def specificity(self) -> int:
        """Channel and role, then role, then channel, then the guild."""
        return 2 * bool(self.role_id) + bool(self.channel_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Who asks, and where."""

    channel_id: int
    #: the channel that a thread belongs to
    parent_id: int | None = None
    role_ids: Collection[int] = ()
    #: whether these are all the roles of who asks
    knows_roles: bool = True
    #: Discord lets only adults in
    is_age_restricted: bool = False

    @property
    def channel_ids(self) -> frozenset[int]:
        """The channel, and for a thread also its parent."""
        return frozenset({self.channel_id, self.parent_id or self.channel_id})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What jobs may be, and how many; None: no limit."""

    #: at once; what exceeds these waits
    member_jobs: int = DEFAULT_MEMBER_JOBS
    guild_jobs: int = DEFAULT_GUILD_JOBS
    #: accepted in one period of the allowance, those without a video not counted
    member_period_jobs: int | None = None
    guild_period_jobs: int | None = None
    #: seconds
    duration: int | None = None
    #: ``720p``
    resolution: str | None = None
    #: a price over this many credits is asked about first
    confirm_above: int | None = None
    #: credits that the whole guild may hold and spend in one period of the allowance
    guild_budget: int | None = None
    adult: Adult = Adult.ANYWHERE

    @property
    def counts_periods(self) -> bool:
        """Whether what was accepted in the period must be known."""
        return any(each is not None for each in (self.member_period_jobs, self.guild_period_jobs, self.guild_budget))


@dataclass(frozen=True, slots=True, kw_only=True)
class Community:
    """The decisions of one guild."""

    guild_id: int
    #: counts them
    version: int = 0
    allowance: AllowanceRule
    #: what a role receives in place of the allowance's amount
    role_amounts: Mapping[int, int] = field(default_factory=dict[int, int])
    limits: Limits = field(default_factory=Limits)
    model_rules: tuple[ModelRule, ...] = ()
    prices: Mapping[str, PriceRule] = field(default_factory=dict[str, PriceRule])
    default_model: str | None = None
    #: where the bot works: where it is allowed, once one channel is; else everywhere but where it is denied
    #: (None: it was denied, and isn't any more)
    channel_rules: Mapping[int, bool | None] = field(default_factory=dict[int, "bool | None"])
    blocked_words: tuple[BlockedWord, ...] = ()
    #: why, by the keyed hash of the member
    blocked_members: Mapping[str, str] = field(default_factory=dict[str, str])
    #: where moderators read of troubles
    log_channel_id: int | None = None
    #: how long prompts, pictures and videos are kept; None: as the operator says
    keep_days: int | None = None
    #: what is offered to everybody
    presets: tuple[Preset, ...] = ()
    #: results are posted into threads of their cards
    threads: bool = False
    #: another model is taken by itself when one can't be reached
    fallback: bool = False

    def allows(self, spec: ModelSpec, place: Place) -> bool:
        """Whether a model may be used there, by whoever asks."""
        return self.permits(spec.id, place) and not self.is_too_adult(spec, place)

    def permits(self, model: str, place: Place) -> bool:
        """Whether the rules allow a model: the most specific wins; among roles, allow beats deny.

        What is denied to a role is denied to who may have it.
        """
        channels = {0, *place.channel_ids}
        roles = {0, *place.role_ids}
        here = [rule for rule in self.model_rules if rule.model == model and rule.channel_id in channels]
        if not place.knows_roles and any(rule.role_id and not rule.is_allowed for rule in here):
            return False
        fitting = [rule for rule in here if rule.role_id in roles]
        if not fitting:
            return True
        most = max(rule.specificity for rule in fitting)
        return any(rule.is_allowed for rule in fitting if rule.specificity == most)

    def is_too_adult(self, spec: ModelSpec, place: Place) -> bool:
        """Whether a model could make there what may not be seen there."""
        if not spec.adult or self.limits.adult is Adult.ANYWHERE:
            return False
        return self.limits.adult is Adult.NOWHERE or not place.is_age_restricted

    def works_in(self, place: Place) -> bool:
        """Whether videos are made there; threads follow their parent."""
        said = [self.channel_rules[channel] for channel in place.channel_ids if channel in self.channel_rules]
        return any(said) if any(self.channel_rules.values()) else False not in said

    def can_make(self, spec: ModelSpec) -> bool:
        """Whether a model offers anything within the limits of resolution and duration."""
        resolutions = allowed_resolutions(spec, self.limits.resolution)
        return bool(resolutions and allowed_durations(spec, self.limits.duration))

    def allowance_for(self, role_ids: Collection[int]) -> AllowanceRule:
        """What a member with these roles receives: the best amount wins."""
        own = (amount for role_id, amount in self.role_amounts.items() if role_id in role_ids)
        return self.allowance.with_amount(max((self.allowance.amount, *own)))

    def best_role(self, role_ids: Collection[int]) -> int | None:
        """The role that raises a member's amount; None: it is everybody's."""
        rule = self.allowance_for(role_ids)
        if rule.amount == self.allowance.amount:
            return None
        return next(role for role, amount in self.role_amounts.items() if role in role_ids and amount == rule.amount)
