"""The SQL of request budgets: what all processes that share a PostgreSQL ask of a provider together.

A row counts from when its request begins until so many seconds after it ends. A request whose process has died ends, as
far as anybody counts, when it would have at the latest: that stands in its row from the beginning. Time is the
database's: the clocks of several machines differ.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, func, insert, literal, null, or_, select, true, update

from bot.database.advisory_locks import advisory_lock
from bot.database.server_clock import NOW
from bot.database.tables import provider_holds, provider_requests
from bot.database.upsert import insert_if_absent, insert_or_replace
from providers.budget import WINDOW, Priority, Wait, Wanted

#: how long others wait for who has taken the lock, should its machine be gone
_LOCK_TIMEOUT: Final = "3s"
_IDLE_TIMEOUT: Final = "2s"
#: seconds that a request may take beyond what it should, until nobody waits for its end any more
GRACE: Final = 15.0
#: seconds until it is looked again whether one of the requests under way has ended
_AGAIN: Final = 0.1
#: seconds that a submission may be late for the room that it waited for
_LATE: Final = 1.0
#: no provider counts for longer
_KEPT: Final = timedelta(seconds=2 * WINDOW)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How it stands with a provider at one instant of the database's clock."""

    now: datetime
    #: requests under way
    in_flight: int = 0
    #: when the request ends, or ended, that has to leave the window before one more may go; None: there is room
    hurdle: datetime | None = None
    held_until: datetime | None = None
    #: submissions wait for room, and looks for them
    submit_wanted_until: datetime | None = None


def seconds_to_wait(seen: Seen, wanted: Wanted) -> float:
    """How long until a request may go, or until it is worth asking again; 0: it may."""
    waits = [_seconds_until(seen.held_until, seen.now)]
    if wanted.priority is not Priority.SUBMIT:
        waits.append(_seconds_until(seen.submit_wanted_until, seen.now))
    if seen.in_flight >= wanted.concurrency:
        waits.append(_AGAIN)
    if seen.hurdle is not None:
        is_under_way = seen.hurdle > seen.now
        left = seen.hurdle + timedelta(seconds=wanted.window) - seen.now
        waits.append(_AGAIN if is_under_way else left.total_seconds())
    return max(waits)


def begin(connection: Connection, *, provider: str, process: str, wanted: Wanted) -> int | Wait:
    """Count a request that is about to be sent, and give its number, or tell how long to wait."""
    return begin_at(connection, _locked(connection, provider), provider=provider, process=process, wanted=wanted)


def begin_at(connection: Connection, now: datetime, *, provider: str, process: str, wanted: Wanted) -> int | Wait:
    """The same at a given instant, for who has the lock."""
    seen = _seen(connection, now, provider, wanted)
    seconds = seconds_to_wait(seen, wanted)
    if not seconds:
        row = {
            "provider": provider,
            "process": process,
            "begun_at": now,
            "ends_at": now + timedelta(seconds=wanted.lasts + GRACE),
        }
        return connection.execute(insert(provider_requests).returning(provider_requests.c.id), row).scalar_one()
    if wanted.priority is Priority.SUBMIT and seconds <= wanted.patience:
        _ask_for_room(connection, provider, seen, now + timedelta(seconds=seconds))
    return Wait(seconds)


def note(connection: Connection, *, sent: Collection[int], unsent: Collection[int], held: Mapping[str, float]) -> None:
    """Note which requests have ended, which were never sent, and for how many seconds vendors want to be left alone."""
    now = connection.execute(select(NOW)).scalar_one()
    end_at(connection, now, sent)
    if unsent:
        connection.execute(delete(provider_requests).where(provider_requests.c.id.in_(unsent)))
    # in one order, or two processes could wait for each other
    for provider, seconds in sorted(held.items()):
        _hold(connection, provider, now + timedelta(seconds=seconds))


def end_at(connection: Connection, now: datetime, sent: Collection[int]) -> None:
    """Note that requests have ended at an instant."""
    if sent:
        connection.execute(update(provider_requests).where(provider_requests.c.id.in_(sent)).values(ends_at=now))


def forget(connection: Connection) -> None:
    """Delete what has not counted for a while."""
    before = connection.execute(select(NOW)).scalar_one() - _KEPT
    # what another process is just deleting isn't waited for
    old = select(provider_requests.c.id).where(provider_requests.c.ends_at < before).with_for_update(skip_locked=True)
    connection.execute(delete(provider_requests).where(provider_requests.c.id.in_(old.scalar_subquery())))


def _locked(connection: Connection, provider: str) -> datetime:
    """Wait until nobody else counts for this provider, and tell what time it is then."""
    # from left to right; a transaction that is left open by a machine that is gone doesn't keep its lock for hours
    limits = [
        func.set_config(name, value, true())
        for name, value in (("lock_timeout", _LOCK_TIMEOUT), ("idle_in_transaction_session_timeout", _IDLE_TIMEOUT))
    ]
    connection.execute(select(*limits, advisory_lock(f"requests to {provider}")))
    return connection.execute(select(NOW)).scalar_one()


def _seen(connection: Connection, now: datetime, provider: str, wanted: Wanted) -> Seen:
    requests, holds = provider_requests.c, provider_holds.c
    counted = select(requests.ends_at).where(
        requests.provider == provider, requests.ends_at > now - timedelta(seconds=wanted.window)
    )
    under_way = select(func.count()).where(requests.provider == provider, requests.ends_at > now)
    limit = wanted.requests_per_minute
    newest_first = counted.order_by(requests.ends_at.desc())
    hurdle = null() if limit is None else newest_first.offset(limit - 1).limit(1).scalar_subquery()
    held = select(holds.held_until, holds.submit_wanted_until).where(holds.provider == provider).subquery()
    row = connection.execute(
        select(under_way.scalar_subquery(), hurdle, held.c.held_until, held.c.submit_wanted_until).select_from(
            select(literal(1)).subquery().outerjoin(held, true())
        )
    ).one()
    in_flight, hurdle_at, held_until, submit_wanted_until = row
    return Seen(
        now=now,
        in_flight=in_flight,
        hurdle=hurdle_at,
        held_until=held_until,
        submit_wanted_until=submit_wanted_until,
    )


def _ask_for_room(connection: Connection, provider: str, seen: Seen, until: datetime) -> None:
    """Let looks wait for a submission that comes again then."""
    if seen.submit_wanted_until is None or seen.submit_wanted_until < until:
        wanted_until = until + timedelta(seconds=_LATE)
        insert_or_replace(connection, provider_holds, provider=provider, submit_wanted_until=wanted_until)


def _hold(connection: Connection, provider: str, until: datetime) -> None:
    """Let nobody in until then; an earlier instant than the last changes nothing."""
    insert_if_absent(connection, provider_holds, provider=provider)
    is_later = or_(provider_holds.c.held_until.is_(None), provider_holds.c.held_until < until)
    connection.execute(
        update(provider_holds).where(provider_holds.c.provider == provider, is_later).values(held_until=until)
    )


def _seconds_until(moment: datetime | None, now: datetime) -> float:
    return 0.0 if moment is None else max(0.0, (moment - now).total_seconds())
