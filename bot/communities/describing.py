"""What a community has decided, in the words of answers and of the audit. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from bot.communities.rules import Adult, Community, Limits
from bot.credits.pricing import PriceRule
from bot.delivery.words import credits_text
from bot.languages import N_, _, ngettext
from bot.members.presets import line

_ADULT: Final[Mapping[Adult, str]] = {
    Adult.NOWHERE: N_("nowhere"),
    Adult.AGE_RESTRICTED: N_("in age-restricted channels"),
    Adult.ANYWHERE: N_("anywhere"),
}
#: by whether it is allowed, and whether a channel and a role are named
_VERDICTS: Final[Mapping[tuple[bool, bool, bool], str]] = {
    (True, False, False): N_("allowed"),
    (True, True, False): N_("allowed in {channel}"),
    (True, False, True): N_("allowed for {role}"),
    (True, True, True): N_("allowed in {channel} for {role}"),
    (False, False, False): N_("denied"),
    (False, True, False): N_("denied in {channel}"),
    (False, False, True): N_("denied for {role}"),
    (False, True, True): N_("denied in {channel} for {role}"),
}
#: by the allowance's period
_EACH: Final[Mapping[str, str]] = {
    "day": N_("{amount} each day"),
    "week": N_("{amount} each week"),
    "month": N_("{amount} each month"),
}
_NO_ALLOWANCE: Final[Mapping[str, str]] = {
    "day": N_("none (counted by the day)"),
    "week": N_("none (counted by the week)"),
    "month": N_("none (counted by the month)"),
}


def rules_of_model(community: Community, model: str) -> str:
    """``denied, allowed for <@&5>``."""
    rules = sorted((rule for rule in community.model_rules if rule.model == model), key=lambda rule: rule.specificity)
    everywhere = next((rule.is_allowed for rule in rules if rule.specificity == 0), True)
    parts = [_(_VERDICTS[everywhere, False, False])]
    for rule in rules:
        if rule.specificity:
            text = _(_VERDICTS[rule.is_allowed, bool(rule.channel_id), bool(rule.role_id)])
            parts.append(text.format(channel=f"<#{rule.channel_id}>", role=f"<@&{rule.role_id}>"))
    return ", ".join(parts)


def allowance(community: Community) -> str:
    """``100 credits each week, at most 200 pile up``."""
    rule = community.allowance
    if not rule.amount:
        return _(_NO_ALLOWANCE[rule.length])
    text = _each(credits_text(rule.amount), rule.length)
    if rule.limit == rule.amount:
        return text
    return _("{allowance}, at most {limit} pile up").format(allowance=text, limit=f"{rule.limit:,}")


def role_amount(community: Community, role_id: int) -> str:
    """``300 credits each week``."""
    amount, common = community.role_amounts.get(role_id), community.allowance
    if amount is None:
        return _("as everybody")
    text = _each(credits_text(amount), common.length)
    if amount >= common.amount:
        return text
    whole = _("{allowance} (everybody's {amount} is more, and counts)")
    return whole.format(allowance=text, amount=f"{common.amount:,}")


def price(rule: PriceRule | None) -> str:
    """``20 credits for each video``, ``1.5 times the catalogue's price``."""
    if rule is None:
        return _("the catalogue's price")
    if rule.credits is None:
        return _("{factor} times the catalogue's price").format(factor=rule.factor)
    if not rule.credits:
        return _("free")
    return _("{credits} for each video").format(credits=credits_text(rule.credits))


def model(name: str | None) -> str:
    """A model, or what stands for none."""
    return _("none") if name is None else f"`{name}`"


