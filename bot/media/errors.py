"""What can go wrong with a picture or a video: one class for each way to react.

MediaError
├── NotMedia        the file is not what it should be; tell the member
├── MediaLimit      the file is one, but too large, too small, too long; tell the member
└── MediaFailed     time, memory or a crash; try again later or give up, tell the operator
"""

from __future__ import annotations


class MediaError(Exception):
    """The root of all errors of this package.

    ``reason`` of `NotMedia` and `MediaLimit` is a sentence for members; all others are for the log.
    """

    def __init__(self, reason: str) -> None:
        """Keep the reason beside the exception's own text."""
        super().__init__(reason)
        self.reason = reason


class NotMedia(MediaError):  # noqa: N818 - the reaction is the name, as in the list above
    """The file is not a still picture or not a video, or it is damaged."""


class MediaLimit(MediaError):  # noqa: N818
    """Too many bytes or pixels, too small, too long, or a shape that can't be used."""


class MediaFailed(MediaError):  # noqa: N818
    """The work took too long, needed too much memory, or crashed. The file may still be fine."""
