"""What the operator's pages tell to type can be typed, and the unit for systemd fits the program."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path
from typing import Final

import pytest

from bot.__main__ import BAD_CONFIGURATION, main
from bot.reloading import can_change
from bot.settings import Settings

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted([ROOT / "docs" / "operations.md", *(ROOT / "docs" / "operations").glob("*.md")])
UNIT: Final = ROOT / "docs" / "operations" / "wanbot.service"
_BLOCK: Final = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: seconds that a stop takes at most
LONGEST_STOP: Final = 10


def commands() -> list[str]:
    """Every line of a block of code that begins with our name."""
    blocks = [
        block
        for page in PAGES
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    ]
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return sorted({line for line in lines if line.startswith("wanbot ")})


def test_there_are_commands() -> None:
    assert len(commands()) > 10


@pytest.mark.parametrize("line", commands())
def test_every_command_of_the_pages_is_understood(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = shlex.split(re.sub(r"(\d+)…", r"\1", line))[1:]
    # a setting that is wrong ends it before it does anything, but after the arguments are understood
    assert main(arguments, {"DEFAULT_ALLOWANCE": "wrong"}) == BAD_CONFIGURATION
    assert capsys.readouterr().err.startswith("DEFAULT_ALLOWANCE: ")


def test_the_page_names_every_setting_that_a_reload_takes_over_and_no_other() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    told = page.partition("## Change settings without a restart")[2].partition("Jobs under way")[0]
    names = set(re.findall(r"`([A-Z_]+…?)`", told))
    prefixes = tuple(name.removesuffix("…") for name in names if name.endswith("…"))
    aliases = {field.alias or "": name for name, field in Settings.model_fields.items()}
    for alias, name in aliases.items():
        assert can_change(name) == (alias in names or alias.startswith(prefixes)), alias


def test_the_unit_starts_reloads_and_stops_the_bot_as_it_wants_to_be() -> None:
    unit = configparser.RawConfigParser(strict=True)
    unit.optionxform = str  # pyright: ignore[reportAttributeAccessIssue] - as its documents say to keep letters
    unit.read(UNIT, encoding="utf-8")
    service = unit["Service"]
    assert service["ExecStart"].endswith("/.venv/bin/wanbot run")
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert int(service["RestartPreventExitStatus"]) == BAD_CONFIGURATION
    assert int(service["TimeoutStopSec"]) > LONGEST_STOP
    assert (service["UMask"], service["ProtectSystem"], service["NoNewPrivileges"]) == ("0077", "strict", "true")
    folder = f"/var/lib/{service['StateDirectory']}"
    assert f"DATA_DIR={folder}" in service["Environment"].split()
    names = re.findall(r"([A-Z_]+)=", service["Environment"])
    assert {name for name in names if not name.startswith("PYTHON")} <= Settings.names()
