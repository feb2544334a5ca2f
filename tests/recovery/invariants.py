"""What must be true of the books, the vendor's jobs and Discord's messages, looked at from outside.

``look`` takes everything in at one instant; ``always`` and ``at_end`` say in sentences what is wrong with it.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final, cast

from sqlalchemy import Connection, RowMapping, inspect, select

from bot.credits import ledger
from bot.credits.ledger import Mismatch
from bot.database.tables import accounts, job_events, jobs, ledger_entries
from bot.delivery.cards import WORDS
from bot.jobs.job import Reason, Request, State
from tests.imitations.discord_server import Message
from tests.imitations.pixeldojo import NO_CREDITS
from tests.recovery.processes import Stage
from tests.recovery.troubles import REFUSAL, MoodyVendor, Post, video_of

_VIDEO: Final = re.compile(r"wan-([0-9a-z]{12})\.mp4")
_CARD: Final = re.compile(r"\bJob ([0-9a-z]{12})\b")
#: errors that say that something of ours is wrong; others without a traceback are news from outside
_FAULTS: Final = ("an account differs from its entries", "a card knows more than the database")
#: tracebacks that come from outside: discord.py tells of each lost connection
_RECONNECT: Final = "Attempting a reconnect"
#: and Discord takes no answer to a command
_DISCORDS_DOING: Final = ("aiohttp.client_exceptions.", "discord.errors.")
#: what becomes of a command, or of an event, that is still seen to when the bot stops
_AT_A_STOP: Final = ("RuntimeError: Session is closed", "RuntimeError: cannot schedule new futures after shutdown")

# --- what is seen ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenJob:
    """A job, as its row tells of it."""

    id: str
    account_id: int
    channel_id: int
    model: str
    state: State
    reason: Reason | None
    prompt: str
    quote: int
    task_id: str | None
    result_message_id: int | None
    video_path: str | None

    @property
    def is_vendors(self) -> bool:
        """Whether the vendor makes it; the others are drawn by the bot's own demo."""
        return self.model != "demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenAccount:
    """A member's credits."""

    id: int
    available: int
    held: int
    allowance: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenEntry:
    """A line of the ledger."""

    account_id: int
    kind: str
    available_change: int
    held_change: int
    job_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenMove:
    """A line of a job's history."""

    job_id: str
    transition: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The database, in one picture."""

    jobs: Sequence[SeenJob] = ()
    accounts: Sequence[SeenAccount] = ()
    entries: Sequence[SeenEntry] = ()
    moves: Sequence[SeenMove] = ()
    mismatches: Sequence[Mismatch] = ()
    #: what SQLite itself finds wrong with its file
    damage: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Everything at one instant; the database was looked at first."""

    rows: Rows
    #: the prompts of the vendor's jobs, by task
    tasks: Mapping[str, str]
    #: those that the vendor gave up
    failed_tasks: Collection[str]
    #: what arrived at the vendor, by prompt
    posts: Mapping[str, Sequence[Post]]
    #: of all channels, deleted ones too
    messages: Sequence[Message]
    #: names of the videos that are kept
    files: Collection[str]
    #: when the bot died or was stopped
    deaths: Sequence[datetime]
    #: jobs whose Cancel was pressed
    pressed: Collection[str]
    #: the prompts of commands whose answer Discord refused as too late
    too_late: Collection[str]
    #: nothing of the bot runs
    is_at_rest: bool

    def videos(self) -> Mapping[str, Sequence[Message]]:
        """The messages that carry a video, by job."""
        return _by_job(self.messages, _video_job)

    def cards(self) -> Mapping[str, Sequence[Message]]:
        """The messages that tell of a job, by job."""
        return _by_job(self.messages, _card_job)


def look(
    stage: Stage,
    vendor: MoodyVendor,
    *,
    deaths: Sequence[datetime] = (),
    pressed: Collection[str] = (),
    too_late: Collection[str] = (),
    is_at_rest: bool,
) -> Seen:
    """Take everything in."""
    rows = stage.books.read(read_rows) if stage.books.are_there else Rows()
    channels = stage.discord.world.channels.values()
    videos = stage.folder / "data" / "videos"
    return Seen(
        rows=rows,
        tasks={task_id: str(job.body["prompt"]) for task_id, job in vendor.jobs.items()},
        failed_tasks={task_id for task_id, job in vendor.jobs.items() if job.video is None},
        posts={prompt: list(posts) for prompt, posts in vendor.posts.items()},
        messages=[message for channel in channels for message in channel.messages],
        files={path.name for path in videos.glob("*.mp4")},
        deaths=list(deaths),
        pressed=set(pressed),
        too_late=set(too_late),
        is_at_rest=is_at_rest,
    )


