"""Asks a provider, so that whatever it raises is an answer."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TypeVar

import structlog

from providers.errors import ContractBroken, ProviderError

_T = TypeVar("_T")

log = structlog.stdlib.get_logger(__name__)


class Withheld(Exception):  # noqa: N818 - it names what happened
    """A submission that was about to leave mustn't any more. Nothing was sent."""

    def __init__(self, why: Exception | None = None) -> None:
        """Tell what stood in the way; None: another job has its place."""
        super().__init__()
        self.why = why


async def outcome_of(call: Coroutine[None, None, _T]) -> _T | ProviderError:
    """What a call came to; what its contract doesn't name counts as an answer that isn't as documented.

    Raises ``Withheld``, which is ours.
    """
    try:
        return await call
    except Withheld:
        raise
    except ProviderError as error:
        return error
    except Exception as error:
        log.exception("a provider raised what its contract doesn't name")
        return ContractBroken(type(error).__name__)
