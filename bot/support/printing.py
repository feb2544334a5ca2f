"""How the command line shows what it found: aligned text for people, JSON for programs. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Final

from bot.delivery.words import one_line

#: characters; what others wrote is cut there
_LONGEST: Final = 300
_UNITS: Final = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
_NOTHING: Final = "-"

Cell = str | int | bool | datetime | None


def table(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Columns below their headings; numbers to the right."""
    texts = [[text_of(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip_longest(header, *texts, fillvalue="")]
    is_number = [bool(rows) and all(isinstance(row[place], int) for row in rows) for place in range(len(header))]
    return "\n".join(_line(line, widths, is_number) for line in (header, *texts))


def facts(values: Mapping[str, Cell]) -> str:
    """A name and its value on each line."""
    width = max(map(len, values), default=0)
    return "\n".join(f"{name:{width}}  {text_of(value)}" for name, value in values.items())


def document(value: object) -> str:
    """JSON; instants in ISO 8601."""
    return json.dumps(value, default=_plain, ensure_ascii=False, indent=2)


def text_of(cell: Cell) -> str:
    """One cell, on one line, without what would steer a terminal."""
    if cell is None or cell == "":
        return _NOTHING
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d %H:%M:%S}Z"
    return one_line(str(cell), _LONGEST)


def age_text(age: timedelta) -> str:
    """``3 d``, ``25 min``: the largest unit that fits, rounded down."""
    seconds = max(0, int(age.total_seconds()))
    name, size = next((unit for unit in _UNITS if seconds >= unit[1]), _UNITS[-1])
    return f"{seconds // size} {name}"


def _line(cells: Sequence[str], widths: Sequence[int], is_number: Sequence[bool]) -> str:
    columns = zip(cells, widths, is_number, strict=True)
    return "  ".join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in columns).rstrip()


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
