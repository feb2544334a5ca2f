"""What a job's card says. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bot.delivery.words import credits_text, disarmed, enhanced_text, relative_time, seconds_text, shortened
from bot.jobs.fitting import fitting_text
from bot.jobs.job import Job, Reason, Request, State
from bot.jobs.presenting import Sight
from bot.languages import ENGLISH, N_, _, spoken
from providers.types import Mode, ModelSpec

_PROMPT: Final = 1000
#: characters; Discord's own limit of a field
_FIELD: Final = 1024
_BAR: Final = 12
#: characters; Discord's own limit of a button's label
_LABEL: Final = 80

#: In place of a prompt whose time was over.
NOT_KEPT: Final = N_("The prompt isn't kept any more.")
#: Below each card, and by it a card is found again.
FOOTER: Final = N_("Job {job}")

#: The state's word, as an English card shows it.
WORDS: Final[Mapping[State, str]] = {
    State.QUEUED: N_("Queued"),
    State.SUBMITTING: N_("Submitting"),
    State.RUNNING: N_("Running"),
    State.DELIVERING: N_("Delivering"),
    State.SUCCEEDED: N_("Done"),
    State.FAILED: N_("Failed"),
    State.EXPIRED: N_("Expired"),
    State.CANCELLED: N_("Cancelled"),
    State.LOST: N_("Lost"),
}

_COLOURS: Final[Mapping[State, int]] = {
    State.QUEUED: 0x80848E,
    State.SUBMITTING: 0x5865F2,
    State.RUNNING: 0x5865F2,
    State.DELIVERING: 0x5865F2,
    State.SUCCEEDED: 0x23A55A,
    State.FAILED: 0xDA373C,
    State.EXPIRED: 0xDA373C,
    State.CANCELLED: 0x80848E,
    State.LOST: 0xDA373C,
}

_PLAIN_STATUS: Final[Mapping[State, str]] = {
    State.QUEUED: N_("Starts in a moment"),
    State.SUBMITTING: N_("On its way to the provider"),
    State.DELIVERING: N_("The video is made and on its way here"),
}

_SENTENCES: Final[Mapping[Reason, str]] = {
    Reason.REFUSED: N_("The provider won't make this. Change the prompt or the picture and try again."),
    Reason.PROVIDER_PAUSED: N_("This model can't be used at the moment; the people who run this bot have been told."),
    Reason.NOT_MADE: N_("The provider couldn't make this video. Try again, or change the prompt."),
    Reason.NO_ANSWER: N_("We never heard whether the video was started, so you pay nothing. Try again."),
    Reason.TOO_LATE: N_("The provider took too long. If the video still comes, it is posted here, free."),
    Reason.LINK_DEAD: N_("The provider finished, but its video couldn't be fetched. Try again."),
    Reason.NOT_A_VIDEO: N_("What the provider sent isn't a video that can be played. Try again."),
    Reason.UNDELIVERABLE: N_("The video couldn't be posted here. It is kept: `/wan history` has it."),
    # a moderator may have done it
    Reason.BY_MEMBER: N_("It was stopped."),
    Reason.BY_OPERATOR: N_("The people who run this bot have ended it."),
    Reason.GUILD_GONE: N_("The bot has left this community."),
    Reason.RESTORED: N_("The bot's records were restored from an older copy, so it doesn't go on. Try again."),
    Reason.OUR_FAULT: N_("Something on our side kept failing; the people who run this bot have been told."),
    Reason.UNANSWERED: N_("Discord was too slow. Try again."),
    Reason.NOT_REACHED: N_("The provider couldn't be reached for a whole day. Try another model."),
    Reason.MODEL_GONE: N_("This model isn't offered any more. Choose another with `/wan models`."),
    Reason.REPLACED: N_("It goes on with another model, on a card of its own."),
    Reason.IMAGE_GONE: N_("The attached picture isn't there any more. Send it again."),
}


_STARTS: Final[Mapping[Mode, str]] = {
    Mode.IMAGE: N_("from an image"),
    Mode.FIRST_LAST: N_("first and last image"),
    Mode.EXTEND: N_("continues a video"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A card, as text. ``can_cancel`` asks for the button."""

    title: str
    description: str
    fields: tuple[tuple[str, str], ...]
    footer: str
    colour: int
    #: the job goes on
    is_open: bool
    can_cancel: bool
    #: the language that it is written in
    locale: str = ENGLISH
    #: what the button reads that goes on with another model; None: there is none
    offer: str | None = None


def card(job: Job, *, spec: ModelSpec | None, sight: Sight, can_cancel_running: bool) -> Card:
    """The card of a job, as it stands now."""
    prompt = prompt_text(job, _PROMPT) or _("No prompt: the picture decides.")
    fields = (
        (_("Model"), spec.name if spec is not None else job.model),
        (_("Price"), _price(job)),
        (_("Options"), kept_options(job)),
        *_origin(job),
        *_notes(job.request),
    )
    return Card(
        title=_(WORDS[job.state]),
        description=f"> {prompt}\n\n{_status(job, sight)}",
        fields=fields,
        footer=_(FOOTER).format(job=job.id),
        colour=_COLOURS[job.state],
        is_open=job.state.is_open,
        can_cancel=job.state is State.QUEUED or (job.state is State.RUNNING and can_cancel_running),
        locale=spoken(),
    )


