"""The command line, run as operators run it: as a process, with an environment of its own."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import av
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]


def environment(folder: Path, **extra: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LD_LIBRARY_PATH"}}
    return {**kept, "PYTHONPATH": str(ROOT), "DATA_DIR": str(folder / "data"), **extra}


def wanbot(folder: Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - it is ourselves
        [sys.executable, "-m", "bot", *arguments],
        cwd=folder,
        env=environment(folder, **extra),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_demo_makes_a_video_in_the_terminal(tmp_path: Path) -> None:
    Image.new("RGB", (320, 240), "teal").save(tmp_path / "first.png")
    Image.new("RGB", (320, 240), "orange").save(tmp_path / "last.png")
    arguments = ["demo", "--prompt", "From teal to orange", "--image", "first.png", "--last-image", "last.png"]
    done = wanbot(tmp_path, *arguments, "--duration", "2", "--out", "made.mp4", DEMO_SECONDS="3")
    assert done.returncode == 0, done.stderr
    # the card as it changes
    first_words = [line.split("  ")[0] for line in done.stdout.splitlines()]
    titles = [word for word in first_words if word in {"Queued", "Running", "Done"}]
    assert list(dict.fromkeys(titles)) == ["Queued", "Running", "Done"]
    assert "From teal to orange" in done.stdout
    with av.open(str(tmp_path / "made.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert float(container.duration or 0) / av.time_base == pytest.approx(2, abs=0.2)
    assert not (tmp_path / "data").exists()  # a world of its own


def test_a_demo_that_can_not_be_says_why(tmp_path: Path) -> None:
    done = wanbot(tmp_path, "demo", "--duration", "99")
    assert done.returncode == 1
    assert "2 to 10 seconds" in done.stdout
    missing = wanbot(tmp_path, "demo", "--image", "nowhere.png")
    assert missing.returncode == 1
    assert "nowhere.png" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_a_new_installation_is_checked_migrated_and_backed_up(tmp_path: Path) -> None:
    done = wanbot(tmp_path, "check")
    assert done.returncode == 0, done.stderr
    assert "DISCORD_TOKEN" in done.stdout
    assert "demo" in done.stdout
    assert "every account equals the sum of its entries" in done.stdout
    assert wanbot(tmp_path, "migrate").returncode == 0
    done = wanbot(tmp_path, "backup", "--to", "copy.db")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "copy.db").is_file()


def test_wrong_books_are_found(tmp_path: Path) -> None:
    assert wanbot(tmp_path, "migrate").returncode == 0
    connection = sqlite3.connect(tmp_path / "data" / "wanbot.db")
    connection.execute("INSERT INTO accounts (guild_id, user_id, available) VALUES (1, 2, 30)")
    connection.commit()
    connection.close()
    done = wanbot(tmp_path, "check")
    assert done.returncode == 1
    assert "1 account" in done.stdout
    assert wanbot(tmp_path, "backup").returncode == 1


@pytest.mark.parametrize(
    ("extra", "name"),
    [
        ({}, "DISCORD_TOKEN"),
        ({"DISCORD_TOKEN": "a b"}, "DISCORD_TOKEN"),
        ({"DISCORD_TOKEN": "x", "DEFAULT_ALLOWANCE": "lots"}, "DEFAULT_ALLOWANCE"),
        ({"DISCORD_TOKEN": "x", "DISCORD_TOKN": "y"}, "DISCORD_TOKN"),
        ({"DISCORD_TOKEN": "x", "PRICES_FILE": "nowhere.toml"}, "PRICES_FILE"),
    ],
)
def test_bad_settings_stop_the_start(tmp_path: Path, extra: dict[str, str], name: str) -> None:
    done = wanbot(tmp_path, "run", **extra)
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(f"{name}: ")


def test_the_playground_serves_its_page_until_told_to_stop(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bot", "playground", "--port", "0"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = _address(process)
        with urllib.request.urlopen(address.partition("#")[0], timeout=10) as page:  # noqa: S310 - our own page
            assert page.status == 200
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=15) == 0
        assert time.monotonic() - started < 10
    finally:
        process.kill()
        process.communicate()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"http://\S+", line)
        if found:
            return found[0]
    raise AssertionError("the playground printed no address")
