"""``wanbot jobs``: what became of a job, and how one that is stuck or wasn't posted is put right.

The bot may be running meanwhile. A release is the same guarded transition that its worker makes, so one of both is too
late and sees it; ``bot.jobs.orders`` hears of either within seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from bot.communities import audit
from bot.communities.audit import OPERATOR, Deed, mention
from bot.credits import ledger
from bot.database.engine import Connection, Database
from bot.jobs import lifecycle
from bot.jobs import store as jobs
from bot.jobs.job import Job, Reason, State
from bot.jobs.orders import REDELIVER, RELEASE, order_text
from bot.support import store
from bot.support.errors import CannotBeDone
from bot.support.printing import Cell, age_text, facts, table
from bot.support.store import Entry, Event, Filter


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of a job, below the data folder."""

    path: str
    #: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Dossier:
    """Everything that is known of a job."""

    job: Job
    events: Sequence[Event]
    entries: Sequence[Entry]
    files: Sequence[KeptFile]


async def find(database: Database, chosen: Filter, *, most: int) -> Sequence[Job]:
    """The newest jobs that fit."""
    return await database.read(partial(store.found, chosen=chosen, most=most))


async def look_up(database: Database, job_id: str, *, data_dir: Path) -> Dossier:
    """Everything about a job. Raises ``CannotBeDone`` when there is none."""

    def read(connection: Connection) -> Dossier:
        job = _existing(jobs.load(connection, job_id), job_id)
        entries = store.entries_of_job(connection, job_id)
        return Dossier(job, store.events(connection, job_id), entries, kept_files(data_dir, job_id))

    return await database.read(read)


async def release(database: Database, job_id: str, *, reason: str, now: datetime) -> Job:
    """End an open job and give its hold back. Raises ``CannotBeDone``."""

    def end(connection: Connection) -> Job:
        known = _existing(jobs.load(connection, job_id), job_id)
        # the account before the job, as everywhere
        ledger.locked(connection, known.account_id)
        job = _existing(store.lock_job(connection, job_id), job_id)
        _check(why_not_released(job, now))
        step = lifecycle.ended(State.FAILED, Reason.BY_OPERATOR, detail="released by the operator")
        audit.record(connection, _deed(job, RELEASE, reason), now=now)
        return jobs.move(connection, job, step, now=now)

    return await database.write(end)


async def redeliver(database: Database, job_id: str, *, videos: Path, reason: str, now: datetime) -> Job:
    """Have the kept video of an ended job posted once more, free. Raises ``CannotBeDone``."""
    has_video = (videos / f"{job_id}.mp4").is_file()

    def order(connection: Connection) -> Job:
        job = _existing(store.lock_job(connection, job_id), job_id)
        _check(why_not_redelivered(job, has_video=has_video, now=now))
        audit.record(connection, _deed(job, REDELIVER, reason), now=now)
        return jobs.deliver_again(connection, job, until=now + lifecycle.RESULT_LIFE, now=now)

    return await database.write(order)


def why_not_released(job: Job, now: datetime) -> str | None:
    """What speaks against ending a job now; None: nothing."""
    if not job.state.is_open:
        return f"it has ended already ({job.state}), and nothing is held for it"
    if job.state is State.SUBMITTING and job.submitted_at is not None:
        answered = job.submitted_at + lifecycle.ANSWER_PATIENCE
        if now < answered:
            return f"its submission may be answered until {answered:%H:%M:%S} UTC: try again then"
    if job.attempted_at is not None:
        posted = job.attempted_at + lifecycle.ATTEMPT_AGE
        if now < posted:
            return f"its video may be on its way into the channel until {posted:%H:%M:%S} UTC: try again then"
    return None


def why_not_redelivered(job: Job, *, has_video: bool, now: datetime) -> str | None:
    """What speaks against posting a job's video once more; None: nothing."""
    if job.state.is_open:
        return f"it hasn't ended: it is {job.state}"
    if job.removed_at is not None:
        return "its video was removed by its owner or a moderator"
    if job.purged_at is not None or not has_video:
        return "its video isn't kept here any more"
    if job.late_until is not None and now < job.late_until:
        return "it is about to be posted already: by the bot within minutes, or at its next start"
    return None