def read_rows(connection: Connection) -> Rows:
    """Read what is checked; nothing of a database that wasn't migrated yet."""
    if not inspect(connection).has_table(jobs.name):
        return Rows()
    j, a, e, m = jobs.c, accounts.c, ledger_entries.c, job_events.c
    return Rows(
        jobs=[
            _seen_job(row)
            for row in connection.execute(
                select(
                    *(j.id, j.account_id, j.channel_id, j.model, j.state, j.reason, j.request, j.quote),
                    *(j.task_id, j.result_message_id, j.video_path),
                ).order_by(j.id)
            ).mappings()
        ],
        accounts=[
            SeenAccount(**row)
            for row in connection.execute(select(a.id, a.available, a.held, a.allowance).order_by(a.id)).mappings()
        ],
        entries=[
            SeenEntry(**row)
            for row in connection.execute(
                select(e.account_id, e.kind, e.available_change, e.held_change, e.job_id).order_by(e.id)
            ).mappings()
        ],
        moves=[
            SeenMove(**row)
            for row in connection.execute(select(m.job_id, m.transition, m.created_at).order_by(m.id)).mappings()
        ],
        mismatches=ledger.mismatches(connection),
        damage=_damage(connection),
    )


def _damage(connection: Connection) -> list[str]:
    if connection.dialect.name != "sqlite":
        return []
    found = list(connection.exec_driver_sql("PRAGMA integrity_check").scalars())
    orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    return [line for line in found if line != "ok"] + [f"a row without the one that it names: {row}" for row in orphans]


def _seen_job(row: RowMapping) -> SeenJob:
    values: dict[str, Any] = {str(name): value for name, value in row.items()}
    values["prompt"] = Request.model_validate_json(values.pop("request")).prompt
    values["state"] = State(values["state"])
    values["reason"] = None if values["reason"] is None else Reason(values["reason"])
    return SeenJob(**values)


def _by_job(messages: Sequence[Message], job_of: Callable[[Message], str | None]) -> Mapping[str, Sequence[Message]]:
    found: dict[str, list[Message]] = defaultdict(list)
    for message in messages:
        job_id = job_of(message)
        if job_id is not None:
            found[job_id].append(message)
    return found


def _video_job(message: Message) -> str | None:
    names = [match[1] for file in message.attachments if (match := _VIDEO.search(file.filename))]
    if names:
        return names[0]
    return message.nonce[1:] if message.nonce is not None and message.nonce.startswith("v") else None


def _card_job(message: Message) -> str | None:
    match = _CARD.search(message.text) if message.embeds else None
    return None if match is None else match[1]


# --- what must always be true ----------------------------------------------------------------------


def always(seen: Seen) -> list[str]:
    """What is wrong, whatever the bot is about."""
    checks = (_balances, _holds, _bookings, _submissions, _tasks, _videos, *((_at_rest,) if seen.is_at_rest else ()))
    return list(chain.from_iterable(check(seen) for check in checks))


def _balances(seen: Seen) -> Iterator[str]:
    yield from seen.rows.damage
    for each in seen.rows.mismatches:
        yield f"account {each.account_id} has {each.recorded}, its entries sum to {each.summed}"
    for account in seen.rows.accounts:
        if min(account.available, account.held, account.allowance) < 0 or account.allowance > account.available:
            yield f"{account} can't be"
    given = sum(entry.available_change for entry in seen.rows.entries if entry.job_id is None)
    spent = sum(job.quote for job in seen.rows.jobs if job.state is State.SUCCEEDED)
    there = sum(account.available + account.held for account in seen.rows.accounts)
    if there != given - spent:
        yield f"{given} were given and {spent} are spent, but {there} are there"


def _holds(seen: Seen) -> Iterator[str]:
    quotes = Counter[int]()
    for job in seen.rows.jobs:
        quotes[job.account_id] += job.quote if job.state.is_open else 0
    for account in seen.rows.accounts:
        if account.held != quotes[account.id]:
            yield f"account {account.id} holds {account.held}, its open jobs cost {quotes[account.id]}"


def _bookings(seen: Seen) -> Iterator[str]:
    booked: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for entry in seen.rows.entries:
        if entry.job_id is not None:
            booked[entry.job_id].append((entry.kind, entry.available_change, entry.held_change))
    for job in seen.rows.jobs:
        found, expected = booked.pop(job.id, []), _expected_bookings(job)
        if found != expected:
            yield f"{_name(job)}: booked is {found}, not {expected}"
    for job_id, found in booked.items():
        yield f"{found} is booked for job {job_id}, which isn't there"


