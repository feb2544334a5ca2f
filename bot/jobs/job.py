"""A job: one request from accepted to its end. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict

from providers.types import Mode, ParameterValue

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_ID_LENGTH: Final = 12
#: bits of chance at the end of an id; before them stand the milliseconds since 2026
_RANDOM_BITS: Final = 20
_ID_EPOCH_MS: Final = 1_767_225_600_000
#: Discord's ids begin with the milliseconds since 2015 (its reference, "Snowflakes")
_DISCORD_EPOCH: Final = datetime(2015, 1, 1, tzinfo=UTC)
_SNOWFLAKE_SHIFT: Final = 22
#: less is the time that an interaction takes to arrive, or a question to be answered
_LEAST_ERROR: Final = timedelta(minutes=20)
#: more is no clock, but an id that isn't one of Discord's
_MOST_ERROR: Final = timedelta(days=7)


class State(StrEnum):
    """Where a job is. See docs/architecture.md for the picture."""

    QUEUED = "queued"
    #: the intent is stored, the POST may have left
    SUBMITTING = "submitting"
    RUNNING = "running"
    #: the vendor has finished; the video is on its way to the channel
    DELIVERING = "delivering"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    #: nobody knows what became of the POST
    LOST = "lost"

    @property
    def is_open(self) -> bool:
        """Whether the job still goes on."""
        return self in OPEN


OPEN: Final = frozenset({State.QUEUED, State.SUBMITTING, State.RUNNING, State.DELIVERING})
#: states that count against how many jobs may run at once
ACTIVE: Final = frozenset({State.SUBMITTING, State.RUNNING, State.DELIVERING})


class Reason(StrEnum):
    """Why a job ended without a posted video."""

    REFUSED = "refused"
    PROVIDER_PAUSED = "provider_paused"
    #: the vendor began, and gave up
    NOT_MADE = "not_made"
    NO_ANSWER = "no_answer"
    TOO_LATE = "too_late"
    LINK_DEAD = "link_dead"
    NOT_A_VIDEO = "not_a_video"
    UNDELIVERABLE = "undeliverable"
    BY_MEMBER = "by_member"
    #: ended on the command line, since it was stuck
    BY_OPERATOR = "by_operator"
    GUILD_GONE = "guild_gone"
    #: the database is older than the card: it was restored from a backup
    RESTORED = "restored"
    #: a fault of ours that didn't go away
    OUR_FAULT = "our_fault"
    #: Discord took the answer to the command no more
    UNANSWERED = "unanswered"
    #: no connection to the vendor, for very long
    NOT_REACHED = "not_reached"
    MODEL_GONE = "model_gone"
    #: another job goes on in its place
    REPLACED = "replaced"
    IMAGE_GONE = "image_gone"


class StoredMedia(BaseModel):
    """A picture or clip that was attached: our checked copy, in the data folder."""

    model_config = ConfigDict(frozen=True)

    #: below the data folder
    path: str
    content_type: str
    #: its name on the card, by which its link is found again
    filename: str
    #: what was changed to make it fit, for the card
    note: str | None = None


class Request(BaseModel):
    """What was asked for, checked against the model. Stored with the job."""

    model_config = ConfigDict(frozen=True)

    prompt: str
    mode: Mode
    resolution: str
    duration: int
    aspect_ratio: str | None = None
    negative_prompt: str | None = None
    seed: int | None = None
    enhance_prompt: bool | None = None
    parameters: dict[str, ParameterValue] = {}
    image: StoredMedia | None = None
    last_image: StoredMedia | None = None
    video: StoredMedia | None = None
    spoiler: bool = False
    #: the community's language when it was asked for, for while Discord hasn't told it yet; None: English
    locale: str | None = None

    @property
    def media(self) -> tuple[StoredMedia, ...]:
        """Everything that was attached, in the order of the card."""
        return tuple(each for each in (self.image, self.last_image, self.video) if each is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A row of ``jobs``. The columns are explained in bot/database/tables.py."""

    id: str
    interaction_id: int
    guild_id: int
    channel_id: int
    user_id: int
    account_id: int
    state: State
    version: int
    model: str
    request: Request
    quote: int
    upload_limit: int
    created_at: datetime
    card_message_id: int | None = None
    card_version: int | None = None
    not_before: datetime | None = None
    held_up_since: datetime | None = None
    submitted_at: datetime | None = None
    task_id: str | None = None
    deadline: datetime | None = None
    cost_amount: Decimal | None = None
    cost_unit: str | None = None
    result_url: str | None = None
    result_expires_at: datetime | None = None
    delivering_since: datetime | None = None
    video_path: str | None = None
    attempted_at: datetime | None = None
    result_message_id: int | None = None
    result_channel_id: int | None = None
    replaces: str | None = None
    reason: Reason | None = None
    vendor_message: str | None = None
    advice: str | None = None
    alternatives: str | None = None
    offer_model: str | None = None
    offer_price: int | None = None
    ended_at: datetime | None = None
    late_until: datetime | None = None
    removed_at: datetime | None = None
    purged_at: datetime | None = None
    owner: str | None = None

    @property
    def offers_another(self) -> bool:
        """Whether its member may go on with another model: it waits for its provider, or failed since that is down."""
        is_down = self.state is State.FAILED and self.reason is Reason.PROVIDER_PAUSED
        return self.offer_model is not None and (is_down or self.state is State.QUEUED)

    @property
    def video_channel_id(self) -> int:
        """Where the video stands, or will: the thread of its card, or the card's channel."""
        return self.channel_id if self.result_channel_id is None else self.result_channel_id

    @property
    def clock_error(self) -> timedelta:
        """How far our clock was ahead of Discord's when the job was accepted; zero where that can't be told."""
        told = _DISCORD_EPOCH + timedelta(milliseconds=self.interaction_id >> _SNOWFLAKE_SHIFT)
        error = self.created_at - told
        return error if _LEAST_ERROR < abs(error) < _MOST_ERROR else timedelta()


def ids_of(job: Job) -> dict[str, object]:
    """What every line of the log about a job should carry."""
    return {"job": job.id, "guild": job.guild_id, "interaction": job.interaction_id}


def what_is_left(request: Request) -> Request:
    """What usage is counted by, when nothing that a member wrote or attached is kept any more."""
    return Request(prompt="", mode=request.mode, resolution=request.resolution, duration=request.duration)


def fingerprint(task_id: str) -> str:
    """What is left of a vendor's task id: by it the task is known again, but not found."""
    return hashlib.sha256(task_id.encode()).hexdigest()


def stand_in_for_interaction(now: datetime, chance: int) -> int:
    """An id as Discord's interactions have, for a job that nobody asked for just now. ``chance``: 22 random bits."""
    milliseconds = int((now - _DISCORD_EPOCH).total_seconds() * 1000)
    return (milliseconds << _SNOWFLAKE_SHIFT) | (chance & ((1 << _SNOWFLAKE_SHIFT) - 1))


def new_id(now: datetime, chance: int) -> str:
    """Make an id of 12 characters that sorts by time. ``chance`` is any random number."""
    milliseconds = int(now.timestamp() * 1000) - _ID_EPOCH_MS
    number = (max(0, milliseconds) << _RANDOM_BITS) | (chance & ((1 << _RANDOM_BITS) - 1))
    digits = [_ALPHABET[(number >> (5 * place)) & 31] for place in range(_ID_LENGTH)]
    return "".join(reversed(digits))
