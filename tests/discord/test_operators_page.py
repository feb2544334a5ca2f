"""The operator's page over real HTTP: who gets in, what it shows, and what it never shows."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from bot.operations.door import TRIES
from tests.discord.conftest import SimulatedLinks
from tests.discord.watching import get, look_anew, open_watched, watched
from tests.discord.worlds import World
from tests.imitations.pixeldojo import NO_CREDITS, PixelDojoImitation, Route

TOKEN = "correct-horse-battery-staple"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PROMPT = "A cat that nobody else may read of"


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    look_anew(monkeypatch)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World]:
    """In place of the usual one: with an operator who wants a page."""
    async with open_watched(tmp_path, {"WANBOT_WEB_TOKEN": TOKEN}) as world:
        yield world


async def post(url: str, path: str, **options: Any) -> tuple[int, str, Mapping[str, str]]:
    """Send a form; redirects aren't followed."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}{path}", allow_redirects=False, **options) as answer,
    ):
        return answer.status, await answer.text(), dict(answer.headers)


async def sign_in(url: str, **headers: str) -> tuple[dict[str, str], str]:
    """The cookie that a browser sends from now on, and all that was said of it."""
    status, _, answered = await post(url, "/login", data={"token": TOKEN}, headers=headers)
    assert (status, answered["Location"]) == (303, "/")
    cookie = SimpleCookie(answered["Set-Cookie"])
    return {"Cookie": f"wanbot={cookie['wanbot'].value}"}, answered["Set-Cookie"]


# --- who gets in -------------------------------------------------------------------------------------


async def test_without_the_token_there_is_a_form_and_nothing_else(world: World) -> None:
    async with watched(world) as url:
        status, page, headers = await get(url, "/")
    assert status == 401
    assert headers["WWW-Authenticate"] == "Bearer"
    assert 'name="token" type="password"' in page
    assert "Live jobs" not in page
    assert "Here" not in page