def options_text(request: Request) -> str:
    """Every option that matters, on one line."""
    start = _(_STARTS.get(request.mode, ""))
    parts = [request.resolution, request.aspect_ratio, seconds_text(request.duration), start]
    parts.append(_("seed {seed}").format(seed=_("random") if request.seed is None else request.seed))
    parts.append(enhanced_text(request.enhance_prompt))
    parts += [f"{key}={_value(value)}" for key, value in request.parameters.items()]
    if request.negative_prompt:
        parts.append(_("without: {what}").format(what=disarmed(request.negative_prompt, 100)))
    return shortened(" · ".join(part for part in parts if part), _FIELD)


def prompt_text(job: Job, most: int) -> str:
    """What was asked for, of ``most`` characters; empty: nothing in words."""
    return disarmed(job.request.prompt, most) if job.purged_at is None else _(NOT_KEPT)


def kept_options(job: Job) -> str:
    """Every option that is known of a job."""
    request = job.request
    return options_text(request) if job.purged_at is None else left_options(request)


def left_options(request: Request) -> str:
    """The options that are never deleted."""
    return f"{request.resolution} · {seconds_text(request.duration)}"


def progress_bar(progress: float) -> str:
    """``▰▰▰▱▱▱▱▱▱▱▱▱ 25 %``."""
    share = min(1.0, max(0.0, progress))
    filled = int(share * _BAR)
    return f"{'▰' * filled}{'▱' * (_BAR - filled)} {int(share * 100)} %"


def message_link(guild_id: int, channel_id: int, message_id: int) -> str:
    """Where a message is found."""
    return f"https://discord.com/channels/{guild_id}/{channel_id}/{message_id}"


def _status(job: Job, sight: Sight) -> str:
    if job.state is State.RUNNING:
        return _running(sight)
    if job.state is State.QUEUED and job.offers_another:
        return _("The provider can't be reached at the moment; it is tried again and again")
    if job.state is State.QUEUED and sight.place is not None:
        return _("Place {place} in the queue").format(place=sight.place)
    if not job.state.is_open and job.result_message_id is not None:
        return _posted(job)
    return _(_PLAIN_STATUS.get(job.state, "")) or _ending(job)


def _posted(job: Job) -> str:
    if job.state is State.SUCCEEDED:
        return _watch(job)
    if job.state is State.EXPIRED:
        return _("It came late, so it is free. {watch}").format(watch=_watch(job))
    return _("It was posted after all, free. {watch}").format(watch=_watch(job))


def _watch(job: Job) -> str:
    link = message_link(job.guild_id, job.video_channel_id, job.result_message_id or 0)
    return "[{text}]({link})".format(text=_("Watch it"), link=link)


def _running(sight: Sight) -> str:
    work = _("The provider is at work") if sight.progress is None else progress_bar(sight.progress)
    expectation = _expectation(sight)
    return f"{work}\n{expectation}" if expectation else work


def _expectation(sight: Sight) -> str:
    if sight.is_slow:
        return _("This takes longer than usual.")
    if sight.expected_at is None:
        return ""
    when = relative_time(sight.expected_at)
    if sight.expected_by is None:
        return _("Expected {when}").format(when=when)
    return _("Expected {when} to {latest}").format(when=when, latest=relative_time(sight.expected_by))


def _ending(job: Job) -> str:
    sentence = _("It ended without a video.") if job.reason is None else _(_SENTENCES[job.reason])
    if job.advice:
        sentence = _(job.advice)
    if job.alternatives:
        models = ", ".join(f"`{model}`" for model in job.alternatives.split())
        sentence = _("{sentence} These can do the same: {models}.").format(sentence=sentence, models=models)
    if not job.vendor_message:
        return sentence
    return f"{sentence}\n" + _("The provider says: {words}").format(words=disarmed(job.vendor_message, 200))


def _price(job: Job) -> str:
    price = credits_text(job.quote)
    if job.state.is_open:
        return _("{price}, taken when the video is posted").format(price=price)
    return price if job.state is State.SUCCEEDED else _("Nothing; {price} went back").format(price=price)


def offer_text(model_name: str, price: int) -> str:
    """The label of the button that goes on with another model."""
    return shortened(_("Use {model} for {credits}").format(model=model_name, credits=credits_text(price)), _LABEL)


def _origin(job: Job) -> tuple[tuple[str, str], ...]:
    if job.replaces is None:
        return ()
    return ((_("In place of another"), _("The first model couldn't be reached; its credits went back.")),)


def _notes(request: Request) -> tuple[tuple[str, str], ...]:
    notes = [f"{media.filename}: {fitting_text(media.note)}" for media in request.media if media.note]
    return ((_("Fitted"), shortened("\n".join(notes), _FIELD)),) if notes else ()


def _value(value: float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).removesuffix(".0")
