"""Settings of both kinds: what a member writes as ``settings``, and what an operator's environment and files hold.

``tests/unit/test_settings.py`` has a property of names and values that are nearly right. Here they are anything that an
environment, a ``.env`` and a price list can hold.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.settings import Settings, SettingsError
from providers.catalogue import MODELS
from providers.options import parse_settings
from providers.types import ModelSpec
from tests.fuzz.inputs import inputs, patient
from tests.fuzz.writing import NUMBERS, settings_texts, texts

MEMBER_INPUTS: Final = 2000
#: each read twice
ENVIRONMENT_INPUTS: Final = 1000
FILE_INPUTS: Final = 500
PRICE_INPUTS: Final = 500

pytestmark = patient

#: stands around every value, so that one that is shown is found
MARK: Final = "§"


@inputs(MEMBER_INPUTS)
@given(spec=st.sampled_from(MODELS), text=settings_texts)
def test_what_a_member_writes_is_values_within_their_ranges_or_short_words(spec: ModelSpec, text: str) -> None:
    values, problems = parse_settings(spec, text)
    known = {parameter.key: parameter for parameter in spec.parameters}
    for key, value in values.items():
        parameter = known[key]
        assert type(value) is parameter.kind
        if parameter.minimum is not None and parameter.maximum is not None:
            assert math.isfinite(value)
            assert parameter.minimum <= value <= parameter.maximum
    assert bool(values or problems) is bool(text.replace(",", " ").split()), "nothing is silently dropped"
    said = "".join(problem.message for problem in problems)
    assert len(said) < 1000
    assert said.count("`") % 2 == 0, "no quoted word ends the code that it is shown in"


# --- the environment ---------------------------------------------------------------------------------

#: as the system gives them: anything but NUL, bytes that are no UTF-8 as lone surrogates
_characters: Final = st.characters(exclude_characters="\0")
_values: Final = (
    st.text(_characters, max_size=40)
    | st.sampled_from([number for number in NUMBERS if "\0" not in number])
    | st.sampled_from(
        (
            *(
                "\udcff\udcfe",
                "a\nb",
                "a\rb",
                "\x1b[2Jx",
                "0-99999",
                "0," * 500,
                "1-1," * 200,
                "true ",
                "${HOME}",
                "[1]",
            ),
            *(
                "http://[",
                "http://[::1",
                "http://a:b",
                "http://a:99999999999",
                "https://\udcff",
                "http://a\\b",
                "http:///",
            ),
            *("https://xn--a", "sqlite:///", "sqlite:////\udcff", "postgresql://", "postgresql://[", "sqlite://%00/"),
            *("postgresql://u:p@h:p/n", "postgresql+psycopg://h/n", "/" * 5000, "/dev/zero\udcff", "~", "..", "."),
        )
    )
)
_names: Final = (
    st.sampled_from(sorted(Settings.names()))
    | st.builds(
        "{}{}".format, st.sampled_from(("DISCORD_", "WANBOT_", "VTRIX_", "discord_")), st.text(_characters, max_size=9)
    )
    | st.text(_characters, max_size=20).filter(lambda name: "=" not in name)
)


@inputs(ENVIRONMENT_INPUTS)
@given(environment=st.dictionaries(_names, _values, max_size=8))
def test_no_environment_gets_more_than_a_line_for_each_variable(environment: Mapping[str, str]) -> None:
    marked = {name: value if name == "PRICES_FILE" else f"{MARK}{value}{MARK}" for name, value in environment.items()}
    for variables in (environment, marked):
        _loads_or_tells_each_variable_once(variables)


def _loads_or_tells_each_variable_once(variables: Mapping[str, str]) -> None:
    mistakes = _mistakes_in(variables)
    if mistakes is not None and all(MARK not in name for name in variables):
        assert MARK not in "".join(traceback.format_exception(mistakes))


def _mistakes_in(variables: Mapping[str, str], env_file: Path | None = None) -> SettingsError | None:
    """What is told of these; None where there is nothing to tell."""
    mistakes: SettingsError | None = None
    try:
        Settings.load(variables, env_file).prices()
    except SettingsError as error:
        mistakes = error
    lines = () if mistakes is None else mistakes.lines
    assert lines or mistakes is None
    assert all(line.isprintable() for line in lines), "each on one line, and nothing that moves a cursor"
    return mistakes


# --- files -------------------------------------------------------------------------------------------

_lines: Final = st.builds(
    "{}{}{}".format,
    st.sampled_from(("LOG_LEVEL", "export HTTP_PORT", "DISCORD_TOKEN", "", "#", "'", '"', "WANBOT_X")) | texts,
    st.sampled_from(("=", " = ", "='", '="', "=\\", ":", "")),
    texts | st.sampled_from(("DEBUG", "8080", "'", '"', "\\'", "${A}", "\\x", "\\N{", "\\u12", "a # b", "\t")),
)
_contents: Final = st.binary(max_size=60) | st.lists(_lines, max_size=6).map(
    lambda lines: "\n".join(lines).encode(errors="surrogatepass")
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("settings")


@inputs(FILE_INPUTS)
@given(content=_contents)
def test_no_env_file_is_answered_by_more_than_lines(folder: Path, content: bytes) -> None:
    path = folder / ".env"
    path.write_bytes(content)
    _mistakes_in({}, path)


_toml: Final = st.lists(
    st.builds(
        "{}{}{}".format,
        st.sampled_from(('"demo"', "demo", '["demo"]', "[[demo]]", '["a"."b"]', '""', "'*'", "720p")) | texts,
        st.sampled_from((" = ", "=", "\n", ".")),
        st.sampled_from(NUMBERS)
        | st.sampled_from(
            ("1979-05-27", "[" * 3000, "{a=" * 3000, "0.01", '"x"', "[1]", "{}", "{a = 1}", "1" + "0" * 400)
        ),
    ),
    max_size=4,
).map(lambda lines: "\n".join(lines).encode(errors="surrogatepass"))


@inputs(PRICE_INPUTS)
@given(content=_toml | st.binary(max_size=60))
def test_no_price_list_is_answered_by_more_than_a_line(folder: Path, content: bytes) -> None:
    path = folder / "prices.toml"
    path.write_bytes(content)
    mistakes = _mistakes_in({"PRICES_FILE": str(path)})
    if mistakes is None:
        prices = Settings.load({"PRICES_FILE": str(path)}).prices()
        assert all(price.is_finite() and price >= 0 for each in prices.values() for price in each.values())
        return
    (line,) = mistakes.lines
    assert line.startswith("PRICES_FILE: ")
    assert str(path) not in line
