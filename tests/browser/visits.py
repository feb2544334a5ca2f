"""What a member does with the page, and sees on it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.async_api import Locator, Page, expect

#: pixels
WIDTH: Final = 760
HEIGHT: Final = 900
#: milliseconds; a video is drawn in the meantime
PATIENCE: Final = 60_000
#: milliseconds; the page draws its suggestions by and by
_MOMENT: Final = 600
#: plays the newest video, also after the page was drawn anew, and tells whether it moves
_PLAYS: Final = """() => {
    const video = [...document.querySelectorAll("video")].at(-1);
    video.muted = true;
    if (video.paused) video.play().catch(() => {});
    return video.currentTime > 1;
}"""


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody in front of the playground."""

    page: Page
    #: where pictures are kept
    folder: Path

    async def begin(self) -> None:
        """Wait until the page is there, and show the channel alone."""
        await expect(self._composer).to_be_enabled(timeout=PATIENCE)
        if await self.page.locator("#messages-toggle[aria-expanded=true]").count():
            await self.page.locator("#messages-toggle").click()

    async def become(self, name: str) -> None:
        """Look at it as another member."""
        await self.page.select_option("#viewer-picker", label=name)
        await self.page.wait_for_timeout(_MOMENT)
        await expect(self._composer).to_be_enabled(timeout=PATIENCE)

    async def command(self, name: str, **options: str) -> None:
        """Type a command, with its required options in their order, and send it."""
        await self._composer.click()
        await self.page.keyboard.type(f"/{name}", delay=15)
        await self.page.wait_for_timeout(_MOMENT)
        await self.page.keyboard.press("Enter")
        await self.page.wait_for_timeout(_MOMENT)
        for value in options.values():
            await self.page.keyboard.type(value)
            await self.page.wait_for_timeout(_MOMENT)
        await self.page.locator("#send-message").click()

    async def press(self, label: str) -> None:
        """Press the newest button of this name."""
        button = self.page.get_by_role("button", name=label, exact=True).last
        await expect(button).to_be_enabled(timeout=PATIENCE)
        await button.click()

    async def sees(self, text: str | re.Pattern[str], *, times: int = 1) -> Locator:
        """Wait until a text stands in the channel so many times."""
        found = self.page.locator("#preview-app").get_by_text(text)
        await expect(found).to_have_count(times, timeout=PATIENCE)
        if times:
            await found.last.scroll_into_view_if_needed()
        return found.last

    async def plays(self, *, videos: int) -> None:
        """Wait until so many videos are there, and the newest plays."""
        player = self.page.locator("video")
        await expect(player).to_have_count(videos, timeout=PATIENCE)
        await player.last.scroll_into_view_if_needed()
        await self.page.wait_for_function(_PLAYS, timeout=PATIENCE, polling=_MOMENT)

    async def picture(self, name: str, *, height: int = HEIGHT) -> None:
        """Keep what is seen, on a page of so many pixels."""
        await self.page.set_viewport_size({"width": WIDTH, "height": height})
        await self.page.wait_for_timeout(_MOMENT)
        await self.page.locator("#preview-app").screenshot(path=self.folder / f"{name}.png")
        await self.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})

    @property
    def _composer(self) -> Locator:
        return self.page.locator("#channel-composer-input")
