"""Filling in a slash command, with the checks that the Discord app makes before it sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from .commands import GROUP, INTEGER, NUMBER, SLASH, STRING, SUBCOMMAND
from .resolved import Choosable, Resolved
from .wire import Payload, rows

if TYPE_CHECKING:
    from .files import Upload

BOOLEAN, USER, CHANNEL, ROLE, MENTIONABLE, ATTACHMENT = 5, 6, 7, 8, 9, 11
PLAIN: dict[int, tuple[type, ...]] = {STRING: (str,), INTEGER: (int,), BOOLEAN: (bool,), NUMBER: (int, float)}
KINDS = {USER: {"users"}, CHANNEL: {"channels"}, ROLE: {"roles"}, MENTIONABLE: {"users", "roles"}}


def fill(leaf: Payload, values: dict[str, Any], resolved: Resolved) -> list[Payload]:
    """Turn keyword arguments into options; what the app would not send is a ValueError."""
    known = {option["name"]: option for option in rows(leaf, "options")}
    given = {name: value for name, value in values.items() if value is not None}
    if unknown := given.keys() - known.keys():
        raise ValueError(f"/{leaf['name']} has no {sorted(unknown)}; it has {sorted(known)}")
    if missing := [name for name, option in known.items() if option.get("required") and name not in given]:
        raise ValueError(f"/{leaf['name']} needs {missing}")
    return [_filled(known[name], value, resolved) for name, value in given.items()]


def fill_while_typing(
    leaf: Payload, values: dict[str, Any], focused: str, value: Any, resolved: Resolved
) -> list[Payload]:
    """Fill in as far as somebody got: nothing is required yet, and the focused value is as typed."""
    known = {option["name"]: option for option in rows(leaf, "options")}
    if not known[focused].get("autocomplete"):
        raise ValueError(f"{focused} has no autocomplete")
    filled = [_filled(known[name], given, resolved) for name, given in values.items() if given is not None]
    return [*filled, {"name": focused, "type": known[focused]["type"], "value": value, "focused": True}]


def command_data(definition: Payload, command: str, filled: list[Payload], resolved: Resolved) -> Payload:
    """Wrap the options into the groups and subcommands that lead to them."""
    path = command.split()[1:]
    kinds = [SUBCOMMAND, GROUP]
    for depth, name in enumerate(reversed(path)):
        filled = [{"name": name, "type": kinds[depth], "options": filled}]
    data: Payload = {"id": definition["id"], "name": definition["name"], "type": SLASH, "options": filled}
    if "guild_id" in definition:
        data["guild_id"] = definition["guild_id"]
    return data | ({"resolved": resolved.payload()} if resolved.payload() else {})


def _filled(option: Payload, value: Any, resolved: Resolved) -> Payload:
    kind = option["type"]
    base: Payload = {"name": option["name"], "type": kind}
    if kind in PLAIN:
        return base | {"value": _plain(option, value)}
    if kind == ATTACHMENT:
        return base | {"value": resolved.add_file(_upload(option, value))}
    if not isinstance(value, Choosable) or not KINDS[kind] & value.resolve().keys():
        raise ValueError(f"{option['name']} takes {KINDS[kind]}, not {value!r}")
    return base | {"value": resolved.add(value)}


def _upload(option: Payload, value: Any) -> Upload:
    if not isinstance(value, tuple):
        raise ValueError(f"{option['name']} takes (name, bytes)")  # noqa: TRY004 - one error for all that isn't sent
    return cast("Upload", value)


def _plain(option: Payload, value: Any) -> Any:
    name, kind = option["name"], option["type"]
    if not isinstance(value, PLAIN[kind]) or (isinstance(value, bool) and kind != BOOLEAN):
        raise ValueError(f"{name} does not take {value!r}")
    if choices := option.get("choices"):
        by_name = {choice["name"]: choice["value"] for choice in choices}
        if value not in by_name.values() and value not in by_name:
            raise ValueError(f"{name} offers {sorted(by_name)}, not {value!r}")
        value = by_name.get(value, value)
    if isinstance(value, str):
        _check_range(name, len(value), option.get("min_length", 0), option.get("max_length", 6000))
    else:
        _check_range(name, value, option.get("min_value"), option.get("max_value"))
    return value


def _check_range(name: str, measure: float, low: float | None, high: float | None) -> None:
    if (low is not None and measure < low) or (high is not None and measure > high):
        raise ValueError(f"{name} takes {low} to {high}, not {measure}")
