"""Why something can't be done on the command line."""

from __future__ import annotations


class CannotBeDone(Exception):  # noqa: N818 - it names what happened
    """What was asked for isn't there, or isn't safe. The text says why; nothing was changed."""
