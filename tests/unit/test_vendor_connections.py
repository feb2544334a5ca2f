"""Which requests to a vendor share a connection, and when there is one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from providers.contract import at_once
from providers.http import VendorAnswer, VendorHttp, warm_up
from providers.transport import trusted_certificates
from tests.serving import Recording


class _Pong(VendorAnswer):
    ok: bool


@pytest.fixture
async def vendor() -> AsyncIterator[Recording]:
    async with Recording.answering(lambda: web.json_response({"ok": True})) as recording:
        yield recording


@pytest.fixture
async def http(vendor: Recording) -> AsyncIterator[VendorHttp]:
    made = VendorHttp(name="vendor", base_url=vendor.url, headers={"Authorization": "Bearer key"})
    yield made
    await made.close()


async def test_questions_that_follow_each_other_share_a_connection(vendor: Recording, http: VendorHttp) -> None:
    for _ in range(3):
        assert (await http.ask("/", answer=_Pong)).ok
    assert len(set(vendor.ports)) == 1


async def test_each_submission_has_a_connection_of_its_own(vendor: Recording, http: VendorHttp) -> None:
    await http.ask("/", answer=_Pong)
    for _ in range(2):
        assert (await http.submit("/", json={}, answer=_Pong, before_sending=at_once)).ok
    assert len(set(vendor.ports)) == 3


async def test_a_vendor_that_was_never_asked_is_closed_all_the_same(http: VendorHttp) -> None:
    await http.close()


def test_the_certificates_are_read_once() -> None:
    warm_up()
    assert trusted_certificates() is trusted_certificates()
