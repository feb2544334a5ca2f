"""From a wish to the card: checked, asked about if it is dear, held, stored, answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import discord
import structlog

from bot.credits.balances import Statement
from bot.delivery import faults
from bot.delivery.cards import offer_text
from bot.delivery.messages import (
    GO,
    NO_MENTIONS,
    STOP,
    Button,
    buttons,
    card_buttons,
    card_embed,
    card_files,
    closing_files,
)
from bot.delivery.words import credits_text
from bot.errors import AlreadyAccepted, Refusal, Unreachable
from bot.jobs import store
from bot.jobs.again import wish_again
from bot.jobs.alternatives import changed
from bot.jobs.job import Job, StoredMedia
from bot.jobs.requests import Ask, Prepared
from bot.languages import _, say_name
from bot.members.presets import PresetUse
from bot.services import Services
from bot.tree import answer_privately
from cogs import choices
from cogs.answering import on_time
from cogs.feature import check_permissions
from cogs.uploads import Source, Uploads
from providers.options import Wish

log = structlog.stdlib.get_logger(__name__)

#: a question about a price holds for this long; so does the answer that carries it
_PATIENCE: Final = timedelta(minutes=14)
#: people take their time with a form
_FORM_PATIENCE: Final = timedelta(hours=1)


@dataclass(slots=True, kw_only=True)
class _Question:
    """A request whose price the member is asked about."""

    prepared: Prepared
    media: Mapping[str, StoredMedia]
    asked_at: datetime
    #: where it is asked
    message: discord.InteractionMessage | discord.WebhookMessage | None = None

    @property
    def asker(self) -> tuple[int | None, int]:
        """The guild, and who is asked in it."""
        return self.prepared.ask.guild_id, self.prepared.ask.user_id


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wording:
    """How a question is put."""

    #: what comes before it
    why: str = ""
    go: Button = GO


@dataclass(frozen=True, slots=True)
class _Picture:
    """Where a message's picture is."""

    source: discord.Attachment | str
    at: datetime


