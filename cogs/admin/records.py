"""``/wan-admin log``, ``options``, ``audit`` and ``providers``: what moderators see of the bot."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import discord
from discord import app_commands

from bot.communities import audit, describing
from bot.communities.audit import Row
from bot.communities.rules import Community
from bot.delivery.words import LONGEST_MESSAGE, disarmed, member_text, relative_time, shortened
from bot.errors import Refusal
from bot.languages import _, ngettext
from bot.services import Services
from bot.tree import answer_privately
from cogs.admin.deciding import Deciding, actor_of
from cogs.own_button import OwnButton
from cogs.paging import Page, answer_page

#: rows of the audit in one answer
_ROWS: Final = 8
_MOST_CHOICES: Final = 25
_LONGEST: Final = 90
_MOST_DAYS: Final = 3650

#: everything that the audit knows, for its filter
ACTIONS: Final = (
    "allowance.role",
    "allowance.set",
    "channels.allow",
    "channels.deny",
    "credits.grant",
    "credits.revoke",
    "jobs.redeliver",
    "jobs.release",
    "limits.set",
    "log.channel",
    "members.block",
    "members.forget",
    "members.unblock",
    "models.allow",
    "models.default",
    "models.deny",
    "models.price",
    "options.keep_days",
    "options.set",
    "preset.offer",
    "preset.remove",
    "results.remove",
    "results.report",
    "words.block",
    "words.unblock",
)


class LogModeration(Deciding):
    """Decides where moderators read of troubles."""

    @app_commands.command(name="log", description="Where I tell of changes, reports, and providers that fail.")
    @app_commands.describe(channel="In which channel; left out: nowhere")
    async def log_channel(
        self, interaction: discord.Interaction[Any], channel: discord.TextChannel | None = None
    ) -> None:
        """Choose the log channel."""
        if channel is not None and not channel.permissions_for(channel.guild.me).send_messages:
            text = _("**channel**: I can't write in {channel}. Allow me **Send Messages** there first.")
            raise Refusal(text.format(channel=channel.mention))
        change = await self.services.decisions.log_to(actor_of(interaction), None if channel is None else channel.id)
        await self.decided(interaction, change, _("Log channel"))


class OptionModeration(Deciding):
    """Sets what fits nowhere else."""

    option_group = app_commands.Group(name="options", description="How things are kept, posted and tried again.")

    @option_group.command(name="set", description="Set an option; those left out stay as they are.")
    @app_commands.describe(
        keep_days="How many days prompts, pictures and videos are kept; 0: as the operator says",
        threads="Post each video into a thread of its card, with the talk about it",
        fallback="Go on with another model by itself when one can't be reached, if it isn't dearer",
    )
    async def set_options(
        self,
        interaction: discord.Interaction[Any],
        keep_days: app_commands.Range[int, 0, _MOST_DAYS] | None = None,
        threads: bool | None = None,  # noqa: FBT001 - an option of the command
        fallback: bool | None = None,  # noqa: FBT001 - an option of the command
    ) -> None:
        """Change the options that are given; what deletes things is asked about first."""
        if keep_days is None and threads is None and fallback is None:
            raise Refusal(_("Name at least one option. `/wan-admin options show` shows them all."))
        community, decisions = await self.community(interaction), self.services.decisions
        is_asked = keep_days is not None and shortens(community, keep_days, default=self.services.keep_days)
        if threads is not None or fallback is not None:
            kept = None if is_asked else keep_days
            change = await decisions.set_options(
                actor_of(interaction), keep_days=kept, threads=threads, fallback=fallback
            )
            await self.decided(interaction, change, _("Options"))
        elif not is_asked:
            await self.decided(
                interaction, await decisions.keep_for(actor_of(interaction), keep_days or None), "`keep_days`"
            )
        if keep_days is not None and is_asked:
            await self._ask(interaction, keep_days)

    async def _ask(self, interaction: discord.Interaction[Any], keep_days: int) -> None:
        """Ask before anything is deleted."""
        text = _(
            "Keep things for {days}? Prompts, pictures and videos that are older are deleted within the hour. It "
            "can't be undone."
        )
        kept = describing.keep_days(keep_days or None, default=self.services.keep_days)
        await answer_privately(interaction, text.format(days=kept), view=keep_question(keep_days))

    @option_group.command(name="show", description="Every option.")
    async def show_options(self, interaction: discord.Interaction[Any]) -> None:
        """Show the options."""
        community = await self.community(interaction)
        options = describing.options(community, default_days=self.services.keep_days)
        lines = [f"`{name}`: {text}" for name, text in options.items()]
        lines.append(_("Log channel: {channel}").format(channel=describing.channel(community.log_channel_id)))
        await answer_privately(interaction, "\n".join(lines))


class KeepButton(OwnButton, template=r"wan-keep:(?P<days>[0-9]{1,4})"):
    """Says yes to keeping things for a shorter time."""

    async def act(self, interaction: discord.Interaction[Any], services: Services) -> None:
        """See ``OwnButton``."""
        deciding = Deciding(services)
        change = await deciding.services.decisions.keep_for(actor_of(interaction), int(self.said["days"]) or None)
        await deciding.decided(interaction, change, "`keep_days`")


def keep_question(days: int) -> discord.ui.View:
    """The button that says yes."""
    view = discord.ui.View(timeout=None)
    style = discord.ButtonStyle.danger
    view.add_item(
        discord.ui.Button[discord.ui.View](style=style, label=_("Delete what is older"), custom_id=f"wan-keep:{days}")
    )
    view.stop()
    return view


def shortens(community: Community, days: int, *, default: int) -> bool:
    """Whether something that is kept now would go."""
    before = default if community.keep_days is None else community.keep_days
    return (days or default) < before


class AuditModeration(Deciding):
    """Shows who decided what."""

    @app_commands.command(name="audit", description="Who changed what, and when; the newest first.")
    @app_commands.describe(member="Only what this member did, or what was done to them", action="Only this")
    async def audit(
        self,
        interaction: discord.Interaction[Any],
        member: discord.User | None = None,
        action: app_commands.Range[str, 1, 40] | None = None,
    ) -> None:
        """Page through the audit."""
        argument = f"{member.id if member else ''}/{_as_action(action or '')}"
        page = await audit_page(interaction, self.services, argument, 0)
        await answer_page(interaction, page, what="audit", argument=argument)

    @audit.autocomplete("action")
    async def _actions(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        del interaction
        groups = sorted({action.partition(".")[0] for action in ACTIONS})
        fitting = [name for name in (*groups, *ACTIONS) if _as_action(typed) in name]
        return [app_commands.Choice(name=name, value=name) for name in fitting[:_MOST_CHOICES]]


class ProviderModeration(Deciding):
    """Shows whether the providers work."""

    @app_commands.command(name="providers", description="The providers, and whether they take jobs.")
    async def providers(self, interaction: discord.Interaction[Any]) -> None:
        """List the providers."""
        lines: list[str] = []
        for provider in self.services.registry.providers.values():
            models = sum(spec.provider == provider.name for spec in self.services.registry.models.values())
            until = self.services.pauses.retry_at(provider.name)
            state = _("takes jobs")
            if until is not None:
                state = _("paused, tried again {when}").format(when=relative_time(until))
            offered = ngettext("{n} model", "{n} models", models).format(n=models)
            lines.append(f"**{provider.title}**: {state} · {offered}")
        await answer_privately(interaction, "\n".join(lines) or _("No provider is configured."))


async def audit_page(interaction: discord.Interaction[Any], services: Services, argument: str, skip: int) -> Page:
    """Some rows of the audit; ``argument`` is ``member/action``, each may be empty."""
    member, _slash, action = argument.partition("/")
    read = partial(
        audit.page,
        guild_id=interaction.guild_id or 0,
        about=int(member) if member else None,
        action=action or None,
        most=_ROWS + 1,
        skip=skip,
    )
    rows = await services.database.read(read)
    # each is cut, so that none is lost at the end of the page
    lines = [shortened(_line(row), LONGEST_MESSAGE // _ROWS - 1) for row in rows[:_ROWS]]
    nothing = _("Nothing like this was changed.") if member or action else _("Nothing was changed yet.")
    return Page(text="\n".join(lines) or nothing, step=_ROWS, has_more=len(rows) > _ROWS)


def _as_action(typed: str) -> str:
    """An action as it is stored, whether it was typed as it is suggested or as the list shows it."""
    return ".".join(typed.lower().replace(".", " ").split())


def _line(row: Row) -> str:
    deed = row.deed
    who = _("the operator of this bot") if deed.actor_id == audit.OPERATOR else member_text(deed.actor_id)
    target = f" {describing.target(deed.target)}" if deed.target else ""
    before, after = (shortened(", ".join(text.split("\n")), _LONGEST) for text in (deed.before, deed.after))
    change = f": {before} → {after}" if before else f": {after}" if after else ""
    reason = f" · {disarmed(deed.reason, _LONGEST)}" if deed.reason else ""
    return f"{relative_time(row.created_at)} {who} **{deed.action.replace('.', ' ')}**{target}{change}{reason}"
