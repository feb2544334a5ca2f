"""The commands that the bot has synchronised, checked as Discord checks them."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import permissions
from .wire import Form, Payload, rows

if TYPE_CHECKING:
    from .ids import Snowflakes
    from .members import Member

SLASH, SUBCOMMAND, GROUP = 1, 1, 2
STRING, INTEGER, NUMBER = 3, 4, 10
MOST_CHARACTERS = 8000
NAME = re.compile(r"[-_'\w]{1,32}")


@dataclass(frozen=True)
class Sync:
    """One bulk overwrite, as the bot sent it."""

    at: float
    guild_id: int | None
    commands: list[Payload]


class CommandBook:
    """What is registered, globally and per guild."""

    def __init__(self, ids: Snowflakes, application_id: int) -> None:
        self.syncs: list[Sync] = []
        self._ids = ids
        self._application_id = application_id
        self._registered: dict[int | None, list[Payload]] = {}

    def registered(self, guild_id: int | None = None) -> list[Payload]:
        return self._registered.get(guild_id, [])

    def overwrite(self, commands: list[Payload], guild_id: int | None = None) -> list[Payload]:
        """Replace all commands; those whose name stays keep their id."""
        check_commands(commands)
        old = {(command["name"], command["type"]): command["id"] for command in self.registered(guild_id)}
        new = [self._register(command, old, guild_id) for command in commands]
        self._registered[guild_id] = new
        self.syncs.append(Sync(time.monotonic(), guild_id, commands))
        return new

    def _register(self, command: Payload, old: dict[tuple[str, int], str], guild_id: int | None) -> Payload:
        kind = command.get("type", SLASH)
        allowed = command.get("default_member_permissions")
        stored: Payload = {"description": "", "options": [], **command}
        stored |= {
            "id": old.get((command["name"], kind)) or str(self._ids.next()),
            "application_id": str(self._application_id),
            "version": str(self._ids.next()),
            "type": kind,
            "default_member_permissions": None if allowed is None else str(allowed),
        }
        return stored | ({} if guild_id is None else {"guild_id": str(guild_id)})

    def find(self, command: str, member: Member) -> tuple[Payload, Payload]:
        """Return the top command and the part of it that "wan video" means, for who may use it."""
        name, *rest = command.split()
        top = leaf = self._top(name, SLASH, member)
        for part in rest:
            inner = {option["name"]: option for option in leaf["options"] if option["type"] in (SUBCOMMAND, GROUP)}
            if part not in inner:
                raise LookupError(f"/{command} is not there; /{name} has {sorted(inner)}")
            leaf = inner[part]
        if any(option["type"] in (SUBCOMMAND, GROUP) for option in leaf.get("options", [])):
            raise LookupError(f"/{command} has subcommands and can't be used itself")
        return top, leaf

    def find_menu(self, name: str, kind: int, member: Member) -> Payload:
        return self._top(name, kind, member)

    def _top(self, name: str, kind: int, member: Member) -> Payload:
        known = self.registered(member.guild.id) + self.registered()
        found = [command for command in known if (command["name"], command["type"]) == (name, kind)]
        if not found:
            raise LookupError(f"{name!r} is not registered; there are {[command['name'] for command in known]}")
        wanted = found[0]["default_member_permissions"]
        administrator = permissions.allows(member.permissions, "administrator")
        if wanted is not None and not administrator and int(wanted) & ~member.permissions:
            raise PermissionError(f"{name!r} is not offered to {member.name}")
        return found[0]


def size_of(command: Payload) -> int:
    """Count the characters that Discord counts to 8000: of what is told in several languages, the longest."""
    total = _longest(command, "name") + _longest(command, "description")
    total += sum(_longest(choice, "name") + len(str(choice["value"])) for choice in rows(command, "choices"))
    return total + sum(size_of(option) for option in rows(command, "options"))


def in_language(command: Payload, locale: str) -> Payload:
    """A definition as who reads that language sees it."""
    seen = {
        field: _localised(command, field).get(locale, str(command[field]))
        for field in ("name", "description")
        if field in command
    }
    below = {key: [in_language(each, locale) for each in rows(command, key)] for key in ("options", "choices")}
    return {**command, **seen, **{key: parts for key, parts in below.items() if key in command}}


def _longest(part: Payload, field: str) -> int:
    return max(map(len, (str(part.get(field, "")), *_localised(part, field).values())))


def _localised(part: Payload, field: str) -> dict[str, str]:
    """What Discord is told of a name or a description in other languages, by locale."""
    return part.get(f"{field}_localizations") or {}


def check_commands(commands: list[Payload]) -> None:
    form = Form()
    slash = [command for command in commands if command.get("type", SLASH) == SLASH]
    form.count("commands", slash, most=100)
    _check_unique(form, "commands", [f"{command.get('type', SLASH)} {command.get('name')}" for command in commands])
    for number, command in enumerate(commands):
        at = str(number)
        if command.get("type", SLASH) == SLASH:
            _check_named(form, at, command)
            _check_options(form, at, rows(command, "options"), depth=0)
            form.require(at, that=size_of(command) <= MOST_CHARACTERS, message="Command exceeds maximum size (8000)")
        else:
            form.text(f"{at}.name", command.get("name"), most=32, least=1)
    form.done()


def _check_named(form: Form, at: str, part: Payload) -> None:
    name = str(part.get("name", ""))
    good = NAME.fullmatch(name) and name == name.lower()
    form.require(
        f"{at}.name", that=bool(good), message="Command name is invalid", code="APPLICATION_COMMAND_INVALID_NAME"
    )
    form.text(f"{at}.description", part.get("description"), most=100, least=1)


def _check_options(form: Form, at: str, options: list[Payload], depth: int) -> None:
    form.count(f"{at}.options", options, most=25)
    _check_unique(form, f"{at}.options", [option.get("name") for option in options])
    nested = [option["type"] in (SUBCOMMAND, GROUP) for option in options]
    form.require(f"{at}.options", that=all(nested) or not any(nested), message="Subcommands can't stand with options.")
    required = [bool(option.get("required")) for option in options]
    ordered = required == sorted(required, reverse=True)
    form.require(f"{at}.options", that=ordered, message="Required options must be placed before non-required options")
    for number, option in enumerate(options):
        _check_option(form, f"{at}.options.{number}", option, depth)


def _check_option(form: Form, at: str, option: Payload, depth: int) -> None:
    _check_named(form, at, option)
    kind = option["type"]
    if kind in (SUBCOMMAND, GROUP):
        allowed = depth == 0 or (depth == 1 and kind == SUBCOMMAND)
        form.require(at, that=allowed, message="Nested too deep.")
        _check_options(form, at, rows(option, "options"), depth + 1 if kind == GROUP else 2)
        return
    choices = rows(option, "choices")
    form.count(f"{at}.choices", choices, most=25)
    form.require(at, that=not (choices and option.get("autocomplete")), message="Choices exclude autocomplete.")
    _check_unique(form, f"{at}.choices", [choice.get("name") for choice in choices])
    for number, choice in enumerate(choices):
        form.text(f"{at}.choices.{number}.name", choice.get("name"), most=100, least=1)
        if kind == STRING:
            form.text(f"{at}.choices.{number}.value", choice.get("value"), most=100, least=1)
    _check_bounds(form, at, option)


def _check_bounds(form: Form, at: str, option: Payload) -> None:
    for name in ("min_length", "max_length"):
        value = option.get(name)
        form.require(f"{at}.{name}", that=value is None or 0 <= value <= 6000, message="Must be 0 to 6000.")
    for name in ("min_value", "max_value"):
        value = option.get(name)
        fits = value is None or option["type"] == NUMBER or abs(value) < 1 << 53
        form.require(f"{at}.{name}", that=fits, message="Must be within ±(2^53 - 1).")


def _check_unique(form: Form, at: str, names: list[Any]) -> None:
    unique = len(set(names)) == len(names)
    code = "APPLICATION_COMMAND_OPTIONS_NAME_NOT_UNIQUE"
    form.require(at, that=unique, message="Names must be unique.", code=code)