class Making:
    """Makes jobs of what members ask for, whichever way they ask."""

    def __init__(self, services: Services) -> None:
        self._services = services
        #: one for all commands: it bounds how much of them is in memory at a time
        self.uploads = Uploads(images=services.images, videos=services.videos, folder=services.inputs_folder)
        #: by the id that the job would get; in memory, so a restart costs nobody anything
        self._questions: dict[str, _Question] = {}
        #: of messages, by the menu's interaction, until the form comes back; also in memory
        self._pictures: dict[str, _Picture] = {}

    async def make(
        self,
        interaction: discord.Interaction[Any],
        wish: Wish,
        attached: Mapping[str, Source | None],
        *,
        model: str | None,
        spoiler: bool,
        preset: PresetUse | None = None,
        instead_of: Job | None = None,
    ) -> None:
        """Check, hold, store, and answer with the card; or ask first. Raises ``Refusal``."""
        check_permissions(interaction)
        ask = Ask(
            interaction_id=interaction.id,
            guild_id=interaction.guild_id or 0,
            user_id=interaction.user.id,
            place=choices.place_of(interaction),
            wish=wish,
            model=model,
            upload_limit=interaction.filesize_limit,
            # what was hidden stays hidden
            spoiler=spoiler or any(map(_is_hidden, attached.values())),
            preset=preset,
            instead_of=instead_of,
            locale=None if interaction.guild_locale is None else str(interaction.guild_locale),
        )
        async with on_time(interaction):
            prepared, question = await self._prepared(ask)
            if question is not None:
                await self._check_funds(prepared)
            media = await self.uploads.take(
                prepared.job_id, prepared.spec, attached, clip_limit=_clip_limit(interaction)
            )
            accepted = await self._accepted(prepared, media) if question is None else None
        if question is not None:
            await self._ask_first(interaction, prepared, media, question)
        elif accepted is not None:
            await self._show(interaction, accepted)

    async def go(self, interaction: discord.Interaction[Any], job_id: str) -> None:
        """Start what the member was asked about. Raises ``Refusal``."""
        check_permissions(interaction)
        question = await self._answered(interaction, job_id)
        # the roles may have changed since
        ask = replace(question.prepared.ask, place=choices.place_of(interaction))
        closing = _("It wasn't started.")
        try:
            async with on_time(interaction):
                accepted = await self._accepted(replace(question.prepared, ask=ask), question.media)
            closing = _("You said Go.")
            await self._show(interaction, accepted)
        finally:
            await _close(question, closing)

    async def stop(self, interaction: discord.Interaction[Any], job_id: str) -> None:
        """Don't start it. Raises ``Refusal``."""
        question = await self._answered(interaction, job_id)
        await self.uploads.discard(question.prepared.job_id)
        await interaction.response.edit_message(content=_("Stopped; nothing was charged."), view=None)

    def remember_picture(self, interaction_id: int, picture: discord.Attachment | str) -> str:
        """Keep where a message's picture is until its form comes back; gives the key for it."""
        now = self._services.clock()
        self._pictures = {key: each for key, each in self._pictures.items() if now - each.at < _FORM_PATIENCE}
        self._pictures[str(interaction_id)] = _Picture(picture, now)
        return str(interaction_id)

    def picture_of(self, key: str) -> discord.Attachment | str | None:
        """The picture that was kept under a key; None: too long ago, or before a restart."""
        found = self._pictures.get(key)
        return None if found is None else found.source

    # --- questions -----------------------------------------------------------------------------

    async def _check_funds(self, prepared: Prepared) -> None:
        """Ask about no price that can't be paid. Raises ``Refusal``."""
        self._services.requests.check_funds(await self._statement(prepared.ask), prepared.quote)

    async def _statement(self, ask: Ask) -> Statement:
        """What the asker has, with what comes back when another job gives way."""
        statement = await self._services.balances.of(ask.guild_id, ask.user_id, ask.place.role_ids)
        old, account = ask.instead_of, statement.account
        if old is None or not old.state.is_open:
            return statement
        freed = min(old.quote, account.held)
        account = replace(account, available=account.available + freed, held=account.held - freed)
        return replace(statement, account=account)

    async def _prepared(self, ask: Ask) -> tuple[Prepared, _Wording | None]:
        """What can be had, and how to ask before it is begun; None: it needn't be asked. Raises ``Refusal``."""
        requests = self._services.requests
        try:
            prepared = await requests.prepare(ask)
        except Unreachable as refusal:
            found = await requests.alternative(ask, model=refusal.model)
            if found is None:
                raise
            prepared = await requests.prepare(replace(ask, model=found.spec.id, wish=found.wish))
            go = Button(GO.action, offer_text(found.spec.name, prepared.quote), GO.style)
            return prepared, _Wording(why=f"{refusal.text}\n{_why_changed(found.changed)}".rstrip(), go=go)
        changes = _changes_beyond_the_button(ask, prepared)
        wording = _Wording(why=_why_changed(changes or ()))
        return prepared, wording if prepared.is_dear or changes is not None else None

    async def _ask_first(
        self,
        interaction: discord.Interaction[Any],
        prepared: Prepared,
        media: Mapping[str, StoredMedia],
        wording: _Wording,
    ) -> None:
        ask = prepared.ask
        statement = await self._statement(ask)
        text = _("This costs {price} of your {balance}: {model}, {resolution}, {seconds} s. Go?").format(
            price=f"{prepared.quote:,}",
            balance=credits_text(statement.account.available),
            model=prepared.spec.name,
            resolution=prepared.options.resolution,
            seconds=prepared.options.duration,
        )
        await self._forget_old()
        for job_id in [job_id for job_id, each in self._questions.items() if each.asker == (ask.guild_id, ask.user_id)]:
            # one at a time: the older one says that it is too old
            del self._questions[job_id]
            await self.uploads.discard(job_id)
        question = _Question(prepared=prepared, media=media, asked_at=self._services.clock())
        self._questions[prepared.job_id] = question
        view = buttons(prepared.job_id, wording.go, STOP)
        question.message = await answer_privately(interaction, f"{wording.why}\n{text}".strip(), view=view)

    async def _answered(self, interaction: discord.Interaction[Any], job_id: str) -> _Question:
        await self._forget_old()
        question = self._questions.get(job_id)
        asker = (interaction.guild_id, interaction.user.id)
        if question is None or asker != question.asker or self._questions.pop(job_id, None) is None:
            raise Refusal(_("This question is too old, or was answered already. Use the command again if you want to."))
        return question

    async def _forget_old(self) -> None:
        """Drop questions that nobody has answered, and what was attached to them."""
        since = self._services.clock() - _PATIENCE
        for job_id in [job_id for job_id, question in self._questions.items() if question.asked_at < since]:
            del self._questions[job_id]
            await self.uploads.discard(job_id)

    # --- the card ------------------------------------------------------------------------------

    async def _accepted(self, prepared: Prepared, media: Mapping[str, StoredMedia]) -> tuple[Job, bool]:
        """The job, and whether it is new: another delivery of the same command may have been faster."""
        try:
            return await self._services.requests.accept(prepared, media), True
        except AlreadyAccepted as already:
            await self.uploads.discard(prepared.job_id)
            return already.job, False
        except Refusal:
            # on any other error the job may have been stored, and needs its pictures
            await self.uploads.discard(prepared.job_id)
            raise

    async def _show(self, interaction: discord.Interaction[Any], accepted: tuple[Job, bool]) -> None:
        job, is_new = accepted
        if job.replaces is not None:
            await self._show_replaced(job.replaces)
        if is_new:
            await self._show_card(interaction, job)
        else:
            await self._adopt_card(interaction, job)

    async def _show_replaced(self, job_id: str) -> None:
        """Let the card of the job that gave way say so."""
        old = await self._services.database.read(partial(store.load, job_id=job_id))
        if old is not None:
            self._services.worker.forget(old.id)
            self._services.presenter.show(old)

    async def _show_card(self, interaction: discord.Interaction[Any], job: Job) -> None:
        """Answer with the card; if Discord takes no answer any more, the job is given up."""
        try:
            message_id = await self._answer(interaction, job)
        except faults.DISCORD_ERRORS as error:
            # what goes on in place of another job gets its card from the worker: the first card tells of it
            if faults.code_of(error) == faults.UNKNOWN_INTERACTION and job.replaces is None:
                log.warning("a command came too late; its job is given up", job=job.id)
                await self._services.cancelling.withdraw(job)
            elif faults.code_of(error) == faults.ALREADY_ACKNOWLEDGED:
                await self._adopt_card(interaction, job)
            else:
                log.warning("the answer to a command got lost", job=job.id, why=str(error))
                # the card may stand or not; if not, the worker makes one in a while
                await self._adopt_card(interaction, job)
            return
        await self._remember_card(interaction, job, message_id)

    async def _answer(self, interaction: discord.Interaction[Any], job: Job) -> int:
        shown = self._services.presenter.card_of(job)
        self._services.presenter.answered(job, shown)
        embed, view = card_embed(shown), card_buttons(shown, job.id)
        with self._services.presenter.speaking_in(job.guild_id):
            attached = card_files(job, self._services.inputs_folder)
        with closing_files(attached) as files:
            if interaction.response.is_done():
                message = await interaction.edit_original_response(
                    embed=embed, view=view, attachments=files, allowed_mentions=NO_MENTIONS
                )
                return message.id
            answer = await interaction.response.send_message(
                embed=embed, view=view, files=files, allowed_mentions=NO_MENTIONS
            )
        return answer.message_id or (await interaction.original_response()).id

    async def _adopt_card(self, interaction: discord.Interaction[Any], job: Job) -> None:
        """Somebody else answered this very command: its card is ours."""
        try:
            message = await interaction.original_response()
        except faults.DISCORD_ERRORS as error:
            log.warning("no card to take over yet", job=job.id, why=str(error))
            return
        if job.card_message_id is None and message.embeds:
            await self._remember_card(interaction, job, message.id)

    async def _remember_card(self, interaction: discord.Interaction[Any], job: Job, message_id: int) -> None:
        place = {"channel_id": interaction.channel_id or job.channel_id, "message_id": message_id}
        await self._services.database.write(partial(store.store_card, job_id=job.id, **place))
        self._services.worker.wake_soon()


