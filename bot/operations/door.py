"""Who may see the operator's page: those with the token, and for some hours those who have shown it. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from bot.clock import Clock

#: so many wrong tries of one address are answered; then it waits
TRIES: Final = 5
WAIT: Final = timedelta(minutes=1)
#: how long a browser stays let in
STAY: Final = timedelta(hours=12)
#: browsers that are remembered, and addresses with wrong tries: the oldest is forgotten for the next
_MOST_STAYS: Final = 20
_MOST_ADDRESSES: Final = 1000


class TooManyTries(Exception):  # noqa: N818 - it names what happened
    """The address must wait; ``wait`` says how long at most."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(f"wait {wait}")
        self.wait = wait


@dataclass(slots=True)
class _Tries:
    wrong: int = 0
    since: datetime = field(kw_only=True)


class Door:
    """Compares tokens in constant time, and lets nobody guess many."""

    def __init__(self, *, token: str, clock: Clock, new_key: Callable[[], str]) -> None:
        """``new_key`` makes a text that nobody can guess."""
        self._token = _digest(token)
        self._clock = clock
        self._new_key = new_key
        #: until when, by the digest of the key that the browser has
        self._stays: OrderedDict[bytes, datetime] = OrderedDict()
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def is_open_to(self, token: str, *, address: str) -> bool:
        """Whether this is the token. Raises ``TooManyTries``, whatever the token is."""
        tries = self._tries_of(address)
        if tries.wrong >= TRIES:
            raise TooManyTries(WAIT)
        if hmac.compare_digest(_digest(token), self._token):
            self._tries.pop(address, None)
            return True
        tries.wrong += 1
        return False

    def let_in(self) -> str:
        """Remember a browser; gives the key that it keeps."""
        key = self._new_key()
        self._stays[_digest(key)] = self._clock() + STAY
        while len(self._stays) > _MOST_STAYS:
            self._stays.popitem(last=False)
        return key

    def is_in(self, key: str) -> bool:
        """Whether a browser was let in, and not too long ago."""
        until = self._stays.get(_digest(key))
        return until is not None and self._clock() < until

    def send_out(self, key: str) -> None:
        """Forget a browser."""
        self._stays.pop(_digest(key), None)

    def _tries_of(self, address: str) -> _Tries:
        now = self._clock()
        tries = self._tries.get(address)
        if tries is None or now - tries.since >= WAIT:
            self._tries.pop(address, None)
            tries = self._tries[address] = _Tries(since=now)
            while len(self._tries) > _MOST_ADDRESSES:
                self._tries.popitem(last=False)
        return tries


def _digest(text: str) -> bytes:
    """Of one length whatever the text is, so that comparing tells nothing; and no key stands in memory."""
    return hashlib.sha256(text.encode(errors="replace")).digest()
