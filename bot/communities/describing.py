"""What a community has decided, in the words of answers and of the audit. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from bot.communities.rules import Adult, Community, Limits
from bot.credits.pricing import PriceRule

_ADULT = {
    Adult.NOWHERE: "nowhere",
    Adult.AGE_RESTRICTED: "in age-restricted channels",
    Adult.ANYWHERE: "anywhere",
}


def rules_of_model(community: Community, model: str) -> str:
    """``denied, allowed for <@&5>``."""
    rules = sorted((rule for rule in community.model_rules if rule.model == model), key=lambda rule: rule.specificity)
    everywhere = next((rule.is_allowed for rule in rules if rule.specificity == 0), True)
    parts = [_verdict(is_allowed=everywhere)]
    for rule in rules:
        places = [f"in <#{rule.channel_id}>"] if rule.channel_id else []
        places += [f"for <@&{rule.role_id}>"] if rule.role_id else []
        if places:
            parts.append(f"{_verdict(is_allowed=rule.is_allowed)} {' '.join(places)}")
    return ", ".join(parts)


def allowance(community: Community) -> str:
    """``100 credits each week, at most 200 pile up``."""
    rule = community.allowance
    if not rule.amount:
        return f"none (counted by the {rule.length})"
    text = f"{rule.amount:,} credits each {rule.length}"
    return text if rule.limit == rule.amount else f"{text}, at most {rule.limit:,} pile up"


def role_amount(community: Community, role_id: int) -> str:
    """``300 credits each week``."""
    amount = community.role_amounts.get(role_id)
    return "as everybody" if amount is None else f"{amount:,} credits each {community.allowance.length}"


def price(rule: PriceRule | None) -> str:
    """``20 credits``, ``1.5 times the catalogue's price``."""
    if rule is None:
        return "the catalogue's price"
    if rule.credits is not None:
        return f"{rule.credits:,} credits for each video"
    return f"{rule.factor} times the catalogue's price"


def model(name: str | None) -> str:
    """A model, or what stands for none."""
    return "none" if name is None else f"`{name}`"


def limits(limits: Limits, period: str) -> dict[str, str]:
    """Every limit by the option that sets it; ``period`` is the allowance's: ``week``."""
    return {
        "member_jobs": f"{limits.member_jobs:,} at once; more wait",
        "guild_jobs": f"{limits.guild_jobs:,} at once; more wait",
        "member_period_jobs": _most(limits.member_period_jobs, f"each {period}"),
        "guild_period_jobs": _most(limits.guild_period_jobs, f"each {period}"),
        "duration": _most(limits.duration, "seconds"),
        "resolution": "no limit" if limits.resolution is None else f"up to {limits.resolution}",
        "confirm_above": "never asked" if limits.confirm_above is None else f"asked above {limits.confirm_above:,}",
        "guild_budget": _most(limits.guild_budget, f"credits each {period}"),
        "adult": _ADULT[limits.adult],
    }


def changed_limits(old: Limits, new: Limits, period: str) -> tuple[str, str]:
    """What differs, before and after; what was set to what it was is told as well as nothing."""
    before, after = limits(old, period), limits(new, period)
    names = [name for name in before if before[name] != after[name]]
    return _listed(before, names), _listed(after, names)


def channels(community: Community) -> str:
    """``in <#5> and no other channel``, ``everywhere but in <#6>``."""
    allowed = [channel for channel, is_allowed in community.channel_rules.items() if is_allowed]
    if allowed:
        return f"in {_channels(allowed)}, in no other channel"
    denied = _channels(community.channel_rules)
    return f"everywhere but in {denied}" if denied else "everywhere"


def words(community: Community) -> str:
    """``1 "some word", 2 "other*"``."""
    return ", ".join(f'{word.number} "{word.text}"' for word in community.blocked_words) or "none"


def channel(channel_id: int | None) -> str:
    """A channel, or what stands for none."""
    return "none" if channel_id is None else f"<#{channel_id}>"


def keep_days(days: int | None, *, default: int) -> str:
    """``30 days``."""
    return f"{default if days is None else days:,} days" + (" (the operator's choice)" if days is None else "")


def _channels(channel_ids: Iterable[int]) -> str:
    return ", ".join(f"<#{channel_id}>" for channel_id in sorted(channel_ids))


def _listed(texts: dict[str, str], names: list[str]) -> str:
    return "\n".join(f"`{name}`: {texts[name]}" for name in names) or "nothing changed"


def _most(number: int | None, what: str) -> str:
    return "no limit" if number is None else f"up to {number:,} {what}"


def _verdict(*, is_allowed: bool) -> str:
    return "allowed" if is_allowed else "denied"
