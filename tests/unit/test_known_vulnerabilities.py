"""The command of ``make audit``: it fails on a vulnerability that is known, and says when nobody could be asked.

A service of this machine answers in place of the public one, over HTTP and to the real pip-audit.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
MAKEFILE: Final = (ROOT / "Makefile").read_text(encoding="utf-8")

LOCK: Final = """
[[package]]
name = "ourselves"
version = "1"
source = { editable = "." }

[[package]]
name = "good"
version = "1.0"
source = { registry = "https://packages.test/simple" }

[[package]]
name = "bad"
version = "2.0"
source = { registry = "https://packages.test/simple" }

[[package]]
name = "bad"
version = "3.0"
source = { registry = "https://packages.test/simple" }
"""
FROM_GIT: Final = """
[[package]]
name = "elsewhere"
version = "1.0"
source = { git = "https://git.example/elsewhere" }
"""


class Service(ThreadingHTTPServer):
    """Answers as OSV does: what is known of one version of one package."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.known: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.asked: list[tuple[str, str]] = []
        self.status = 200


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Service)
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = (query["package"]["name"], query["version"])
        self.server.asked.append(asked)
        vulnerabilities = self.server.known.get(asked)
        body = json.dumps({"vulns": vulnerabilities} if vulnerabilities else {}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Write nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as opened:
        thread = threading.Thread(target=opened.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield opened
        opened.shutdown()
        thread.join()


def vulnerability(name: str, *, fixed: str | None) -> dict[str, Any]:
    events = [{"introduced": "0"}, *([{"fixed": fixed}] if fixed else [])]
    affected = {"package": {"name": name, "ecosystem": "PyPI"}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {"id": "PYSEC-2026-1", "summary": "It is bad", "aliases": ["CVE-2026-1"], "affected": [affected]}


def audited(folder: Path, port: int, *options: str, lock: str = LOCK) -> subprocess.CompletedProcess[str]:
    """Run what the Makefile runs, on another lock."""
    (recipe,) = re.findall(r"^audit: setup ##.*\n\t\$\(RUN\) (\S+)$", MAKEFILE, re.MULTILINE)
    (folder / "uv.lock").write_text(lock, encoding="utf-8")
    service = {"PIP_AUDIT_VULNERABILITY_SERVICE": "osv", "PIP_AUDIT_OSV_URL": f"http://127.0.0.1:{port}/v1/query"}
    own = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, ROOT / recipe, "--cache-dir", str(folder / "cache"), *options],
        cwd=folder,
        env={**os.environ, **service, **own},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_checks_run_it() -> None:
    (check,) = re.findall(r"^check: .*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert re.search(r"\baudit\b", check)


def test_nothing_known_is_a_pass_and_every_version_in_the_lock_was_asked_about(
    tmp_path: Path, service: Service
) -> None:
    audit = audited(tmp_path, service.server_port)
    assert (audit.returncode, audit.stderr) == (0, "audit: packages asked about: 3, known vulnerabilities: 0\n")
    assert sorted(service.asked) == [("bad", "2.0"), ("bad", "3.0"), ("good", "1.0")]


@pytest.mark.parametrize(("fixed", "told"), [("2.1", "2.1"), (None, "no version yet")])
def test_a_known_vulnerability_fails_and_is_named(
    tmp_path: Path, service: Service, fixed: str | None, told: str
) -> None:
    service.known["bad", "2.0"] = [vulnerability("bad", fixed=fixed)]
    audit = audited(tmp_path, service.server_port)
    assert audit.returncode == 1
    assert f"audit: bad 2.0: PYSEC-2026-1, fixed in {told}\n" in audit.stderr
    assert "known vulnerabilities: 1\n" in audit.stderr


def test_one_that_is_no_concern_of_ours_can_be_passed_over(tmp_path: Path, service: Service) -> None:
    service.known["bad", "2.0"] = [vulnerability("bad", fixed=None)]
    assert audited(tmp_path, service.server_port, "--ignore-vuln", "CVE-2026-1").returncode == 0


def test_a_package_of_which_nobody_could_be_asked_is_counted_and_hides_no_other(
    tmp_path: Path, service: Service
) -> None:
    service.known["bad", "3.0"] = [vulnerability("bad", fixed="4")]
    audit = audited(tmp_path, service.server_port, lock=LOCK + FROM_GIT)
    assert audit.returncode == 1
    assert "audit: NOT ASKED about 1 of 4 packages (elsewhere …)" in audit.stderr
    assert "audit: packages asked about: 3, known vulnerabilities: 1\n" in audit.stderr


def test_a_service_that_fails_stops_nobody_and_is_told(tmp_path: Path, service: Service) -> None:
    service.status = 503
    audit = audited(tmp_path, service.server_port)
    assert audit.returncode == 0
    assert audit.stderr.startswith("audit: NOT ASKED: ")


def test_a_service_that_is_not_there_stops_nobody_and_is_told(tmp_path: Path, service: Service) -> None:
    port = service.server_port
    service.server_close()
    audit = audited(tmp_path, port)
    assert audit.returncode == 0
    assert audit.stderr.startswith("audit: NOT ASKED: ")
