"""Cards and results as Discord's own objects."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import discord

from bot.delivery.cards import Card
from bot.delivery.words import date_and_time, one_line
from bot.jobs.job import Job, State, StoredMedia

#: What a button does, and for which job: ``wan:cancel:0123456789ab``.
CUSTOM_ID: Final = "wan:{action}:{job_id}"

NO_MENTIONS: Final = discord.AllowedMentions.none()
_ALT_TEXT: Final = 1024
#: signs that a link may have; what is none is written in percents
_IN_LINKS: Final = "%:/?#[]@!$&'()*+,;="


@dataclass(frozen=True, slots=True)
class Button:
    """A button of ours. The cogs answer it (cogs/buttons.py), also after a restart."""

    action: str
    label: str
    style: discord.ButtonStyle = discord.ButtonStyle.secondary


CANCEL: Final = Button("cancel", "Cancel")
REFRESH: Final = Button("refresh", "Refresh")
AGAIN: Final = Button("again", "Again", discord.ButtonStyle.primary)
EDIT: Final = Button("edit", "Edit and rerun")
EXTEND: Final = Button("extend", "Extend")
DELETE: Final = Button("delete", "Delete")
DETAILS: Final = Button("details", "Details")
REPORT: Final = Button("report", "Report")
REMOVE: Final = Button("remove", "Remove", discord.ButtonStyle.danger)
ERASE: Final = Button("erase", "Remove it for good", discord.ButtonStyle.danger)
GO: Final = Button("go", "Go", discord.ButtonStyle.success)
STOP: Final = Button("stop", "Stop")


def buttons(job_id: str, *chosen: Button) -> discord.ui.View:
    """A fresh view with these buttons.

    It is stopped before it is sent: discord.py then keeps nothing of it, and never mixes it up with
    the items that answer (its ViewStore drops those of every message when one view changes).
    """
    view = discord.ui.View(timeout=None)
    for button in chosen:
        custom_id = CUSTOM_ID.format(action=button.action, job_id=job_id)
        view.add_item(discord.ui.Button[discord.ui.View](style=button.style, label=button.label, custom_id=custom_id))
    view.stop()
    return view


def card_buttons(card: Card, job_id: str) -> discord.ui.View:
    """The buttons of a card; none once the job has ended."""
    cancel = [CANCEL] if card.can_cancel else []
    return buttons(job_id, *cancel, *([REFRESH] if card.is_open else []))


def result_buttons(job_id: str) -> discord.ui.View:
    """The buttons of a posted video."""
    return buttons(job_id, AGAIN, EDIT, EXTEND, DETAILS, DELETE, REPORT)


def card_embed(card: Card) -> discord.Embed:
    """A card as an embed."""
    embed = discord.Embed(title=card.title, description=card.description, colour=card.colour)
    for name, value in card.fields:
        embed.add_field(name=name, value=value, inline=name in {"Model", "Price"})
    return embed.set_footer(text=card.footer)


def card_files(job: Job, folder: Path) -> list[discord.File]:
    """Our own copies of what was attached: the vendors that fetch pictures get their links."""
    return [_attachment(media, job, folder) for media in job.request.media]


@contextmanager
def closing_files(files: list[discord.File]) -> Generator[list[discord.File]]:
    """Close the files of an answer afterwards: discord.py forgets it for the first answer to an interaction."""
    try:
        yield files
    finally:
        for file in files:
            file.close()


def result_text(job: Job, *, is_link: bool) -> str:
    """What the message with the video, or with the vendor's own link to it, says."""
    is_late = job.state is State.EXPIRED
    ready = "Your video came late, so it is free." if is_late else "Your video is ready."
    if not is_link or job.result_url is None:
        return f"<@{job.user_id}> {ready}"
    expiry = job.result_expires_at
    until = "for at most 24 hours" if expiry is None else f"until {date_and_time(expiry)}"
    return f"<@{job.user_id}> {ready} It is too large for this community: {_link(job)}\nThe link works {until}."


def _link(job: Job) -> str:
    """The vendor's link as one word, whatever stands in it; behind a spoiler where the member asked for one."""
    link = quote(job.result_url or "", safe=_IN_LINKS)
    return f"|| {link} ||" if job.request.spoiler else link


def result_file(job: Job, video: Path) -> discord.File:
    """The video, with the prompt as its text for those who can't see it."""
    return discord.File(
        video,
        filename=f"wan-{job.id}.mp4",
        spoiler=job.request.spoiler,
        description=one_line(job.request.prompt, _ALT_TEXT) or "A video made with Wan",
    )


def is_card_of(embeds: Iterable[discord.Embed], job_id: str) -> bool:
    """Whether a message of ours is the card of this job: at its end a card has no buttons, and its video has some."""
    return any(embed.footer.text == f"Job {job_id}" for embed in embeds)


def has_button_of(components: Iterable[object], job_id: str, action: str | None = None) -> bool:
    """Whether a message of ours carries a button of this job."""
    for row in components:
        for item in getattr(row, "children", ()):
            custom_id = getattr(item, "custom_id", None) or ""
            is_job = custom_id.startswith("wan:") and custom_id.endswith(f":{job_id}")
            if is_job and (action is None or custom_id.split(":")[1] == action):
                return True
    return False


def _attachment(media: StoredMedia, job: Job, folder: Path) -> discord.File:
    kind = "clip" if media.content_type.startswith("video/") else "picture"
    return discord.File(
        folder / media.path,
        filename=media.filename,
        spoiler=job.request.spoiler,
        description=f"The {kind} that the video starts from",
    )
