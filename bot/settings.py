"""Every setting of the bot, typed and bounded, read from the environment or a ``.env`` file."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from bot.credits.allowance import AllowanceRule, PeriodLength

#: Names under these are ours; one that we don't know is a mistake that somebody should hear of.
OWN_PREFIXES = ("DISCORD_", "PIXELDOJO_", "PIXAZO_", "PIXWITH_", "VTRIX_", "DEMO_", "WANBOT_")

#: How alike a name must be to one of ours before we take it for a slip (1.0: the same).
_NEAR_MISS = 0.85

#: ``5`` or ``4-7``; no bot has a million shards
_SHARD_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


class SettingsError(Exception):
    """The settings can't be used. ``lines`` name each variable once and never show its value."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


def _http_url(value: str) -> str:
    if not _is_plain_address(value) or "@" in value or "?" in value or "#" in value:
        raise ValueError("must be an address that begins with http:// or https://, without a user name, ? or #")
    return value.rstrip("/")


def _is_plain_address(value: str) -> bool:
    """Whether it has a scheme, a host and a port that can be; what urllib says of others would show them."""
    try:
        parts = urlsplit(value)
        is_complete = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_complete and value.isprintable() and " " not in value


def database_address(value: str) -> str:
    """The address of a database; raises ``ValueError`` for what is none, without showing it."""
    if not _is_database_address(value):
        raise ValueError("must read sqlite:///path/of/a/file or postgresql://user:password@host:port/name")
    return value


def _is_database_address(value: str) -> bool:
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        return False
    has_file = url.database not in {None, "", ":memory:"}
    return url.drivername == "postgresql" or (url.drivername == "sqlite" and not url.host and has_file)


