"""The books. Every change of a balance is one append-only entry, booked in the caller's transaction.

Nothing here decides whether something may be spent; it books, and refuses what would make a balance
negative. ``available``, ``held`` and ``allowance`` of an account always equal the sums of its entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, RowMapping, and_, bindparam, case, func, insert, or_, select, text, true, update

from bot.credits.allowance import AllowanceRule, Period, refill
from bot.database.tables import accounts, allowance_grants, forgotten_grants, ledger_entries
from bot.database.upsert import insert_if_absent, insert_or_replace

# The statements of every hold and its end: putting one together takes longer than carrying it out.
_LOCKED = select(accounts).where(accounts.c.id == bindparam("account_id")).with_for_update()
_LOCKED_OF = (
    select(accounts)
    .where(accounts.c.guild_id == bindparam("guild"), accounts.c.user_id == bindparam("user"))
    .with_for_update()
)
_GRANTED = select(allowance_grants.c.granted).where(
    allowance_grants.c.account_id == bindparam("account"), allowance_grants.c.period == bindparam("of_period")
)
_GRANT = insert(allowance_grants)
_FORGOTTEN = select(forgotten_grants.c.granted).where(
    forgotten_grants.c.member_key == bindparam("member"), forgotten_grants.c.period == bindparam("of_period")
)
_OF_JOB = select(ledger_entries).where(
    ledger_entries.c.job_id == bindparam("of_job"), ledger_entries.c.kind == bindparam("of_kind")
)
# its index is found by these very words
_RESOLUTION = _OF_JOB.where(text("kind IN ('settle', 'release')"))
_CHANGE = (
    update(accounts)
    .where(accounts.c.id == bindparam("account"))
    .values({name: accounts.c[name] + bindparam(f"{name}_change") for name in ("available", "held", "allowance")})
)
_ENTRY = insert(ledger_entries).returning(ledger_entries.c.id)


class InsufficientCredits(Exception):  # noqa: N818 - it names what happened
    """There is less available than the price."""

    def __init__(self, *, price: int, available: int) -> None:
        super().__init__(f"{price} needed, {available} available")
        self.price = price
        self.available = available


@dataclass(frozen=True, slots=True)
class Account:
    """A member's credits in one guild."""

    id: int
    guild_id: int
    user_id: int
    available: int
    held: int
    allowance: int


@dataclass(frozen=True, slots=True)
class Balance:
    """The three numbers of an account."""

    available: int
    held: int
    allowance: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Movements:
    """What has changed the available credits of an account in some time, by its cause."""

    allowance: int
    #: by moderators, beside the allowance
    given: int
    #: by moderators; not above 0
    taken: int
    #: held and spent, less what came back; not above 0 unless something from before came back
    videos: int
    #: of the allowance, over the cap; not above 0
    expired: int

    @property
    def total(self) -> int:
        """All of them together."""
        return self.allowance + self.given + self.taken + self.videos + self.expired


@dataclass(frozen=True, slots=True)
class Mismatch:
    """An account whose balance isn't the sum of its entries. There must never be one."""

    account_id: int
    recorded: Balance
    summed: Balance


def account_of(connection: Connection, guild_id: int, user_id: int) -> Account:
    """Find or open a member's account, and lock it until the transaction ends."""
    member = {"guild": guild_id, "user": user_id}
    row = connection.execute(_LOCKED_OF, member).mappings().one_or_none()
    if row is None:
        insert_if_absent(connection, accounts, guild_id=guild_id, user_id=user_id)
        row = connection.execute(_LOCKED_OF, member).mappings().one()
    return _account(row)


def account_if_any(connection: Connection, guild_id: int, user_id: int) -> Account | None:
    """A member's account as it is now, without opening or locking one."""
    query = select(accounts).where(accounts.c.guild_id == guild_id, accounts.c.user_id == user_id)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _account(row)


def accounts_of_people(connection: Connection, guild_id: int, *, most: int) -> Sequence[Account]:
    """Some accounts of a guild that still have their member, locked until the transaction ends."""
    query = select(accounts).where(accounts.c.guild_id == guild_id, accounts.c.user_id > 0)
    rows = connection.execute(query.order_by(accounts.c.id).limit(most).with_for_update()).mappings()
    return [_account(row) for row in rows]


