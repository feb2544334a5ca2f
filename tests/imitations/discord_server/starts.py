"""How often bots may identify: once in five seconds for each bucket of shards, and so often a day."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .wire import Payload


@dataclass
class SessionStarts:
    """The session start limit. Everything may be changed by a test at any time."""

    #: seconds between two that share a bucket; Discord's are 5, 0 counts nothing
    seconds: float
    #: the buckets: a shard's is its id modulo this
    max_concurrency: int
    total: int = 1000
    remaining: int = 1000
    #: milliseconds until `remaining` is `total` again, as it is told; nothing resets it here
    reset_after: int = 14_400_000
    #: shards that identified too soon after another, in order
    too_soon: list[int] = field(default_factory=list[int])
    _last: dict[int, float] = field(default_factory=dict[int, float])

    def take(self, shard_id: int) -> bool:
        """Count a start; False: it comes too soon after another of its bucket, and isn't one."""
        bucket, now = shard_id % self.max_concurrency, time.monotonic()
        if bucket in self._last and now - self._last[bucket] < self.seconds:
            self.too_soon.append(shard_id)
            return False
        self._last[bucket] = now
        self.remaining -= 1
        return True

    def payload(self) -> Payload:
        return {
            "total": self.total,
            "remaining": max(0, self.remaining),
            "reset_after": self.reset_after,
            "max_concurrency": self.max_concurrency,
        }
