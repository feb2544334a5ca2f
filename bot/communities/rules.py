"""What a community has decided. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from bot.credits.allowance import AllowanceRule

#: how many jobs of one member, and of one guild, may run at once in a fresh guild
DEFAULT_MEMBER_JOBS: Final = 3
DEFAULT_GUILD_JOBS: Final = 20
#: how many jobs of one member may wait for their turn
MAX_WAITING: Final = 20


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Community:
    """The decisions of one guild."""

    guild_id: int
    allowance: AllowanceRule
    model_rules: tuple[ModelRule, ...] = ()
    default_model: str | None = None
    #: where moderators read of troubles
    log_channel_id: int | None = None
    member_jobs: int = DEFAULT_MEMBER_JOBS
    guild_jobs: int = DEFAULT_GUILD_JOBS

    def allows(self, model: str, place: Place) -> bool:
        """Whether a model may be used: the most specific rule wins; among roles, allow beats deny."""
        channels = {0, place.channel_id, place.parent_id or 0}
        roles = {0, *place.role_ids}
        fitting = [
            rule
            for rule in self.model_rules
            if rule.model == model and rule.channel_id in channels and rule.role_id in roles
        ]
        if not fitting:
            return True
        most = max(rule.specificity for rule in fitting)
        return any(rule.is_allowed for rule in fitting if rule.specificity == most)
