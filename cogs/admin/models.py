"""``/wan-admin models``."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import discord
from discord import app_commands

from bot.communities import describing
from bot.communities.rules import Community, ModelRule
from bot.credits.pricing import PriceRule
from bot.delivery.prices import price_text
from bot.delivery.words import fitting_lines, shortened
from bot.errors import Refusal
from bot.languages import _
from bot.tree import answer_privately
from cogs import choices
from cogs.admin.deciding import Deciding, actor_of

_MOST_CREDITS: Final = 1_000_000
#: characters of a model's rules in the list of all models
_LONGEST: Final = 300

#: where videos can be made; threads follow their channel
Place = discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.ForumChannel


class ModelModeration(Deciding):
    """Decides which models may be used, and what they cost."""

    model_group = app_commands.Group(name="models", description="Which models may be used, by whom, where; prices.")

    @model_group.command(name="allow", description="Allow a model.")
    @app_commands.describe(
        model="Which model",
        channel="Allow it in this channel; elsewhere nothing changes",
        role="Allow it for this role",
    )
    async def allow(
        self,
        interaction: discord.Interaction[Any],
        model: str,
        channel: Place | None = None,
        role: discord.Role | None = None,
    ) -> None:
        """Allow a model."""
        await self._rule(interaction, model, channel, role, is_allowed=True)

    @model_group.command(name="deny", description="Deny a model.")
    @app_commands.describe(model="Which model", channel="Only in this channel", role="Only for this role")
    async def deny(
        self,
        interaction: discord.Interaction[Any],
        model: str,
        channel: Place | None = None,
        role: discord.Role | None = None,
    ) -> None:
        """Deny a model."""
        await self._rule(interaction, model, channel, role, is_allowed=False)

    @model_group.command(name="price", description="Your own price of a model; without both: the catalogue's.")
    @app_commands.describe(
        model="Which model",
        credits="For each video, whatever its options",
        factor="So many times the catalogue's price, rounded up: 1.5, 0.8",
    )
    async def price(
        self,
        interaction: discord.Interaction[Any],
        model: str,
        credits: app_commands.Range[int, 0, _MOST_CREDITS] | None = None,  # noqa: A002 - the name of the option
        factor: app_commands.Range[float, 0.01, 100.0] | None = None,
    ) -> None:
        """Set the guild's own price of a model."""
        self.check_model(model)
        if credits is not None and factor is not None:
            raise Refusal(_("**factor**: give either `credits` or `factor`, not both; neither: the catalogue's price."))
        rule = PriceRule(credits=credits, factor=None if factor is None else Decimal(f"{factor:.4g}"))
        change = await self.services.decisions.price_model(
            actor_of(interaction), model, None if rule == PriceRule() else rule
        )
        before, after = change.said
        amount = "" if credits is not None else f" ({self._price(change.community, model)})"
        text = _("Price of `{model}`\nBefore: {before}\nNow: {after}")
        await self.answered(interaction, change, text.format(model=model, before=before, after=f"{after}{amount}"))

    @model_group.command(name="default", description="The model for those who name none; left out: none.")
    @app_commands.describe(model="Which model; left out: the first that can do what is attached")
    async def default(self, interaction: discord.Interaction[Any], model: str | None = None) -> None:
        """Choose the default model."""
        if model is not None:
            self.check_model(model)
        change = await self.services.decisions.choose_default(actor_of(interaction), model)
        await self.decided(interaction, change, _("Default model"))

    @model_group.command(name="list", description="Every model, what was decided about it, and its price.")
    async def list_models(self, interaction: discord.Interaction[Any]) -> None:
        """List the decisions."""
        community = await self.community(interaction)
        lines = [self._line(community, model) for model in self.services.registry.models]
        await answer_privately(interaction, fitting_lines(lines) or _("No provider is configured."))

    @allow.autocomplete("model")
    @deny.autocomplete("model")
    @price.autocomplete("model")
    @default.autocomplete("model")
    async def _models(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return await choices.every_model(self.services, interaction, typed)

    async def _rule(
        self,
        interaction: discord.Interaction[Any],
        model: str,
        channel: Place | None,
        role: discord.Role | None,
        *,
        is_allowed: bool,
    ) -> None:
        self.check_model(model)
        rule = ModelRule(
            model=model,
            is_allowed=is_allowed,
            channel_id=0 if channel is None else channel.id,
            role_id=0 if role is None or role.is_default() else role.id,
        )
        change = await self.services.decisions.rule_model(actor_of(interaction), rule)
        await self.decided(interaction, change, f"`{model}`")

    def _line(self, community: Community, model: str) -> str:
        own, price = community.prices.get(model), self._price(community, model)
        if own is not None:
            price = describing.price(own) if own.credits is not None else f"{price} ({describing.price(own)})"
        default = [_("default")] if model == community.default_model else []
        rules = shortened(describing.rules_of_model(community, model), _LONGEST)
        return " · ".join([f"`{model}`: {rules}", price, *default])

    def _price(self, community: Community, model: str) -> str:
        spec = self.services.registry.models[model]
        return price_text(self.services.pricing.range(spec, community.prices.get(model)))
