"""A walk through the playground, as a newcomer takes it."""

from __future__ import annotations

import pytest

from tests.browser.visits import Visit

pytestmark = pytest.mark.timeout(400)


async def test_a_video_and_what_leads_on_from_it(visit: Visit) -> None:
    await visit.command("wan video", prompt="A paper boat on a lake")
    await visit.sees("Running")
    await visit.picture("members-card")
    await visit.plays(videos=1)
    await visit.picture("playground")
    await visit.press("Again")
    await visit.plays(videos=2)
    await visit.press("Edit and rerun")
    await visit.picture("members-edit")
    await visit.page.get_by_label("Prompt", exact=True).fill("A paper boat in a storm")
    await visit.press("Submit")
    await visit.plays(videos=3)
    await visit.press("Extend")
    await visit.press("Submit")
    await visit.plays(videos=4)
    await visit.picture("members-extend")
