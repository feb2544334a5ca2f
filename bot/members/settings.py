"""What a member wants of the bot in a community. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bot.languages import _


@dataclass(frozen=True, slots=True)
class MemberSettings:
    """What holds for who has said nothing."""

    #: the message with a finished video mentions them, so that Discord tells them of it
    notify: bool = True


def settings_text(settings: MemberSettings) -> str:
    """Every setting, and how to change it."""
    notify = (
        _("on: the message with your finished video mentions you")
        if settings.notify
        else _("off: your finished videos are posted without mentioning you")
    )
    return _("**Your settings here**\n`notify`: {notify}").format(notify=notify)
