"""Filling in a form (a modal), with the checks that the Discord app makes before it sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .checks import FILE_UPLOAD, LABEL, ROW, SELECTS, STRING_SELECT, TEXT_INPUT

if TYPE_CHECKING:
    from .resolved import Resolved
    from .wire import Payload

TEXT_DISPLAY, RADIO_GROUP, CHECKBOX_GROUP, CHECKBOX = 10, 21, 22, 23


def fill(modal: Payload, values: dict[str, Any], resolved: Resolved) -> list[Payload]:
    """Answer a form; `values` are by custom_id or by label, and what isn't named keeps its default."""
    left = dict(values)
    answers = [_answer(component, left, resolved) for component in modal["components"]]
    if left:
        raise ValueError(f"the form has no {sorted(left)}")
    return answers


def _answer(component: Payload, left: dict[str, Any], resolved: Resolved, label: str = "") -> Payload:
    base = {key: component[key] for key in ("type", "id") if key in component}
    if component["type"] == ROW:
        return base | {"components": [_answer(child, left, resolved) for child in component["components"]]}
    if component["type"] == LABEL:
        return base | {"component": _answer(component["component"], left, resolved, component["label"])}
    if component["type"] == TEXT_DISPLAY:
        return base
    given = _take(left, component["custom_id"], label or str(component.get("label")))
    return base | {"custom_id": component["custom_id"]} | _value(component, given, resolved)


def _take(left: dict[str, Any], *names: str) -> Any:
    for name in names:
        if name in left:
            return left.pop(name)
    return None


def _value(component: Payload, given: Any, resolved: Resolved) -> Payload:
    kind = component["type"]
    if kind == TEXT_INPUT:
        return {"value": _text(component, given)}
    if kind == RADIO_GROUP:
        return {"value": _radio(component, given)}
    if kind == CHECKBOX:
        return {"value": bool(component.get("default") if given is None else given)}
    return {"values": _several(component, given, resolved)}


def _text(component: Payload, given: Any) -> str:
    value = str(component.get("value") or "" if given is None else given)
    name = component["custom_id"]
    if component.get("required", True) and not value:
        raise ValueError(f"{name} is required")
    low, high = component.get("min_length") or 0, component.get("max_length") or 4000
    if value and not low <= len(value) <= high:
        raise ValueError(f"{name} takes {low} to {high} characters, not {len(value)}")
    return value


def _radio(component: Payload, given: Any) -> str | None:
    chosen = _chosen(component, None if given is None else [given])
    if component.get("required", True) and not chosen:
        raise ValueError(f"{component['custom_id']} is required")
    return chosen[0] if chosen else None


def _several(component: Payload, given: Any, resolved: Resolved) -> list[str]:
    kind = component["type"]
    wanted: list[Any] = given or []
    if kind == FILE_UPLOAD:
        chosen = [resolved.add_file(upload) for upload in wanted]
    elif kind in (STRING_SELECT, CHECKBOX_GROUP):
        chosen = _chosen(component, given)
    elif kind in SELECTS:
        chosen = [resolved.add(value) for value in wanted]
    else:
        raise NotImplementedError(f"components of type {kind}")
    most = len(component["options"]) if kind == CHECKBOX_GROUP else 1
    low, high = _bound(component, "min_values", 1), _bound(component, "max_values", most)
    if (chosen or component.get("required", True)) and not low <= len(chosen) <= high:
        raise ValueError(f"{component['custom_id']} takes {low} to {high}, not {len(chosen)}")
    return chosen


def _bound(component: Payload, name: str, default: int) -> int:
    value = component.get(name)
    return default if value is None else value


def _chosen(component: Payload, given: list[str] | None) -> list[str]:
    offered: list[Payload] = component["options"]
    if given is None:
        return [option["value"] for option in offered if option.get("default")]
    by_label = {option["label"]: option["value"] for option in offered}
    chosen = [by_label.get(value, value) for value in given]
    if wrong := set(chosen) - set(by_label.values()):
        raise ValueError(f"{component['custom_id']} offers {by_label}, not {wrong}")
    return chosen
