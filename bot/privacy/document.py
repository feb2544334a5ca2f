"""The file that a member gets: JSON, written row after row, so that a long history isn't in memory at once. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, TextIO

_INDENT: Final = 2


def write_document(file: TextIO, facts: Mapping[str, object], lists: Mapping[str, Iterable[object]]) -> None:
    """Write an object of these facts and lists; of each list one row is in memory at a time."""
    separator = "{\n"
    for name, fact in facts.items():
        file.write(f"{separator}{json.dumps(name)}: {_text(fact)}")
        separator = ",\n"
    for name, rows in lists.items():
        file.write(f"{separator}{json.dumps(name)}: [")
        file.writelines(f"{',' if number else ''}\n{_text(row)}" for number, row in enumerate(rows))
        file.write("]")
        separator = ",\n"
    file.write("\n}\n")


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=_INDENT, default=_plain)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in the file")
