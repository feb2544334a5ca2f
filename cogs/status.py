"""What members can ask about their videos: balance, queue, models, history, help; and cancel."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import discord
from discord import app_commands

from bot.delivery.cards import WORDS, message_link, options_text
from bot.delivery.dates import instant_text
from bot.delivery.messages import NO_MENTIONS, closing_files, result_file
from bot.delivery.prices import price_text
from bot.delivery.statements import statement_text
from bot.delivery.words import credits_text, disarmed, fitting_lines, one_line, relative_time, shortened
from bot.errors import Refusal
from bot.jobs import store
from bot.jobs.job import Job, State
from bot.languages import N_, _, ngettext, say
from bot.services import Services
from bot.tree import answer_privately
from cogs import choices
from cogs.feature import Feature, cancel_job
from cogs.paging import Page, answer_page
from cogs.sheets import sheet_of
from providers.options import MODE_NAMES, allowed_durations, allowed_resolutions, durations_text, one_of

#: so few that the longest lines fit into one message: what is cut off would stand on no other page either
_SHOWN: Final = 7
_MOST_CHOICES: Final = 25
#: characters; Discord's own limit
_LONGEST_CHOICE: Final = 100
_NOT_KEPT: Final = N_("the prompt isn't kept any more")

HELP: Final = (
    N_("""**Making videos**
`/wan video` makes one from a prompt. Attach `image` to start from a picture, `last_image` to end on another, \
`video` to continue a clip. Everything else may be left out. `/wan compose` is the same as a form.
The answer is a card that follows your video until it is posted here."""),
    N_("""**What it costs**
Each video has a price in credits, shown on its card. You pay when the video is posted, and only then: if it fails, \
you pay nothing.
`/wan balance` shows what you have and when more comes · `/wan models` shows prices"""),
    N_("""**Your videos**
`/wan queue` shows what is being made · `/wan cancel` stops one that hasn't been started yet · \
`/wan history` shows what was made and gives a video again, free
The buttons under a video make another one (Again), change what was asked for (Edit and rerun) or go on from it (Extend)
`/wan preset save` keeps the options of your last video under a name, for the option `preset` of `/wan video`
`/wan settings` says whether your finished videos mention you · \
`/wan report` tells the moderators of a video that shouldn't be here · \
`/wan privacy` says what is kept of you, gives it to you, and deletes it"""),
)


