from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.credits.allowance import PeriodLength
from bot.settings import Settings, SettingsError

#: appears in every value that must not be shown
SECRET = "hunter2"

VENDORS = ("PIXELDOJO", "PIXAZO", "PIXWITH", "VTRIX")
NAMES = {
    "DISCORD_TOKEN",
    "DISCORD_API_URL",
    "DATA_DIR",
    "DATABASE_URL",
    *(f"{vendor}_{what}" for vendor in VENDORS for what in ("API_KEY", "BASE_URL", "REQUESTS_PER_MINUTE")),
    "VTRIX_BODY_SHAPE",
    "PIXAZO_KF2V_PATH",
    "PIXELDOJO_USD_PER_CREDIT",
    "PRICES_FILE",
    "DEMO_PROVIDER",
    "DEMO_SECONDS",
    "DEFAULT_ALLOWANCE",
    "DEFAULT_PERIOD",
    "CREDITS_PER_USD",
    "LOG_LEVEL",
    "LOG_FORMAT",
    "HTTP_PORT",
    "HTTP_ADDRESS",
    "WANBOT_WEB_TOKEN",
    "WANBOT_KEEP_DAYS",
    "SHARD_COUNT",
    "SHARD_IDS",
    "UPLOAD_LIMIT_MIB",
}


def load(**variables: str) -> Settings:
    return Settings.load(variables)


def value_of(name: str, settings: Settings) -> object:
    (field,) = [field for field, described in Settings.model_fields.items() if described.alias == name]
    return getattr(settings, field)