def locked(connection: Connection, account_id: int) -> Account:
    """An account as it is now, locked until the transaction ends."""
    return _account(connection.execute(_LOCKED, {"account_id": account_id}).mappings().one())


def give_allowance(
    connection: Connection, account: Account, rule: AllowanceRule, period: Period, *, member_key: str, now: datetime
) -> Account:
    """Book what the period still owes the member; nothing when it owes nothing.

    ``member_key`` is what a deleted account of the same member would have left behind.
    """
    recorded = connection.execute(_GRANTED, {"account": account.id, "of_period": period.key}).scalar()
    granted = _forgotten(connection, member_key, period) if recorded is None else recorded
    due = refill(rule, granted=granted, available_allowance=account.allowance)
    if not due.is_due:
        return account
    total = granted + due.grant
    if recorded is None:
        connection.execute(_GRANT, {"account_id": account.id, "period": period.key, "granted": total})
    else:
        key = and_(allowance_grants.c.account_id == account.id, allowance_grants.c.period == period.key)
        connection.execute(update(allowance_grants).where(key).values(granted=total))
    _book(connection, account.id, "grant", available=due.grant, allowance=due.grant, now=now)
    if due.expire:
        _book(connection, account.id, "expire", available=-due.expire, allowance=-due.expire, now=now)
    return locked(connection, account.id)


def grant(connection: Connection, account: Account, amount: int, *, now: datetime) -> int:
    """Give credits beside the allowance; gives the entry's id."""
    return _book(connection, account.id, "grant", available=amount, now=now)


def take(connection: Connection, account: Account, amount: int, *, now: datetime) -> tuple[int, int]:
    """Take back up to ``amount`` of what is available, never what is held: (entry's id, taken)."""
    taken = max(0, min(amount, account.available))
    # what moderators gave goes first: taking is the opposite of giving, not of the allowance
    from_allowance = max(0, taken - (account.available - account.allowance))
    return _book(connection, account.id, "adjust", available=-taken, allowance=-from_allowance, now=now), taken


def forfeit(connection: Connection, account: Account, *, now: datetime) -> int:
    """Take everything that a locked account has, for good; gives how much that was.

    Raises ``ValueError`` while something is held: its job would settle or release it later.
    """
    if account.held:
        raise ValueError(f"account {account.id} still holds {account.held}")
    if account.available:
        _book(connection, account.id, "adjust", available=-account.available, allowance=-account.allowance, now=now)
    return account.available


def remember_grants(connection: Connection, account: Account, periods: Iterable[Period], *, member_key: str) -> None:
    """Keep what an account was given in these periods under its member's key: ``give_allowance`` finds it there."""
    ends = {period.key: period.end for period in periods}
    grant = allowance_grants.c
    query = select(grant.period, grant.granted).where(grant.account_id == account.id, grant.period.in_(list(ends)))
    for period, granted in connection.execute(query).all():
        values = {"guild_id": account.guild_id, "granted": granted, "ends_at": ends[period]}
        insert_or_replace(connection, forgotten_grants, member_key=member_key, period=period, **values)


def make_nobodys(connection: Connection, account: Account, nobody: int) -> None:
    """Let an account belong to nobody any more; ``nobody`` is below 0, as no member's id is."""
    connection.execute(update(accounts).where(accounts.c.id == account.id).values(user_id=nobody))


def hold(connection: Connection, account: Account, amount: int, *, job_id: str, now: datetime) -> None:
    """Set credits aside for a job, the allowance first. Raises ``InsufficientCredits``."""
    if account.available < amount:
        raise InsufficientCredits(price=amount, available=account.available)
    from_allowance = min(amount, account.allowance)
    _book(
        connection,
        account.id,
        "hold",
        available=-amount,
        held=amount,
        allowance=-from_allowance,
        job_id=job_id,
        now=now,
    )


def settle(connection: Connection, *, job_id: str, now: datetime) -> None:
    """Turn a job's hold into spending. A second resolution is refused by the database."""
    held = _entry(connection, job_id, "hold")
    _book(connection, held["account_id"], "settle", held=-held["held_change"], job_id=job_id, now=now)


def release(connection: Connection, *, job_id: str, now: datetime) -> None:
    """Give an unspent hold back, in the split in which it was taken."""
    held = _entry(connection, job_id, "hold")
    _book(
        connection,
        held["account_id"],
        "release",
        available=-held["available_change"],
        held=-held["held_change"],
        allowance=-held["allowance_change"],
        job_id=job_id,
        now=now,
    )


