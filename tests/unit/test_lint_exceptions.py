"""Ruff's security rules (S, flake8-bandit) hold for the whole program, and each exception says why it is right."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
LINT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"][
    "lint"
]
PROGRAM: Final = ("bot", "cogs", "providers", "migrations", ".ci")

_EXCEPTION: Final = re.compile(r"# noqa: [A-Z0-9, ]*\bS\d{3}\b[A-Z0-9, ]*(.*)")


def is_security(rule: str) -> bool:
    return re.fullmatch(r"S\d*", rule) is not None


def test_no_security_rule_is_off_for_the_program() -> None:
    assert LINT["select"] == ["ALL"]
    assert not any(map(is_security, LINT["ignore"]))
    off = {folder for folder, rules in LINT["per-file-ignores"].items() if any(map(is_security, rules))}
    assert off == {"tests/**"}


def test_each_exception_from_a_security_rule_says_why() -> None:
    files = [
        path
        for folder in PROGRAM
        for path in (ROOT / folder).rglob("*")
        if path.suffix == ".py" or path.name == "audit"
    ]
    lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    reasons = [found[1] for line in lines if (found := _EXCEPTION.search(line))]
    assert reasons
    assert all(re.match(r"(?: # pyright: ignore\[\w+\])? ?- \w", reason) for reason in reasons), reasons


def test_no_file_is_passed_over_as_a_whole() -> None:
    files = [path for folder in PROGRAM for path in (ROOT / folder).rglob("*.py")]
    whole = re.compile(r"^# *(?:ruff|flake8): *noqa|# noqa\s*$", re.MULTILINE)
    assert [path for path in files if whole.search(path.read_text(encoding="utf-8"))] == []