def _expected_bookings(job: SeenJob) -> list[tuple[str, int, int]]:
    hold = ("hold", -job.quote, job.quote)
    if job.state.is_open:
        return [hold]
    if job.state is State.SUCCEEDED:
        return [hold, ("settle", 0, -job.quote)]
    return [hold, ("release", job.quote, -job.quote)]


def _submissions(seen: Seen) -> Iterator[str]:
    for prompt, made in Counter(seen.tasks.values()).items():
        if made > 1:
            yield f"{prompt!r} was made {made} times"
    for prompt, posts in seen.posts.items():
        if not all(post.has_started_nothing for post in posts[:-1]):
            yield f"{prompt!r} was submitted again though it may have been taken: {posts}"


def _tasks(seen: Seen) -> Iterator[str]:
    owners = Counter(job.task_id for job in seen.rows.jobs if job.task_id is not None)
    for task_id, count in owners.items():
        if count > 1:
            yield f"task {task_id} belongs to {count} jobs"
    for job in seen.rows.jobs:
        if job.is_vendors and job.task_id is not None and seen.tasks.get(job.task_id) != job.prompt:
            yield f"{_name(job)}: its task makes {seen.tasks.get(job.task_id)!r}"
        if job.state is State.SUCCEEDED and (job.task_id is None or job.task_id in seen.failed_tasks):
            yield f"{_name(job)}: nothing was made of its task {job.task_id}"


def _videos(seen: Seen) -> Iterator[str]:
    videos = seen.videos()
    known = {job.id for job in seen.rows.jobs}
    for job in seen.rows.jobs:
        posted = videos.get(job.id, ())
        if len(posted) > 1:
            yield f"{_name(job)}: its video was posted {len(posted)} times"
        elif posted and not job.state.is_open and job.state is not State.SUCCEEDED:
            yield f"{_name(job)}: its video was posted for nothing"
        elif job.state is State.SUCCEEDED and [message.id for message in posted] != [job.result_message_id]:
            yield f"{_name(job)}: paid for message {job.result_message_id}, posted is {[each.id for each in posted]}"
        for message in posted:
            yield from _wrong_with(message, job)
    if seen.is_at_rest:
        yield from (f"a video of job {job_id} was posted, which isn't there" for job_id in videos.keys() - known)


def _wrong_with(message: Message, job: SeenJob) -> Iterator[str]:
    if message.channel.id != job.channel_id:
        yield f"{_name(job)}: its video was posted in another channel"
    files = [file.content for file in message.attachments]
    if len(files) != 1 or (files[0] != video_of(job.prompt) if job.is_vendors else files[0][4:8] != b"ftyp"):
        yield f"{_name(job)}: what was posted isn't its video"


def _at_rest(seen: Seen) -> Iterator[str]:
    """What a living bot may just have changed since the database was looked at."""
    prompts = {job.prompt for job in seen.rows.jobs}
    for prompt in seen.posts.keys() - prompts:
        yield f"{prompt!r} was submitted without a job"
    videos = seen.videos()
    for job in seen.rows.jobs:
        if job.state.is_open and job.state is not State.DELIVERING and videos.get(job.id):
            yield f"{_name(job)}: its video was posted too early"


# --- what must be true at the end ------------------------------------------------------------------


def at_end(seen: Seen) -> list[str]:
    """What is wrong once everything has ended, beyond what is always wrong."""
    return list(chain.from_iterable(check(seen) for check in (_open, _losses, _ends, _unkept, _wrong_cards)))


def _open(seen: Seen) -> Iterator[str]:
    for job in seen.rows.jobs:
        if job.state.is_open:
            yield f"{_name(job)}: hasn't ended"
    for account in seen.rows.accounts:
        if account.held:
            yield f"account {account.id} still holds {account.held}"


def _losses(seen: Seen) -> Iterator[str]:
    """A video that the vendor made is never lost."""
    made = {prompt for task_id, prompt in seen.tasks.items() if task_id not in seen.failed_tasks}
    for job in seen.rows.jobs:
        if job.prompt in made and not job.state.is_open and job.state is not State.SUCCEEDED:
            yield f"{_name(job)}: the vendor made its video"


def _ends(seen: Seen) -> Iterator[str]:
    for job in seen.rows.jobs:
        explains = _EXPLANATIONS.get((job.state, job.reason))
        if not job.state.is_open and (explains is None or not explains(job, seen)):
            yield f"{_name(job)}: nothing that happened explains this end; its history is {_history(job, seen)}"


def _got_no_answer(job: SeenJob, seen: Seen) -> bool:
    return any(post.tells_nothing for post in seen.posts.get(job.prompt, ())) or _died_while_submitting(job, seen)


