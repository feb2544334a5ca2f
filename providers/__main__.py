"""``python -m providers``: videos without a bot, for operators and for other programs.

Keys and addresses come from the same variables that the bot reads (``PIXELDOJO_API_KEY`` …).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx

from providers.contract import Provider
from providers.demo import DemoProvider
from providers.errors import ProviderError
from providers.generating import NotMade, fetch, generate
from providers.links import LinkError, Links
from providers.options import OptionsRefused, Wish, check_options, durations_text, one_of
from providers.pixazo import DEFAULT_BASE_URL as PIXAZO_URL
from providers.pixazo import Pixazo
from providers.pixeldojo import DEFAULT_BASE_URL as PIXELDOJO_URL
from providers.pixeldojo import PixelDojo
from providers.pixwith import DEFAULT_BASE_URL as PIXWITH_URL
from providers.pixwith import Pixwith
from providers.registry import Registry
from providers.types import GenerationRequest, ImageStrategy, Media, ModelSpec
from providers.vtrix import DEFAULT_BASE_URL as VTRIX_URL
from providers.vtrix import Vtrix

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2

_BAR: Final = 24
_TYPES: Final = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".mov": "video/quicktime",
}


class UsageError(Exception):
    """What was given can't be used; the text says what would be."""


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> int:
    """Run one command; gives the exit code: 0, 1 (no video) or 2 (what was given can't be used)."""
    chosen = _parser().parse_args(arguments)
    try:
        return asyncio.run(_run(chosen, os.environ if environment is None else environment))
    except (UsageError, OptionsRefused, ValueError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - it is for the one who started the command
        return USAGE
    except (ProviderError, NotMade, LinkError, OSError) as error:
        print(f"\nNo video: {error}", file=sys.stderr)  # noqa: T201
        return FAILED


def make_providers(environment: Mapping[str, str], folder: Path) -> list[Provider]:
    """Every provider with a key in the environment, and ``demo``, whose videos are drawn in ``folder``."""
    get = {name: value for name, value in environment.items() if value}.get
    providers: list[Provider] = []
    if key := get("PIXELDOJO_API_KEY"):
        providers.append(PixelDojo.connect(api_key=key, base_url=get("PIXELDOJO_BASE_URL", PIXELDOJO_URL)))
    if key := get("PIXAZO_API_KEY"):
        base_url, path = get("PIXAZO_BASE_URL", PIXAZO_URL), get("PIXAZO_KF2V_PATH")
        providers.append(Pixazo.connect(api_key=key, base_url=base_url, kf2v_path=path))
    if key := get("PIXWITH_API_KEY"):
        providers.append(Pixwith.connect(api_key=key, base_url=get("PIXWITH_BASE_URL", PIXWITH_URL)))
    if key := get("VTRIX_API_KEY"):
        shape = "wrapped" if get("VTRIX_BODY_SHAPE") == "wrapped" else "flat"
        providers.append(Vtrix.connect(api_key=key, base_url=get("VTRIX_BASE_URL", VTRIX_URL), body_shape=shape))
    seconds = float(get("DEMO_SECONDS", "5"))
    return [*providers, DemoProvider(folder=folder, seconds=seconds, now=lambda: datetime.now(UTC))]


async def _run(chosen: argparse.Namespace, environment: Mapping[str, str]) -> int:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="providers-")))
        registry = Registry.of(make_providers(environment, folder))
        stack.push_async_callback(registry.close)
        if chosen.command == "models":
            _print_models(registry)
            return OK
        hosts = {host for provider in registry.providers.values() for host in provider.trusted_hosts}
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        return await _generate(chosen, registry, Links(client=client, trusted_hosts=hosts))


async def _generate(chosen: argparse.Namespace, registry: Registry, links: Links) -> int:
    spec = registry.models.get(chosen.model)
    if spec is None:
        raise UsageError(f"--model: choose {one_of(registry.models)}; others need their provider's key")
    provider = registry.provider_of(spec)
    if chosen.task is not None:
        finished = await fetch(provider, chosen.task, spec, chosen.out, links=links, on_progress=_show_progress)
    else:
        request = _request(chosen, spec)
        finished = await generate(
            provider,
            request,
            chosen.out,
            links=links,
            on_submitted=lambda submission: _say(f"Task {submission.task_id}"),
            on_progress=_show_progress,
        )
    cost = "" if finished.cost is None else f", which cost {finished.cost.amount} {finished.cost.unit}"
    _say(f"\nThe video is in {chosen.out}{cost}.")
    return OK


