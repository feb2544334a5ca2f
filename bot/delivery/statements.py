"""What a member has, and how it came about, in words. Pure."""

from __future__ import annotations

from bot.credits.balances import Statement
from bot.delivery.words import credits_text, date_and_time, relative_time


def statement_text(statement: Statement) -> str:
    """``Available: 93``, ``Held: 7``, how both came about, and when more comes."""
    account = statement.account
    lines = [f"Available: {account.available:,}", f"Held: {account.held:,}"]
    if account.held:
        lines.append("What is held belongs to videos under way: it is spent when they are posted, else it comes back.")
    lines += ["", *_movements(statement), "", *_parts(statement), *_allowance(statement)]
    return "\n".join(lines)


def _movements(statement: Statement) -> list[str]:
    """From what was available when the period began to what is available now."""
    moved = statement.movements
    causes = {
        "allowance": moved.allowance,
        "given by moderators": moved.given,
        "taken by moderators": moved.taken,
        "for videos" if moved.videos < 0 else "back from earlier videos": moved.videos,
        "expired, more than may pile up": moved.expired,
    }
    lines = [f"**Since {date_and_time(statement.period.start)}**", f"{statement.opening:,} at the beginning"]
    return [*lines, *(f"{_signed(amount)} {cause}" for cause, amount in causes.items() if amount)]


def _parts(statement: Statement) -> list[str]:
    account = statement.account
    given = account.available - account.allowance
    if not account.allowance or not given:
        return []
    allowance = f"Of the available, {account.allowance:,} came from the allowance and go first"
    return [f"{allowance}; {given:,} were given and never expire."]


def _allowance(statement: Statement) -> list[str]:
    rule, period = statement.rule, statement.period
    if not rule.amount:
        return ["Moderators give credits here: there is no allowance."]
    keeps = "" if rule.limit == rule.amount else f" Up to {rule.limit:,} pile up."
    role = "" if statement.role_id is None else f", for <@&{statement.role_id}>"
    amount = credits_text(rule.amount)
    return [f"Allowance: {amount} each {rule.length}{role}, the next {relative_time(period.end)}.{keeps}"]


def _signed(amount: int) -> str:
    return f"+{amount:,}" if amount > 0 else f"−{-amount:,}"  # noqa: RUF001 - a minus, as people print it
