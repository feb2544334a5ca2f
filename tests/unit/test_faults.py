from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import discord
import pytest

from bot.delivery.faults import DISCORD_ERRORS, code_of, is_for_good, post_trouble
from bot.jobs.lifecycle import PostTrouble


class Answer:
    """As much of an HTTP answer as discord.py's errors look at."""

    reason = "because"

    def __init__(self, status: int) -> None:
        self.status = status


def refused(status: int, code: int = 0) -> discord.HTTPException:
    answer: Any = Answer(status)
    kinds = {403: discord.Forbidden, 404: discord.NotFound}
    kind = discord.DiscordServerError if status >= 500 else kinds.get(status, discord.HTTPException)
    return kind(answer, {"code": code, "message": "no"})


CUT = [
    aiohttp.ClientConnectionError("cut"),
    aiohttp.ServerDisconnectedError(),
    aiohttp.ClientPayloadError("half"),
    TimeoutError(),
    ConnectionResetError(104, "reset"),
    BrokenPipeError(),
]


@pytest.mark.parametrize("error", [*CUT, refused(500), refused(403, 50001), refused(429)], ids=repr)
def test_whatever_a_call_to_discord_raises_is_caught(error: Exception) -> None:
    assert isinstance(error, DISCORD_ERRORS)


@pytest.mark.parametrize("error", [ValueError(), KeyError(), RuntimeError(), asyncio.CancelledError()], ids=repr)
def test_mistakes_of_ours_are_not_taken_for_discords(error: BaseException) -> None:
    assert not isinstance(error, DISCORD_ERRORS)


def test_the_code_of_an_error_is_discords_own_or_none() -> None:
    assert code_of(refused(404, 10062)) == 10062
    assert code_of(refused(502)) == 0
    assert code_of(ConnectionResetError(104, "reset")) == 0


@pytest.mark.parametrize("code", [10003, 10004, 50001, 50013])
def test_a_closed_place_is_final_at_once(code: int) -> None:
    error = refused(404 if code < 50000 else 403, code)
    assert is_for_good(error)
    assert post_trouble(error) is PostTrouble.FOR_GOOD


@pytest.mark.parametrize("error", [*CUT, *map(refused, (500, 502, 503, 504, 429, 400, 401, 404))], ids=repr)
def test_everything_else_may_work_later(error: Exception) -> None:
    assert not is_for_good(error)
    assert post_trouble(error) is PostTrouble.FOR_NOW


def test_a_server_in_trouble_is_not_believed_that_the_place_is_closed() -> None:
    assert post_trouble(refused(503, 10003)) is PostTrouble.FOR_NOW
    assert post_trouble(refused(429, 50013)) is PostTrouble.FOR_NOW


@pytest.mark.parametrize("error", [refused(400, 40005), refused(413), refused(413, 40005)], ids=repr)
def test_a_video_that_is_too_large_is_known_by_the_code_or_the_status(error: Exception) -> None:
    assert post_trouble(error) is PostTrouble.TOO_LARGE


def test_a_message_that_is_gone_closes_no_place() -> None:
    assert not is_for_good(refused(404, 10008))
