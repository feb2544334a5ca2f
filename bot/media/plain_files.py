"""Opening the files that the media work is given, and nothing else. Used in the child processes."""

from __future__ import annotations

import os
import stat
from typing import BinaryIO

from bot.languages import _
from bot.media.errors import NotMedia


def open_plain(path: str) -> BinaryIO:
    """Open a plain file for reading; no link is followed, no pipe or device waited for.

    Raises:
        NotMedia: it is no plain file, or not there.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise NotMedia(_("This file can't be opened.")) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotMedia(_("This is not a plain file."))
    return os.fdopen(descriptor, "rb")


def size_of(file: BinaryIO) -> int:
    """The file's size in bytes."""
    return os.fstat(file.fileno()).st_size
