"""What is kept of jobs in the data folder. Everything here waits for the disk: call it in a thread."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import structlog

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class JobFiles:
    """Where the files are. They are named by their job's id, up to the first dot."""

    #: the members' pictures and clips, a folder for each job
    inputs: Path
    #: the finished videos: ``{job}.mp4``, the smaller ``{job}.fitted.mp4``, and what is being fetched
    videos: Path

    def job_ids(self) -> frozenset[str]:
        """Every job of which there is a file."""
        return frozenset(_job_of(each) for folder in (self.inputs, self.videos) for each in folder.iterdir())

    def delete(self, job_ids: Collection[str]) -> None:
        """Delete all files of these jobs. What can't be deleted goes to the log, and is tried again by the sweep."""
        for job_id in job_ids:
            _delete(self.inputs / job_id)
        for video in self.videos.iterdir():
            if _job_of(video) in job_ids:
                _delete(video)


def _job_of(path: Path) -> str:
    return path.name.partition(".")[0]


def _delete(path: Path) -> None:
    try:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    except FileNotFoundError:
        pass  # there is none, or somebody else was faster
    except OSError as error:
        log.warning("a file can't be deleted", name=path.name, why=type(error).__name__)