def kept_files(data_dir: Path, job_id: str) -> Sequence[KeptFile]:
    """The files of a job."""
    found = [*(data_dir / "inputs" / job_id).glob("*"), *(data_dir / "videos").glob(f"{job_id}.*")]
    return [KeptFile(str(path.relative_to(data_dir)), path.stat().st_size) for path in sorted(found)]


def list_text(found: Sequence[Job], *, now: datetime, has_prompts: bool) -> str:
    """Jobs as a table."""
    header = ["JOB", "STATE", "AGE", "GUILD", "MEMBER", "MODEL", "CREDITS", "REASON"]
    rows: list[list[Cell]] = [
        [
            job.id,
            job.state,
            age_text(now - job.created_at),
            str(job.guild_id),
            str(job.user_id),
            job.model,
            job.quote,
            job.reason,
        ]
        for job in found
    ]
    if has_prompts:
        header.append("PROMPT")
        rows = [[*row, job.request.prompt] for row, job in zip(rows, found, strict=True)]
    return table(header, rows) if rows else "There is no such job."


def dossier_text(dossier: Dossier, *, has_prompts: bool) -> str:
    """A job, its steps, its bookings and its files, each as a part with a heading."""
    events = [[event.at, event.transition, event.detail] for event in dossier.events]
    entries = [[each.id, each.at, each.kind, each.available, each.held, each.allowance] for each in dossier.entries]
    files = [[each.path, each.size] for each in dossier.files]
    shown = job_document(dossier.job, has_prompts=has_prompts)
    parts = [
        facts({name.replace("_", " "): value for name, value in shown.items()}),
        f"Steps\n{table(['AT', 'TRANSITION', 'DETAIL'], events)}",
        f"Ledger\n{table(['ENTRY', 'AT', 'KIND', 'AVAILABLE', 'HELD', 'ALLOWANCE'], entries)}",
        f"Files\n{table(['FILE', 'BYTES'], files)}" if files else "Files\nnone is kept",
    ]
    return "\n\n".join(parts)


def job_document(job: Job, *, has_prompts: bool) -> Mapping[str, Cell]:
    """What the operator sees of a job. Ids of Discord are texts, as many programs can't count so far.

    Links to results are left out: whoever has one can open it.
    """
    request = job.request
    prompts: dict[str, Cell] = {"prompt": request.prompt, "negative_prompt": request.negative_prompt}
    return {
        "job": job.id,
        "state": str(job.state),
        "reason": None if job.reason is None else str(job.reason),
        "model": job.model,
        "mode": str(request.mode),
        "resolution": request.resolution,
        "duration": request.duration,
        "attached": len(request.media),
        **(prompts if has_prompts else {}),
        "credits": job.quote,
        "vendor_cost": None if job.cost_amount is None else f"{job.cost_amount} {job.cost_unit}",
        "guild": str(job.guild_id),
        "member": str(job.user_id),
        "channel": str(job.channel_id),
        "card": _id(job.card_message_id),
        "video_channel": str(job.video_channel_id),
        "video_message": _id(job.result_message_id),
        "accepted": job.created_at,
        "not_before": job.not_before,
        "submitted": job.submitted_at,
        "task": job.task_id,
        "deadline": job.deadline,
        "delivering_since": job.delivering_since,
        "posting_since": job.attempted_at,
        "ended": job.ended_at,
        "late_until": job.late_until,
        "removed": job.removed_at,
        "purged": job.purged_at,
        "vendor_words": job.vendor_message,
        "replaces": job.replaces,
    }


def dossier_document(dossier: Dossier, *, has_prompts: bool) -> Mapping[str, object]:
    """All that is known of a job, for programs."""
    return {
        **job_document(dossier.job, has_prompts=has_prompts),
        "steps": [asdict(each) for each in dossier.events],
        "ledger": [asdict(each) for each in dossier.entries],
        "files": [asdict(each) for each in dossier.files],
    }


def _deed(job: Job, action: str, reason: str) -> Deed:
    return Deed(
        guild_id=job.guild_id,
        actor_id=OPERATOR,
        interaction_id=None,
        action=action,
        target=mention(job.user_id),
        before="",
        after=order_text(job.id),
        reason=reason,
    )


def _existing(job: Job | None, job_id: str) -> Job:
    if job is None:
        raise CannotBeDone(f"there is no job {job_id}")
    return job


def _check(why_not: str | None) -> None:
    if why_not is not None:
        raise CannotBeDone(why_not)


def _id(value: int | None) -> str | None:
    return None if value is None else str(value)
