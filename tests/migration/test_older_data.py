"""What an older version has stored is there, and means the same, after the migrations that came since."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from sqlalchemy import Connection, make_url, text

from bot.communities import store as communities
from bot.credits.allowance import AllowanceRule, PeriodLength
from bot.database import migrate as migrating
from bot.database.engine import sync_engine
from bot.database.migrate import HEAD, migrate, version_of
from bot.jobs import store
from bot.jobs.job import State
from bot.members import store as members
from bot.members.settings import MemberSettings
from tests.clocks import NOON

T = TypeVar("T")

_ROWS = (
    "INSERT INTO guilds (guild_id, version, keep_days, log_channel_id) VALUES (1, 7, 60, 9)",
    "INSERT INTO accounts (id, guild_id, user_id, available, held, allowance) VALUES (5, 1, 2, 90, 0, 90)",
    """INSERT INTO jobs (id, interaction_id, guild_id, channel_id, user_id, account_id, state, model, request, quote,
    upload_limit, created_at, card_message_id, result_message_id, alternatives, ended_at)
    VALUES ('0123456789ab', 3, 1, 4, 2, 5, 'succeeded', 'demo',
    '{"prompt": "A fox", "mode": "text", "resolution": "480p", "duration": 5}', 10, 1, 1000000, 11, 12, 'a b', 2000000)
    """,
)


def on(url: str, work: Callable[[Connection], T]) -> T:
    engine = sync_engine(make_url(url))
    try:
        with engine.begin() as connection:
            return work(connection)
    finally:
        engine.dispose()


def test_what_was_stored_before_members_could_choose_goes_on_as_before(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(migrating, "HEAD", "0002")
        migrate(empty_database_url, now=NOON)
    assert on(empty_database_url, version_of) == "0002"
    on(empty_database_url, lambda connection: [connection.execute(text(row.replace(":", r"\:"))) for row in _ROWS])
    migrate(empty_database_url, now=NOON)
    assert on(empty_database_url, version_of) == HEAD

    job = on(empty_database_url, lambda connection: store.load(connection, "0123456789ab"))
    assert job is not None
    assert (job.state, job.request.prompt, job.result_message_id, job.alternatives) == (
        State.SUCCEEDED,
        "A fox",
        12,
        "a b",
    )
    assert (job.result_channel_id, job.video_channel_id, job.replaces, job.offer_model) == (None, 4, None, None)
    default = AllowanceRule(amount=100, length=PeriodLength.DAY)
    found = on(empty_database_url, lambda connection: communities.community(connection, 1, default=default))
    assert (found.version, found.keep_days, found.log_channel_id) == (7, 60, 9)
    assert (found.threads, found.fallback, found.presets) == (False, False, ())
    assert on(empty_database_url, lambda connection: members.settings_of(connection, 1, 2)) == MemberSettings()
    assert on(empty_database_url, lambda connection: members.presets_of(connection, 1, 2)) == []
