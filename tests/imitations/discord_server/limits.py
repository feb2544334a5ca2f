"""Rate limits with their headers; there are none until a test adds them."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field

from .calls import matches


@dataclass(eq=False)
class Bucket:
    """A rate limit of `limit` requests in `per` seconds, told in headers and enforced."""

    method: str
    pattern: str
    limit: int
    per: float
    name: str
    windows: dict[str, tuple[float, int]] = field(default_factory=dict[str, tuple[float, int]])
    refused: int = 0

    def count(self, path: str) -> tuple[dict[str, str], float | None]:
        """Return the headers, and how long to wait if it is too much; each channel, guild or token is counted alone."""
        depth = 4 if path.startswith(("/webhooks/", "/interactions/")) else 3
        window = "/".join(path.split("/")[:depth])
        now = time.monotonic()
        start, used = self.windows.get(window, (now, 0))
        if now - start >= self.per:
            start, used = now, 0
        left = start + self.per - now
        self.windows[window] = (start, used + 1)
        headers = {
            "X-RateLimit-Bucket": self.name,
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(0, self.limit - used - 1)),
            "X-RateLimit-Reset": f"{time.time() + left:.3f}",
            "X-RateLimit-Reset-After": f"{left:.3f}",
        }
        self.refused += used >= self.limit
        return headers, left if used >= self.limit else None


class Limits:
    """The rate limits; there are none until a test adds them."""

    def __init__(self) -> None:
        self._buckets: list[Bucket] = []
        self._names = itertools.count(1)

    def add(self, method: str, pattern: str, *, limit: int = 5, per: float = 5.0) -> Bucket:
        bucket = Bucket(method, pattern, limit, per, f"bucket{next(self._names)}")
        self._buckets.append(bucket)
        return bucket

    def find(self, method: str, path: str) -> Bucket | None:
        fitting = (bucket for bucket in self._buckets if bucket.method == method and matches(bucket.pattern, path))
        return next(fitting, None)
