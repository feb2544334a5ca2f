"""The playground as a process of its own, and a browser that looks at it.

Not part of ``make test``: ``make test-browser`` needs Chromium, the system's or the one that Playwright fetches.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import async_playwright

from tests.browser.visits import HEIGHT, WIDTH, Visit

ROOT: Final = Path(__file__).parents[2]
#: a page says that it is there within so many seconds, also where much else is going on
_PATIENCE: Final = 60.0
_URL: Final = re.compile(rb"http://127\.0\.0\.1:\S+")
#: nothing of a first start, and no request to anybody
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--pictures docs/images`` draws the pictures of the documents anew."""
    parser.addoption("--pictures", type=Path, default=None, help="the folder in which to keep what was seen")


@pytest.fixture
async def visit(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncGenerator[Visit]:
    """A page that shows the playground of a fresh bot."""
    folder: Path = request.config.getoption("--pictures") or tmp_path
    async with _playground(tmp_path) as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = await browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="dark")
        await page.goto(url)
        visit = Visit(page=page, folder=folder)
        await visit.begin()
        yield visit
        await browser.close()


@asynccontextmanager
async def _playground(folder: Path) -> AsyncGenerator[str]:
    """The address of a playground."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    environment |= {"DATA_DIR": str(folder / "data"), "DEMO_SECONDS": "6"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "playground", "--port", "0"),
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_PATIENCE):
            while (found := _URL.search(await process.stdout.readline())) is None:
                assert process.returncode is None, "the playground has ended"
        yield found[0].decode()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.communicate()


def chromium() -> str | None:
    """The system's Chromium; None: the one that ``playwright install chromium`` has fetched."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
