"""What a member has, and how it came about, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bot.credits.allowance import PeriodLength
from bot.credits.balances import Statement
from bot.delivery.words import credits_text, date_and_time, relative_time
from bot.languages import N_, _

_EACH: Final[Mapping[PeriodLength, str]] = {
    PeriodLength.DAY: N_("{amount} each day"),
    PeriodLength.WEEK: N_("{amount} each week"),
    PeriodLength.MONTH: N_("{amount} each month"),
}


def statement_text(statement: Statement) -> str:
    """``Available: 93``, ``Held: 7``, how both came about, and when more comes."""
    account = statement.account
    lines = [
        _("Available: {n}").format(n=f"{account.available:,}"),
        _("Held: {n}").format(n=f"{account.held:,}"),
    ]
    if account.held:
        text = _("What is held belongs to videos under way: it is spent when they are posted, else it comes back.")
        lines.append(text)
    lines += ["", *_movements(statement), "", *_parts(statement), *_allowance(statement)]
    return "\n".join(lines)


def _movements(statement: Statement) -> list[str]:
    """From what was available when the period began to what is available now."""
    moved = statement.movements
    causes = {
        _("{amount} allowance"): moved.allowance,
        _("{amount} given by moderators"): moved.given,
        _("{amount} taken by moderators"): moved.taken,
        _("{amount} for videos") if moved.videos < 0 else _("{amount} back from earlier videos"): moved.videos,
        _("{amount} expired, more than may pile up"): moved.expired,
    }
    lines = [
        _("**Since {when}**").format(when=date_and_time(statement.period.start)),
        _("{n} at the beginning").format(n=f"{statement.opening:,}"),
    ]
    return [*lines, *(cause.format(amount=_signed(amount)) for cause, amount in causes.items() if amount)]


def _parts(statement: Statement) -> list[str]:
    account = statement.account
    given = account.available - account.allowance
    if not account.allowance or not given:
        return []
    text = _("Of the available, {n} came from the allowance and go first; {given} were given and never expire.")
    return [text.format(n=f"{account.allowance:,}", given=f"{given:,}")]


def _allowance(statement: Statement) -> list[str]:
    rule, period = statement.rule, statement.period
    if not rule.amount:
        return [_("Moderators give credits here: there is no allowance.")]
    amount = _(_EACH[rule.length]).format(amount=credits_text(rule.amount))
    if statement.role_id is not None:
        amount = _("{amount}, for {role}").format(amount=amount, role=f"<@&{statement.role_id}>")
    text = _("Allowance: {amount}, the next {when}.").format(amount=amount, when=relative_time(period.end))
    if rule.limit == rule.amount:
        return [text]
    return [text + _(" Up to {limit} pile up.").format(limit=f"{rule.limit:,}")]


def _signed(amount: int) -> str:
    return f"+{amount:,}" if amount > 0 else f"−{-amount:,}"  # noqa: RUF001 - a minus, as people print it
