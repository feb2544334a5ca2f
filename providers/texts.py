"""Texts for people, which can be said in other languages. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self


class Text(str):
    """A text in English that still knows what it was made of, so that an application can say it in its own languages.

    ``Text("It may have {limit:,} characters.", limit=800)``. The template is what an application translates; a value
    that is a text itself is translated too. Joining or cutting gives a plain ``str``, which stays English.
    """

    __slots__ = ("template", "values")

    template: str
    values: Mapping[str, Any]

    def __new__(cls, template: str, **values: Any) -> Self:
        """Put the values into the template."""
        text = super().__new__(cls, template.format(**values))
        text.template, text.values = template, values
        return text

    def said(self, translate: Callable[[str], str]) -> str:
        """The text in another language; ``translate`` gives its templates there."""
        values = {name: said(value, translate) for name, value in self.values.items()}
        return translate(self.template).format(**values)


def said(value: Any, translate: Callable[[str], str]) -> Any:
    """A value in another language, if it is a text."""
    return value.said(translate) if isinstance(value, Text) else value
