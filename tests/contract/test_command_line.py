"""``wanbot check --live`` and ``python -m providers``, as processes, against every imitation."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import av
import pytest
from PIL import Image

from tests.imitations.pixazo import PixazoImitation
from tests.imitations.pixeldojo import PixelDojoImitation
from tests.imitations.pixwith import PixwithImitation
from tests.imitations.vendor import VendorImitation, small_video
from tests.imitations.vtrix import VtrixImitation

ROOT = Path(__file__).parents[2]


async def _fetch(link: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (640, 480), "teal").save(buffer, "PNG")
    return buffer.getvalue() if link.endswith(".png") else small_video()


@pytest.fixture
async def vendors() -> AsyncGenerator[dict[str, VendorImitation]]:
    made: dict[str, VendorImitation] = {
        "pixeldojo": PixelDojoImitation(key="pd_test", fetch=_fetch),
        "pixazo": PixazoImitation(key="px_test", fetch=_fetch),
        "pixwith": PixwithImitation(key="key_test", fetch=_fetch),
        "vtrix": VtrixImitation(key="vt_test", fetch=_fetch),
    }
    async with AsyncExitStack() as stack:
        for vendor in made.values():
            await stack.enter_async_context(vendor)
        yield made


async def run(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run Python with these arguments; gives exit code, output and errors."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LD_LIBRARY_PATH"}}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), "DATA_DIR": str(folder / "data"), **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), errors.decode()


def settings_of(vendors: dict[str, VendorImitation]) -> dict[str, str]:
    keys = {f"{name.upper()}_API_KEY": vendor.key for name, vendor in vendors.items()}
    return keys | {f"{name.upper()}_BASE_URL": vendor.base_url for name, vendor in vendors.items()}


async def test_a_live_check_asks_every_vendor_what_costs_nothing(
    tmp_path: Path, vendors: dict[str, VendorImitation]
) -> None:
    code, out, errors = await run(tmp_path, "-m", "bot", "check", "--live", **settings_of(vendors))
    assert code == 0, out + errors
    assert [line for line in out.splitlines() if line.startswith("Demo") and " works;" in line]
    for title in ("PixelDojo", "Pixazo", "Pixwith", "Vtrix"):
        (line,) = [line for line in out.splitlines() if line.startswith(title)]
        assert "reachable, key accepted" in line
    assert "500 left" in out  # Pixwith tells its balance
    assert all(vendor.submissions == [] for vendor in vendors.values())


async def test_a_live_check_finds_a_wrong_key_and_never_shows_it(
    tmp_path: Path, vendors: dict[str, VendorImitation]
) -> None:
    settings = settings_of(vendors) | {"PIXELDOJO_API_KEY": "pd_wrong_secret", "VTRIX_BASE_URL": "http://127.0.0.1:1"}
    code, out, errors = await run(tmp_path, "-m", "bot", "check", "--live", **settings)
    assert code == 1
    assert "pd_wrong_secret" not in out + errors
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert "reachable" not in lines["PixelDojo"]
    assert "reachable" not in lines["Vtrix"]
    assert "reachable" in lines["Pixazo"]


@pytest.mark.parametrize(
    ("model", "attached"),
    [
        ("pixeldojo/wan-2.2-standard", ["--image", "https://pictures.example/a.png"]),
        ("pixazo/wan2.2-i2v-flash", ["--image", "https://pictures.example/a.png"]),
        ("pixwith/wan-2.2-pro", ["--image", "a.png"]),
        ("vtrix/wan22_i2v_flash", ["--image", "a.png"]),
    ],
)
async def test_providers_make_videos_without_a_bot(
    tmp_path: Path, vendors: dict[str, VendorImitation], model: str, attached: list[str]
) -> None:
    Image.new("RGB", (640, 480), "teal").save(tmp_path / "a.png")
    vendor = vendors[model.partition("/")[0]]
    vendor.polls = 0
    command = ["-m", "providers", "generate", "--model", model, "--prompt", "A cat", *attached, "--out", "made.mp4"]
    code, _, errors = await run(tmp_path, *command, **settings_of(vendors))
    assert code == 0, errors
    assert len(vendor.submissions) == 1
    assert f"Task {vendor.submissions[0].job_id}" in errors
    with av.open(str(tmp_path / "made.mp4")) as container:
        assert container.streams.video
    # the same task again, without a second submission
    again = ["-m", "providers", "generate", "--model", model, "--task", vendor.submissions[0].job_id, "--out", "b.mp4"]
    code, _, errors = await run(tmp_path, *again, **settings_of(vendors))
    assert code == 0, errors
    assert len(vendor.submissions) == 1


async def test_what_can_not_be_asked_for_is_named(tmp_path: Path, vendors: dict[str, VendorImitation]) -> None:
    settings = settings_of(vendors)
    command = ["-m", "providers", "generate", "--prompt", "A cat", "--model"]
    code, _, errors = await run(tmp_path, *command, "pixeldojo/wan-2.2-standard", "--image", "a.png", **settings)
    assert (code, "public link" in errors) == (2, True)
    code, _, errors = await run(tmp_path, *command, "nobody/knows", **settings)
    assert (code, "pixeldojo/wan-2.2-standard" in errors) == (2, True)
    code, _, errors = await run(tmp_path, *command, "vtrix/wan22_t2v_plus", "--duration", "9", **settings)
    assert (code, "5 seconds" in errors) == (2, True)
    assert all(vendor.submissions == [] for vendor in vendors.values())
