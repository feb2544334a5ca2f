"""The operator's page in a browser, without JavaScript, on a phone and on a desktop."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from bot.jobs.job import State
from tests.browser.conftest import FLAGS, chromium
from tests.imitations.pixeldojo import CUT, NO_CREDITS, Route
from tests.recovery.ports import free_port
from tests.recovery.processes import Stage

pytestmark = pytest.mark.timeout(300)

TOKEN: Final = "correct-horse-battery-staple"
PROMPT: Final = "A paper boat that nobody else may read of"
PHONE: Final = {"width": 390, "height": 844}
DESKTOP: Final = {"width": 1280, "height": 900}
#: how far a page reaches to the right of what is seen
_BEYOND: Final = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass(frozen=True)
class Operator:
    """Whoever runs the bot, in front of a browser."""

    browser: Browser
    url: str
    folder: Path
    stage: Stage

    @asynccontextmanager
    async def page(self, size: dict[str, int], *, theme: str = "light") -> AsyncGenerator[Page]:
        """A fresh browser window that runs no script."""
        context = await self.browser.new_context(
            viewport={"width": size["width"], "height": size["height"]},
            color_scheme="dark" if theme == "dark" else "light",
            java_script_enabled=False,
        )
        page = await context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        await page.goto(self.url)
        yield page
        await context.close()
        # a refusal by its status is written down as well
        assert [text for text in complaints if not text.startswith("Failed to load resource")] == []

    async def sign_in(self, page: Page, token: str = TOKEN) -> None:
        await page.get_by_label("Token").fill(token)
        await page.get_by_role("button", name="Sign in").click()


@pytest.fixture
async def operator(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncGenerator[Operator]:
    """A bot that has had a busy day."""
    port = free_port()
    async with (
        Stage.open(tmp_path) as stage,
        stage.serving(HTTP_PORT=str(port), WANBOT_WEB_TOKEN=TOKEN, DEMO_SECONDS="1") as bot,
        async_playwright() as playwright,
    ):
        await bot.ready()
        await live_a_day(stage)
        browser = await playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        folder: Path = request.config.getoption("--pictures") or tmp_path
        yield Operator(browser=browser, url=f"http://127.0.0.1:{port}", folder=folder, stage=stage)
        await browser.close()


async def live_a_day(stage: Stage) -> None:
    """Videos in three communities, one of them with a hostile name; then trouble with a vendor."""
    for name, videos in (("Film club", 3), ("<script>alert('boo')</script>", 1)):
        guild = stage.discord.add_guild(name=name)
        channel, member = guild.add_channel(), guild.add_member(f"{name[:4]} member")
        for number in range(videos):
            await stage.done(await stage.ask_demo(f"{PROMPT} {number}", channel=channel, member=member))
    stage.vendor.fault_next(Route.SUBMIT, CUT)
    await stage.reached(await stage.ask_vendor(PROMPT), State.LOST)
    running = await stage.ask_vendor(PROMPT)
    await stage.reached(running, State.RUNNING)
    stage.vendor.fault_always(Route.SUBMIT, NO_CREDITS)
    await stage.reached(await stage.ask_vendor(PROMPT), State.FAILED)


@pytest.mark.parametrize(
    ("size", "theme", "picture"), [(DESKTOP, "light", "operator-page"), (PHONE, "dark", "operator-page-phone")]
)
async def test_the_page_is_read_on_any_screen(
    operator: Operator, size: dict[str, int], theme: str, picture: str
) -> None:
    async with operator.page(size, theme=theme) as page:
        await operator.sign_in(page)
        await expect(page.get_by_role("heading", name="Live jobs")).to_be_visible()
        await expect(page.get_by_text("1 running")).to_be_visible()
        await expect(page.get_by_text("paused: its key or its funds were refused")).to_be_visible()
        await expect(page.get_by_text("Film club")).to_be_visible()
        await expect(page.get_by_text("<script>alert('boo')</script>")).to_be_visible()
        await expect(page.get_by_text("a submission got lost: look for it at the vendor")).to_be_visible()
        # a phone stacks the cells of a row
        shape = "grid" if size is PHONE else "table-cell"
        await expect(page.locator("td").first).to_have_css("display", shape)
        assert await page.evaluate(_BEYOND) <= 0
        assert PROMPT not in await page.content()
        await page.screenshot(path=operator.folder / f"{picture}.png", full_page=True)


async def test_only_the_token_opens_the_page_and_signing_out_closes_it(operator: Operator) -> None:
    async with operator.page(PHONE) as page:
        await operator.sign_in(page, "a guess")
        await expect(page.get_by_role("alert")).to_have_text("That isn't the token.")
        await operator.sign_in(page)
        await expect(page.get_by_role("heading", name="Providers")).to_be_visible()
        assert await page.evaluate("document.cookie") == ""
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label("Token")).to_be_visible()
        await page.goto(operator.url)
        await expect(page.get_by_label("Token")).to_be_visible()


async def test_the_page_loads_itself_again(operator: Operator) -> None:
    async with operator.page(PHONE) as page:
        await operator.sign_in(page)
        await expect(page.get_by_text("1 running")).to_be_visible()
        operator.stage.vendor.finish(operator.stage.vendor.submissions[-1].job_id)
        await expect(page.get_by_text("0 running")).to_be_visible(timeout=60_000)
