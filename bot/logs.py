"""Log lines: one event each, for people or for programs."""

from __future__ import annotations

import logging
import sys

import structlog

from bot.settings import Settings


def configure(settings: Settings, *, is_quiet: bool = False) -> None:
    """Write every logger's lines, ours and the libraries', in one format to standard error.

    ``is_quiet`` leaves out what isn't a warning, unless the operator chose a level.
    """
    level = "WARNING" if is_quiet and "log_level" not in settings.model_fields_set else settings.log_level
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    last: list[structlog.types.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
        if settings.log_format == "json"
        else [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    set_level(level)
    if is_quiet:
        logging.getLogger("discord.state").setLevel(logging.ERROR)  # simcord probes clients without intents


def set_level(level: str) -> None:
    """Leave out lines below this level, from now on; of the libraries all that are no warnings."""
    root = logging.getLogger()
    root.setLevel(level)
    # their lines at INFO name links with signatures, or say nothing to an operator
    for chatty in ("httpx", "httpcore", "discord", "alembic", "asyncio"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    # it warns at every start that there is no voice, which nobody misses
    logging.getLogger("discord.client").setLevel(logging.ERROR)
