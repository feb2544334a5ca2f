"""PostgreSQL's own clock, for what processes on several machines must agree on."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, cast, extract, func, type_coerce
from sqlalchemy.sql.elements import ColumnElement

from bot.database.tables import Instant

#: the instant of the statement, not of its transaction's begin
NOW: Final = type_coerce(cast(extract("epoch", func.clock_timestamp()) * 1_000_000, BigInteger), Instant)
