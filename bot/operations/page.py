"""The operator's page as HTML: no script, and every text of others escaped. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from html import escape
from pathlib import Path
from typing import Final

from bot.communities.usage import usd_text
from bot.delivery.words import credits_text
from bot.jobs.job import State
from bot.operations.overview import MOST_JOBS, Kept, Overview, ProviderHealth, Spent
from bot.operations.readiness import Part
from bot.operations.recent_lines import Line

#: seconds after which a browser loads the page again
REFRESH: Final = 15
STYLE: Final = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
_ORDER: Final[Sequence[State]] = (State.QUEUED, State.SUBMITTING, State.RUNNING, State.DELIVERING)
#: longer names of communities than Discord allows don't exist, but a cell has its limits
_LONGEST_NAME: Final = 100


def overview_page(overview: Overview) -> str:
    """The page."""
    sections = [
        _header(overview),
        _parts(overview.parts),
        '<p class="bad">The database doesn\'t answer, so most is missing.</p>' if overview.kept is None else "",
        "" if overview.kept is None else _live(overview, overview.kept),
        "" if overview.kept is None else _processes(overview, overview.kept),
        _providers(overview.providers, overview.at),
        "" if overview.kept is None else _communities(overview, overview.kept),
        "" if overview.kept is None else _failures(overview, overview.kept),
        _lines(overview.lines, overview.at),
    ]
    return _document("wanbot", "\n".join(sections), refresh=True)


def login_page(*, problem: str = "") -> str:
    """The form that asks for the token; ``problem`` says why it is there again."""
    told = f'<p class="bad" role="alert">{escape(problem)}</p>' if problem else ""
    return _document(
        "wanbot: sign in",
        f"""<main class="login"><h1>wanbot</h1>{told}
<form method="post" action="/login">
<label for="token">Token (WANBOT_WEB_TOKEN)</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Sign in</button>
</form></main>""",
    )


def _document(title: str, body: str, *, refresh: bool = False) -> str:
    again = f'<meta http-equiv="refresh" content="{REFRESH}">' if refresh else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
{again}
<title>{escape(title)}</title>
<link rel="stylesheet" href="/page.css">
</head>
<body>
{body}
</body>
</html>
"""


def _header(overview: Overview) -> str:
    up = _span(overview.at - overview.started_at)
    return f"""<header><h1>wanbot</h1>
<p>{_time(overview.at)} UTC, up for {up}</p>
<form method="post" action="/logout"><button>Sign out</button></form></header>"""


def _parts(parts: Sequence[Part]) -> str:
    items = [f'<li class="{"good" if part.trouble is None else "bad"}">{escape(part.line)}</li>' for part in parts]
    return f'<ul class="parts">{"".join(items)}</ul>'


def _live(overview: Overview, kept: Kept) -> str:
    counts: dict[State, int] = dict.fromkeys(_ORDER, 0)
    for each in kept.open:
        counts[each.state] += each.jobs
    figures = " · ".join(f"{count:,} {state}" for state, count in counts.items())
    held = sum(each.quotes for each in kept.open)
    rows = [
        (
            f"<code>{escape(job.id)}</code>",
            _community(overview, job.guild_id),
            escape(job.model),
            str(job.state),
            _span(overview.at - job.created_at),
        )
        for job in kept.live
    ]
    beyond = sum(counts.values()) - len(rows)
    more = f"<p>The {MOST_JOBS} oldest; {beyond:,} more.</p>" if beyond > 0 else ""
    table = _table(("Job", "Community", "Model", "State", "Age"), rows, "No job is open.")
    return _section("Live jobs", f"<p>{figures}; {credits_text(held)} held</p>{table}{more}")


def _processes(overview: Overview, kept: Kept) -> str:
    if not kept.processes:
        return ""
    rows = [
        (
            f"<code>{escape(each.id)}</code>",
            escape(each.shards),
            _span(overview.at - each.started_at),
            f"{each.open_jobs:,}",
        )
        for each in kept.processes
    ]
    return _section("Processes", _table(("Process", "Shards", "Up for", "Open jobs"), rows, "None."))


def _providers(providers: Sequence[ProviderHealth], now: datetime) -> str:
    rows = [
        (
            escape(each.title),
            _health(each, now),
            f"{each.open_jobs:,}",
            f"{each.failures:,} of {each.requests:,}",
            _usd(each.day),
            _usd(each.period),
        )
        for each in providers
    ]
    heads = ("Provider", "Health", "Open jobs", "Failed requests", "Spend, 24 hours", "Spend, 7 days")
    note = "<p>Requests since the start. ~ is estimated, in part or all, from the price list.</p>"
    return _section("Providers", _table(heads, rows, "No provider is configured.") + note)


def _health(provider: ProviderHealth, now: datetime) -> str:
    if provider.paused_until is None:
        return '<span class="good">works</span>'
    wait = _span(max(timedelta(), provider.paused_until - now))
    return f'<span class="bad">paused: its key or its funds were refused; asked again in {wait}</span>'


def _communities(overview: Overview, kept: Kept) -> str:
    rows = [
        (
            _community(overview, each.guild_id),
            f"{each.jobs:,}",
            f"{each.videos:,}",
            f"{each.members:,}",
            f"{each.credits:,}",
        )
        for each in kept.communities
    ]
    heads = ("Community", "Jobs", "Videos", "Members", "Credits spent")
    return _section("Communities by use, 7 days", _table(heads, rows, "Nobody has asked for a video."))


def _failures(overview: Overview, kept: Kept) -> str:
    rows = [
        (
            _span(overview.at - each.ended_at) + " ago",
            f"<code>{escape(each.id)}</code>",
            _community(overview, each.guild_id),
            escape(each.model),
            f"{each.state}: {escape((each.reason or '').replace('_', ' '))}",
        )
        for each in kept.failed
    ]
    heads = ("When", "Job", "Community", "Model", "Why")
    return _section("Latest jobs without a video, 7 days", _table(heads, rows, "None."))


def _lines(lines: Sequence[Line], now: datetime) -> str:
    rows = [
        (
            _span(now - each.at) + " ago",
            f'<span class="{"bad" if each.level == "error" else "warn"}">{each.level}</span>',
            escape(each.event),
            escape(each.about),
        )
        for each in lines
    ]
    return _section("Errors and warnings since the start", _table(("When", "Level", "What", "About"), rows, "None."))


def _community(overview: Overview, guild_id: int) -> str:
    name = overview.names.get(guild_id)
    return f"<code>{guild_id}</code>" if name is None else f"<bdi>{escape(name[:_LONGEST_NAME])}</bdi>"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], otherwise: str) -> str:
    """A table of cells that are HTML already; each cell knows its column, so that a phone can stack them."""
    body = [
        "<tr>" + "".join(f'<td data-of="{escape(head)}">{cell}</td>' for head, cell in zip(heads, row, strict=True))
        for row in rows
    ]
    if not body:
        return f"<p>{escape(otherwise)}</p>"
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _usd(spent: Spent) -> str:
    return ("~ " if spent.is_estimated else "") + usd_text(spent.usd)


def _time(at: datetime) -> str:
    return f'<time datetime="{at.isoformat(timespec="seconds")}">{at:%Y-%m-%d %H:%M:%S}</time>'


def _span(length: timedelta) -> str:
    """``45 s``, ``3 min``, ``2 h 5 min``, ``4 d 1 h``."""
    seconds = max(0, int(length.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if not minutes:
        return f"{seconds} s"
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if not days else f"{days} d {hours % 24} h"
