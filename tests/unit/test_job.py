from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import discord
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.jobs.job import ACTIVE, OPEN, Job, Reason, Request, State, StoredMedia, new_id
from bot.jobs.lifecycle import ALLOWED
from providers.types import Mode

NOW = datetime(2026, 11, 20, 7, 0, tzinfo=UTC)

_instants = st.datetimes(
    datetime(2026, 1, 1),  # noqa: DTZ001 - bounds
    datetime(2060, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
_chances = st.integers(0, 2**20 - 1)


@given(now=_instants, chance=st.integers())
def test_an_id_has_twelve_characters_that_can_be_read_aloud_and_typed(now: datetime, chance: int) -> None:
    made = new_id(now, chance)
    assert len(made) == 12
    assert set(made) <= set("0123456789abcdefghjkmnpqrstvwxyz")


@given(first=_instants, second=_instants, chances=st.tuples(_chances, _chances))
def test_ids_sort_by_time(first: datetime, second: datetime, chances: tuple[int, int]) -> None:
    earlier, later = sorted((first, second))
    if later - earlier >= timedelta(milliseconds=1):
        assert new_id(earlier, chances[0]) < new_id(later, chances[1])


@given(now=_instants, first=_chances, second=_chances)
def test_ids_of_one_instant_differ_by_chance(now: datetime, first: int, second: int) -> None:
    assert (new_id(now, first) == new_id(now, second)) == (first == second)


def test_the_same_instant_and_chance_give_the_same_id() -> None:
    assert new_id(NOW, 12345) == new_id(NOW, 12345) == new_id(NOW, 12345 + 2**20)


def test_a_clock_before_2026_still_gives_an_id() -> None:
    assert new_id(datetime(1970, 1, 1, tzinfo=UTC), 0) == "0" * 12


def test_a_job_is_open_until_one_of_the_five_ends() -> None:
    ends = {State.SUCCEEDED, State.FAILED, State.EXPIRED, State.CANCELLED, State.LOST}
    assert {state for state in State if not state.is_open} == ends
    assert ends.isdisjoint(OPEN)
    assert ends | OPEN == set(State)


def test_jobs_count_against_the_limits_from_the_submission_to_the_end() -> None:
    assert {State.QUEUED} == OPEN - ACTIVE
    assert ACTIVE <= OPEN


def test_states_and_reasons_fit_the_columns_of_the_database() -> None:
    assert max(len(state) for state in State) <= 12
    assert max(len(reason) for reason in Reason) <= 32
    longest = max(len(f"{start} -> {end}") for start, ends in ALLOWED.items() for end in ends)
    assert longest <= 32


def _media(name: str) -> StoredMedia:
    return StoredMedia(path=f"job/{name}", content_type="image/png", filename=name)


JOB = Job(
    id="0123456789ab",
    interaction_id=discord.utils.time_snowflake(NOW),
    guild_id=2,
    channel_id=3,
    user_id=4,
    account_id=5,
    state=State.QUEUED,
    version=0,
    model="demo",
    request=Request(prompt="a fox", mode=Mode.TEXT, resolution="480p", duration=5),
    quote=7,
    upload_limit=1,
    created_at=NOW,
)


@pytest.mark.parametrize("hours", [-100, -3, 3, 100])
def test_a_clock_that_is_off_is_told_by_the_id_that_discord_gave(hours: int) -> None:
    error = timedelta(hours=hours)
    assert replace(JOB, created_at=NOW + error).clock_error == error


@pytest.mark.parametrize("minutes", [-19, 0, 14, 19])
def test_a_command_may_take_its_time_and_a_question_be_answered_late(minutes: int) -> None:
    assert replace(JOB, created_at=NOW + timedelta(minutes=minutes)).clock_error == timedelta()


@pytest.mark.parametrize("interaction_id", [1, 2**62])
def test_an_id_that_is_none_of_discords_tells_nothing(interaction_id: int) -> None:
    assert replace(JOB, interaction_id=interaction_id).clock_error == timedelta()


def test_what_is_attached_is_listed_in_the_order_of_the_card() -> None:
    first, last, clip = _media("image.png"), _media("last_image.png"), _media("video.mp4")
    request = Request(prompt="p", mode=Mode.IMAGE, resolution="480p", duration=5)
    assert request.media == ()
    assert request.model_copy(update={"last_image": last, "image": first}).media == (first, last)
    assert request.model_copy(update={"video": clip}).media == (clip,)


@pytest.mark.parametrize(
    "parameters", [{}, {"steps": 40}, {"shift": 2.5}, {"interpolate": False}, {"steps": 1, "interpolate": True}]
)
def test_a_stored_request_reads_back_the_same_down_to_the_kind_of_each_number(
    parameters: dict[str, int | float | bool],
) -> None:
    request = Request(
        prompt="a fox\n\u202e<@1>",
        mode=Mode.FIRST_LAST,
        resolution="480p",
        duration=5,
        seed=0,
        enhance_prompt=False,
        parameters=parameters,
        image=_media("image.png"),
        spoiler=True,
    )
    again = Request.model_validate_json(request.model_dump_json(exclude_defaults=True))
    assert again == request
    kinds = {key: type(value) for key, value in parameters.items()}
    assert {key: type(value) for key, value in again.parameters.items()} == kinds