def mistakes(variables: Mapping[str, str], env_file: Path | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.load(variables, env_file)
    return list(caught.value.lines)


def the_mistake(name: str, value: str) -> str:
    (line,) = mistakes({name: value})
    assert line.startswith(f"{name}: ")
    return line


# --- every variable ---------------------------------------------------------------------------------


def test_the_variables_are_those_of_the_design() -> None:
    assert Settings.names() == NAMES


def test_nothing_need_be_set() -> None:
    settings = load()
    assert settings.discord_token is None
    assert settings.discord_api_url == "https://discord.com/api/v10"
    assert settings.data_dir == Path("data")
    assert settings.database_url == "sqlite:///data/wanbot.db"
    assert settings.demo_provider
    assert settings.default_allowance == 100
    assert settings.default_period is PeriodLength.DAY
    assert settings.credits_per_usd == 100
    assert settings.pixeldojo_usd_per_credit == Decimal("0.05")
    assert settings.vtrix_body_shape == "flat"
    assert settings.keep_days == 30
    assert settings.http_port is None
    assert settings.web_token is None
    assert settings.shard_count is None
    assert settings.shard_ids is None
    assert settings.upload_limit_mib is None
    assert settings.prices_file is None
    assert settings.prices() == {}
    assert settings.pixazo_kf2v_path is None


@pytest.mark.parametrize(
    ("vendor", "base_url"),
    [
        ("PIXELDOJO", "https://pixeldojo.ai/api/v1"),
        ("PIXAZO", "https://gateway.pixazo.ai"),
        ("PIXWITH", "https://api.pixwith.ai"),
        ("VTRIX", "https://cloud.vtrix.ai"),
    ],
)
def test_a_vendor_has_its_documented_address_and_no_key(vendor: str, base_url: str) -> None:
    settings = load()
    assert value_of(f"{vendor}_API_KEY", settings) is None
    assert value_of(f"{vendor}_BASE_URL", settings) == base_url


def test_the_database_is_beside_the_other_data_unless_it_is_named() -> None:
    assert load(DATA_DIR="/srv/wanbot").database_url == "sqlite:////srv/wanbot/wanbot.db"
    named = load(DATA_DIR="/srv/wanbot", DATABASE_URL="postgresql://bot@db/wanbot")
    assert named.database_url == "postgresql://bot@db/wanbot"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("DATA_DIR", "/srv/wanbot", Path("/srv/wanbot")),
        ("DATABASE_URL", "sqlite:///x.db", "sqlite:///x.db"),
        ("DATABASE_URL", "sqlite:////srv/x.db", "sqlite:////srv/x.db"),
        ("DATABASE_URL", "postgresql:///wanbot", "postgresql:///wanbot"),
        ("DATABASE_URL", "postgresql://bot:p%23ss@db:5432/wanbot", "postgresql://bot:p%23ss@db:5432/wanbot"),
        ("DISCORD_API_URL", "http://127.0.0.1:8080/api/v10/", "http://127.0.0.1:8080/api/v10"),
        ("PIXAZO_BASE_URL", "https://proxy.example/pixazo", "https://proxy.example/pixazo"),
        ("VTRIX_BASE_URL", "http://[::1]:9000", "http://[::1]:9000"),
        ("PIXWITH_REQUESTS_PER_MINUTE", "1", 1),
        ("PIXELDOJO_REQUESTS_PER_MINUTE", "60", 60),
        ("PIXAZO_REQUESTS_PER_MINUTE", "unlimited", None),
        ("PIXELDOJO_USD_PER_CREDIT", "0.04", Decimal("0.04")),
        ("VTRIX_BODY_SHAPE", "wrapped", "wrapped"),
        ("PIXAZO_KF2V_PATH", "/wan/kf2v", "/wan/kf2v"),
        ("DEMO_PROVIDER", "false", False),
        ("DEMO_PROVIDER", "TRUE", True),
        ("DEMO_SECONDS", "0", 0.0),
        ("DEMO_SECONDS", "1.5", 1.5),
        ("DEFAULT_ALLOWANCE", "0", 0),
        ("DEFAULT_PERIOD", "day", PeriodLength.DAY),
        ("DEFAULT_PERIOD", "week", PeriodLength.WEEK),
        ("DEFAULT_PERIOD", "month", PeriodLength.MONTH),
        ("CREDITS_PER_USD", "12.5", Decimal("12.5")),
        ("LOG_LEVEL", "debug", "DEBUG"),
        ("LOG_LEVEL", "WARNING", "WARNING"),
        ("LOG_FORMAT", "json", "json"),
        ("LOG_FORMAT", "Console", "console"),
        ("HTTP_PORT", "1", 1),
        ("HTTP_PORT", "65535", 65535),
        ("HTTP_ADDRESS", "0.0.0.0", "0.0.0.0"),  # noqa: S104 - it is read here, nobody listens
        ("HTTP_ADDRESS", "::1", "::1"),
        ("WANBOT_KEEP_DAYS", "1", 1),
        ("SHARD_COUNT", "4", 4),
        ("UPLOAD_LIMIT_MIB", "100", 100),
    ],
)
def test_what_is_set_is_read(name: str, text: str, value: object) -> None:
    assert value_of(name, load(**{name: text})) == value
    assert value_of(name, load(**{name: f"  {text}\n"})) == value, "spaces around it don't count"


@pytest.mark.parametrize(
    ("text", "shards"), [("0", (0,)), ("0,1,5-7", (0, 1, 5, 6, 7)), (" 3 , 2 ", (3, 2)), ("1,1,0-2", (1, 0, 2))]
)
def test_shards_are_numbers_and_ranges_and_each_is_run_once(text: str, shards: tuple[int, ...]) -> None:
    assert load(SHARD_COUNT="8", SHARD_IDS=text).shard_ids == shards


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("empty", ["", "  ", "\t\n"])
def test_an_empty_variable_is_not_set(name: str, empty: str) -> None:
    assert load(**{name: empty}) == load()


@pytest.mark.parametrize("name", ["DISCORD_TOKEN", "WANBOT_WEB_TOKEN", *(f"{vendor}_API_KEY" for vendor in VENDORS)])
def test_a_secret_is_kept_but_shown_nowhere(name: str) -> None:
    settings = load(**{name: f"sk-{SECRET}"})
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)
    assert SECRET not in settings.model_dump_json()
    assert value_of(name, settings) is not None