def refund(connection: Connection, *, job_id: str, now: datetime) -> None:
    """Give back what a job has settled, in the split in which it was taken."""
    held = _entry(connection, job_id, "hold")
    settled = connection.execute(_RESOLUTION, {"of_job": job_id, "of_kind": "settle"}).mappings().one()
    spent = -settled["held_change"] - settled["available_change"]
    allowance = min(spent, -held["allowance_change"])
    _book(connection, held["account_id"], "refund", available=spent, allowance=allowance, job_id=job_id, now=now)


def movements(connection: Connection, account: Account, *, since: datetime) -> Movements:
    """What has changed an account's available credits since then."""
    entry = ledger_entries.c
    from_allowance = case((entry.allowance_change != 0, 1), else_=0)
    query = (
        select(entry.kind, from_allowance, func.sum(entry.available_change))
        .where(entry.account_id == account.id, entry.created_at >= since)
        .group_by(entry.kind, from_allowance)
    )
    sums = {(kind, bool(allowance)): int(total) for kind, allowance, total in connection.execute(query)}

    def of(*kinds: str) -> int:
        return sum(total for (kind, _), total in sums.items() if kind in kinds)

    return Movements(
        allowance=sums.get(("grant", True), 0),
        given=sums.get(("grant", False), 0),
        taken=of("adjust"),
        videos=of("hold", "release", "settle", "refund"),
        expired=of("expire"),
    )


def mismatches(connection: Connection, *, only_held: bool = False, within: range | None = None) -> Sequence[Mismatch]:
    """Compare every account (or only those with something held, or with such ids) with the sum of its entries."""
    entry = ledger_entries.c
    sums = select(
        entry.account_id,
        func.sum(entry.available_change).label("available"),
        func.sum(entry.held_change).label("held"),
        func.sum(entry.allowance_change).label("allowance"),
    ).group_by(entry.account_id)
    chosen = accounts.c.held > 0 if only_held else true()
    if only_held:
        sums = sums.where(entry.account_id.in_(select(accounts.c.id).where(chosen)))
    if within is not None:
        chosen = and_(chosen, accounts.c.id >= within.start, accounts.c.id < within.stop)
        sums = sums.where(entry.account_id >= within.start, entry.account_id < within.stop)
    summed = sums.subquery()
    pairs = [(accounts.c[name], func.coalesce(summed.c[name], 0)) for name in ("available", "held", "allowance")]
    query = (
        select(accounts.c.id, *(recorded for recorded, _ in pairs), *(total for _, total in pairs))
        .outerjoin(summed, summed.c.account_id == accounts.c.id)
        .where(chosen, or_(*(recorded != total for recorded, total in pairs)))
    )
    return [_mismatch(row) for row in connection.execute(query)]


def _forgotten(connection: Connection, member_key: str, period: Period) -> int:
    """What the member was given in the period before everything about them was deleted."""
    return connection.execute(_FORGOTTEN, {"member": member_key, "of_period": period.key}).scalar() or 0


def _account(row: RowMapping) -> Account:
    return Account(row["id"], row["guild_id"], row["user_id"], row["available"], row["held"], row["allowance"])


def _mismatch(row: Row[tuple[int, ...]]) -> Mismatch:
    account_id, *numbers = (int(number) for number in row)
    available, held, allowance, *sums = numbers
    return Mismatch(account_id, Balance(available, held, allowance), Balance(sums[0], sums[1], sums[2]))


def _entry(connection: Connection, job_id: str, kind: str) -> RowMapping:
    return connection.execute(_OF_JOB, {"of_job": job_id, "of_kind": kind}).mappings().one()


def _book(
    connection: Connection,
    account_id: int,
    kind: str,
    *,
    now: datetime,
    available: int = 0,
    held: int = 0,
    allowance: int = 0,
    job_id: str | None = None,
) -> int:
    """Change the balance and write its entry: the only place that does either."""
    changes = {"available_change": available, "held_change": held, "allowance_change": allowance}
    connection.execute(_CHANGE, {"account": account_id, **changes})
    entry = {"account_id": account_id, "kind": kind, "job_id": job_id, "created_at": now, **changes}
    return connection.execute(_ENTRY, entry).scalar_one()
