"""What the database keeps of a member in one guild, row by row. Every function is part of the caller's transaction."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, Select, or_, select

from bot.communities.audit import mention
from bot.credits.ledger import Account, account_if_any
from bot.database.tables import allowance_grants, audit, blocked_members, job_events, jobs, ledger_entries
from bot.jobs.job import Request, StoredMedia
from bot.members import store as members
from bot.privacy.document import write_document

#: rows that are fetched together
_BATCH: Final = 200
_MENTION: Final = re.compile(r"<@!?(\d+)>")
_SOMEBODY: Final = "somebody else"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose data is asked for."""

    guild_id: int
    user_id: int
    #: by which blocks are found
    member_key: str


@dataclass(frozen=True, slots=True)
class Written:
    """What the file tells of, and the pictures that belong to it."""

    videos: int
    entries: int
    pictures: Sequence[StoredMedia]


def picture_name(media: StoredMedia) -> str:
    """What a picture is called beside the file."""
    return f"pictures/{media.path}"


def write(connection: Connection, *, subject: Subject, target: Path, now: datetime) -> Written:
    """Write everything into a JSON file, from one consistent picture of the data."""
    account = account_if_any(connection, subject.guild_id, subject.user_id)
    counted = _Counted()
    with target.open("w", encoding="utf-8") as file:
        write_document(
            file,
            {
                "made_at": now,
                # ids are text: as numbers, many programs would round them
                "member_id": str(subject.user_id),
                "community_id": str(subject.guild_id),
                "credits": _credits(account),
                "block": _block(connection, subject),
                "settings": asdict(members.settings_of(connection, subject.guild_id, subject.user_id)),
            },
            {
                "allowances_of_periods": _grants(connection, account),
                "ledger": counted.entries(_entries(connection, account)),
                "videos": counted.videos(_videos(connection, subject)),
                "presets": _presets(connection, subject),
                "moderation": _deeds(connection, subject),
            },
        )
    return Written(counted.number_of_videos, counted.number_of_entries, counted.pictures)


class _Counted:
    """Counts what goes by."""

    def __init__(self) -> None:
        self.number_of_videos = self.number_of_entries = 0
        self.pictures: list[StoredMedia] = []

    def entries(self, rows: Iterator[dict[str, object]]) -> Iterator[dict[str, object]]:
        for row in rows:
            self.number_of_entries += 1
            yield row

    def videos(self, rows: Iterator[tuple[dict[str, object], Request]]) -> Iterator[dict[str, object]]:
        for row, request in rows:
            self.number_of_videos += 1
            self.pictures += [media for media in request.media if media.content_type.startswith("image/")]
            yield row


def _credits(account: Account | None) -> dict[str, object] | None:
    if account is None:
        return None
    return {"available": account.available, "held": account.held, "of_which_allowance": account.allowance}


def _grants(connection: Connection, account: Account | None) -> Iterator[dict[str, object]]:
    if account is None:
        return
    query = select(allowance_grants.c.period, allowance_grants.c.granted)
    for row in _streamed(connection, query.where(allowance_grants.c.account_id == account.id).order_by("period")):
        yield dict(row)


def _entries(connection: Connection, account: Account | None) -> Iterator[dict[str, object]]:
    entry = ledger_entries.c
    if account is None:
        return
    query = select(
        entry.created_at.label("at"),
        entry.kind,
        entry.available_change,
        entry.held_change,
        entry.allowance_change,
        entry.job_id.label("video"),
    )
    for row in _streamed(connection, query.where(entry.account_id == account.id).order_by(entry.id)):
        yield dict(row)


def _videos(connection: Connection, subject: Subject) -> Iterator[tuple[dict[str, object], Request]]:
    own = (jobs.c.guild_id == subject.guild_id, jobs.c.user_id == subject.user_id)
    rows = connection.execute(
        select(jobs).where(*own).order_by(jobs.c.created_at, jobs.c.id), execution_options={"yield_per": _BATCH}
    ).mappings()
    for batch in rows.partitions():
        events = _events(connection, [row["id"] for row in batch])
        for row in batch:
            request = Request.model_validate_json(row["request"])
            yield _video(row, request, events.get(row["id"], [])), request