def test_the_password_of_the_database_is_shown_nowhere() -> None:
    settings = load(DATABASE_URL=f"postgresql://bot:{SECRET}@db/wanbot")
    assert SECRET in settings.database_url
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)


# --- what can't be ----------------------------------------------------------------------------------

BAD = [
    ("DISCORD_TOKEN", f"two {SECRET}"),
    ("DISCORD_TOKEN", f"{SECRET}\x00"),
    ("PIXELDOJO_API_KEY", f"{SECRET}é"),
    ("PIXAZO_API_KEY", f"{SECRET}\nx"),
    ("WANBOT_WEB_TOKEN", f"a {SECRET}"),
    ("DATABASE_URL", f"mysql://bot:{SECRET}@db/x"),
    ("DATABASE_URL", SECRET),
    ("DATABASE_URL", f"postgresql://bot:{SECRET}@db:port/x"),
    ("DATABASE_URL", f"postgresql+asyncpg://bot:{SECRET}@db/x"),
    ("DATABASE_URL", f"sqlite://{SECRET}/x"),
    ("DATABASE_URL", "sqlite:///"),
    ("DATABASE_URL", "sqlite:///:memory:"),
    ("DISCORD_API_URL", SECRET),
    ("DISCORD_API_URL", f"ftp://{SECRET}"),
    ("DISCORD_API_URL", f"https://[{SECRET}]/"),
    ("DISCORD_API_URL", f"https://{SECRET}℀x/"),
    ("DISCORD_API_URL", "https://"),
    ("PIXELDOJO_BASE_URL", f"https://user:{SECRET}@pixeldojo.ai"),
    ("PIXAZO_BASE_URL", f"https://gateway.pixazo.ai/?key={SECRET}"),
    ("PIXAZO_BASE_URL", f"https://gateway.pixazo.ai/#{SECRET}"),
    ("PIXWITH_BASE_URL", f"https://api.pixwith.ai:{SECRET}"),
    ("PIXWITH_BASE_URL", "https://api.pixwith.ai:65536"),
    ("PIXWITH_BASE_URL", "https://api.pixwith.ai:0"),
    ("VTRIX_BASE_URL", f"https://cloud.vtrix.ai/a {SECRET}"),
    *((f"{vendor}_REQUESTS_PER_MINUTE", bad) for vendor in VENDORS for bad in ("0", "-1", "1.5", SECRET, "100001")),
    ("VTRIX_BODY_SHAPE", SECRET),
    ("PIXAZO_KF2V_PATH", f"no/slash/{SECRET}"),
    *(("PIXELDOJO_USD_PER_CREDIT", bad) for bad in ("0", "-1", "nan", "Infinity", SECRET)),
    ("PRICES_FILE", f"/there/is/no/{SECRET}.toml"),
    ("DEMO_PROVIDER", SECRET),
    *(("DEMO_SECONDS", bad) for bad in ("-1", "nan", "inf", "3601", SECRET)),
    *(("DEFAULT_ALLOWANCE", bad) for bad in ("-1", "1.5", "9" * 30, SECRET)),
    ("DEFAULT_PERIOD", SECRET),
    *(("CREDITS_PER_USD", bad) for bad in ("0", "-1", "NaN", "inf", SECRET)),
    ("LOG_LEVEL", SECRET),
    ("LOG_FORMAT", SECRET),
    *(("HTTP_ADDRESS", bad) for bad in ("localhost", "127.0.0", "127.0.0.1:80", SECRET)),
    *(("HTTP_PORT", bad) for bad in ("0", "65536", "-1", SECRET)),
    *(("WANBOT_KEEP_DAYS", bad) for bad in ("0", "-1", SECRET)),
    *(("SHARD_COUNT", bad) for bad in ("0", SECRET)),
    *(("SHARD_IDS", bad) for bad in (SECRET, "1,", "-1", "1-", "1-2-3", "7-5", "0-99999999999", "²", "1")),
    *(("UPLOAD_LIMIT_MIB", bad) for bad in ("0", "-1", SECRET)),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_what_can_not_be_stops_the_start_with_one_line_that_shows_nothing_of_it(name: str, value: str) -> None:
    line = the_mistake(name, value)
    assert "\n" not in line
    assert SECRET not in line
    assert len(line) > len(name) + 10, "it says what would do"


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, value in BAD if SECRET in value])
def test_a_mistake_shows_its_value_in_no_form_of_the_exception(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(**{name: value})
    assert SECRET not in repr(caught.value)
    assert SECRET not in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value, chain=True))
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_every_mistake_is_told_at_once_each_on_exactly_one_line() -> None:
    variables = dict.fromkeys(NAMES - {"DATA_DIR"}, f"{SECRET} x")
    lines = mistakes(variables)
    assert sorted(line.partition(":")[0] for line in lines) == sorted(variables)
    assert SECRET not in "".join(lines)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("HTTP_PORT", "a", "must be a whole number"),
        ("CREDITS_PER_USD", "a", "must be a number"),
        ("DEMO_SECONDS", "a", "must be a number"),
        ("DEMO_PROVIDER", "maybe", "must be true or false"),
        ("DEFAULT_PERIOD", "year", "must be 'day', 'week' or 'month'"),
        ("LOG_LEVEL", "loud", "must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("VTRIX_BODY_SHAPE", "round", "must be 'flat' or 'wrapped'"),
        ("DEFAULT_ALLOWANCE", "-1", "must be greater than or equal to 0"),
        ("PIXAZO_KF2V_PATH", "a/b", "must begin with a slash"),
        ("SHARD_IDS", "7-5", "must have the lower number of a range first, as in 4-7"),
    ],
)
def test_a_mistake_is_told_in_plain_words(name: str, value: str, reason: str) -> None:
    assert the_mistake(name, value) == f"{name}: {reason}"


