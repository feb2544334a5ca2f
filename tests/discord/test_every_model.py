"""Every model of the catalogue, in every mode: the command, the request, the card, the posted video."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from providers.catalogue import MODELS
from providers.types import Mode, ModelSpec
from tests.discord.conftest import SimulatedLinks
from tests.discord.worlds import World, open_world, picture, text_of
from tests.imitations.pixazo import PixazoImitation
from tests.imitations.pixeldojo import PixelDojoImitation
from tests.imitations.pixwith import PixwithImitation
from tests.imitations.vendor import VendorImitation, small_video
from tests.imitations.vtrix import VtrixImitation

ATTACHED: dict[Mode, tuple[str, ...]] = {
    Mode.TEXT: (),
    Mode.IMAGE: ("image",),
    Mode.FIRST_LAST: ("image", "last_image"),
    Mode.EXTEND: ("video",),
}
CASES = [pytest.param(spec, mode, id=f"{spec.id} {mode}") for spec in MODELS for mode in spec.modes]


@asynccontextmanager
async def everything(folder: Path) -> AsyncGenerator[tuple[World, dict[str, VendorImitation]]]:
    """A bot with every provider there is."""
    links = SimulatedLinks()
    vendors: dict[str, VendorImitation] = {
        "pixeldojo": PixelDojoImitation(key="pd_test", fetch=links),
        "pixazo": PixazoImitation(key="px_test", fetch=links, kf2v_path="/kf2v/v1/generate"),
        "pixwith": PixwithImitation(key="key_test", fetch=links),
        "vtrix": VtrixImitation(key="vt_test", fetch=links),
    }
    async with AsyncExitStack() as stack:
        environment = {"DEFAULT_ALLOWANCE": "1000", "PIXAZO_KF2V_PATH": "/kf2v/v1/generate"}
        for name, vendor in vendors.items():
            await stack.enter_async_context(vendor)
            environment[f"{name.upper()}_API_KEY"] = vendor.key
            environment[f"{name.upper()}_BASE_URL"] = vendor.base_url
            environment[f"{name.upper()}_REQUESTS_PER_MINUTE"] = "6000"
        world = await stack.enter_async_context(open_world(folder, environment))
        links.world = world
        yield world, vendors


@pytest.mark.parametrize(("spec", "mode"), CASES)
async def test_a_video_from_the_command_to_the_channel(spec: ModelSpec, mode: Mode, tmp_path: Path) -> None:
    async with everything(tmp_path) as (world, vendors):
        files = {"image": ("a.png", picture()), "last_image": ("b.png", picture()), "video": ("c.mp4", small_video())}
        attached = {name: files[name] for name in ATTACHED[mode]}
        prices = world.app.services.pricing.range(spec)
        assert prices is not None
        answer = await world.video(prompt="A cat wakes up", model=spec.id, **attached)
        card = text_of(answer)
        assert card.startswith("Running"), card
        assert spec.name in card
        held = (await world.account()).held
        assert prices[1] >= held >= prices[0] > 0
        if spec.provider in vendors:
            vendor = vendors[spec.provider]
            (submission,) = vendor.submissions
            vendor.finish(submission.job_id)
        await world.finish()
        assert text_of(answer).startswith("Done"), text_of(answer)
        assert len(world.posted()) == 1
        account = await world.account()
        assert (account.available, account.held) == (1000 - held, 0)
        assert sum(len(vendor.submissions) for vendor in vendors.values()) == (1 if spec.provider in vendors else 0)


async def test_every_vendor_that_fails_is_explained_and_costs_nothing(tmp_path: Path) -> None:
    chosen = {
        "pixeldojo": "pixeldojo/wan-2.2-standard",
        "pixazo": "pixazo/wan2.2-t2v-plus",
        "pixwith": "pixwith/wan-2.2-pro",
        "vtrix": "vtrix/wan22_t2v_plus",
    }
    async with everything(tmp_path) as (world, vendors):
        for name, model in chosen.items():
            answer = await world.video(prompt="A cat", model=model)
            vendors[name].fail(vendors[name].submissions[0].job_id)
            await world.finish()
            text = text_of(answer)
            assert text.startswith("Failed"), text
            assert "went back" in text
        assert (await world.account()).available == 1000
