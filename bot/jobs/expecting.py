"""When a video is expected. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from bot.jobs.durations import Outlook
from bot.jobs.presenting import Sight

#: a range that is narrower is no range: in seconds, and as a part of its end
_NARROW_SECONDS: Final = 5.0
_NARROW_PART: Final = 0.15
#: a vendor's own guess may be exceeded by so many seconds, and by such a part of it, before it is slow
_LATE_SECONDS: Final = 10.0
_LATE_PART: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """The ages, in seconds, at which what is said of a job changes; ascending."""

    early: float
    late: float
    #: what is older is slower than usual
    slow: float
    #: whether the first two are said together
    is_range: bool

    def change_after(self, age: float) -> float | None:
        """The next of them; None: nothing more changes."""
        return next((each for each in (self.early, self.late, self.slow) if each > age), None)

    def sight(self, *, started_at: datetime, age: float, progress: float | None) -> Sight:
        """What can be said of a job that has reached an age. No instant in it is past."""
        change = self.change_after(age)
        if change is None:
            return Sight(progress=progress, is_slow=True)
        by = started_at + timedelta(seconds=self.late) if self.is_range and age < self.early else None
        return Sight(progress=progress, expected_at=started_at + timedelta(seconds=change), expected_by=by)


def expectation_of(outlook: Outlook | None, estimate: float | None) -> Expectation | None:
    """From what was learned, else from the vendor's estimate; None: nobody knows."""
    if outlook is not None:
        early, late = outlook.early, outlook.late
        is_range = late - early >= max(_NARROW_SECONDS, _NARROW_PART * late)
        return Expectation(early=early if is_range else late, late=late, slow=outlook.slow, is_range=is_range)
    if estimate is None:
        return None
    slow = estimate + max(_LATE_SECONDS, _LATE_PART * estimate)
    return Expectation(early=estimate, late=slow, slow=slow, is_range=False)
