"""What a community has decided, in the words of answers and of the audit. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from bot.communities.rules import Adult, Community, Limits
from bot.credits.pricing import PriceRule
from bot.delivery.words import credits_text

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
    text = f"{credits_text(rule.amount)} each {rule.length}"
    return text if rule.limit == rule.amount else f"{text}, at most {rule.limit:,} pile up"


def role_amount(community: Community, role_id: int) -> str:
    """``300 credits each week``."""
    amount, common = community.role_amounts.get(role_id), community.allowance
    if amount is None:
        return "as everybody"
    text = f"{credits_text(amount)} each {common.length}"
    return text if amount >= common.amount else f"{text} (everybody's {common.amount:,} is more, and counts)"


def price(rule: PriceRule | None) -> str:
    """``20 credits for each video``, ``1.5 times the catalogue's price``."""
    if rule is None:
        return "the catalogue's price"
    if rule.credits is not None:
        return f"{credits_text(rule.credits)} for each video" if rule.credits else "free"
    return f"{rule.factor} times the catalogue's price"


def model(name: str | None) -> str:
    """A model, or what stands for none."""
    return "none" if name is None else f"`{name}`"


def limits(limits: Limits, period: str) -> dict[str, str]:
    """Every limit by the option that sets it; ``period`` is the allowance's: ``week``."""
    return {
        "member_jobs": f"{limits.member_jobs:,} at once; more wait",
        "guild_jobs": f"{limits.guild_jobs:,} at once; more wait",
        "member_period_jobs": _most(limits.member_period_jobs, "video", period),
        "guild_period_jobs": _most(limits.guild_period_jobs, "video", period),
        "duration": _most(limits.duration, "second"),
        "resolution": "no limit" if limits.resolution is None else f"up to {limits.resolution}",
        "confirm_above": "never asked" if limits.confirm_above is None else f"asked above {limits.confirm_above:,}",
        "guild_budget": _most(limits.guild_budget, "credit", period),
        "adult": _ADULT[limits.adult],
    }


def changed_limits(old: Limits, new: Limits, period: str) -> tuple[str, str]:
    """What differs, before and after; what was set to what it was is told as well as nothing."""
    before, after = limits(old, period), limits(new, period)
    names = [name for name in before if before[name] != after[name]]
    return _listed(before, names), _listed(after, names)


def channels(community: Community) -> str:
    """``in <#5>, in no other channel``, ``everywhere but in <#6>``."""
    allowed = [channel for channel, is_allowed in community.channel_rules.items() if is_allowed]
    if allowed:
        return f"in {_channels(allowed)}, in no other channel"
    denied = _channels(channel for channel, is_allowed in community.channel_rules.items() if is_allowed is False)
    return f"everywhere but in {denied}" if denied else "everywhere"


def words(community: Community) -> str:
    """Number and word of each; as code, so that Discord leaves the stars alone."""
    return ", ".join(f"{word.number} `{word.text}`" for word in community.blocked_words) or "none"


def word(community: Community, text: str) -> str:
    """``blocked, as rule 3``."""
    number = next((word.number for word in community.blocked_words if word.text == text), None)
    return "not blocked" if number is None else f"blocked, as rule {number}"


def target(name: str) -> str:
    """About what something was decided: models and words as they are written; the others are mentions."""
    if name.startswith("<@-"):
        return "somebody who is gone"
    return f"`{name}`" if name and not name.startswith("<") else name


def channel(channel_id: int | None) -> str:
    """A channel, or what stands for none."""
    return "none" if channel_id is None else f"<#{channel_id}>"


def keep_days(days: int | None, *, default: int) -> str:
    """``30 days``."""
    number = default if days is None else days
    text = "1 day" if number == 1 else f"{number:,} days"
    return f"{text} (the operator's choice)" if days is None else text


def _channels(channel_ids: Iterable[int]) -> str:
    return ", ".join(f"<#{channel_id}>" for channel_id in sorted(channel_ids))


def _listed(texts: dict[str, str], names: list[str]) -> str:
    return "\n".join(f"`{name}`: {texts[name]}" for name in names) or "nothing changed"


def _most(number: int | None, unit: str, period: str | None = None) -> str:
    if number is None:
        return "no limit"
    text = f"up to {number:,} {unit}{'' if number == 1 else 's'}"
    return text if period is None else f"{text} each {period}"


def _verdict(*, is_allowed: bool) -> str:
    return "allowed" if is_allowed else "denied"