def _video(row: RowMapping, request: Request, events: Sequence[dict[str, object]]) -> dict[str, object]:
    options = request.model_dump(
        mode="json", exclude={"prompt", "image", "last_image", "video", "locale"}, exclude_none=True
    )
    is_kept = row["purged_at"] is None
    return {
        "id": row["id"],
        "state": row["state"],
        "why_it_ended_without_a_video": row["reason"],
        "model": row["model"],
        "prompt": request.prompt if is_kept else None,
        "options": options,
        "attached": [_attached(media) for media in request.media],
        "price_in_credits": row["quote"],
        "asked_at": row["created_at"],
        "submitted_at": row["submitted_at"],
        "ended_at": row["ended_at"],
        "video_removed_at": row["removed_at"],
        "prompt_and_files_deleted_at": row["purged_at"],
        "kept_video": None if row["video_path"] is None else f"/wan history job:{row['id']}",
        "channel_id": str(row["channel_id"]),
        "card_message_id": _id(row["card_message_id"]),
        "video_message_id": _id(row["result_message_id"]),
        "video_channel_id": _id(row["result_channel_id"]),
        "in_place_of": row["replaces"],
        "provider_task": row["task_id"] if is_kept else None,
        "provider_said": row["vendor_message"],
        "provider_link": row["result_url"],
        "provider_link_expires_at": row["result_expires_at"],
        "advice": row["advice"],
        "events": events,
    }


def _attached(media: StoredMedia) -> dict[str, object]:
    return {"file": picture_name(media), "type": media.content_type, "changed": media.note}


def _events(connection: Connection, job_ids: Sequence[str]) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = {}
    query = select(job_events).where(job_events.c.job_id.in_(job_ids)).order_by(job_events.c.id)
    for row in connection.execute(query).mappings():
        event = {"at": row["created_at"], "what": row["transition"], "detail": row["detail"]}
        found.setdefault(row["job_id"], []).append(event)
    return found


def _deeds(connection: Connection, subject: Subject) -> Iterator[dict[str, object]]:
    """What was done by the member and to the member; of others it tells nothing."""
    me = mention(subject.user_id)
    is_theirs = or_(audit.c.actor_id == subject.user_id, audit.c.target == me)
    query = select(audit).where(audit.c.guild_id == subject.guild_id, is_theirs).order_by(audit.c.id)
    for row in _streamed(connection, query):
        is_about_another = row["target"] != me and _MENTION.search(row["target"]) is not None
        is_by_another = row["actor_id"] != subject.user_id
        # who reports something may be known by the words
        is_their_word = is_by_another and row["action"] == "results.report"
        yield {
            "at": row["created_at"],
            "what": row["action"],
            "by": _SOMEBODY if is_by_another else "you",
            "about": "you" if row["target"] == me else _without_others(row["target"], subject),
            "before": None if is_about_another else _without_others(row["before"], subject),
            "after": None if is_about_another else _without_others(row["after"], subject),
            "reason": None if is_their_word else _without_others(row["reason"], subject),
        }


def _presets(connection: Connection, subject: Subject) -> Iterator[dict[str, object]]:
    for preset in members.presets_of(connection, subject.guild_id, subject.user_id):
        yield {"name": preset.name, "options": preset.options.model_dump(mode="json", exclude_none=True)}


def _block(connection: Connection, subject: Subject) -> dict[str, object] | None:
    key = (blocked_members.c.guild_id == subject.guild_id, blocked_members.c.member_key == subject.member_key)
    row = connection.execute(select(blocked_members.c.reason).where(*key)).mappings().one_or_none()
    return None if row is None else dict(row)


def _without_others(text: str, subject: Subject) -> str:
    return _MENTION.sub(lambda found: found[0] if found[1] == str(subject.user_id) else _SOMEBODY, text)


def _id(value: int | None) -> str | None:
    return None if value is None else str(value)


def _streamed(connection: Connection, query: Select[*tuple[Any, ...]]) -> Iterator[RowMapping]:
    yield from connection.execute(query, execution_options={"yield_per": _BATCH}).mappings()
