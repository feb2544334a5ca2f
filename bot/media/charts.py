"""Charts of a community's usage, drawn in a child process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from pydantic import BaseModel, JsonValue, TypeAdapter

from bot.communities.usage import Outcomes, Usage, usd_text
from bot.delivery.dates import short_day_text
from bot.languages import ENGLISH, _, ngettext, speaking
from bot.media.workers import MediaWorkers, Task

#: bars that can still be told apart
_MOST_BARS: Final = 100


class _Answer(BaseModel):
    #: pixels
    size: tuple[int, int]


_ANSWER = TypeAdapter(_Answer)


class Charts:
    """Draws what moderators look at, in child processes."""

    def __init__(self, *, workers: MediaWorkers) -> None:
        self._workers = workers

    async def draw_usage(self, usage: Usage, target: Path, *, title: str, names: Mapping[int, str]) -> None:
        """Write a PNG of 1200 x 900 pixels to ``target``, in a folder that belongs to nobody else.

        ``title`` and the members' ``names`` (by user id) may be any text: what can't be written is left out, and
        members of whom nothing is left, or who have no name here, are numbered as they stand in ``usage.top``.

        Its words are in the language of the moment, or in English where no font of this machine has the letters.

        Raises:
            MediaFailed: out of time or memory, or a crash.
        """
        said = drawn(usage, names)
        with speaking(ENGLISH):
            arguments = {"target": str(target), "title": title, **drawn(usage, names)}
        if any(said[key] != arguments[key] for key in said):
            arguments["said"] = said
        await self._workers.run(Task(name="draw_usage", arguments=arguments, answer=_ANSWER))


def drawn(usage: Usage, names: Mapping[int, str]) -> dict[str, JsonValue]:
    """What the child draws, in words and numbers that need no explanation there; pure."""
    success = usage.outcomes.success
    is_estimated = bool(usage.upstream.estimated)
    return {
        "words": _words(),
        "period": _("{days}, UTC").format(days=usage.days),
        "tiles": [
            [f"{usage.spent:,}", ngettext("credit spent", "credits spent", usage.spent)],
            [f"{usage.outcomes.posted:,}", ngettext("video posted", "videos posted", usage.outcomes.posted)],
            ["-" if success is None else f"{success}%", _("success rate")],
            [f"{'≈ ' if is_estimated else ''}{usd_text(usage.upstream.total)}", _("upstream cost")],
        ],
        "spending": _spending(usage),
        "members": [
            [_("deleted member") if each.is_deleted else names.get(each.user_id, ""), each.credits]
            for each in usage.top
        ],
        "outcomes": _outcomes(usage.outcomes),
        "costs": _costs(usage),
    }


def _words() -> JsonValue:
    """What stands there whatever was used."""
    return {
        "usage": _("Usage"),
        "usage_in": _("Usage in {community}"),
        "nothing_spent": _("No credits were spent."),
        "members": _("Top members, by credits"),
        "nobody": _("Nobody spent credits."),
        "member": _("member {place}"),
        "outcomes": _("How jobs ended"),
        "costs": _("Credits and upstream cost"),
    }


def _spending(usage: Usage) -> JsonValue:
    """A bar for each day; of many days, one for each week from the first day on."""
    step, title = (1, _("Credits per day")) if usage.days.count <= _MOST_BARS else (7, _("Credits per week"))
    return {
        "title": title,
        "labels": [short_day_text(day) for day in usage.days.each[::step]],
        "models": [
            [series.title, [sum(series.credits[first : first + step]) for first in range(0, usage.days.count, step)]]
            for series in usage.series
        ],
    }


def _outcomes(outcomes: Outcomes) -> JsonValue:
    return [
        [_("Posted"), outcomes.posted],
        [_("Failed"), outcomes.failed],
        [_("Cancelled"), outcomes.cancelled],
        [_("Open"), outcomes.still_open],
    ]


def _costs(usage: Usage) -> JsonValue:
    """Two bars in US$: what was spent, and what it cost; the estimated part of a bar stands last."""
    upstream = usage.upstream
    hints: list[str] = []
    if upstream.estimated and upstream.said:
        share = int(100 * upstream.estimated / upstream.total)
        hints.append(_("{percent}% estimated").format(percent=share))
    elif upstream.estimated:
        hints.append(_("estimated"))
    if upstream.unknown:
        hints.append(_("{n} unknown").format(n=f"{upstream.unknown:,}"))
    spent = _("Credits spent: {credits} = {worth}").format(credits=f"{usage.spent:,}", worth=usd_text(usage.worth))
    cost = _("Upstream: {total}").format(total=usd_text(upstream.total))
    return [
        [spent, _numbers([usage.worth, Decimal(0)])],
        [cost + (f" ({', '.join(hints)})" if hints else ""), _numbers([upstream.said, upstream.estimated])],
    ]


def _numbers(amounts: Sequence[Decimal]) -> JsonValue:
    return [float(amount) for amount in amounts]
