"""The commands as Discord is told of them: within its limits, in every language."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.app import open_app
from bot.client import EXTENSIONS
from bot.languages import CATALOGUES, ENGLISH
from bot.settings import Settings
from tests.imitations.discord_server.commands import MOST_CHARACTERS, check_commands, in_language, size_of

LANGUAGES = (ENGLISH, *CATALOGUES)
MOST_OPTIONS = MOST_CHOICES = 25


@pytest.fixture
async def definition(tmp_path: Path) -> AsyncGenerator[list[dict[str, Any]]]:
    """Every command of the whole bot."""
    async with open_app(Settings.load({"DATA_DIR": str(tmp_path)})) as app:
        for extension in EXTENSIONS:
            await app.bot.load_extension(extension)
        yield await app.bot.definition()


def parts(command: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A command, and every group, command, option and choice below it."""
    yield command
    for part in [*command.get("options", ()), *command.get("choices", ())]:
        yield from parts(part)


def top(definition: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(command for command in definition if command["name"] == name)


@pytest.mark.parametrize("locale", LANGUAGES)
@pytest.mark.parametrize("name", ["wan", "wan-admin"])
async def test_a_group_stays_within_discords_limits_in_every_language(
    name: str, locale: str, definition: list[dict[str, Any]]
) -> None:
    command = in_language(top(definition, name), locale)
    assert size_of(command) <= MOST_CHARACTERS
    for part in parts(command):
        assert len(part.get("options", ())) <= MOST_OPTIONS
        assert len(part.get("choices", ())) <= MOST_CHOICES


@pytest.mark.parametrize("locale", LANGUAGES)
async def test_every_rule_of_discord_for_names_and_texts_holds_in_every_language(
    locale: str, definition: list[dict[str, Any]]
) -> None:
    check_commands([in_language(command, locale) for command in definition])


async def test_the_longest_of_all_languages_together_is_within_the_limit_too(
    definition: list[dict[str, Any]],
) -> None:
    sizes = {command["name"]: size_of(command) for command in definition}
    assert max(sizes.values()) <= MOST_CHARACTERS
    longer = {**top(definition, "wan"), "description_localizations": {"zh-CN": "长" * 100}}
    assert size_of(longer) == sizes["wan"] + 100 - len(longer["description"]), "it would count"


@pytest.mark.parametrize("locale", CATALOGUES)
async def test_everything_but_the_two_groups_has_a_name_and_a_text_in_each_language(
    locale: str, definition: list[dict[str, Any]]
) -> None:
    untold = set[str]()
    for part in (part for command in definition for part in parts(command)):
        told = in_language(part, locale)
        untold |= {part[field] for field in ("name", "description") if part.get(field) and told[field] == part[field]}
    assert {each for each in untold if re.search("[a-z]{2}", each)} == {"wan", "wan-admin"}
