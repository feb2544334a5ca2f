"""PostgreSQL's locks that stand for no row: whoever names the same thing waits, until the other's transaction ends."""

from __future__ import annotations

import hashlib

from sqlalchemy import ColumnElement, func


def advisory_lock(name: str) -> ColumnElement[None]:
    """What to select to take the lock of this name; two names with the same number would only wait for each other."""
    # 64 bits with a sign
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
    return func.pg_advisory_xact_lock(number)