@pytest.mark.parametrize("wrong", ["", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", f"bearer {TOKEN}"])
async def test_a_wrong_token_opens_nothing(world: World, wrong: str) -> None:
    async with watched(world) as url:
        status, page, _ = await get(url, "/", headers={"Authorization": wrong})
    assert status in {401, 403}
    assert "Live jobs" not in page


async def test_a_program_gets_in_with_the_token_in_a_header(world: World) -> None:
    async with watched(world) as url:
        status, page, headers = await get(url, "/", headers=BEARER)
    assert status == 200
    assert "Live jobs" in page
    assert "Set-Cookie" not in headers


async def test_a_browser_gets_in_with_the_form_and_out_with_the_button(world: World) -> None:
    async with watched(world) as url:
        cookie, said = await sign_in(url)
        assert (await get(url, "/", headers=cookie))[0] == 200
        status, _, headers = await post(url, "/logout", headers=cookie)
        assert (status, headers["Location"]) == (303, "/")
        assert (await get(url, "/", headers=cookie))[0] == 401
    assert TOKEN not in said
    assert {part.strip() for part in said.split(";")[1:]} == {"HttpOnly", "Max-Age=43200", "Path=/", "SameSite=Strict"}


async def test_behind_a_proxy_with_tls_the_cookie_goes_over_tls_alone(world: World) -> None:
    async with watched(world) as url:
        _, said = await sign_in(url, **{"X-Forwarded-Proto": "https"})
    assert "Secure" in said


async def test_guessing_is_slow_and_told_to_the_operator_without_what_was_tried(world: World) -> None:
    async with watched(world) as url:
        cookie, _ = await sign_in(url)
        with capture_logs() as lines:
            statuses = [(await post(url, "/login", data={"token": f"guess {n}"}))[0] for n in range(TRIES + 1)]
        late, page, headers = await post(url, "/login", data={"token": TOKEN})
        by_header, _, _ = await get(url, "/", headers=BEARER)
        inside, _, _ = await get(url, "/", headers=cookie)
        await world.env.advance_time(61)
        assert (await post(url, "/login", data={"token": TOKEN}))[0] == 303
    assert statuses == [*[403] * TRIES, 429]
    assert (late, headers["Retry-After"]) == (429, "60")
    assert "Wait 60 seconds." in page
    assert by_header == 429
    assert inside == 200, "who is in stays in"
    assert [line["event"] for line in lines] == ["a wrong token was tried on the web page"] * TRIES
    assert "guess" not in str(lines)


async def test_without_a_token_in_the_settings_there_is_no_page_and_the_log_says_why(tmp_path: Path) -> None:
    async with open_watched(tmp_path) as world:
        with capture_logs() as lines:
            async with watched(world) as url:
                for path in ("/", "/page.css", "/login"):
                    assert (await get(url, path, headers=BEARER))[0] == 404
                assert (await post(url, "/login", data={"token": ""}))[0] == 404
                assert (await get(url, "/healthz"))[0] == 200
    assert "there is no web page: WANBOT_WEB_TOKEN isn't set" in [line["event"] for line in lines]


async def test_a_short_token_is_taken_with_a_warning(tmp_path: Path) -> None:
    async with open_watched(tmp_path, {"WANBOT_WEB_TOKEN": "short"}) as world:
        with capture_logs() as lines:
            async with watched(world) as url:
                assert (await get(url, "/", headers={"Authorization": "Bearer short"}))[0] == 200
    assert [line["log_level"] for line in lines if "short" in line["event"]] == ["warning"]


async def test_a_huge_form_is_refused(world: World) -> None:
    async with watched(world) as url:
        status, _, _ = await post(url, "/login", data={"token": "x" * 100_000})
    assert status == 413


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/metrics", "/page.css", "/nowhere"])
async def test_browsers_are_told_to_run_nothing_and_keep_nothing(world: World, path: str) -> None:
    async with watched(world) as url:
        _, page, headers = await get(url, path)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "'unsafe-inline'" not in policy
    assert "frame-ancestors 'none'" in policy
    assert (headers["X-Content-Type-Options"], headers["Cache-Control"]) == ("nosniff", "no-store")
    assert "style=" not in page


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_nothing_else_is_answered(world: World, method: str) -> None:
    async with watched(world) as url, aiohttp.ClientSession() as session:
        for path in ("/", "/login", "/metrics", "/readyz"):
            async with session.request(method, f"{url}{path}", headers=BEARER) as answer:
                assert answer.status == 405


# --- what it shows -----------------------------------------------------------------------------------


async def test_the_page_shows_a_job_while_it_goes_on_and_its_community_afterwards(world: World) -> None:
    async with watched(world) as url:
        await world.video(prompt=PROMPT)
        (job,) = await world.open_jobs()
        _, during, _ = await get(url, "/", headers=BEARER)
        await world.finish()
        _, after, _ = await get(url, "/", headers=BEARER)
    assert f"<code>{job.id}</code>" in during
    assert "1 running" in during
    assert "1 credit held" in during
    assert "No job is open." in after
    cells = re.findall(r'<td data-of="(\w[\w ]*)">(?:<bdi>)?([^<]+)', after[after.index("Communities by use") :])
    assert cells[:5] == [
        ("Community", "Here"),
        ("Jobs", "1"),
        ("Videos", "1"),
        ("Members", "1"),
        ("Credits spent", "1"),
    ]
    for page in (during, after):
        assert PROMPT not in page
        assert "alice" not in page
        assert str(world.alice.id) not in page


async def test_a_communitys_name_is_only_ever_a_text(world: World) -> None:
    guild = world.app.bot.get_guild(world.guild.id)
    assert guild is not None
    guild.name = '<script>alert("boo")</script>'
    async with watched(world) as url:
        await world.video(prompt=PROMPT)
        _, page, _ = await get(url, "/", headers=BEARER)
        await world.finish()
    assert "<script" not in page
    assert "&lt;script&gt;alert(&quot;boo&quot;)&lt;/script&gt;" in page


async def test_the_page_shows_a_paused_provider_and_what_failed(
    tmp_path: Path, vendor: PixelDojoImitation, links: SimulatedLinks
) -> None:
    environment = {
        "PIXELDOJO_API_KEY": "pd_test",
        "PIXELDOJO_BASE_URL": vendor.base_url,
        "WANBOT_WEB_TOKEN": TOKEN,
    }
    async with open_watched(tmp_path, environment) as world, watched(world) as url:
        links.world = world
        vendor.fault_always(Route.SUBMIT, NO_CREDITS)
        await world.video(prompt=PROMPT, model="pixeldojo/wan-2.2-standard")
        _, page, _ = await get(url, "/", headers=BEARER)
    assert "paused: its key or its funds were refused; asked again in 5 min" in page
    assert ">1 of 1<" in page
    assert ">failed: provider paused<" in page
    assert PROMPT not in page


async def test_the_page_shows_what_a_vendor_was_paid(
    tmp_path: Path, vendor: PixelDojoImitation, links: SimulatedLinks
) -> None:
    environment = {"PIXELDOJO_API_KEY": "pd_test", "PIXELDOJO_BASE_URL": vendor.base_url, "WANBOT_WEB_TOKEN": TOKEN}
    async with open_watched(tmp_path, environment) as world, watched(world) as url:
        links.world = world
        await world.video(prompt=PROMPT, model="pixeldojo/wan-2.2-standard")
        vendor.finish(vendor.submissions[0].job_id)
        await world.finish()
        _, page, _ = await get(url, "/", headers=BEARER)
    # three of its credits
    assert '<td data-of="Spend, 24 hours">US$ 0.15</td><td data-of="Spend, 7 days">US$ 0.15</td>' in page
