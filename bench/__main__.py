"""Measure: ``python -m bench [--rows start,command] [--runs 3] [--tiny]``."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from bench import command, delivery, growth, ledger, many, seeing, several, sharing, simulated, start
from bench.machine import noise
from bench.table import Reading, rows_of, table

Measure = Callable[..., Awaitable[Sequence[Reading]]]

FAMILIES: Final[dict[str, Measure]] = {
    "simulated": simulated.measure,
    "command": command.measure,
    "start": start.measure,
    "ledger": ledger.measure,
    "growth": growth.measure,
    "several": several.measure,
    "many": many.measure,
    "delivery": delivery.measure,
    "seeing": seeing.measure,
    "sharing": sharing.measure,
}
#: these find the same in each run
_ALIKE: Final = frozenset({"simulated"})
RESULTS: Final = Path(__file__).with_name("results.json")


def main() -> int:
    """Run the chosen rows in turn, as often as asked."""
    chosen = _parser().parse_args()
    names: list[str] = chosen.rows.split(",") if chosen.rows else list(FAMILIES)
    if unknown := set(names) - FAMILIES.keys():
        _say(f"there are no rows called {', '.join(sorted(unknown))}; there are {', '.join(FAMILIES)}")
        return 2
    with tempfile.TemporaryDirectory(prefix="wanbot-bench-") as folder:
        machine = [noise(Path(folder))]
        readings = asyncio.run(_measured(names, Path(folder), chosen))
        machine.append(noise(Path(folder)))
    rows = rows_of(readings)
    report = {"machine": machine, "tiny": chosen.tiny, "rows": [row.as_json() for row in rows]}
    chosen.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"{table(rows)}\n")
    return 0


async def _measured(names: Sequence[str], folder: Path, chosen: argparse.Namespace) -> list[Reading]:
    families = dict(FAMILIES) | {"ledger": partial(ledger.measure, entries=chosen.entries)}
    readings: list[Reading] = []
    for run in range(chosen.runs):
        for name in names:
            if run and name in _ALIKE:
                continue
            begun = time.monotonic()
            place = folder / f"{name}{run}"
            place.mkdir()
            readings += await families[name](place, is_tiny=chosen.tiny)
            _say(f"{name}, run {run + 1} of {chosen.runs}: {time.monotonic() - begun:.0f} s")
    return readings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description="what wanbot costs, beside naive baselines")
    parser.add_argument("--rows", default="", help=f"some of {', '.join(FAMILIES)}")
    parser.add_argument("--runs", type=int, default=3, help="of which the median counts")
    parser.add_argument("--entries", type=int, default=1_000_000, help="in the large ledger")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where everything is written")
    parser.add_argument("--tiny", action="store_true", help="only see whether every row works; the numbers mean little")
    return parser


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
