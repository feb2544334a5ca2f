"""PostgreSQL's own clock, for what processes on several machines must agree on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import BigInteger, ColumnElement, cast, extract, func, type_coerce

from bot.database.tables import Instant

_MICROSECONDS: Final = cast(extract("epoch", func.clock_timestamp()) * 1_000_000, BigInteger)
#: the instant of the statement, not of its transaction's begin
NOW: Final[ColumnElement[datetime]] = type_coerce(_MICROSECONDS, Instant)


def from_now(wait: timedelta) -> ColumnElement[datetime]:
    """The instant that is so much later."""
    return type_coerce(_MICROSECONDS + wait // timedelta(microseconds=1), Instant)
