"""Metrics as Prometheus gets them, and the rules and panels that are made of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

MONITORING: Final = Path(__file__).parents[1] / "docs" / "operations" / "monitoring"
#: ``name{label="value", other=~"one|two"}``
_SELECTOR: Final = re.compile(r"\b((?:wanbot|process)_[a-z_]+)(?:\{([^}]*)\})?")
_MATCHER: Final = re.compile(r'(\w+)(=~|=)"([^"]*)"')
_RULE: Final = re.compile(r"- alert: (\w+)\n +expr: (.+)\n")
_THRESHOLD: Final = re.compile(r"(?:>=|==|>|<) ([0-9.]+)")


@dataclass(frozen=True)
class Metrics:
    """One scrape."""

    samples: tuple[tuple[str, Mapping[str, str], float], ...]

    @classmethod
    def of(cls, text: str) -> Metrics:
        families = text_string_to_metric_families(text)
        return cls(tuple((each.name, each.labels, each.value) for family in families for each in family.samples))

    def values(self, name: str, **labels: str) -> list[float]:
        """Of every series whose labels match these patterns as a whole."""
        return [value for _, value in self._chosen(name, labels)]

    def total(self, name: str, **labels: str) -> float:
        """The sum of these series; there must be one."""
        values = self.values(name, **labels)
        assert values, f"{name} {labels} isn't there"
        return sum(values)

    def has(self, name: str, **labels: str) -> bool:
        return bool(self.values(name, **labels))

    @property
    def names(self) -> set[str]:
        return {name for name, _, _ in self.samples}

    def _chosen(self, name: str, labels: Mapping[str, str]) -> Iterator[tuple[Mapping[str, str], float]]:
        for found, its, value in self.samples:
            if found == name and all(re.fullmatch(pattern, its.get(key, "")) for key, pattern in labels.items()):
                yield its, value


@dataclass(frozen=True)
class Rise:
    """What has happened between two scrapes, as ``increase`` has it."""

    before: Metrics
    after: Metrics

    def of(self, name: str, **labels: str) -> float:
        """By how much a counter has risen. A series that is new has no rise in Prometheus, so it must be old."""
        return self.after.total(name, **labels) - self.before.total(name, **labels)

    def share_above(self, histogram: str, seconds: str, **labels: str) -> float:
        """The share of what was observed that took longer than a bucket's bound."""
        total = self.of(f"{histogram}_count", **labels)
        return 1 - self.of(f"{histogram}_bucket", le=re.escape(seconds), **labels) / total


async def scrape(url: str) -> Metrics:
    """Ask as Prometheus does."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return Metrics.of(await answer.text())


def rules() -> dict[str, str]:
    """The expression of every alert."""
    return dict(_RULE.findall((MONITORING / "alerts.yml").read_text(encoding="utf-8")))


def threshold(alert: str) -> float:
    """The first number that an alert's expression compares with."""
    found = _THRESHOLD.search(rules()[alert])
    assert found is not None
    return float(found[1])


def panels() -> dict[str, list[str]]:
    """The expressions of every panel of the dashboard, by its title."""
    path = MONITORING / "grafana" / "dashboards" / "wanbot.json"
    dashboard: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {panel["title"]: [target["expr"] for target in panel["targets"]] for panel in dashboard["panels"]}


def selectors(expression: str) -> list[tuple[str, dict[str, str]]]:
    """Every metric that an expression asks for, with the patterns of its labels."""
    return [
        (name, {key: value if kind == "=~" else re.escape(value) for key, kind, value in _MATCHER.findall(labels)})
        for name, labels in _SELECTOR.findall(expression)
    ]
