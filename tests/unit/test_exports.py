"""A member's file fits into a message, whatever is kept; on each database."""

from __future__ import annotations

import io
import json
import random
import zipfile
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from bot.communities.member_keys import MemberKeys
from bot.credits import ledger
from bot.database.engine import Database
from bot.errors import Refusal
from bot.jobs import store
from bot.jobs.job import Job, Request, State, StoredMedia
from bot.privacy.document import write_document
from bot.privacy.exports import Export, Exports
from providers.types import Mode
from tests.clocks import NOON, Clock

GUILD, MEMBER = 100, 200
PICTURE = random.Random(7).randbytes(50_000)


@pytest.fixture
def exports(database: Database, clock: Clock, tmp_path: Path) -> Exports:
    for name in ("inputs", "exports"):
        (tmp_path / name).mkdir()
    return Exports(
        database=database,
        member_keys=MemberKeys("secret"),
        inputs=tmp_path / "inputs",
        folder=tmp_path / "exports",
        clock=clock,
    )


def add(connection: Connection, *, number: int, prompt: str, media: StoredMedia | None) -> None:
    account = ledger.account_of(connection, GUILD, MEMBER)
    request = Request(prompt=prompt, mode=Mode.IMAGE, resolution="480p", duration=5, image=media)
    job = Job(
        id=f"job{number:09}",
        interaction_id=number,
        guild_id=GUILD,
        channel_id=300,
        user_id=MEMBER,
        account_id=account.id,
        state=State.QUEUED,
        version=0,
        model="demo",
        request=request,
        quote=0,
        upload_limit=10 << 20,
        created_at=NOON + timedelta(seconds=number),
    )
    assert store.add(connection, job)
    ledger.hold(connection, account, 0, job_id=job.id, now=NOON)


async def make(
    database: Database, folder: Path, number: int, *, prompt: str = "A fox", kind: str = "image/png"
) -> None:
    """A job with a picture of 50 kB."""
    name = "image.png" if kind == "image/png" else "video.mp4"
    media = StoredMedia(path=f"job{number:09}/{name}", content_type=kind, filename=name)
    (folder / "inputs" / f"job{number:09}").mkdir()
    (folder / "inputs" / media.path).write_bytes(PICTURE)
    await database.write(partial(add, number=number, prompt=prompt, media=media))


def read(export: Export) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What is in a file, and the pictures beside it."""
    if export.path.suffix == ".json":
        return json.loads(export.path.read_text(encoding="utf-8")), {}
    with zipfile.ZipFile(export.path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(files.pop("my-wan-data.json")), files


async def test_the_pictures_are_in_it_while_they_fit(exports: Exports, database: Database, tmp_path: Path) -> None:
    for number in range(3):
        await make(database, tmp_path, number)
    async with exports.of(GUILD, MEMBER, limit=200_000) as export:
        document, pictures = read(export)
        assert export.path.stat().st_size <= 200_000
    assert pictures == {f"pictures/job{number:09}/image.png": PICTURE for number in range(3)}
    assert (export.videos, export.entries, export.pictures, export.pictures_left_out) == (3, 3, 3, 0)
    assert [video["attached"][0]["file"] for video in document["videos"]] == list(pictures)
    assert list((tmp_path / "exports").iterdir()) == []


async def test_pictures_that_do_not_fit_are_named(exports: Exports, database: Database, tmp_path: Path) -> None:
    for number in range(3):
        await make(database, tmp_path, number)
    async with exports.of(GUILD, MEMBER, limit=149_000) as export:
        document, pictures = read(export)
    assert export.path.suffix == ".json"
    assert pictures == {}
    assert (export.pictures, export.pictures_left_out) == (0, 3)
    assert [video["attached"][0]["file"] for video in document["videos"]] == [
        f"pictures/job{number:09}/image.png" for number in range(3)
    ]


async def test_only_what_is_there_is_in_it_and_clips_are_no_pictures(
    exports: Exports, database: Database, tmp_path: Path
) -> None:
    await make(database, tmp_path, 1)
    await make(database, tmp_path, 2)
    await make(database, tmp_path, 3, kind="video/mp4")
    (tmp_path / "inputs" / "job000000002" / "image.png").unlink()
    async with exports.of(GUILD, MEMBER, limit=1 << 20) as export:
        document, pictures = read(export)
    assert list(pictures) == ["pictures/job000000001/image.png"]
    assert len(document["videos"]) == 3


async def test_a_long_history_is_packed_before_it_is_refused(
    exports: Exports, database: Database, tmp_path: Path
) -> None:
    def many(connection: Connection) -> None:
        for number in range(450):
            add(connection, number=number, prompt=f"Fox number {number} in the snow", media=None)

    await database.write(many)
    async with exports.of(GUILD, MEMBER, limit=60_000) as export:
        document, _ = read(export)
        assert export.path.suffix == ".zip"
        assert export.path.stat().st_size <= 60_000
    assert [video["prompt"] for video in document["videos"]] == [f"Fox number {n} in the snow" for n in range(450)]
    assert [event["what"] for video in document["videos"] for event in video["events"]] == ["-> queued"] * 450
    with pytest.raises(Refusal, match="more than can be sent here"):
        async with exports.of(GUILD, MEMBER, limit=1_000):
            pass
    assert list((tmp_path / "exports").iterdir()) == []


async def test_what_others_wrote_can_not_break_the_file(exports: Exports, database: Database, tmp_path: Path) -> None:
    nasty = 'He said "}],\n\\u0000 \u2028 <script> 狐 🦊'
    await make(database, tmp_path, 1, prompt=nasty)
    async with exports.of(GUILD, MEMBER, limit=1 << 20) as export:
        document, _ = read(export)
    assert document["videos"][0]["prompt"] == nasty


def test_a_document_is_json_with_empty_lists_too() -> None:
    file = io.StringIO()
    facts = {"at": NOON, "cost": Decimal("0.10"), "none": None}
    write_document(file, facts, {"empty": iter(()), "full": iter([{"a": 1}, {"a": "é"}])})
    assert json.loads(file.getvalue()) == {
        "at": "2026-11-18T12:00:00+00:00",
        "cost": "0.10",
        "none": None,
        "empty": [],
        "full": [{"a": 1}, {"a": "é"}],
    }
    with pytest.raises(TypeError, match="bytes has no place"):
        write_document(io.StringIO(), {"odd": b""}, {})
