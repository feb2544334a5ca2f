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
#: what a vendor's own guess may be exceeded by: as a part of it, and in seconds
_LATE_PART: Final = 0.5
_LATE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Expectation:
    """The ages, in seconds, at which what is said of a job changes; ascending."""

    early: float
    late: float
    slow: float

    def change_after(self, age: float) -> float | None:
        """The next of them; None: nothing more changes."""
        return next((each for each in (self.early, self.late, self.slow) if each > age), None)

    def sight(self, *, started_at: datetime, age: float, progress: float | None) -> Sight:
        """What can be said of a job that has reached an age. No instant in it is past."""
        if age >= self.late:
            return Sight(progress=progress, is_due=age < self.slow, is_slow=age >= self.slow)
        early, late = (started_at + timedelta(seconds=each) for each in (self.early, self.late))
        if age >= self.early or early == late:
            return Sight(progress=progress, expected_at=late)
        return Sight(progress=progress, expected_at=early, expected_by=late)


def expectation_of(outlook: Outlook | None, estimate: float | None) -> Expectation | None:
    """From what was learned, else from the vendor's estimate; None: nobody knows."""
    if outlook is not None:
        is_narrow = outlook.late - outlook.early < max(_NARROW_SECONDS, _NARROW_PART * outlook.late)
        return Expectation(outlook.late if is_narrow else outlook.early, outlook.late, max(outlook.late, outlook.slow))
    if estimate is None:
        return None
    return Expectation(estimate, estimate, estimate + max(_LATE_SECONDS, _LATE_PART * estimate))
