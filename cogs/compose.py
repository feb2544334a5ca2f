"""``/wan compose`` and the message menu "Animate with Wan"."""

from __future__ import annotations

from typing import Any, Final

import discord
from discord import app_commands

from bot.errors import Refusal
from bot.languages import _
from bot.tree import answer_error
from cogs import choices
from cogs.feature import Feature, check_permissions
from cogs.forms import open_form
from cogs.making import making_of
from cogs.video_forms import AnimateForm, ComposeForm
from providers.types import Mode

_STARTS_FROM_A_PICTURE: Final = frozenset({Mode.IMAGE, Mode.FIRST_LAST})


class ComposeCommands(Feature):
    """Makes videos by a form, with room for a long prompt."""

    @app_commands.command(name="compose", description="Make a video by a form, with room for a long prompt.")
    @app_commands.describe(model="Which model makes it; left out: the one that suits what you send")
    async def compose(self, interaction: discord.Interaction[Any], model: str | None = None) -> None:
        """Open the form."""
        check_permissions(interaction)
        services = self.services
        community = await services.communities.of(interaction.guild_id or 0)
        specs = await choices.usable_models(services, interaction)
        chosen = None
        if model is not None:
            chosen = services.chooser.named(model, community, choices.place_of(interaction))
            if not community.can_make(chosen):
                text = _("**model**: nothing that `{model}` makes is within this community's limits.")
                raise Refusal(text.format(model=chosen.id))
        elif not specs:
            raise Refusal(_("No model may be used here. Ask a moderator to allow one with `/wan-admin models allow`."))
        await open_form(interaction, ComposeForm.opened(community, specs, chosen))

    @compose.autocomplete("model")
    async def _models(self, interaction: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
        return await choices.models(self.services, interaction, typed)


@app_commands.context_menu(name="Animate with Wan")
async def animate(interaction: discord.Interaction[Any], message: discord.Message) -> None:
    """Open a form for the picture of a message."""
    try:
        await _animate(interaction, message)
    except Refusal as refusal:
        await answer_error(interaction, refusal)


async def _animate(interaction: discord.Interaction[Any], message: discord.Message) -> None:
    check_permissions(interaction)
    services = interaction.client.services
    community = await services.communities.of(interaction.guild_id or 0)
    usable = await choices.usable_models(services, interaction)
    specs = [spec for spec in usable if _STARTS_FROM_A_PICTURE & set(spec.modes)]
    if not specs:
        raise Refusal(_("No model that may be used here starts from an image."))
    key = making_of(interaction).remember_picture(interaction.id, picture_in(message))
    await open_form(interaction, AnimateForm.opened(community, specs, key))


def picture_in(message: discord.Message) -> discord.Attachment | str:
    """The first picture of a message: an attachment, or the link of an embed's picture. Raises ``Refusal``."""
    for attachment in message.attachments:
        if (attachment.content_type or "").startswith("image/"):
            return attachment
    for embed in message.embeds:
        for picture in (embed.image, embed.thumbnail):
            # Discord's own copy of it: nobody is asked who might count us
            link = picture.proxy_url or picture.url
            if link:
                return link
    raise Refusal(_("There is no picture in this message."))