def making_of(interaction: discord.Interaction[Any]) -> Making:
    """What makes jobs, for the buttons and forms that do so too."""
    cog: Any = interaction.client.get_cog("wan")
    making = cog.making
    assert isinstance(making, Making)  # noqa: S101 - for the type alone: it is loaded before any button
    return making


def _changes_beyond_the_button(ask: Ask, prepared: Prepared) -> tuple[str, ...] | None:
    """What another model changes of the options, where its button has told too little; None: it has told everything.

    It names the model and the price, which may be another by now.
    """
    if ask.instead_of is None:
        return None
    changes = changed(ask.wish, wish_again(ask.instead_of.request))
    return changes if changes or prepared.quote != ask.instead_of.offer_price else None


def _why_changed(options: Sequence[str]) -> str:
    if not options:
        return ""
    listed = ", ".join(f"`{say_name(name)}`" for name in options)
    return _("The nearest model can't do everything as you wished; it changes {options}.").format(options=listed)


def _is_hidden(source: Source | None) -> bool:
    return isinstance(source, discord.Attachment) and source.is_spoiler()


def _clip_limit(interaction: discord.Interaction[Any]) -> int:
    """How large a clip may be: what the guild lets anybody upload, in bytes."""
    guild = interaction.guild
    return interaction.filesize_limit if guild is None else guild.filesize_limit


async def _close(question: _Question, text: str) -> None:
    """Take the buttons off a question that was answered."""
    if question.message is None:
        return
    try:
        await question.message.edit(content=text, view=None)
    except faults.DISCORD_ERRORS as error:
        # its buttons say by themselves that they are too old
        log.info("a question can't be closed", why=str(error))
