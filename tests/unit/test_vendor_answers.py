"""What is read of vendors' answers can be stored, and nothing else is taken for it."""

from __future__ import annotations

import pytest
from pydantic import JsonValue, TypeAdapter, ValidationError

from providers.addresses import url_of
from providers.answers import TaskId, first_link

_TASK_ID: TypeAdapter[str] = TypeAdapter(TaskId)


@pytest.mark.parametrize("told", ["job_1", " 6f1c-2 ", "a/b", "ключ", "x" * 200])
def test_an_id_may_hold_whatever_a_path_can_be_made_of(told: str) -> None:
    assert _TASK_ID.validate_python(told) == told.strip()


@pytest.mark.parametrize("told", ["", " ", "a\0b", "\0", "a\nb", "a\x7fb", "x" * 201])
def test_an_id_that_can_not_be_stored_or_asked_for_is_none(told: str) -> None:
    with pytest.raises(ValidationError):
        _TASK_ID.validate_python(told)


@pytest.mark.parametrize(
    "value", ["https://a.example/\0", "http://a.example/\n", ["https://a.example/\x1b[2J"], "ftp://a"]
)
def test_what_no_address_holds_is_in_no_link(value: JsonValue) -> None:
    assert first_link(value) is None


@pytest.mark.parametrize(
    "text", ["https://xn--a/", "https://a:99999/", "https://a:0/", "https://\ud800/", "http://[::1"]
)
def test_what_can_not_be_gone_to_is_no_address(text: str) -> None:
    assert url_of(text) is None


def test_a_redirect_is_read_from_where_it_stands() -> None:
    base = url_of("https://a.example/b/c")
    assert str(url_of("../d", base=base)) == "https://a.example/d"
    assert url_of("https://xn--a/", base=base) is None