def test_shards_need_the_number_of_all_even_beside_other_mistakes() -> None:
    assert mistakes({"SHARD_IDS": "0", "LOG_LEVEL": "loud"}) == [
        "LOG_LEVEL: must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'",
        "SHARD_IDS: needs the number of all shards, SHARD_COUNT",
    ]


def test_shards_beyond_the_number_of_all_are_a_mistake() -> None:
    assert load(SHARD_IDS="0-1", SHARD_COUNT="2").shard_ids == (0, 1)
    assert mistakes({"SHARD_IDS": "0-2", "SHARD_COUNT": "2"}) == [
        "SHARD_IDS: must each be below the number of all shards"
    ]


def test_a_bad_number_of_shards_is_told_once() -> None:
    (line,) = mistakes({"SHARD_IDS": "0-2", "SHARD_COUNT": "none"})
    assert line == "SHARD_COUNT: must be a whole number"


# --- names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "DISCORD_TOKENS",
        "DISCORD_CLIENT_ID",
        "PIXELDOJO_KEY",
        "PIXELDOJO_USD_PER_CREDITS",
        "PIXAZO_USD_PER_CREDIT",
        "PIXWITH_",
        "VTRIX_SHAPE",
        "DEMO_MODE",
        "WANBOT_TOKEN",
        "wanbot_keep_days",
        "Discord_Token",
    ],
)
def test_an_unknown_name_under_our_prefixes_is_a_mistake(name: str) -> None:
    (line,) = mistakes({name: SECRET})
    assert line.startswith(f"{name}: there is no such setting")
    assert SECRET not in line


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DATA_DIRS", "DATA_DIR"),
        ("data_dir", "DATA_DIR"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("DATABSE_URL", "DATABASE_URL"),
        ("PRICE_FILE", "PRICES_FILE"),
        ("DEFAULT_ALLOWENCE", "DEFAULT_ALLOWANCE"),
        ("DEFAULT_PERIODS", "DEFAULT_PERIOD"),
        ("CREDITS_PER_USDD", "CREDITS_PER_USD"),
        ("CREDIT_PER_USD", "CREDITS_PER_USD"),
        ("LOG_LEVLE", "LOG_LEVEL"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("LOG_FORMATS", "LOG_FORMAT"),
        ("HTTP_PROT", "HTTP_PORT"),
        ("SHARDS_COUNT", "SHARD_COUNT"),
        ("SHARD_ID", "SHARD_IDS"),
        ("UPLOAD_LIMIT_MB", "UPLOAD_LIMIT_MIB"),
        ("UPLOAD_LIMIT", "UPLOAD_LIMIT_MIB"),
        ("DISCORDTOKEN", "DISCORD_TOKEN"),
        ("DISCROD_TOKEN", "DISCORD_TOKEN"),
        ("PIXELDOJO_APIKEY", "PIXELDOJO_API_KEY"),
    ],
)
def test_a_near_miss_is_a_mistake_and_what_was_meant_is_suggested(name: str, meant: str) -> None:
    assert mistakes({name: SECRET}) == [f"{name}: there is no such setting; did you mean {meant}?"]


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "HOME",
        "LANG",
        "PORT",
        "TOKEN",
        "DEBUG",
        "HTTP_PROXY",
        "https_proxy",
        "NO_PROXY",
        "LOGNAME",
        "XDG_DATA_DIRS",
        "XDG_DATA_HOME",
        "RUST_LOG",
        "OPENAI_API_KEY",
        "PYTHONPATH",
        "POSTGRES_URL",
        "SHELL",
        "DEFAULT_REGION",
    ],
)
def test_what_is_not_ours_is_left_alone(name: str) -> None:
    assert load(**{name: "x"}) == load()


