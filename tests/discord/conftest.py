from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.discord.steps import check_elsewhere
from tests.discord.worlds import World, open_world
from tests.imitations.pixeldojo import PixelDojoImitation
from tests.imitations.vtrix import VtrixImitation


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World]:
    """A bot with nothing but ``demo``."""
    async with open_world(tmp_path) as world:
        yield world


class SimulatedLinks:
    """Gets the links of attachments from the simulated Discord, where no HTTP reaches."""

    def __init__(self) -> None:
        self.world: World | None = None

    async def __call__(self, url: str) -> bytes:
        found = None if self.world is None else self.world.env.backend.cdn.get(url)
        if found is None:
            raise LookupError(url)
        return found


@pytest.fixture
def links() -> SimulatedLinks:
    return SimulatedLinks()


@pytest.fixture
async def vendor(links: SimulatedLinks) -> AsyncGenerator[PixelDojoImitation]:
    """PixelDojo, imitated over real HTTP."""
    async with PixelDojoImitation(key="pd_test", fetch=links) as vendor:
        yield vendor


@pytest.fixture
async def vtrix() -> AsyncGenerator[VtrixImitation]:
    """Vtrix, imitated over real HTTP; its videos are ready by themselves."""
    async with VtrixImitation(key="vt_test") as vtrix:
        vtrix.polls = 1
        yield vtrix


@pytest.fixture
async def dojo(tmp_path: Path, vendor: PixelDojoImitation, links: SimulatedLinks) -> AsyncGenerator[World]:
    """A bot with PixelDojo and ``demo``; the vendor fetches pictures from the simulated Discord."""
    async with open_world(tmp_path, with_dojo(vendor)) as world:
        links.world = world
        yield world


@pytest.fixture
async def pair(
    tmp_path: Path, vendor: PixelDojoImitation, vtrix: VtrixImitation, links: SimulatedLinks
) -> AsyncGenerator[World]:
    """A bot with two vendors, PixelDojo and Vtrix, and ``demo``."""
    async with open_world(tmp_path, with_dojo(vendor) | with_vtrix(vtrix)) as world:
        links.world = world
        yield world


def with_dojo(vendor: PixelDojoImitation) -> dict[str, str]:
    """The settings of a bot with PixelDojo."""
    return {
        "PIXELDOJO_API_KEY": vendor.key,
        "PIXELDOJO_BASE_URL": vendor.base_url,
        "PIXELDOJO_REQUESTS_PER_MINUTE": "6000",
        "DEFAULT_ALLOWANCE": "200",
    }


def with_vtrix(vtrix: VtrixImitation) -> dict[str, str]:
    """What is added to the settings for Vtrix."""
    return {
        "VTRIX_API_KEY": vtrix.key,
        "VTRIX_BASE_URL": vtrix.base_url,
        "VTRIX_REQUESTS_PER_MINUTE": "6000",
    }


@pytest.fixture
def played_world(request: pytest.FixtureRequest) -> World | None:
    """The world that the story plays in, if it doesn't make its own."""
    names = [name for name in ("dojo", "world") if name in request.fixturenames]
    return request.getfixturevalue(names[0]) if names else None


@pytest.fixture
async def undecided_elsewhere(played_world: World | None) -> AsyncGenerator[None]:
    """Whatever the story decides, the other guild has decided nothing in the end."""
    yield
    if played_world is not None:
        await check_elsewhere(played_world)
