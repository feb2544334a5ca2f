"""Whoever wants to know hears how each request to a vendor went."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.settings import Settings
from bot.vendors import make_providers
from providers.errors import AuthFailed, ContractBroken, OutcomeUnknown, Refused, Unavailable
from providers.observing import UNOBSERVED, observed
from tests.clocks import Clock

VENDORS = ("PIXELDOJO", "PIXAZO", "PIXWITH", "VTRIX")


class Listener:
    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []

    def asked(self, provider: str, operation: str, *, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.told.append((provider, operation, outcome))


def test_an_answer_is_told_as_one() -> None:
    listener = Listener()
    with observed(listener, "pixazo", "ask"):
        assert listener.told == []
    assert listener.told == [("pixazo", "ask", "ok")]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Unavailable("away"), "Unavailable"),
        (Refused("no"), "Refused"),
        (AuthFailed("key"), "AuthFailed"),
        (OutcomeUnknown("cut"), "OutcomeUnknown"),
        (ContractBroken("odd"), "ContractBroken"),
        (asyncio.CancelledError(), "given up"),
    ],
)
def test_an_error_is_told_by_its_class_and_goes_on(error: BaseException, outcome: str) -> None:
    listener = Listener()

    def fail() -> None:
        with observed(listener, "pixazo", "submit"):
            raise error

    with pytest.raises(type(error)) as caught:
        fail()
    assert caught.value is error
    assert listener.told == [("pixazo", "submit", outcome)]


def test_nobody_listening_is_no_trouble() -> None:
    with observed(UNOBSERVED, "pixazo", "ask"):
        pass


async def test_every_vendor_hands_its_observer_on() -> None:
    listener = Listener()
    settings = Settings.load({f"{vendor}_API_KEY": "k" * 20 for vendor in VENDORS})
    vendors = [each for each in make_providers(settings, clock=Clock(), observer=listener) if not each.is_local]
    assert [each.name.upper() for each in vendors] == list(VENDORS)
    for vendor in vendors:
        seams: Any = vendor
        assert seams._http._observer is listener
        await vendor.close()