def test_the_environment_of_this_very_run_is_left_alone() -> None:
    others = {name: value for name, value in os.environ.items() if name not in NAMES}
    assert Settings.load(others) == load()


def test_an_empty_unknown_name_is_nothing() -> None:
    assert load(WANBOT_TOKEN="", DATA_DIRS=" ") == load()


def test_a_variable_with_a_line_of_its_own_is_suggested_on_no_other() -> None:
    lines = mistakes({"LOG_LEVEL": "loud", "LOG_LEVLE": "INFO"})
    assert lines == [
        "LOG_LEVEL: must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'",
        "LOG_LEVLE: there is no such setting",
    ]


@pytest.mark.parametrize("name", ["WANBOT_\nX", "DISCORD_\x1b[2J", "VTRIX_\udcff"])
def test_a_name_that_would_not_stay_on_its_line_is_shown_as_code(name: str) -> None:
    (line,) = mistakes({name: "1"})
    assert line.startswith(f"{name!a}: there is no such setting")


_names = st.sampled_from(sorted(NAMES)) | st.sampled_from(
    ["LOG_LEVLE", "DATABASE_URI", "WANBOT_X", "PIXAZO_URL", "HOME", "DISCORD_", "SHARD_ID"]
)


@given(st.dictionaries(_names, st.text(st.characters(codec="ascii"), max_size=12).map(lambda text: f"§{text}§")))
def test_whatever_is_wrong_each_bad_variable_has_one_line_and_no_value_is_shown(variables: dict[str, str]) -> None:
    try:
        Settings.load(variables)
    except SettingsError as error:
        lines = error.lines
    else:
        lines = ()
    named = [line.partition(":")[0] for line in lines]
    expected = set(variables) - {"HOME", "DATA_DIR"}
    assert sorted(named) == sorted(expected)
    assert "§" not in "".join(lines)
    for name in named:
        assert sum(name in line.replace(":", " ").replace("?", " ").split() for line in lines) == 1


# --- .env -------------------------------------------------------------------------------------------


@pytest.fixture
def env_file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / ".env"
        path.write_bytes(text.encode())
        return path

    return write


def test_a_file_is_read_as_shells_and_compose_read_it(env_file: Callable[[str], Path]) -> None:
    path = env_file('# ours\nexport LOG_LEVEL=DEBUG\nDISCORD_TOKEN="abc$HOME"\nHTTP_PORT= # off\n\nSHELL=zsh\nLANG\n')
    settings = Settings.load({}, path)
    assert settings.log_level == "DEBUG"
    assert settings.discord_token is not None
    assert settings.discord_token.get_secret_value() == "abc$HOME", "nothing is filled in"
    assert settings.http_port is None