def _ip_address(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError:
        raise ValueError("must be an IP address of this machine, as in 127.0.0.1, or 0.0.0.0 for all of them") from None


def _path_with_slash(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError("must begin with a slash")
    return value


def _token(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be one word without spaces, copied whole")
    return value


def _shards(value: object) -> object:
    """Read ``0,1,5-7``."""
    if not isinstance(value, str):
        return value
    shards: list[int] = []
    for part in value.split(","):
        bounds = _SHARD_RANGE.fullmatch(part.strip())
        if bounds is None:
            raise ValueError("must be numbers and ranges, as in 0,1,4-7")
        first, last = int(bounds[1]), int(bounds[2] or bounds[1])
        if first > last:
            raise ValueError("must have the lower number of a range first, as in 4-7")
        shards += range(first, last + 1)
    return tuple(dict.fromkeys(shards))


def _prices_file(path: Path) -> Path:
    _read_prices(path)
    return path


def _read_prices(path: Path) -> Mapping[str, Mapping[str, Decimal]]:
    """Read a price list. Raises ``ValueError``, which shows nothing of the path or of what stands there."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
        return {model: _prices_of(value) for model, value in table.items()}
    except (OSError, ValueError, ArithmeticError, RecursionError) as error:
        name = type(error).__name__
        raise ValueError(f'can\'t be read as prices in US dollars, like "demo" = 0.01: {name}') from None


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _limit(value: object) -> object:
    return None if value == "unlimited" else value


def _boolean(value: object) -> object:
    words = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False, "on": True, "off": False}
    if isinstance(value, str):
        if value.lower() not in words:
            raise ValueError("must be true or false")
        return words[value.lower()]
    return value


Secret = Annotated[SecretStr, AfterValidator(_token)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
RequestsPerMinute = Annotated[Annotated[int, Field(ge=1, le=100_000)] | None, BeforeValidator(_limit)]


class Settings(BaseModel):
    """What an operator can set. A field's alias is the variable's name; docs are in the README."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    discord_token: Secret | None = Field(None, alias="DISCORD_TOKEN")
    discord_api_url: HttpUrl = Field("https://discord.com/api/v10", alias="DISCORD_API_URL")
    data_dir: Path = Field(Path("data"), alias="DATA_DIR")
    # it may hold a password
    given_database_url: Annotated[str, AfterValidator(database_address)] | None = Field(
        None, alias="DATABASE_URL", repr=False
    )

    pixeldojo_api_key: Secret | None = Field(None, alias="PIXELDOJO_API_KEY")
    pixeldojo_base_url: HttpUrl = Field("https://pixeldojo.ai/api/v1", alias="PIXELDOJO_BASE_URL")
    # documented by the vendor's own skill (2026-03); an older page says 60
    pixeldojo_requests_per_minute: RequestsPerMinute = Field(10, alias="PIXELDOJO_REQUESTS_PER_MINUTE")
    pixeldojo_usd_per_credit: Decimal = Field(
        Decimal("0.05"), alias="PIXELDOJO_USD_PER_CREDIT", gt=0, le=1000, allow_inf_nan=False
    )
    pixazo_api_key: Secret | None = Field(None, alias="PIXAZO_API_KEY")
    pixazo_base_url: HttpUrl = Field("https://gateway.pixazo.ai", alias="PIXAZO_BASE_URL")
    pixazo_requests_per_minute: RequestsPerMinute = Field(60, alias="PIXAZO_REQUESTS_PER_MINUTE")
    pixazo_kf2v_path: Annotated[str, AfterValidator(_path_with_slash)] | None = Field(None, alias="PIXAZO_KF2V_PATH")
    pixwith_api_key: Secret | None = Field(None, alias="PIXWITH_API_KEY")
    pixwith_base_url: HttpUrl = Field("https://api.pixwith.ai", alias="PIXWITH_BASE_URL")
    pixwith_requests_per_minute: RequestsPerMinute = Field(60, alias="PIXWITH_REQUESTS_PER_MINUTE")
    vtrix_api_key: Secret | None = Field(None, alias="VTRIX_API_KEY")
    vtrix_base_url: HttpUrl = Field("https://cloud.vtrix.ai", alias="VTRIX_BASE_URL")
    vtrix_requests_per_minute: RequestsPerMinute = Field(60, alias="VTRIX_REQUESTS_PER_MINUTE")
    vtrix_body_shape: Literal["flat", "wrapped"] = Field("flat", alias="VTRIX_BODY_SHAPE")
    prices_file: Annotated[Path, AfterValidator(_prices_file)] | None = Field(None, alias="PRICES_FILE")
    demo_provider: Annotated[bool, BeforeValidator(_boolean)] = Field(default=True, alias="DEMO_PROVIDER")
    demo_seconds: float = Field(20.0, alias="DEMO_SECONDS", ge=0, le=3600, allow_inf_nan=False)

    default_allowance: int = Field(100, alias="DEFAULT_ALLOWANCE", ge=0, le=1_000_000_000)
    default_period: PeriodLength = Field(PeriodLength.DAY, alias="DEFAULT_PERIOD")
    credits_per_usd: Decimal = Field(Decimal(100), alias="CREDITS_PER_USD", gt=0, le=1_000_000, allow_inf_nan=False)
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_upper)] = Field(
        "INFO", alias="LOG_LEVEL"
    )
    log_format: Annotated[Literal["console", "json"], BeforeValidator(_lower)] = Field("console", alias="LOG_FORMAT")
    http_port: int | None = Field(None, alias="HTTP_PORT", ge=1, le=65535)
    http_address: Annotated[str, AfterValidator(_ip_address)] = Field("127.0.0.1", alias="HTTP_ADDRESS")
    web_token: Secret | None = Field(None, alias="WANBOT_WEB_TOKEN")
    keep_days: int = Field(30, alias="WANBOT_KEEP_DAYS", ge=1, le=3650)
    shard_count: int | None = Field(None, alias="SHARD_COUNT", ge=1, le=100_000)
    shard_ids: Annotated[tuple[int, ...] | None, BeforeValidator(_shards)] = Field(None, alias="SHARD_IDS")
    upload_limit_mib: int | None = Field(None, alias="UPLOAD_LIMIT_MIB", ge=1, le=500)

    @field_validator("shard_ids")
    @classmethod
    def _shards_exist(cls, shards: tuple[int, ...] | None, known: ValidationInfo) -> tuple[int, ...] | None:
        if shards is None or "shard_count" not in known.data:  # no number, or one that has a line of its own
            return shards
        count: int | None = known.data["shard_count"]
        if count is None:
            raise ValueError("needs the number of all shards, SHARD_COUNT")
        if max(shards) >= count:
            raise ValueError("must each be below the number of all shards")
        return shards

    @property
    def default_allowance_rule(self) -> AllowanceRule:
        """What members receive where moderators have decided nothing."""
        return AllowanceRule(amount=self.default_allowance, length=self.default_period)

    @property
    def database_url(self) -> str:
        """The database's address, the default beside the other data."""
        return self.given_database_url or f"sqlite:///{self.data_dir / 'wanbot.db'}"

    @classmethod
    def names(cls) -> frozenset[str]:
        """Every variable that is read."""
        return frozenset(field.alias for field in cls.model_fields.values() if field.alias)

    @classmethod
    def load(cls, environment: Mapping[str, str], env_file: Path | None = None) -> Self:
        """Read the environment over the file; raises ``SettingsError`` naming every mistake."""
        given = {**_read_env_file(env_file), **environment}
        # an empty variable is how compose files say "not set"
        given = {name: value.strip() for name, value in given.items() if value.strip()}
        known = {name: value for name, value in given.items() if name in cls.names()}
        settings, mistakes = cls._validated(known)
        lines = [*mistakes.values(), *_unknown_names(given, cls.names(), named=mistakes.keys())]
        if settings is None or lines:
            raise SettingsError(lines)
        return settings

    @classmethod
    def _validated(cls, known: Mapping[str, str]) -> tuple[Self | None, Mapping[str, str]]:
        try:
            return cls.model_validate(known), {}
        except ValidationError as error:
            # it isn't passed on: it would show values
            return None, _mistakes(error)

    def prices(self) -> Mapping[str, Mapping[str, Decimal]]:
        """Upstream US$ per model and resolution (``*``: any) from the operator's own price list.

        Raises ``SettingsError`` for a file that can't be read.
        """
        if self.prices_file is None:
            return {}
        try:
            return _read_prices(self.prices_file)
        except ValueError as error:
            raise SettingsError([f"PRICES_FILE: {error}"]) from None


def _prices_of(value: object) -> Mapping[str, Decimal]:
    entries: dict[str, object] = dict(value) if isinstance(value, dict) else {"*": value}  # pyright: ignore[reportUnknownArgumentType] - TOML is untyped until the next line
    prices: dict[str, Decimal] = {}
    for resolution, price in entries.items():
        if isinstance(price, bool) or not isinstance(price, int | Decimal):
            raise ValueError(resolution)  # noqa: TRY004 - the caller tells both mistakes alike
        if not Decimal(price).is_finite() or price < 0:
            raise ValueError(resolution)
        prices[resolution] = Decimal(price)
    return prices


class _Slip(BaseModel):
    """What pydantic says of one mistake, as far as it may be shown."""

    loc: tuple[str | int, ...]
    msg: str
    type: str

    @property
    def reason(self) -> str:
        plain = {"int_parsing": "must be a whole number", "float_parsing": "must be a number"}
        plain["decimal_parsing"] = plain["float_parsing"]
        text = self.msg.removeprefix("Value error, ").removeprefix("Input ").removeprefix("Decimal input ")
        return plain.get(self.type, text.replace("should", "must"))


def _read_env_file(path: Path | None) -> dict[str, str]:
    if path is None or not path.is_file():
        return {}
    try:
        # some editors begin a file with a mark of its byte order
        values = dotenv_values(path, interpolate=False, encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsError([f"{path.name}: isn't text in UTF-8"]) from None
    return {name: value for name, value in values.items() if value is not None}


def _mistakes(error: ValidationError) -> dict[str, str]:
    """One line for each variable, by its name."""
    slips = [_Slip.model_validate(each) for each in error.errors(include_input=False, include_url=False)]
    lines: dict[str, str] = {}
    for slip in slips:
        lines.setdefault(str(slip.loc[0]), f"{slip.loc[0]}: {slip.reason}")
    return lines


def _unknown_names(given: Mapping[str, str], names: frozenset[str], *, named: Collection[str]) -> list[str]:
    """A line for each name that isn't ours. What has a line already (``named``) is suggested by no other."""
    lines: list[str] = []
    for name in sorted(given.keys() - names):
        is_ours = name.upper().startswith(OWN_PREFIXES)
        near = difflib.get_close_matches(name.upper(), sorted(names), n=1, cutoff=0.6 if is_ours else _NEAR_MISS)
        if is_ours or near:
            hint = f"; did you mean {near[0]}?" if near and near[0] not in named else ""
            # a line stays one line, whatever stands in a name
            lines.append(f"{name if name.isprintable() else ascii(name)}: there is no such setting{hint}")
    return lines
