"""The errors of the application: one class for each way to react.

    Refusal          something must be changed before it can be done; tell the member, nothing was spent
    AlreadyAccepted  another delivery of the same command was faster; show its card, do nothing else

Providers have a tree of their own (providers/errors.py), media work too (bot/media/errors.py).
"""

from __future__ import annotations

from collections.abc import Iterable

from bot.jobs.job import Job
from bot.languages import _, say, say_name
from providers.options import OptionProblem


class Refusal(Exception):  # noqa: N818 - it names what happened
    """An answer that says what is wrong and what would be accepted. It is shown to the member alone."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def saying(self, text: str) -> Refusal:
        """The same in other words."""
        return Refusal(text)

    @classmethod
    def of(cls, problems: Iterable[OptionProblem]) -> Refusal:
        """Name every option that can't be had."""
        line = _("**{option}**: {problem}")
        return cls("\n".join(line.format(option=say_name(each.option), problem=say(each.message)) for each in problems))


class Unreachable(Refusal):
    """A model can't be used at the moment, since its provider takes no jobs; another may do the same."""

    def __init__(self, text: str, *, model: str) -> None:
        super().__init__(text)
        self.model = model

    def saying(self, text: str) -> Unreachable:
        """See ``Refusal``."""
        return Unreachable(text, model=self.model)


class AlreadyAccepted(Exception):  # noqa: N818
    """The interaction has its job already."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.id)
        self.job = job
