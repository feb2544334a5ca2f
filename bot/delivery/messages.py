"""Cards and results as Discord's own objects."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import discord

from bot.delivery.cards import FOOTER, Card
from bot.delivery.uploads import Video
from bot.delivery.words import date_and_time, one_line
from bot.jobs.job import Job, State, StoredMedia
from bot.languages import N_, _, in_every_language, speaking

#: What a button does, and for which job: ``wan:cancel:0123456789ab``.
CUSTOM_ID: Final = "wan:{action}:{job_id}"

NO_MENTIONS: Final = discord.AllowedMentions.none()
_ALT_TEXT: Final = 1024
#: model and price stand side by side
_SHORT_FIELDS: Final = 2
#: signs that a link may have; what is none is written in percents
_IN_LINKS: Final = "%:/?#[]@!$&'()*+,;="


@dataclass(frozen=True, slots=True)
class Button:
    """A button of ours. The cogs answer it (cogs/buttons.py), also after a restart."""

    action: str
    label: str
    style: discord.ButtonStyle = discord.ButtonStyle.secondary


CANCEL: Final = Button("cancel", N_("Cancel"))
REFRESH: Final = Button("refresh", N_("Refresh"))
AGAIN: Final = Button("again", N_("Again"), discord.ButtonStyle.primary)
EDIT: Final = Button("edit", N_("Edit and rerun"))
EXTEND: Final = Button("extend", N_("Extend"))
DELETE: Final = Button("delete", N_("Delete"))
DETAILS: Final = Button("details", N_("Details"))
REPORT: Final = Button("report", N_("Report"))
REMOVE: Final = Button("remove", N_("Remove"), discord.ButtonStyle.danger)
ERASE: Final = Button("erase", N_("Remove it for good"), discord.ButtonStyle.danger)
GO: Final = Button("go", N_("Go"), discord.ButtonStyle.success)
STOP: Final = Button("stop", N_("Stop"))


def buttons(job_id: str, *chosen: Button) -> discord.ui.View:
    """A fresh view with these buttons, in the language of the moment.

    It is stopped before it is sent: discord.py then keeps nothing of it, and never mixes it up with
    the items that answer (its ViewStore drops those of every message when one view changes).
    """
    view = discord.ui.View(timeout=None)
    for button in chosen:
        custom_id = CUSTOM_ID.format(action=button.action, job_id=job_id)
        label = _(button.label)
        view.add_item(discord.ui.Button[discord.ui.View](style=button.style, label=label, custom_id=custom_id))
    view.stop()
    return view


def card_buttons(card: Card, job_id: str) -> discord.ui.View:
    """The buttons of a card, in its own language; none once the job has ended, unless another model could do it."""
    offer = [Button("use", card.offer, discord.ButtonStyle.primary)] if card.offer else []
    cancel = [CANCEL] if card.can_cancel else []
    with speaking(card.locale):
        return buttons(job_id, *offer, *cancel, *([REFRESH] if card.is_open else []))


def result_buttons(job_id: str) -> discord.ui.View:
    """The buttons of a posted video."""
    return buttons(job_id, AGAIN, EDIT, EXTEND, DETAILS, DELETE, REPORT)


def card_embed(card: Card) -> discord.Embed:
    """A card as an embed."""
    embed = discord.Embed(title=card.title, description=card.description, colour=card.colour)
    for place, (name, value) in enumerate(card.fields):
        embed.add_field(name=name, value=value, inline=place < _SHORT_FIELDS)
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


def result_text(job: Job, *, is_link: bool, is_mentioned: bool = True) -> str:
    """What the message with the video, or with the vendor's own link to it, says; with a mention of who asked."""
    is_late = job.state is State.EXPIRED
    ready = _("Your video came late, so it is free.") if is_late else _("Your video is ready.")
    if is_mentioned:
        ready = f"<@{job.user_id}> {ready}"
    if not is_link or job.result_url is None:
        return ready
    large = _("It is too large for this community: {link}").format(link=_link(job))
    expiry = job.result_expires_at
    if expiry is None:
        until = _("The link works for at most 24 hours.")
    else:
        until = _("The link works until {when}.").format(when=date_and_time(expiry))
    return f"{ready} {large}\n{until}"


def _link(job: Job) -> str:
    """The vendor's link as one word, whatever stands in it; behind a spoiler where the member asked for one."""
    link = quote(job.result_url or "", safe=_IN_LINKS)
    return f"|| {link} ||" if job.request.spoiler else link


def result_file(job: Job, video: Path) -> discord.File:
    """The video, with the prompt as its text for those who can't see it."""
    return Video(
        video,
        filename=f"wan-{job.id}.mp4",
        spoiler=job.request.spoiler,
        description=_video_text(job),
    )


def _video_text(job: Job) -> str:
    """The video in words; of a hidden one they tell nothing, since they may be read out before it is opened."""
    if job.request.spoiler:
        return _("A video made with Wan, hidden behind a spoiler")
    return one_line(job.request.prompt, _ALT_TEXT) or _("A video made with Wan")


def is_card_of(embeds: Iterable[discord.Embed], job_id: str) -> bool:
    """Whether a message of ours is the card of this job: at its end a card has no buttons, and its video has some."""
    footers = {footer.format(job=job_id) for footer in in_every_language(FOOTER)}
    return any(embed.footer.text in footers for embed in embeds)


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
    if media.content_type.startswith("video/"):
        text = _("The clip that the video starts from")
    elif media is job.request.last_image:
        text = _("The picture that the video ends on")
    else:
        text = _("The picture that the video starts from")
    return discord.File(
        folder / media.path,
        filename=media.filename,
        spoiler=job.request.spoiler,
        description=text,
    )
