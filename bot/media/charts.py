"""Charts of a community's usage, drawn in a child process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from pydantic import BaseModel, JsonValue, TypeAdapter

from bot.communities.usage import Outcomes, Usage, usd_text
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

        Raises:
            MediaFailed: out of time or memory, or a crash.
        """
        arguments = {"target": str(target), "title": title, **drawn(usage, names)}
        await self._workers.run(Task(name="draw_usage", arguments=arguments, answer=_ANSWER))


def drawn(usage: Usage, names: Mapping[int, str]) -> dict[str, JsonValue]:
    """What the child draws, in words and numbers that need no explanation there; pure."""
    success = usage.outcomes.success
    is_estimated = bool(usage.upstream.estimated)
    return {
        "period": f"{usage.days}, UTC",
        "tiles": [
            [f"{usage.spent:,}", "credits spent" if usage.spent != 1 else "credit spent"],
            [f"{usage.outcomes.posted:,}", "videos posted" if usage.outcomes.posted != 1 else "video posted"],
            ["-" if success is None else f"{success}%", "success rate"],
            [f"{'≈ ' if is_estimated else ''}{usd_text(usage.upstream.total)}", "upstream cost"],
        ],
        "spending": _spending(usage),
        "members": [
            ["deleted member" if each.is_deleted else names.get(each.user_id, ""), each.credits] for each in usage.top
        ],
        "outcomes": _outcomes(usage.outcomes),
        "costs": _costs(usage),
    }


def _spending(usage: Usage) -> JsonValue:
    """A bar for each day; of many days, one for each week from the first day on."""
    step, title = (1, "Credits per day") if usage.days.count <= _MOST_BARS else (7, "Credits per week")
    return {
        "title": title,
        "labels": [f"{day.day} {day:%b}" for day in usage.days.each[::step]],
        "models": [
            [series.name, [sum(series.credits[first : first + step]) for first in range(0, usage.days.count, step)]]
            for series in usage.series
        ],
    }


def _outcomes(outcomes: Outcomes) -> JsonValue:
    return [
        ["Posted", outcomes.posted],
        ["Failed", outcomes.failed],
        ["Cancelled", outcomes.cancelled],
        ["Open", outcomes.still_open],
    ]


def _costs(usage: Usage) -> JsonValue:
    """Two bars in US$: what was spent, and what it cost; the estimated part of a bar stands last."""
    upstream = usage.upstream
    hints: list[str] = []
    if upstream.estimated:
        hints.append(f"{int(100 * upstream.estimated / upstream.total)}% estimated" if upstream.said else "estimated")
    if upstream.unknown:
        hints.append(f"{upstream.unknown:,} unknown")
    return [
        [f"Credits spent: {usage.spent:,} = {usd_text(usage.worth)}", _numbers([usage.worth, Decimal(0)])],
        [
            f"Upstream: {usd_text(upstream.total)}" + (f" ({', '.join(hints)})" if hints else ""),
            _numbers([upstream.said, upstream.estimated]),
        ],
    ]


def _numbers(amounts: Sequence[Decimal]) -> JsonValue:
    return [float(amount) for amount in amounts]