class StatusCommands(Feature):
    """Answers questions, for the member alone."""

    @app_commands.command(name="balance", description="Your credits here, and when more come.")
    async def balance(self, interaction: discord.Interaction[Any]) -> None:
        """Tell what is available and held."""
        roles = choices.place_of(interaction).role_ids
        statement = await self.services.balances.of(interaction.guild_id or 0, interaction.user.id, roles)
        await answer_privately(interaction, statement_text(statement))

    @app_commands.command(name="queue", description="The videos that are being made here.")
    async def queue(self, interaction: discord.Interaction[Any]) -> None:
        """List the open jobs of the community."""
        jobs = await self.services.database.read(partial(store.open_of, guild_id=interaction.guild_id or 0))
        if not jobs:
            text = _("Nothing is being made here at the moment. `/wan video` starts something.")
            await answer_privately(interaction, text)
            return
        lines = [_queue_line(job, is_own=job.user_id == interaction.user.id) for job in jobs]
        await answer_privately(interaction, fitting_lines(lines))

    @app_commands.command(name="models", description="The models you may use here, what they can do, and their prices.")
    async def models(self, interaction: discord.Interaction[Any]) -> None:
        """List what may be used here."""
        usable = await choices.usable_models(self.services, interaction)
        if not usable:
            text = _(
                "No model may be used here. A moderator can allow one with `/wan-admin models allow`, or raise "
                "`/wan-admin limits`."
            )
            raise Refusal(text)
        community = await self.services.communities.of(interaction.guild_id or 0)
        limits = community.limits
        embed = discord.Embed(title=_("Models"), description=_("Name one in `model`, or leave it out."))
        for spec in usable[:_MOST_CHOICES]:
            resolutions = allowed_resolutions(spec, limits.resolution)
            durations = allowed_durations(spec, limits.duration)
            price = price_text(self.services.pricing.range(spec, community.prices.get(spec.id)))
            starts = _("Starts from {what}").format(what=say(one_of(MODE_NAMES[mode] for mode in spec.modes)))
            facts = f"{say(one_of(resolutions))} · {say(durations_text(durations))} · {price}"
            embed.add_field(name=f"{spec.name} (`{spec.id}`)", value=f"{starts}\n{facts}", inline=False)
        await interaction.response.send_message(embed=embed, ephemeral=True, allowed_mentions=NO_MENTIONS)

    @app_commands.command(name="cancel", description="Stop one of your videos and get its credits back.")
    @app_commands.describe(job="Choose one of the suggestions; left out: your only one")
    async def cancel(self, interaction: discord.Interaction[Any], job: str | None = None) -> None:
        """Stop a job."""
        chosen = job or await self._only_open(interaction)
        await cancel_job(self.services, interaction, chosen.strip().lower())

    @cancel.autocomplete("job")
    async def _open_jobs(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        jobs = await self._own_open(interaction)
        return [job_choice(job) for job in jobs if typed.lower() in f"{job.id} {job.request.prompt}".lower()][
            :_MOST_CHOICES
        ]

    @app_commands.command(name="history", description="Your videos here; name one to get it again, free.")
    @app_commands.describe(job="Which one to get again: choose one of the suggestions")
    async def history(self, interaction: discord.Interaction[Any], job: str | None = None) -> None:
        """List the member's latest jobs, or give a kept video again."""
        if job is not None:
            await self._serve_again(interaction, job.strip().lower())
            return
        page = await history_page(interaction, self.services, "", 0)
        await answer_page(interaction, page, what="history")

    @history.autocomplete("job")
    async def _kept_jobs(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        member = {"guild_id": interaction.guild_id or 0, "user_id": interaction.user.id}
        jobs = await self.services.database.read(partial(store.latest_of, **member, most=_MOST_CHOICES))
        kept = [job for job in jobs if job.video_path is not None]
        return [job_choice(job) for job in kept if typed.lower() in f"{job.id} {job.request.prompt}".lower()]

    @app_commands.command(name="help", description="How to make videos here, and what it costs.")
    async def help(self, interaction: discord.Interaction[Any]) -> None:
        """Explain everything on one page."""
        await answer_privately(interaction, help_text())

    async def _own_open(self, interaction: discord.Interaction[Any]) -> list[Job]:
        member = {"guild_id": interaction.guild_id or 0, "user_id": interaction.user.id}
        return list(await self.services.database.read(partial(store.open_of, **member)))

    async def _only_open(self, interaction: discord.Interaction[Any]) -> str:
        jobs = await self._own_open(interaction)
        if not jobs:
            raise Refusal(_("None of your videos is being made here at the moment."))
        if len(jobs) > 1:
            text = ngettext(
                "You have {n} video under way: choose it in `job`.",
                "You have {n} videos under way: choose one in `job`.",
                len(jobs),
            )
            raise Refusal(text.format(n=len(jobs)))
        return jobs[0].id

    async def _serve_again(self, interaction: discord.Interaction[Any], job_id: str) -> None:
        job = await self.services.database.read(partial(store.load, job_id=job_id))
        is_own = job is not None and job.guild_id == interaction.guild_id and job.user_id == interaction.user.id
        path = self.services.videos_folder / job.video_path if job is not None and job.video_path else None
        if job is None or not is_own or path is None or not path.is_file():
            raise Refusal(_("There is no such video of yours here, or it isn't kept any more."))
        kept = (path, path.with_name(f"{job.id}.fitted.mp4"))
        fitting = [each for each in kept if each.is_file() and each.stat().st_size <= interaction.filesize_limit]
        if not fitting:
            raise Refusal(_("This video is too large to be sent here again."))
        # the upload alone may take longer than Discord waits for an answer
        await interaction.response.defer(ephemeral=True, thinking=True)
        with closing_files([result_file(job, fitting[0])]) as files:
            text = _("Here it is again, free. Job {job}").format(job=job.id)
            await interaction.edit_original_response(content=text, attachments=files, allowed_mentions=NO_MENTIONS)


def help_text() -> str:
    """How everything is done, on one page."""
    return "\n\n".join(map(_, HELP))


async def history_page(interaction: discord.Interaction[Any], services: Services, argument: str, skip: int) -> Page:
    """Some of a member's jobs, the newest first."""
    del argument
    member = {"guild_id": interaction.guild_id or 0, "user_id": interaction.user.id}
    jobs = await services.database.read(partial(store.latest_of, **member, most=_SHOWN + 1, skip=skip))
    shown = jobs[:_SHOWN]
    text = fitting_lines([f"`{skip + place}` {_history_line(job)}" for place, job in enumerate(shown, start=1)])
    nothing = _("You have made no video here yet. `/wan video` makes one.")
    picture = sheet_of(services, shown, first=skip + 1)
    return Page(text=text or nothing, step=_SHOWN, has_more=len(jobs) > _SHOWN, picture=picture)


def _queue_line(job: Job, *, is_own: bool) -> str:
    # the prompts of others are theirs to show
    what = disarmed(job.request.prompt, 60) or _("no prompt")
    who = _("you · {prompt}").format(prompt=what) if is_own else f"<@{job.user_id}>"
    return f"**{_(WORDS[job.state])}** · {who} · {relative_time(job.created_at)}{_card_link(job)}"


def _history_line(job: Job) -> str:
    if job.removed_at is not None:
        removed = _("Removed")
        return f"**{removed}** · {relative_time(job.created_at)} · {credits_text(job.quote)}"
    what = (disarmed(job.request.prompt, 60) if job.purged_at is None else _(_NOT_KEPT)) or _("no prompt")
    price = credits_text(job.quote)
    if job.state is not State.SUCCEEDED:
        price = _("{credits} when posted").format(credits=price) if job.state.is_open else _("nothing spent")
    return (
        f"**{_(WORDS[job.state])}** · {what} · {options_text(job.request).split(' · ')[0]} · {price}{_card_link(job)}"
    )


def _card_link(job: Job) -> str:
    message_id = job.result_message_id or job.card_message_id
    if message_id is None:
        return ""
    text = _("see it")
    channel_id = job.channel_id if job.result_message_id is None else job.video_channel_id
    return f" · [{text}]({message_link(job.guild_id, channel_id, message_id)})"


def job_choice(job: Job) -> app_commands.Choice[str]:
    """A job among the suggestions."""
    what = (job.request.prompt if job.purged_at is None else _(_NOT_KEPT)) or _("no prompt")
    name = f"{_(WORDS[job.state])} · {instant_text(job.created_at)} · {what}"
    # cut first: many prompts are looked at for each letter that is typed
    short = one_line(shortened(name, 4 * _LONGEST_CHOICE), _LONGEST_CHOICE)
    return app_commands.Choice(name=short, value=job.id)
