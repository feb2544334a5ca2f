"""The arguments of ``wanbot jobs`` and ``wanbot credits``. It loads nothing that a start would have to wait for."""

from __future__ import annotations

import argparse
import re
from datetime import timedelta
from typing import Final

from bot.jobs.job import State

#: every open state
ANY_OPEN: Final = "open"

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_AGE: Final = re.compile(r"([0-9]{1,6})([smhd])")
#: as many as moderators may give at once
_MOST_CREDITS: Final = 1_000_000
_LONGEST_REASON: Final = 300
_LARGEST_ID: Final = 2**63 - 1
_MOST_SHOWN: Final = 1000
#: seconds; further back no calendar need reach
_OLDEST: Final = 36_500 * 86_400


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Describe ``wanbot jobs``."""
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    found = _add(commands, "list", "list jobs, the newest first")
    found.add_argument("--state", action="append", choices=[ANY_OPEN, *State], help="only these; may be repeated")
    found.add_argument("--guild", type=_id, help="only of this guild")
    found.add_argument("--member", type=_id, help="only of this member")
    found.add_argument("--older-than", type=_age, metavar="AGE", help="only older ones: 90s, 30m, 2h, 3d")
    found.add_argument("--most", type=_count, default=50, metavar="N", help="how many (default: %(default)s)")
    shown = _add(commands, "show", "show a job with its steps, bookings and files")
    for each in (found, shown):
        each.add_argument("--prompts", action="store_true", help="also what members wrote")
        each.add_argument("--json", action="store_true", help="for programs")
    released = _add(commands, "release", "end a job that is stuck, and give its credits back")
    again = _add(commands, "redeliver", "post the kept video of an ended job once more, free")
    for each in (shown, released, again):
        each.add_argument("job", type=lambda text: text.strip().lower(), metavar="JOB", help="its id, as on the card")
    for each in (released, again):
        each.add_argument("--reason", type=_reason, default="", help="kept in the audit")


def add_credits(parser: argparse.ArgumentParser) -> None:
    """Describe ``wanbot credits``."""
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    shown = _add(commands, "show", "show a member's account and its last entries")
    shown.add_argument("--most", type=_count, default=20, metavar="N", help="entries (default: %(default)s)")
    given = _add(commands, "grant", "give a member credits, beside the allowance")
    taken = _add(commands, "revoke", "take available credits from a member")
    for each in (shown, given, taken):
        each.add_argument("guild", type=_id, metavar="GUILD", help="its id")
        each.add_argument("member", type=_id, metavar="MEMBER", help="their id")
        each.add_argument("--json", action="store_true", help="for programs")
    for each in (given, taken):
        each.add_argument("amount", type=_credits, metavar="AMOUNT", help=f"1 to {_MOST_CREDITS}")
        each.add_argument("--reason", type=_reason, required=True, help="kept in the audit; moderators see it")


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],  # pyright: ignore[reportPrivateUsage] - it has no other name
    name: str,
    text: str,
) -> argparse.ArgumentParser:
    added = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    added.set_defaults(subcommand=name)
    return added


def _id(text: str) -> int:
    return _number(text, most=_LARGEST_ID)


def _credits(text: str) -> int:
    return _number(text, most=_MOST_CREDITS)


def _count(text: str) -> int:
    return _number(text, most=_MOST_SHOWN)


def _number(text: str, *, most: int) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {most}")
    return int(text)


def _age(text: str) -> timedelta:
    found = _AGE.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError("must read 90s, 30m, 2h or 3d")
    seconds = int(found[1]) * _UNITS[found[2]]
    if seconds > _OLDEST:
        raise argparse.ArgumentTypeError("must be 36500d at most")
    return timedelta(seconds=seconds)


def _reason(text: str) -> str:
    if len(text) > _LONGEST_REASON:
        raise argparse.ArgumentTypeError(f"must have {_LONGEST_REASON} characters at most")
    return text.strip()