def limits(limits: Limits, period: str) -> dict[str, str]:
    """Every limit by the option that sets it; ``period`` is the allowance's: ``week``."""
    return {
        "member_jobs": _at_once(limits.member_jobs),
        "guild_jobs": _at_once(limits.guild_jobs),
        "member_period_jobs": _videos(limits.member_period_jobs, period),
        "guild_period_jobs": _videos(limits.guild_period_jobs, period),
        "duration": _seconds(limits.duration),
        "resolution": _resolution(limits.resolution),
        "confirm_above": _asked(limits.confirm_above),
        "guild_budget": _budget(limits.guild_budget, period),
        "adult": _(_ADULT[limits.adult]),
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
        return _("in {channels}, in no other channel").format(channels=_channels(allowed))
    denied = _channels(channel for channel, is_allowed in community.channel_rules.items() if is_allowed is False)
    return _("everywhere but in {channels}").format(channels=denied) if denied else _("everywhere")


def words(community: Community) -> str:
    """Number and word of each; as code, so that Discord leaves the stars alone."""
    return ", ".join(f"{word.number} `{word.text}`" for word in community.blocked_words) or _("none")


def word(community: Community, text: str) -> str:
    """``blocked, as rule 3``."""
    number = next((word.number for word in community.blocked_words if word.text == text), None)
    return _("not blocked") if number is None else _("blocked, as rule {number}").format(number=number)


def target(name: str) -> str:
    """About what something was decided: models and words as they are written; the others are mentions."""
    if name.startswith("<@-"):
        return _("somebody who is gone")
    return f"`{name}`" if name and not name.startswith("<") else name


def preset(community: Community, key: str) -> str:
    """The options that are offered under a name."""
    return next((line(each) for each in community.presets if each.key == key), _("not offered"))


def channel(channel_id: int | None) -> str:
    """A channel, or what stands for none."""
    return _("none") if channel_id is None else f"<#{channel_id}>"


def keep_days(days: int | None, *, default: int) -> str:
    """``30 days``."""
    number = default if days is None else days
    text = ngettext("{n} day", "{n} days", number).format(n=f"{number:,}")
    return _("{days} (the operator's choice)").format(days=text) if days is None else text


def options(community: Community, *, default_days: int) -> dict[str, str]:
    """Every option by its name; ``default_days`` is how long the operator keeps things."""
    return {
        "keep_days": keep_days(community.keep_days, default=default_days),
        "threads": _("videos are posted into threads of their cards")
        if community.threads
        else _("videos are posted in the channel"),
        "fallback": _("another model goes on by itself when one can't be reached, if it isn't dearer")
        if community.fallback
        else _("members choose when a model can't be reached"),
    }


def changed_options(before: Community, after: Community, *, default_days: int) -> tuple[str, str]:
    """What differs, before and after."""
    old, new = options(before, default_days=default_days), options(after, default_days=default_days)
    names = [name for name in old if old[name] != new[name]]
    return _listed(old, names), _listed(new, names)


def _each(amount: str, period: str) -> str:
    """``100 credits each week``; ``period`` is ``day``, ``week`` or ``month``."""
    return _(_EACH[period]).format(amount=amount)


def _channels(channel_ids: Iterable[int]) -> str:
    return ", ".join(f"<#{channel_id}>" for channel_id in sorted(channel_ids))


def _listed(texts: dict[str, str], names: list[str]) -> str:
    return "\n".join(f"`{name}`: {texts[name]}" for name in names) or _("nothing changed")


def _at_once(jobs: int) -> str:
    return _("{n} at once; more wait").format(n=f"{jobs:,}")


def _videos(most: int | None, period: str) -> str:
    if most is None:
        return _("no limit")
    return _each(ngettext("up to {n} video", "up to {n} videos", most).format(n=f"{most:,}"), period)


def _seconds(most: int | None) -> str:
    if most is None:
        return _("no limit")
    return ngettext("up to {n} second", "up to {n} seconds", most).format(n=f"{most:,}")


def _resolution(most: str | None) -> str:
    return _("no limit") if most is None else _("up to {resolution}").format(resolution=most)


def _asked(above: int | None) -> str:
    return _("never asked") if above is None else _("asked above {credits}").format(credits=f"{above:,}")


def _budget(most: int | None, period: str) -> str:
    if most is None:
        return _("no limit")
    return _each(ngettext("up to {n} credit", "up to {n} credits", most).format(n=f"{most:,}"), period)
