"""Asks a provider, so that whatever it raises is an answer."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TypeVar

import structlog

from providers.errors import ContractBroken, ProviderError

_T = TypeVar("_T")

log = structlog.stdlib.get_logger(__name__)


async def outcome_of(call: Coroutine[None, None, _T]) -> _T | ProviderError:
    """What a call came to; what its contract doesn't name counts as an answer that isn't as documented."""
    try:
        return await call
    except ProviderError as error:
        return error
    except Exception as error:
        log.exception("a provider raised what its contract doesn't name")
        return ContractBroken(type(error).__name__)