def _died_while_submitting(job: SeenJob, seen: Seen) -> bool:
    """Whether the bot died between the stored intent and what became of it."""
    at = {move.transition: move.created_at for move in seen.rows.moves if move.job_id == job.id}
    begun, ended = at.get(f"{State.QUEUED} -> {State.SUBMITTING}"), at.get(f"{State.SUBMITTING} -> {State.LOST}")
    return begun is not None and ended is not None and any(begun <= death <= ended for death in seen.deaths)


#: what must have happened for a job to end so; it ends in no other way
_EXPLANATIONS: Final[Mapping[tuple[State, Reason | None], Callable[[SeenJob, Seen], bool]]] = {
    (State.SUCCEEDED, None): lambda job, seen: True,
    (State.FAILED, Reason.REFUSED): lambda job, seen: any(
        post.fault is REFUSAL for post in seen.posts.get(job.prompt, ())
    ),
    (State.FAILED, Reason.NOT_MADE): lambda job, seen: job.task_id in seen.failed_tasks,
    # a refusal for want of funds holds up everybody
    (State.FAILED, Reason.PROVIDER_PAUSED): lambda job, seen: any(
        post.fault is NO_CREDITS for post in chain.from_iterable(seen.posts.values())
    ),
    (State.CANCELLED, Reason.BY_MEMBER): lambda job, seen: job.id in seen.pressed,
    (State.CANCELLED, Reason.UNANSWERED): lambda job, seen: job.prompt in seen.too_late,
    (State.LOST, Reason.NO_ANSWER): _got_no_answer,
}


def _unkept(seen: Seen) -> Iterator[str]:
    for job in seen.rows.jobs:
        if job.state is State.SUCCEEDED and job.video_path not in seen.files:
            yield f"{_name(job)}: its video isn't kept"


def _wrong_cards(seen: Seen) -> Iterator[str]:
    cards = seen.cards()
    submitted = {move.job_id for move in seen.rows.moves if move.transition.endswith(f"-> {State.SUBMITTING}")}
    for job in seen.rows.jobs:
        found = cards.get(job.id, ())
        if len(found) > 1 or (not found and job.id in submitted):
            yield f"{_name(job)}: has {len(found)} cards"
        yield from (f"{_name(job)}: {line}" for card in found if (line := _wrong_on(card, job)) is not None)


def _wrong_on(card: Message, job: SeenJob) -> str | None:
    if job.state.is_open:
        return None  # it tells of it a little later
    word = card.text.split("\n", 1)[0]
    if word != WORDS[job.state]:
        return f"its card says {word}"
    return f"its card still offers {card.labels}" if "Cancel" in card.labels else None


def _history(job: SeenJob, seen: Seen) -> list[str]:
    return [f"{move.created_at:%H:%M:%S.%f} {move.transition}" for move in seen.rows.moves if move.job_id == job.id]


def _name(job: SeenJob) -> str:
    end = job.state if job.reason is None else f"{job.state}, {job.reason}"
    return f"job {job.id} ({end}; {job.prompt!r})"


# --- the process -----------------------------------------------------------------------------------


def complaints(lines: Sequence[str], *, was_killed: bool) -> list[str]:
    """What a process wrote that no operator should ever read."""
    if was_killed and lines and not lines[-1].endswith("}"):
        lines = lines[:-1]  # cut short
    return [told for line in lines if (told := _complaint(line)) is not None]


def _complaint(line: str) -> str | None:
    try:
        event = cast("dict[str, str]", json.loads(line))
    except ValueError:
        return line
    if event["level"] not in {"error", "critical"} or _is_news(event):
        return None
    trace = event.get("exception", "").strip().rsplit("\n", 1)[-1]
    return f"{event['timestamp']} {event['logger']}: {event['event']} {trace}"


def _is_news(event: Mapping[str, str]) -> bool:
    if "exception" not in event:
        return not event["event"].startswith(_FAULTS)
    cause = event["exception"].rsplit("\n", 1)[-1]
    if event["event"] == "a command failed":
        return cause.startswith((*_DISCORDS_DOING, *_AT_A_STOP))
    return event["event"].startswith(_RECONNECT) or cause in _AT_A_STOP


def strays(folder: Path) -> list[str]:
    """Processes that were started in a folder, or by one that was. Only Linux tells; elsewhere there are none."""
    return [f"{path.name}: {_command(path)}" for path in Path("/proc").glob("[0-9]*") if _folder_of(path) == folder]


def _folder_of(process: Path) -> Path | None:
    try:
        return (process / "cwd").readlink()
    except OSError:
        return None  # gone, or somebody else's


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "gone"
