"""What Discord's refusals mean for a card or a video. Pure, but for the names of the exceptions."""

from __future__ import annotations

import asyncio
from typing import Final

import aiohttp
import discord

from bot.jobs.lifecycle import PostTrouble

#: what a call to Discord can raise; on Linux a cut connection is aiohttp's error, not discord.py's
DISCORD_ERRORS: Final = (discord.HTTPException, aiohttp.ClientError, asyncio.TimeoutError, OSError)

UNKNOWN_CHANNEL: Final = 10003
UNKNOWN_GUILD: Final = 10004
UNKNOWN_MESSAGE: Final = 10008
UNKNOWN_INTERACTION: Final = 10062
TOO_LARGE: Final = 40005
ALREADY_ACKNOWLEDGED: Final = 40060
MISSING_ACCESS: Final = 50001
MISSING_PERMISSIONS: Final = 50013
ARCHIVED: Final = 50083
HAS_A_THREAD: Final = 160004

#: what was to be deleted isn't there
GONE: Final = frozenset({UNKNOWN_MESSAGE, UNKNOWN_CHANNEL, UNKNOWN_GUILD})
_FINAL: Final = frozenset({UNKNOWN_CHANNEL, UNKNOWN_GUILD, MISSING_ACCESS, MISSING_PERMISSIONS})
_REFUSED: Final = 400
_REQUEST_TOO_LARGE: Final = 413
_SERVER_ERROR: Final = 500
_RATE_LIMITED: Final = 429


def code_of(error: BaseException) -> int:
    """Discord's own code of an error; 0: none."""
    return error.code if isinstance(error, discord.HTTPException) else 0


def is_for_good(error: BaseException) -> bool:
    """Whether the place is closed to us: asking again gives the same answer."""
    return code_of(error) in _FINAL


def is_refusal(error: BaseException) -> bool:
    """Whether Discord understood and said no; what isn't its own error is a fault of ours, which repeats as well."""
    if isinstance(error, discord.HTTPException):
        return _REFUSED <= error.status < _SERVER_ERROR and error.status != _RATE_LIMITED
    return not isinstance(error, DISCORD_ERRORS)


def post_trouble(error: BaseException) -> PostTrouble:
    """What a refused post means for the video."""
    if not isinstance(error, discord.HTTPException):
        return PostTrouble.FOR_NOW
    if error.code == TOO_LARGE or error.status == _REQUEST_TOO_LARGE:
        return PostTrouble.TOO_LARGE
    is_passing = error.status >= _SERVER_ERROR or error.status == _RATE_LIMITED
    return PostTrouble.FOR_NOW if is_passing or not is_for_good(error) else PostTrouble.FOR_GOOD
