"""The documents say what the code does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

import discord
import pytest
from discord import app_commands

from bot.__main__ import main
from bot.app import open_app
from bot.client import EXTENSIONS
from bot.credits.pricing import Pricing
from bot.jobs.job import State
from bot.jobs.lifecycle import ALLOWED
from bot.settings import Settings
from cogs.feature import NEEDED
from providers.catalogue import MODELS

ROOT: Final = Path(__file__).parents[2]
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
DEFAULTS: Final = Settings.load({})
NOTES: Final = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))

#: ``| `DATA_DIR` | `data` | …``
_SETTING_ROW: Final = re.compile(r"^\| `([A-Z][A-Z0-9_]+)` \| (?:`([^`]*)`)? ?\|", re.MULTILINE)
#: ``# DATA_DIR=data``
_EXAMPLE_LINE: Final = re.compile(r"^# ([A-Z][A-Z0-9_]+)=(.*)$", re.MULTILINE)
#: ``tests/unit/test_docs.py::test_it``
_PROOF: Final = re.compile(r"`(tests/[\w/.]+)((?:::\w+)?)`")
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_readme_has_every_setting_with_its_default() -> None:
    rows = _SETTING_ROW.findall(README)
    assert sorted(name for name, _ in rows) == sorted(Settings.names())
    assert Settings.load(dict(rows)) == DEFAULTS


def test_the_example_has_every_setting_with_its_default_and_sets_none() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    lines = _EXAMPLE_LINE.findall(text)
    assert sorted(name for name, _ in lines) == sorted(Settings.names())
    assert Settings.load(dict(lines)) == DEFAULTS
    assert all(line.startswith("#") for line in text.splitlines() if line)


async def test_the_readme_has_every_command_of_members_and_moderators(tmp_path: Path) -> None:
    async with open_app(Settings.load({"DATA_DIR": str(tmp_path)})) as app, app.bot as bot:
        for extension in EXTENSIONS:
            await bot.load_extension(extension)
        commands = [each for each in bot.tree.walk_commands() if isinstance(each, app_commands.Command)]
    told = re.findall(r"^\| `/([a-z -]+)` \|", README, re.MULTILINE)
    assert sorted(told) == sorted(command.qualified_name for command in commands)


def test_the_readme_has_every_command_of_the_operator(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"], {})
    commands = re.findall(r"^    ([a-z]+)(?: |$)", capsys.readouterr().out, re.MULTILINE)
    assert re.findall(r"^\| `wanbot ([a-z]+)` \|", README, re.MULTILINE) == commands


def test_the_readme_has_every_model_with_its_lowest_and_highest_price() -> None:
    pricing = Pricing(
        credits_per_usd=DEFAULTS.credits_per_usd,
        usd_per_vendor_credit={"pixeldojo": DEFAULTS.pixeldojo_usd_per_credit},
    )
    rows = re.findall(r"^\| `([a-z0-9/._-]+)`[^|]*\| [^|]+ \| (\d+)(?: to (\d+))?", README, re.MULTILINE)
    told = [(model, int(lowest), int(highest or lowest)) for model, lowest, highest in rows]
    known: list[tuple[str, int, int]] = []
    for spec in MODELS:
        prices = [
            pricing.credits(spec, resolution=name, duration=seconds)
            for name in spec.resolutions
            for seconds in spec.durations
        ]
        known.append((spec.id, min(prices), max(prices)))
    assert told == known


def test_the_install_link_asks_for_exactly_what_the_bot_needs() -> None:
    needed = discord.Permissions(send_messages_in_threads=True, **dict.fromkeys(NEEDED, True))
    assert re.findall(r"permissions=([0-9]+)", README) == [str(needed.value)]


def test_the_picture_of_a_jobs_states_is_the_lifecycle() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (picture,) = re.findall(r"```mermaid\nstateDiagram-v2\n(.*?)```", text, re.DOTALL)
    drawn = re.findall(r"^ *(\S+) --> (\S+)$", picture, re.MULTILINE)
    allowed = [(str(before), str(after)) for before, states in ALLOWED.items() for after in states]
    ends = [(str(state), "[*]") for state in State if not state.is_open]
    assert len(drawn) == len(picture.strip().splitlines())
    assert sorted(drawn) == sorted([("[*]", "queued"), *allowed, *ends])


def test_every_fault_is_proved_by_tests_that_there_are() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| Fault", "| ---"))]
    assert len(rows) > 50
    assert [row for row in rows if not _PROOF.search(row)] == []
    assert [path + name for path, name in _PROOF.findall(text) if not is_there(path, name)] == []


def test_the_fuzzing_gets_as_many_inputs_as_the_page_says() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    told = {
        path: sorted(map(int, re.findall(r"\d+", numbers)))
        for numbers, path in re.findall(r"\| ([\d,; ]+) \| `(fuzz/test_\w+\.py)` \|", text)
    }
    found = {
        f"fuzz/{path.name}": sorted(
            int(number) for number in re.findall(r"INPUTS: Final = (\d+)", path.read_text(encoding="utf-8"))
        )
        for path in (ROOT / "tests" / "fuzz").glob("test_*.py")
    }
    assert told == found


def is_there(path: str, name: str) -> bool:
    """Whether a test, or a file or folder of tests, exists."""
    place = ROOT / path
    return place.exists() if not name else place.is_file() and f"def {name[2:]}(" in place.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    links = [link.partition("#")[0] for link in _LINK.findall(page.read_text(encoding="utf-8"))]
    missing = [link for link in links if link and "://" not in link and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_to_a_heading_leads_to_one(page: Path) -> None:
    links = [link.partition("#") for link in _LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    pairs = [(page.parent / path if path else page, heading) for path, _, heading in links if heading]
    assert [heading for path, heading in pairs if heading not in headings_of(path)] == []


def headings_of(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_image_has_a_python_that_the_project_takes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lowest = re.fullmatch(r">=3\.(\d+)", project["requires-python"])
    images = re.findall(r"^FROM python:3\.(\d+)\.\d+-slim\S*", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert lowest is not None
    assert len(images) == 2
    assert len(set(images)) == 1
    assert int(images[0]) >= int(lowest[1])


def test_the_image_has_every_package_and_can_see_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = [name for line in re.findall(r"^COPY (?!--)(.+) \S+$", dockerfile, re.MULTILINE) for name in line.split()]
    seen = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(packages) <= set(copied)
    assert sorted(copied) == sorted(seen)


@pytest.mark.parametrize("note", NOTES, ids=name_of)
def test_every_decision_says_what_why_and_until_when(note: Path) -> None:
    text = note.read_text(encoding="utf-8")
    assert text.startswith(f"# {note.name[:4]}: ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Why", "Tripwire"]


def test_decisions_are_numbered_without_a_gap_and_all_are_listed() -> None:
    assert [int(note.name[:4]) for note in NOTES] == list(range(1, len(NOTES) + 1))
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    assert _LINK.findall(index) == [note.name for note in NOTES]
