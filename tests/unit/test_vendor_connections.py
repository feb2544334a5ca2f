"""Which requests to a vendor share a connection, and when there is one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from providers.contract import at_once
from providers.http import VendorAnswer, VendorHttp, trusted_certificates, warm_up
from tests.serving import served


class _Pong(VendorAnswer):
    ok: bool


@dataclass
class _Vendor:
    """Remembers the port that each request came from."""

    url: str = ""
    ports: list[int] = field(default_factory=list[int])

    async def answer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        self.ports.append(request.transport.get_extra_info("peername")[1])
        return web.json_response({"ok": True})


@pytest.fixture
async def vendor() -> AsyncIterator[_Vendor]:
    made = _Vendor()
    application = web.Application()
    application.router.add_route("*", "/", made.answer)
    async with served(application) as made.url:
        yield made


@pytest.fixture
async def http(vendor: _Vendor) -> AsyncIterator[VendorHttp]:
    made = VendorHttp(name="vendor", base_url=vendor.url, headers={"Authorization": "Bearer key"})
    yield made
    await made.close()


async def test_questions_that_follow_each_other_share_a_connection(vendor: _Vendor, http: VendorHttp) -> None:
    for _ in range(3):
        assert (await http.ask("/", answer=_Pong)).ok
    assert len(set(vendor.ports)) == 1


async def test_each_submission_has_a_connection_of_its_own(vendor: _Vendor, http: VendorHttp) -> None:
    await http.ask("/", answer=_Pong)
    for _ in range(2):
        assert (await http.submit("/", json={}, answer=_Pong, before_sending=at_once)).ok
    assert len(set(vendor.ports)) == 3


async def test_a_vendor_that_was_never_asked_is_closed_all_the_same(http: VendorHttp) -> None:
    await http.close()


def test_the_certificates_are_read_once() -> None:
    warm_up()
    assert trusted_certificates() is trusted_certificates()