def _request(chosen: argparse.Namespace, spec: ModelSpec) -> GenerationRequest:
    wish = Wish(
        prompt=chosen.prompt,
        has_image=chosen.image is not None,
        has_last_image=chosen.last_image is not None,
        has_video=chosen.video is not None,
        resolution=chosen.resolution,
        aspect_ratio=chosen.aspect_ratio,
        duration=chosen.duration,
        negative_prompt=chosen.negative_prompt,
        seed=chosen.seed,
        enhance_prompt=chosen.enhance_prompt,
        settings=chosen.settings,
    )
    options = check_options(spec, wish)
    return GenerationRequest(
        model=spec,
        mode=options.mode,
        prompt=options.prompt,
        resolution=options.resolution,
        duration=options.duration,
        negative_prompt=options.negative_prompt,
        aspect_ratio=options.aspect_ratio,
        seed=options.seed,
        enhance_prompt=options.enhance_prompt,
        parameters=options.parameters,
        image=_media("--image", chosen.image, spec),
        last_image=_media("--last-image", chosen.last_image, spec),
        video=_media("--video", chosen.video, spec),
    )


def _media(option: str, given: str | None, spec: ModelSpec) -> Media | None:
    """A file, or a link where the vendor fetches it itself."""
    if given is None:
        return None
    is_link = given.startswith(("https://", "http://"))
    if spec.image_strategy is ImageStrategy.URL:
        if not is_link:
            raise UsageError(f"{option}: {spec.id} takes a public link only, beginning with https://")
        return Media(path=Path(os.devnull), content_type=_TYPES.get(Path(given).suffix.lower(), ""), url=given)
    path = Path(given)
    content_type = _TYPES.get(path.suffix.lower())
    if is_link or content_type is None or not path.is_file():
        raise UsageError(f"{option}: {spec.id} takes a file that ends in {one_of(_TYPES)}")
    return Media(path=path, content_type=content_type)


def _print_models(registry: Registry) -> None:
    for spec in registry.models.values():
        modes = ", ".join(spec.modes)
        print(f"{spec.id:28} {modes:24} {one_of(spec.resolutions):24} {durations_text(spec.durations)}")  # noqa: T201


def _show_progress(progress: float | None) -> None:
    filled = int((progress or 0.0) * _BAR)
    known = "working" if progress is None else f"{progress:4.0%}"
    print(f"\r[{'#' * filled}{'.' * (_BAR - filled)}] {known}  ", end="", file=sys.stderr, flush=True)  # noqa: T201


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m providers", description="Videos without a bot.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("models", help="list the models whose provider has a key")
    making = commands.add_parser("generate", help="make one video")
    making.add_argument("--model", default="demo", help="such as pixeldojo/wan-2.2-standard (default: %(default)s)")
    making.add_argument("--prompt", default="", help="what the video should show")
    making.add_argument("--image", help="the first frame: a file, or a link where the vendor fetches it")
    making.add_argument("--last-image", help="the last frame")
    making.add_argument("--video", help="a clip to continue")
    making.add_argument("--out", type=Path, default=Path("video.mp4"), help="the file to write (default: %(default)s)")
    making.add_argument("--task", help="watch a task that was submitted before, instead of a new one")
    making.add_argument("--duration", type=int, help="in seconds")
    making.add_argument("--seed", type=int)
    making.add_argument("--enhance-prompt", action=argparse.BooleanOptionalAction, help="let the model rewrite it")
    making.add_argument("--settings", help='more, as in "steps=40 fps=24"')
    for name in ("--resolution", "--aspect-ratio", "--negative-prompt"):
        making.add_argument(name)
    return parser


if __name__ == "__main__":
    sys.exit(main())
