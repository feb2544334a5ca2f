"""``/wan-admin credits`` and ``/wan-admin allowance``."""

from __future__ import annotations

from typing import Any, Final, Literal

import discord
from discord import app_commands

from bot.communities import describing
from bot.credits.allowance import AllowanceRule, PeriodLength, period_at
from bot.delivery.statements import statement_text
from bot.delivery.words import credits_text, date_and_time, relative_time
from bot.errors import Refusal
from bot.languages import N_, _
from bot.tree import answer_privately
from cogs.admin.deciding import REASON, Deciding, actor_of, member_of

_MOST: Final = 1_000_000
_NEXT: Final = {
    PeriodLength.DAY: N_("The next day begins {when}, on {date}."),
    PeriodLength.WEEK: N_("The next week begins {when}, on {date}."),
    PeriodLength.MONTH: N_("The next month begins {when}, on {date}."),
}

Amount = app_commands.Range[int, 1, _MOST]
Length = Literal["day", "week", "month"]
Why = app_commands.Range[str, 1, REASON]


class CreditModeration(Deciding):
    """Gives and takes credits."""

    credit_group = app_commands.Group(name="credits", description="Give members credits, take them back, see them.")

    @credit_group.command(name="grant", description="Give a member credits, beside the allowance.")
    @app_commands.describe(member="Who receives them", amount="How many", reason="Kept with the change")
    async def grant(
        self, interaction: discord.Interaction[Any], member: discord.Member, amount: Amount, reason: Why = ""
    ) -> None:
        """Give credits, once for this interaction."""
        change = await self.services.decisions.grant(actor_of(interaction), member_of(member), amount, reason)
        before, after = int(change.deed.before), int(change.deed.after)
        text = _("{member} has **{after}** credits available now ({before} before).").format(
            member=member.mention, after=f"{after:,}", before=f"{before:,}"
        )
        await self.answered(interaction, change, text)

    @credit_group.command(name="revoke", description="Take credits from a member; what is held for videos stays.")
    @app_commands.describe(member="Who gives them back", amount="How many at most", reason="Kept with the change")
    async def revoke(
        self, interaction: discord.Interaction[Any], member: discord.Member, amount: Amount, reason: Why = ""
    ) -> None:
        """Take credits, once for this interaction."""
        change = await self.services.decisions.revoke(actor_of(interaction), member_of(member), amount, reason)
        before, after, taken = int(change.deed.before), int(change.deed.after), -change.amount
        text = _("Took {credits}. {member} has **{after}** available now ({before} before).")
        if taken != amount:
            text = _(
                "Took {credits} of the {asked} asked for: no more were available. {member} has **{after}** available "
                "now ({before} before)."
            )
        numbers = {"asked": f"{amount:,}", "after": f"{after:,}", "before": f"{before:,}"}
        text = text.format(credits=credits_text(taken), member=member.mention, **numbers)
        await self.answered(interaction, change, text)

    @credit_group.command(name="show", description="A member's credits, and how they came about.")
    @app_commands.describe(member="Whose")
    async def show(self, interaction: discord.Interaction[Any], member: discord.Member) -> None:
        """Show what a member has."""
        whom = member_of(member)
        statement = await self.services.balances.of(interaction.guild_id or 0, whom.user_id, whom.role_ids)
        await answer_privately(interaction, f"{member.mention}\n{statement_text(statement)}")


class AllowanceModeration(Deciding):
    """Says what members receive by themselves."""

    allowance_group = app_commands.Group(name="allowance", description="What every member receives by themselves.")

    @allowance_group.command(name="set", description="How many credits every member receives, and how often.")
    @app_commands.describe(
        amount="Credits each time; 0: none",
        period="How often: at midnight UTC, weeks on Monday, months on the 1st",
        cap="How many may pile up; left out: one amount",
    )
    async def set_allowance(
        self,
        interaction: discord.Interaction[Any],
        amount: app_commands.Range[int, 0, _MOST],
        period: Length,
        cap: app_commands.Range[int, 0, _MOST] | None = None,
    ) -> None:
        """Set the amount, the period and the cap."""
        rule = AllowanceRule(amount=amount, length=PeriodLength(period), cap=cap)
        change = await self.services.decisions.set_allowance(actor_of(interaction), rule)
        await self.decided(interaction, change, _("Allowance"))

    @allowance_group.command(name="role", description="Another amount for a role; a member's best role wins.")
    @app_commands.describe(role="Which role", amount="Credits each time; 0: as everybody")
    async def set_role(
        self,
        interaction: discord.Interaction[Any],
        role: discord.Role,
        amount: app_commands.Range[int, 0, _MOST],
    ) -> None:
        """Set a role's amount."""
        if role.is_default():
            raise Refusal(_("**role**: everybody has this one. Use `/wan-admin allowance set`."))
        change = await self.services.decisions.set_role_amount(actor_of(interaction), role.id, amount or None)
        await self.decided(interaction, change, _("Allowance of {role}").format(role=role.mention))

    @allowance_group.command(name="show", description="The allowance, of everybody and of roles.")
    async def show_allowance(self, interaction: discord.Interaction[Any]) -> None:
        """Show what members receive."""
        community = await self.community(interaction)
        period = period_at(self.services.clock(), community.allowance.length)
        begins = _(_NEXT[period.length])
        lines = [
            _("Everybody: {allowance}").format(allowance=describing.allowance(community)),
            *(f"<@&{role_id}>: {describing.role_amount(community, role_id)}" for role_id in community.role_amounts),
            begins.format(when=relative_time(period.end), date=date_and_time(period.end)),
        ]
        await answer_privately(interaction, "\n".join(lines))
