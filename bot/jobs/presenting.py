"""What the worker needs of Discord, without knowing Discord."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from bot.communities.rules import Community
from bot.jobs.job import Job, State
from bot.jobs.lifecycle import Posted, PostTrouble


class CardGone(Exception):  # noqa: N818 - it names what happened
    """The card, and with it the links of the pictures on it, isn't there any more."""


class NotNow(Exception):  # noqa: N818
    """Discord didn't answer as it should; it may a little later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What is known of a job beyond its row: it lives in memory."""

    #: 0.0 to 1.0
    progress: float | None = None
    #: when the video is expected, at the earliest
    expected_at: datetime | None = None
    #: and at the latest; None: no later than that
    expected_by: datetime | None = None
    #: it takes longer than nearly all of its kind
    is_slow: bool = False
    #: in the queue, from 1
    place: int | None = None


#: A sight of a job of which memory knows nothing.
NOTHING_MORE: Final = Sight()


class Presenter(Protocol):
    """Shows jobs to people."""

    def show(self, job: Job, sight: Sight = NOTHING_MORE) -> None:
        """Bring the job's card up to date as soon as the channel's budget allows. Returns at once."""
        ...

    def drop_waiting(self) -> None:
        """Show nothing more of what was asked for of open jobs: others may have taken them up, and know more."""
        ...

    async def make_card(self, job: Job) -> int | None:
        """Find the card of a job whose answer got lost, or post a new one: its id; None: it can't be had.

        Raises ``NotNow``.
        """
        ...

    async def find_card(self, job: Job) -> int | None:
        """The id of the card of a job that doesn't know where it stands; None: there is none, or it can't be read.

        Raises ``NotNow``.
        """
        ...

    async def shown_state(self, job: Job) -> State | None:
        """The state that the job's card shows, wherever it stands; None: there is none, or it can't be read.

        Raises ``NotNow``.
        """
        ...

    async def media_links(self, job: Job) -> Mapping[str, str]:
        """The links of what is attached to the card, by file name. Raises ``CardGone`` and ``NotNow``."""
        ...

    def is_ready(self) -> bool:
        """Whether Discord has told which guilds there are, and what they take."""
        ...

    def has_left(self, job: Job) -> bool:
        """Whether the bot is surely no longer in the job's guild."""
        ...

    def upload_limit(self, job: Job) -> int:
        """How many bytes a video for this job may have."""
        ...

    async def find_video(self, job: Job) -> Posted | PostTrouble | None:
        """Look in the channel for the posted video: None: it isn't there, ``UNKNOWABLE``: can't look."""
        ...

    async def tell_moderators(self, community: Community, text: str) -> None:
        """Write a line into the community's log channel, in its language, if it has one. Never fails."""
        ...

    async def post_video(self, job: Job, video: Path | None, *, is_mentioned: bool) -> Posted | PostTrouble:
        """Post the video, or (None) the vendor's own link to it, so that who asked hears of it or not.

        Never posts twice in a row.
        """
        ...
