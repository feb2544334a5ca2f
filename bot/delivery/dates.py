"""Dates in words, for where Discord shows no timestamps: pictures, suggestions, headings. In UTC. Pure."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from bot.languages import N_, _

_MONTHS: Final = (
    N_("January"),
    N_("February"),
    N_("March"),
    N_("April"),
    N_("May"),
    N_("June"),
    N_("July"),
    N_("August"),
    N_("September"),
    N_("October"),
    N_("November"),
    N_("December"),
)
_SHORT_MONTHS: Final = (
    N_("Jan"),
    N_("Feb"),
    N_("Mar"),
    N_("Apr"),
    N_("May"),
    N_("Jun"),
    N_("Jul"),
    N_("Aug"),
    N_("Sep"),
    N_("Oct"),
    N_("Nov"),
    N_("Dec"),
)


def day_text(day: date) -> str:
    """``20 November 2026``."""
    return _("{day} {month} {year}").format(day=day.day, month=_(_MONTHS[day.month - 1]), year=day.year)


def short_day_text(day: date) -> str:
    """``20 Nov``."""
    return _("{day} {month}").format(day=day.day, month=_(_SHORT_MONTHS[day.month - 1]))


def days_text(first: date, last: date) -> str:
    """``20 November 2026``, ``30 October to 20 November 2026``."""
    if first == last:
        return day_text(last)
    begin = day_text(first)
    if first.year == last.year:
        begin = _("{day} {month}").format(day=first.day, month=_(_MONTHS[first.month - 1]))
    return _("{first} to {last}").format(first=begin, last=day_text(last))


def instant_text(instant: datetime) -> str:
    """``Nov 20, 07:10 UTC``; ``instant`` is in UTC."""
    month, time = _(_SHORT_MONTHS[instant.month - 1]), f"{instant:%H:%M}"
    return _("{month} {day}, {time} UTC").format(month=month, day=f"{instant.day:02}", time=time)
