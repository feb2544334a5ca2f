"""What ``wanbot migrate --from … --to …`` takes and says."""

from __future__ import annotations

from bot.database.moving import Moved
from bot.settings import SettingsError, database_address
from bot.support.printing import table


def addresses(source: str | None, target: str | None) -> tuple[str, str]:
    """Both addresses; raises ``SettingsError``, which names the option and shows no value: it may hold a password."""
    lines: list[str] = []
    for name, value in (("--from", source), ("--to", target)):
        try:
            database_address(value or "")
        except ValueError as error:
            lines.append(f"{name}: {error}")
    if source is None or target is None or lines:
        raise SettingsError(lines)
    return source, target


def moved_text(moved: Moved) -> str:
    """What is on both sides now, and what to do next."""
    lines = [
        table(["TABLE", "ROWS"], [[name, count] for name, count in moved.rows.items()]),
        "",
        "Both sides are equal, row by row, and their books are right.",
        f"Open jobs: {moved.open_jobs}. Credits held for them: {moved.held}. Credits available: {moved.available}.",
    ]
    if moved.is_again:
        lines.append("It took the place of an earlier copy.")
    if moved.cleaned:
        lines.append(f"{moved.cleaned} rows had a zero character in a text, which was left out.")
    lines.append("Now set DATABASE_URL to the new one and start the bot; keep the old one until you are content.")
    return "\n".join(lines)
