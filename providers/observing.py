"""What whoever runs the bot may want to count of the requests to vendors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, Protocol

from providers.errors import ProviderError

#: the outcome of a request that was answered as documented
ANSWERED: Final = "ok"
#: the outcome of a request for whose answer nobody waited any more
GIVEN_UP: Final = "given up"


class Observer(Protocol):
    """Is told of every request when it is over; must be quick and raise nothing."""

    def asked(self, provider: str, operation: str, *, outcome: str, seconds: float) -> None:
        """Note a request.

        ``operation`` is ``submit``, ``ask`` or ``upload``; ``outcome`` is ``ok``, ``given up``, or the name of the
        error's class; ``seconds`` include the wait for a slot of the vendor's budget.
        """
        ...


class Unobserved:
    """Nobody wants to know."""

    def asked(self, provider: str, operation: str, *, outcome: str, seconds: float) -> None:
        """See ``Observer``."""


UNOBSERVED: Final = Unobserved()


@contextmanager
def observed(observer: Observer, provider: str, operation: str) -> Generator[None]:
    """Tell the observer how the request within the block went."""
    begun, outcome = time.monotonic(), ANSWERED
    try:
        yield
    except ProviderError as error:
        outcome = type(error).__name__
        raise
    except asyncio.CancelledError:
        outcome = GIVEN_UP
        raise
    finally:
        observer.asked(provider, operation, outcome=outcome, seconds=time.monotonic() - begun)
