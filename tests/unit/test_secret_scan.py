"""A key in any file that git knows fails the very command of ``make secrets``.

The keys are put together here, from parts that look like none, so that this file isn't found itself.
"""

from __future__ import annotations

import os
import random
import re
import string
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
MAKEFILE: Final = (ROOT / "Makefile").read_text(encoding="utf-8")

_LETTERS: Final = string.ascii_letters + string.digits


def drawn(length: int, letters: str = _LETTERS, *, seed: int = 7) -> str:
    chance = random.Random(seed)
    return "".join(chance.choice(letters) for _ in range(length))


#: by what they are for, as those who give them out make them
KEYS: Final = {
    "discord": f"{b64encode(b'1234027719384920133').decode().rstrip('=')}.{drawn(6)}.{drawn(38, _LETTERS + '-_')}",
    "openai": f"sk-proj-{drawn(60)}",
    "alibaba": f"sk-{drawn(32, '0123456789abcdef')}",
    "aws": f"AKIA{drawn(16, string.ascii_uppercase + '234567')}",
    "github": f"ghp_{drawn(36)}",
    "webhook": f"https://discord.com/api/webhooks/1234027719384920133/{drawn(68)}",
    "database": f"postgresql://wanbot:{drawn(20)}@db.internal:5432/wanbot",
    "private key": "\n".join(("-----BEGIN RSA PRIVATE " + "KEY-----", drawn(64), drawn(64, seed=8))),
}
#: how a file may hold one
FILES: Final = {
    "README.md": "Use `{}` here.\n",
    "bot/a.py": "x = '{}'\n",
    "bot/b.py": "# {}\n",
    "compose.yaml": "key: {}\n",
    ".env.example": "# PIXAZO_API_KEY={}\n",
    "Makefile": "run:\n\tKEY={} ./run\n",
    "uv.lock": '[[package]]\nname = "{}"\n',
    "notes": "{}\n",
}
#: what a vendor's key looks like is its own business; beside a setting's name it is found all the same
SETTINGS: Final = {
    "README.md": "PIXAZO_API_KEY={}\n",
    ".env.example": "PIXWITH_API_KEY={}\n",
    "compose.yaml": "  VTRIX_API_KEY: '{}'\n",
    "notes": "DISCORD_TOKEN = {}\n",
}
INNOCENT: Final = {
    "README.md": "`DATABASE_URL` is `postgresql://user:password@host:port/name`, `DISCORD_TOKEN` a token.\n",
    "bot/settings.py": 'token = settings.discord_token\nDISCORD_TOKEN = "DISCORD_TOKEN"\n',
    "uv.lock": '    { url = "https://packages.test/files/71/43/a-1-py3-none-any.whl", '
    f'hash = "sha256:{drawn(64, "0123456789abcdef")}", size = 1, upload-time = "2026-07-01T17:11:54.055Z" }},\n',
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git checkout of its own, with nothing in it."""
    git(tmp_path, "init", "--quiet")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, env=environment())  # noqa: S603, S607 - git, wherever it is


def environment() -> dict[str, str]:
    """The tools of this environment first; no git settings of whoever runs this."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": tools, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def scanned(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run what the Makefile runs, in another folder."""
    (recipe,) = re.findall(r"^secrets: setup ##.*\n\t\$\(RUN\) (\S+)$", MAKEFILE, re.MULTILINE)
    return subprocess.run(  # noqa: S603 - our own command
        [ROOT / recipe], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )


def found_in(scan: subprocess.CompletedProcess[str]) -> set[str]:
    return set(re.findall(r"^Location: +(.+):\d+$", scan.stdout, re.MULTILINE))


def test_the_checks_run_it() -> None:
    (check,) = re.findall(r"^check: .*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert re.search(r"\bsecrets\b", check)


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_is_found_in_every_file_that_git_knows(kind: str, checkout: Path) -> None:
    write(checkout, {name: text.format(KEYS[kind]) for name, text in FILES.items()})
    git(checkout, "add", ".")
    scan = scanned(checkout)
    assert scan.returncode != 0
    assert found_in(scan) == set(FILES)
    assert KEYS[kind][-20:] not in scan.stdout + scan.stderr, "what checks print is read by many"


@pytest.mark.parametrize("key", [drawn(32, "0123456789abcdef"), f"pd_{drawn(24)}", drawn(20)])
def test_any_value_of_a_setting_that_is_a_key_is_found(key: str, checkout: Path) -> None:
    write(checkout, {name: text.format(key) for name, text in SETTINGS.items()})
    git(checkout, "add", ".")
    scan = scanned(checkout)
    assert scan.returncode != 0
    assert found_in(scan) == set(SETTINGS)


def test_examples_and_checksums_are_no_keys(checkout: Path) -> None:
    write(checkout, INNOCENT)
    git(checkout, "add", ".")
    scan = scanned(checkout)
    assert (scan.returncode, scan.stdout) == (0, "")


def test_a_key_is_found_before_it_is_added_but_not_where_git_ignores_it(checkout: Path) -> None:
    write(checkout, {".gitignore": ".env\n", ".env": f"DISCORD_TOKEN={KEYS['discord']}\n"})
    assert scanned(checkout).returncode == 0
    write(checkout, {"notes": KEYS["discord"]})
    assert found_in(scanned(checkout)) == {"notes"}


def test_a_line_that_says_so_is_passed_over(checkout: Path) -> None:
    write(checkout, {"a.py": f"FAKE = '{KEYS['aws']}'  # pragma: allowlist " + "secret\n"})
    assert scanned(checkout).returncode == 0


def test_outside_of_git_it_says_that_nothing_was_looked_at(tmp_path: Path) -> None:
    scan = scanned(tmp_path)
    assert scan.returncode == 0
    assert scan.stderr.startswith("secrets: NOT LOOKED FOR: ")
