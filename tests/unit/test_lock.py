"""One process for each SQLite file, whatever name it is called by."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.database.lock import DatabaseInUse, only_process

ROOT = Path(__file__).parents[2]
HOLDS = """
import sys
from bot.database.lock import only_process
with only_process(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
"""


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def test_a_file_in_use_is_refused_by_the_process_that_uses_it_until_that_ends(tmp_path: Path) -> None:
    url = url_of(tmp_path / "data" / "wanbot.db")
    command = [sys.executable, "-c", HOLDS, url]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:  # noqa: S603 - a program of ours
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(DatabaseInUse, match=rf"\(process {holder.pid}\): stop it first"), only_process(url):
            raise AssertionError("both use it")
        holder.kill()
        holder.wait()
    with only_process(url):
        assert (tmp_path / "data" / "wanbot.db.lock").read_text() == str(os.getpid())
    with only_process(url):
        pass


def test_a_link_to_the_file_or_to_its_folder_is_the_same_file(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    database = folder / "wanbot.db"
    database.touch()
    (elsewhere / "other.db").symlink_to(database)
    (tmp_path / "linked").symlink_to(folder)
    others = [elsewhere / "other.db", tmp_path / "linked" / "wanbot.db", folder / ".." / "data" / "wanbot.db"]
    with only_process(url_of(database)):
        for other in others:
            with pytest.raises(DatabaseInUse), only_process(url_of(other)):
                raise AssertionError(f"{other} is used twice")


def test_other_files_and_postgresql_are_nobodys_but_their_own(tmp_path: Path) -> None:
    with only_process(url_of(tmp_path / "one.db")), only_process(url_of(tmp_path / "two.db")):
        pass
    postgres = "postgresql://wanbot@nowhere/wanbot"
    with only_process(postgres), only_process(postgres):
        pass
