"""What Discord refuses in a message or a form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .wire import ApiError, Form, Payload, Problem, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

EPHEMERAL = 1 << 6
LOADING = 1 << 7
COMPONENTS_V2 = 1 << 15

ROW, BUTTON, STRING_SELECT, TEXT_INPUT, LABEL, FILE_UPLOAD = 1, 2, 3, 4, 18, 19
SELECTS = (3, 5, 6, 7, 8)
LINK_STYLES = (5, 6)


def walk(components: list[Payload]) -> Iterator[Payload]:
    """Yield every component, however deep it lies."""
    for component in components:
        yield component
        yield from walk(component.get("components", []))
        yield from walk([component[key] for key in ("accessory", "component") if key in component])


def check_message(payload: Payload, *, v2: bool) -> None:
    form = Form()
    form.text("content", payload.get("content"), most=2000)
    form.text("nonce", payload.get("nonce"), most=25)
    form.count("attachments", rows(payload, "attachments"), most=10)
    _check_embeds(form, rows(payload, "embeds"))
    components = rows(payload, "components")
    if v2:
        _check_v2(form, payload, components)
    else:
        _check_rows(form, components)
    _check_custom_ids(form, components)
    _check_mentions(form, payload.get("allowed_mentions") or {})
    form.done()


def check_not_empty(*parts: Any) -> None:
    if not any(parts):
        raise ApiError(Problem.EMPTY_MESSAGE)


def check_modal(modal: Payload) -> None:
    form = Form()
    components = rows(modal, "components")
    form.text("data.custom_id", modal.get("custom_id"), most=100, least=1)
    form.text("data.title", modal.get("title"), most=45, least=1)
    form.count("data.components", components, most=5)
    form.require("data.components", that=bool(components), message="A form needs components.")
    for number, component in enumerate(walk(components)):
        if component["type"] == TEXT_INPUT:
            form.text(f"data.components.{number}.value", component.get("value"), most=4000)
        if component["type"] == LABEL:
            form.text(f"data.components.{number}.label", component.get("label"), most=45, least=1)
            form.text(f"data.components.{number}.description", component.get("description"), most=100)
    _check_custom_ids(form, components)
    form.done()


def check_choices(choices: list[Payload]) -> None:
    form = Form()
    form.count("data.choices", choices, most=25)
    for number, choice in enumerate(choices):
        form.text(f"data.choices.{number}.name", choice.get("name"), most=100, least=1)
        if isinstance(choice.get("value"), str):
            form.text(f"data.choices.{number}.value", choice["value"], most=100)
    form.done()


def _check_embeds(form: Form, embeds: list[Payload]) -> None:
    form.count("embeds", embeds, most=10)
    total = 0
    for number, embed in enumerate(embeds):
        at = f"embeds.{number}"
        form.text(f"{at}.title", embed.get("title"), most=256)
        form.text(f"{at}.description", embed.get("description"), most=4096)
        form.text(f"{at}.footer.text", embed.get("footer", {}).get("text"), most=2048)
        form.text(f"{at}.author.name", embed.get("author", {}).get("name"), most=256)
        form.count(f"{at}.fields", embed.get("fields", []), most=25)
        for index, row in enumerate(embed.get("fields", [])):
            form.text(f"{at}.fields.{index}.name", row.get("name"), most=256, least=1)
            form.text(f"{at}.fields.{index}.value", row.get("value"), most=1024, least=1)
        total += len("".join(embed_texts(embed)))
    form.require("embeds", that=total <= 6000, message="Embed size exceeds maximum size of 6000.")


def embed_texts(embed: Payload) -> list[str]:
    """List what a reader sees in an embed."""
    parts = [embed.get("author", {}).get("name"), embed.get("title"), embed.get("description")]
    for row in embed.get("fields", []):
        parts += [row["name"], row["value"]]
    parts.append(embed.get("footer", {}).get("text"))
    return [part for part in parts if part]


def _check_rows(form: Form, components: list[Payload]) -> None:
    form.count("components", components, most=5)
    for number, row in enumerate(components):
        at = f"components.{number}"
        if row.get("type") != ROW:
            form.add(at, "UNION_TYPE_CHOICES", "Only action rows go without the V2 flag.")
            continue
        children = rows(row, "components")
        width = sum(5 if child["type"] in SELECTS else 1 for child in children)
        form.require(f"{at}.components", that=1 <= width <= 5, message="Must hold 1 to 5 buttons or one select.")


def _check_v2(form: Form, payload: Payload, components: list[Payload]) -> None:
    everything = list(walk(components))
    form.require("components", that=len(everything) <= 40, message="Must have at most 40 components.")
    text = sum(len(component.get("content", "")) for component in everything)
    form.require("components", that=text <= 4000, message="Displayed text exceeds 4000 characters.")
    for name in ("content", "embeds"):
        form.require(name, that=not payload.get(name), message="Not allowed with V2 components.")


def _check_custom_ids(form: Form, components: list[Payload]) -> None:
    seen: set[str] = set()
    for number, component in enumerate(walk(components)):
        at = f"components.{number}"
        if component["type"] == BUTTON:
            form.text(f"{at}.label", component.get("label"), most=80)
        if not _needs_custom_id(component):
            continue
        custom_id = component.get("custom_id")
        form.text(f"{at}.custom_id", custom_id, most=100, least=1)
        form.require(f"{at}.custom_id", that=custom_id not in seen, message="Component custom id cannot be duplicated")
        form.count(f"{at}.options", component.get("options", []), most=25)
        seen.add(str(custom_id))


def _needs_custom_id(component: Payload) -> bool:
    if component["type"] == BUTTON:
        return component.get("style") not in LINK_STYLES
    return component["type"] in (*SELECTS, TEXT_INPUT, FILE_UPLOAD, 21, 22, 23)


def _check_mentions(form: Form, allowed: Payload) -> None:
    both = "users" in (allowed.get("parse") or []) and bool(allowed.get("users"))
    form.require("allowed_mentions", that=not both, message="parse:users and users: are mutually exclusive.")
