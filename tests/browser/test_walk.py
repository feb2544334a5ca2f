"""A walk through the playground, as a newcomer takes it."""

from __future__ import annotations

import pytest

from tests.browser.visits import Visit

pytestmark = pytest.mark.timeout(400)


async def test_a_video_and_what_leads_on_from_it(visit: Visit) -> None:
    await visit.command("wan video", prompt="A paper boat on a lake")
    await visit.sees("Running")
    await visit.picture("members-card", height=620)
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


async def test_a_refusal_says_what_is_wrong_and_only_to_the_one_who_asked(visit: Visit) -> None:
    await visit.become("mona")
    await visit.command("wan-admin words block", text="fox")
    await visit.become("alex")
    await visit.command("wan video", prompt="A fox in the snow")
    await visit.sees("it has a word that this community blocks (its rule 1)")
    await visit.picture("members-refusal", height=380)
    await visit.become("小雨")
    await visit.sees("it has a word that this community blocks (its rule 1)", times=0)


async def test_a_member_with_a_chinese_client_is_answered_in_chinese(visit: Visit) -> None:
    await visit.become("小雨")
    await visit.command("wan video", prompt="湖上的纸船")
    await visit.plays(videos=1)
    await visit.command("wan balance")
    await visit.sees("可用：99")
    await visit.command("wan help")
    await visit.sees("制作视频")
    await visit.picture("members-chinese")
