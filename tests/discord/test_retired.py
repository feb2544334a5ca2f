"""A model that is offered no more: new jobs are sent to its successor, those under way are finished."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from providers.catalogue import MODELS
from tests.discord.worlds import World, open_world, text_of
from tests.imitations.pixeldojo import PixelDojoImitation

OLD = "pixeldojo/wan-2.2-standard"
RETIRED = [replace(spec, successor="pixeldojo/wan-3") if spec.id == OLD else spec for spec in MODELS]


async def test_who_asks_for_a_retired_model_is_told_its_successor(tmp_path: Path) -> None:
    environment = {"PIXELDOJO_API_KEY": "pd_test", "PIXELDOJO_BASE_URL": "http://127.0.0.1:1"}
    async with open_world(tmp_path, environment, models=RETIRED) as world:
        answer = await world.alice.slash(world.channel, "wan video", prompt="A cat", model=OLD)
        assert "its successor is `pixeldojo/wan-3`" in text_of(answer)
        assert OLD not in text_of(await world.alice.slash(world.channel, "wan models"))


async def test_a_job_under_way_is_finished_although_its_model_was_retired(tmp_path: Path) -> None:
    async with PixelDojoImitation(key="pd_test") as vendor:
        environment = {
            "PIXELDOJO_API_KEY": "pd_test",
            "PIXELDOJO_BASE_URL": vendor.base_url,
            "PIXELDOJO_REQUESTS_PER_MINUTE": "6000",
        }
        async with open_world(tmp_path, environment) as world:
            answer = await world.video(prompt="A cat", model=OLD)
            retire(world)
            vendor.finish(vendor.submissions[0].job_id)
            await world.finish()
            assert text_of(answer).startswith("Done")


def retire(world: World) -> None:
    """Offer the model no more, as the next version's catalogue would."""
    registry = world.app.services.registry
    offered = {model: spec for model, spec in registry.models.items() if model != OLD}
    object.__setattr__(registry, "models", offered)
