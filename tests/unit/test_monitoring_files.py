"""The alert rules, the dashboard and the page about them speak of metrics that there are."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Final

import pytest

from bot.jobs.job import State
from bot.operations.discord_trace import DiscordObserver
from bot.operations.meters import Meters
from bot.operations.store import OpenJobs, Transition
from providers.observing import Observer
from tests.clocks import NOON
from tests.scraping import MONITORING, Metrics, panels, rules, selectors

ROOT: Final = Path(__file__).parents[2]
#: where metrics and alerts are exercised
STORIES: Final = ("tests/discord/test_metrics.py", "tests/recovery/test_operations_process.py")
PAGE: Final = (ROOT / "docs" / "operations" / "monitoring.md").read_text(encoding="utf-8")
EXPRESSIONS: Final = {**rules(), **{title: " ; ".join(each) for title, each in panels().items()}}
#: what a histogram or a counter adds to its name
_SUFFIX: Final = re.compile(r"_(?:total|bucket|count|sum)$")


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    """A scrape in which everything has happened once."""
    meters = Meters()
    meters.begin(providers=["pixazo", "demo"], models=["demo"])
    observers: tuple[Observer, DiscordObserver] = meters, meters
    observers[0].asked("pixazo", "submit", outcome="ok", seconds=2)
    observers[1].discord_answered(200)
    observers[1].discord_answered(None)
    observers[1].discord_refused(10062)
    meters.loop_was_late(0.01)
    meters.line_was_logged("error")
    lag = timedelta(seconds=3)
    meters.jobs_moved([Transition(1, State.DELIVERING, State.SUCCEEDED, "demo", None, lag)])
    meters.jobs_moved([Transition(2, None, State.QUEUED, "demo", None, None)])
    meters.books_checked(accounts="held", mismatches=0, stray=0, at=NOON.timestamp())
    meters.books_checked(accounts="all", mismatches=0, stray=0, at=NOON.timestamp())
    meters.show_open_jobs([OpenJobs(State.QUEUED, "demo", 1, 1, NOON)], models=["demo"], queue_age=3)
    parts: dict[str, bool] = dict.fromkeys(("discord", "database", "worker"), True)
    meters.show_parts(parts, paused={"pixazo": False}, guilds=1)
    return Metrics.of(meters.text().decode())


def family(name: str) -> str:
    return _SUFFIX.sub("", name)


def ours(metrics: Metrics) -> set[str]:
    return {family(name) for name in metrics.names if name.startswith("wanbot_")}


@pytest.mark.parametrize("title", EXPRESSIONS)
def test_what_is_asked_for_exists_with_these_labels(metrics: Metrics, title: str) -> None:
    asked = selectors(EXPRESSIONS[title])
    assert asked or EXPRESSIONS[title] == 'up{job="wanbot"} == 0'
    missing = [(name, labels) for name, labels in asked if not metrics.has(name, **labels)]
    assert missing == []


@pytest.mark.parametrize("title", EXPRESSIONS)
def test_what_is_summed_by_a_label_has_it(metrics: Metrics, title: str) -> None:
    asked = {name for name, _ in selectors(EXPRESSIONS[title])}
    known = {label for name, labels, _ in metrics.samples if name in asked for label in labels}
    by = {
        label.strip() for labels in re.findall(r"\bby ?\(([^)]*)\)", EXPRESSIONS[title]) for label in labels.split(",")
    }
    assert by <= known


def test_every_metric_is_on_the_dashboard_or_in_an_alert(metrics: Metrics) -> None:
    shown = {family(name) for expression in EXPRESSIONS.values() for name, _ in selectors(expression)}
    assert ours(metrics) <= shown


def test_every_metric_and_no_other_is_explained(metrics: Metrics) -> None:
    told = re.findall(r"^\| `(wanbot_[a-z_]+)`", PAGE, re.MULTILINE)
    assert sorted(family(name) for name in told) == sorted(ours(metrics))
    assert [name for name in told if not any(known.startswith(name) for known in metrics.names)] == []


def test_every_alert_is_explained_in_the_order_of_the_file() -> None:
    assert re.findall(r"^\| `(Wanbot\w+)`", PAGE, re.MULTILINE) == list(rules())
    assert len(rules()) >= 10


def test_every_metric_and_every_alert_is_exercised(metrics: Metrics) -> None:
    stories = "".join((ROOT / path).read_text(encoding="utf-8") for path in STORIES)
    exercised = set(re.findall(r'threshold\("(\w+)"\)', stories)) | set(re.findall(r"# .*: (Wanbot\w+)", stories))
    assert exercised == set(rules())
    assert {family(name) for name in re.findall(r'"(wanbot_[a-z_]+)"', stories)} == ours(metrics)


def test_no_alert_uses_a_series_that_may_begin_with_its_first_rise(metrics: Metrics) -> None:
    fresh = Meters()
    fresh.begin(providers=["pixazo"], models=["demo"])
    before = Metrics.of(fresh.text().decode())
    counters = [(name, labels) for rule in rules().values() for name, labels in selectors(rule) if "total" in name]
    assert len(counters) >= 6
    assert [(name, labels) for name, labels in counters if not before.has(name, **labels)] == []


def test_the_containers_get_the_files_that_there_are() -> None:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    mounted = re.findall(r"^ +- \./(docs/operations/monitoring/\S+?):(/\S+):ro$", text, re.MULTILINE)
    inside = {target: ROOT / source for source, target in mounted}
    assert all(path.exists() for path in inside.values())
    configuration = (MONITORING / "prometheus.yml").read_text(encoding="utf-8")
    assert re.findall(r"- (/etc/prometheus/\S+)", configuration) == ["/etc/prometheus/alerts.yml"]
    assert inside["/etc/prometheus/alerts.yml"] == MONITORING / "alerts.yml"
    provisioned = inside["/etc/grafana/provisioning"]
    folders = re.findall(r"path: (\S+)", (provisioned / "dashboards" / "wanbot.yml").read_text(encoding="utf-8"))
    assert [[each.name for each in inside[folder].iterdir()] for folder in folders] == [["wanbot.json"]]
    services = set(re.findall(r"^  (\w+):\n", text.partition("\nvolumes:\n")[0], re.MULTILINE))
    source = (provisioned / "datasources" / "prometheus.yml").read_text(encoding="utf-8")
    targets = chain(re.findall(r"http://(\w+):", source), re.findall(r'"(\w+):8080"', configuration))
    assert set(targets) <= services


def test_the_dashboard_asks_the_source_that_is_provisioned() -> None:
    dashboard = (MONITORING / "grafana" / "dashboards" / "wanbot.json").read_text(encoding="utf-8")
    source = MONITORING / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
    (uid,) = re.findall(r"uid: (\w+)", source.read_text(encoding="utf-8"))
    asked = re.findall(r'"type": "prometheus",\s+"uid": "(\w+)"', dashboard)
    assert set(asked) == {uid}
    assert len(asked) > 2 * len(panels()) - 1


def test_a_provider_that_comes_later_begins_at_nothing_and_one_that_goes_is_not_paused_for_ever() -> None:
    meters = Meters()
    meters.begin(providers=["pixazo"], models=["demo"])
    meters.asked("pixazo", "ask", outcome="ok", seconds=1)
    meters.show_parts({}, paused={"pixazo": True}, guilds=1)
    meters.begin(providers=["pixazo", "vtrix"], models=["demo"])
    meters.show_parts({}, paused={"vtrix": False}, guilds=1)
    found = Metrics.of(meters.text().decode())
    assert found.total("wanbot_provider_requests_total", provider="pixazo", outcome="ok") == 1
    assert found.total("wanbot_provider_requests_total", provider="vtrix") == 0
    assert found.values("wanbot_provider_paused") == [0]