def test_the_environment_goes_before_the_file(env_file: Callable[[str], Path]) -> None:
    path = env_file("LOG_LEVEL=DEBUG\nHTTP_PORT=8080\n")
    settings = Settings.load({"LOG_LEVEL": "ERROR"}, path)
    assert (settings.log_level, settings.http_port) == ("ERROR", 8080)


def test_without_a_file_the_environment_is_all(tmp_path: Path) -> None:
    assert Settings.load({"HTTP_PORT": "8080"}, tmp_path / ".env").http_port == 8080


def test_mistakes_in_the_file_are_told_like_those_of_the_environment(env_file: Callable[[str], Path]) -> None:
    path = env_file(f"LOG_LEVEL={SECRET}\nWANBOT_TOKENS={SECRET}\n")
    lines = mistakes({}, path)
    assert [line.partition(":")[0] for line in lines] == ["LOG_LEVEL", "WANBOT_TOKENS"]
    assert SECRET not in "".join(lines)


def test_a_mark_of_the_byte_order_is_no_part_of_the_first_name(env_file: Callable[[str], Path]) -> None:
    assert Settings.load({}, env_file("\ufeffLOG_LEVEL=DEBUG\n")).log_level == "DEBUG"


def test_a_file_that_is_no_text_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"LOG_LEVEL=\xff\xfe\n")
    assert mistakes({}, path) == [".env: isn't text in UTF-8"]


# --- prices -----------------------------------------------------------------------------------------


def prices(tmp_path: Path, text: str) -> Mapping[str, Mapping[str, Decimal]]:
    path = tmp_path / "prices.toml"
    path.write_text(text)
    return load(PRICES_FILE=str(path)).prices()


def test_prices_are_read_per_model_and_per_resolution_without_rounding(tmp_path: Path) -> None:
    text = 'demo = 0\n"pixazo/wan2.2-i2v-plus" = 0.1\n["vtrix/wan22_t2v_plus"]\n"480p" = 0.02\n"*" = 1\n'
    assert prices(tmp_path, text) == {
        "demo": {"*": Decimal(0)},
        "pixazo/wan2.2-i2v-plus": {"*": Decimal("0.1")},
        "vtrix/wan22_t2v_plus": {"480p": Decimal("0.02"), "*": Decimal(1)},
    }


@pytest.mark.parametrize(
    "text",
    [
        "demo = -0.01",
        "demo = nan",
        "demo = inf",
        "demo = true",
        f'demo = "{SECRET}"',
        f"demo = {SECRET}",
        f"{SECRET}",
        "demo = [1]",
        "demo = { '480p' = { a = 1 } }",
        "demo = 2026-11-20",
        pytest.param(f"demo = {'[' * 5000}", id="nested deeper than Python counts"),
    ],
)
def test_prices_that_can_not_be_stop_the_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / f"{SECRET}.toml"
    path.write_text(text)
    line = the_mistake("PRICES_FILE", str(path))
    assert SECRET not in line
    assert '"demo" = 0.01' in line


def test_prices_that_became_unreadable_are_told_the_same_way(tmp_path: Path) -> None:
    path = tmp_path / f"{SECRET}.toml"
    path.write_text("demo = 0.01")
    settings = load(PRICES_FILE=str(path))
    path.unlink()
    with pytest.raises(SettingsError, match=r"^PRICES_FILE: ") as caught:
        settings.prices()
    assert len(caught.value.lines) == 1
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_prices_that_are_a_folder_or_no_text_stop_the_start(tmp_path: Path) -> None:
    assert "IsADirectoryError" in the_mistake("PRICES_FILE", str(tmp_path))
    path = tmp_path / "prices.toml"
    path.write_bytes(b"\xff\xfe")
    assert "UnicodeDecodeError" in the_mistake("PRICES_FILE", str(path))
