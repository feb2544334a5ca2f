"""Every setting of the bot, typed and bounded, read from the environment or a ``.env`` file."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from bot.credits.allowance import PeriodLength

#: Names under these are ours; one that we don't know is a mistake that somebody should hear of.
OWN_PREFIXES = ("DISCORD_", "PIXELDOJO_", "PIXAZO_", "PIXWITH_", "VTRIX_", "DEMO_", "WANBOT_")

#: How alike a name must be to one of ours before we take it for a slip (1.0: the same).
_NEAR_MISS = 0.85


class SettingsError(Exception):
    """The settings can't be used. ``lines`` name each variable once and never show its value."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an address that begins with http:// or https://, without ? or #")
    return value.rstrip("/")


def _database_url(value: str) -> str:
    if not value.startswith(("sqlite:///", "postgresql://")):
        raise ValueError("must begin with sqlite:/// or postgresql://")
    return value


def _path_with_slash(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError("must begin with a slash")
    return value


def _token(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.isascii() or any(character.isspace() for character in text):
        raise ValueError("must be one word without spaces, as the vendor shows it")
    return value


def _shards(value: object) -> object:
    """Read ``0,1,5-7``."""
    if not isinstance(value, str):
        return value
    shards: list[int] = []
    for part in value.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdecimal() or not (last or first).isdecimal():
            raise ValueError("must be numbers and ranges, as in 0,1,4-7")
        shards += range(int(first), int(last or first) + 1)
    return tuple(shards)


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _boolean(value: object) -> object:
    words = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False, "on": True, "off": False}
    if isinstance(value, str):
        if value.lower() not in words:
            raise ValueError("must be true or false")
        return words[value.lower()]
    return value


Secret = Annotated[SecretStr, AfterValidator(_token)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
RequestsPerMinute = Annotated[int, Field(ge=1, le=100_000)]


class Settings(BaseModel):
    """What an operator can set. A field's alias is the variable's name; docs are in the README."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    discord_token: Secret | None = Field(None, alias="DISCORD_TOKEN")
    discord_api_url: HttpUrl = Field("https://discord.com/api/v10", alias="DISCORD_API_URL")
    data_dir: Path = Field(Path("data"), alias="DATA_DIR")
    given_database_url: Annotated[str, AfterValidator(_database_url)] | None = Field(None, alias="DATABASE_URL")

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
    prices_file: Path | None = Field(None, alias="PRICES_FILE")
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
    web_token: Secret | None = Field(None, alias="WANBOT_WEB_TOKEN")
    keep_days: int = Field(30, alias="WANBOT_KEEP_DAYS", ge=1, le=3650)
    shard_count: int | None = Field(None, alias="SHARD_COUNT", ge=1, le=100_000)
    shard_ids: Annotated[tuple[int, ...] | None, BeforeValidator(_shards)] = Field(None, alias="SHARD_IDS")
    upload_limit_mib: int | None = Field(None, alias="UPLOAD_LIMIT_MIB", ge=1, le=500)

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
        lines = _unknown_names(given, cls.names())
        known = {name: value for name, value in given.items() if name in cls.names()}
        try:
            settings = cls.model_validate(known)
        except ValidationError as error:
            raise SettingsError([*_mistakes(error), *lines]) from None  # the cause would show values
        lines += _contradictions(settings)
        if lines:
            raise SettingsError(lines)
        return settings

    def prices(self) -> Mapping[str, Mapping[str, Decimal]]:
        """Upstream US$ per model and resolution (``*``: any) from the operator's own price list.

        Raises ``SettingsError`` for a file that can't be read.
        """
        if self.prices_file is None:
            return {}
        try:
            table = tomllib.loads(self.prices_file.read_text(encoding="utf-8"), parse_float=Decimal)
            return {model: _prices_of(value) for model, value in table.items()}
        except (OSError, ValueError, ArithmeticError) as error:
            reason = f'PRICES_FILE: can\'t be read as prices in US dollars, like "demo" = 0.01: {type(error).__name__}'
            raise SettingsError([reason]) from error


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
    return {name: value for name, value in dotenv_values(path, interpolate=False).items() if value is not None}


def _mistakes(error: ValidationError) -> list[str]:
    slips = [_Slip.model_validate(each) for each in error.errors(include_input=False, include_url=False)]
    lines: dict[str, str] = {}
    for slip in slips:
        lines.setdefault(str(slip.loc[0]), f"{slip.loc[0]}: {slip.reason}")
    return list(lines.values())


def _unknown_names(given: Mapping[str, str], names: frozenset[str]) -> list[str]:
    lines: list[str] = []
    for name in sorted(given.keys() - names):
        is_ours = name.upper().startswith(OWN_PREFIXES)
        near = difflib.get_close_matches(name.upper(), sorted(names), n=1, cutoff=0.6 if is_ours else _NEAR_MISS)
        if is_ours or near:
            hint = f"; did you mean {near[0]}?" if near else ""
            lines.append(f"{name}: there is no such setting{hint}")
    return lines


def _contradictions(settings: Settings) -> list[str]:
    lines: list[str] = []
    if settings.shard_ids is not None and settings.shard_count is None:
        lines.append("SHARD_IDS: needs the number of all shards, SHARD_COUNT")
    elif settings.shard_ids and settings.shard_count and max(settings.shard_ids) >= settings.shard_count:
        lines.append("SHARD_IDS: must each be below the number of all shards")
    return lines
