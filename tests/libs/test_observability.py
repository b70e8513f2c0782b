"""Alerts fire above their bounds and not at them; alerts, dashboard and document name only metrics that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from deploy.observability import dashboard
from libs.runtime.metrics import STANDING, Metrics
from libs.runtime.settings import Settings
from tests.house.rules import ROOT

ALERTS = ROOT / "deploy" / "observability" / "alerts.yml"
DOCUMENT = ROOT / "docs" / "telemetry.md"
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
SETTINGS = ("log_level", "replica", "otel_exporter_otlp_endpoint", "otel_traces_sampler_arg", "trace_file")
NAMED = re.compile(r"\bsilverbear_\w+")


def catalogue() -> list[tuple[str, str, tuple[str, ...], str]]:
    """Every metric of the code: name, kind, labels, meaning."""
    metrics = Metrics()
    found = [(each.name, "histogram", each.labels, each.meaning) for each in metrics.distributions]
    counted = [each for each in vars(metrics).values() if isinstance(each, MetricWrapperBase)]
    found += [(each._name, each._type, tuple(each._labelnames), each._documentation) for each in counted]
    return found + [(f"silverbear_{name}", "gauge", labels, meaning) for name, (meaning, labels) in STANDING.items()]


def series() -> set[str]:
    """The names under which Prometheus stores them."""
    return {name + suffix for name, kind, _, _ in catalogue() for suffix in SUFFIXES[kind]}


def rules() -> list[dict[str, Any]]:
    """The alert rules."""
    return list(yaml.safe_load(ALERTS.read_text("utf-8"))["groups"][0]["rules"])


def promtool(*arguments: str) -> None:
    """Run promtool, which must be content."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed (on Debian or Ubuntu: apt-get install prometheus)")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_that_is_named_exists() -> None:
    assert set(NAMED.findall(ALERTS.read_text("utf-8"))) <= series()
    assert set(NAMED.findall(dashboard.text())) <= series()
    of_metric = {name + suffix: labels for name, kind, labels, _ in catalogue() for suffix in ("", *SUFFIXES[kind])}
    for _, _, _, name, by in dashboard.PANELS:
        own = of_metric.get(name, ())  # of the process itself: none
        assert set(by.split(", ")) <= {"job", "instance", *own}, name


def test_every_metric_is_shown() -> None:
    shown = {name.removesuffix("_total").removesuffix("_count") for _, _, _, name, _ in dashboard.PANELS}
    assert {name for name, _, _, _ in catalogue()} <= shown


def test_the_dashboard_is_what_the_table_says() -> None:
    assert dashboard.FILE.read_text("utf-8") == dashboard.text()


def test_every_expression_of_the_dashboard_can_be_read(tmp_path: Path) -> None:
    shown = [target["expr"] for panel in dashboard.dashboard()["panels"] for target in panel["targets"]]
    assert len(shown) == len(dashboard.PANELS)
    recorded = [
        {"record": f"panel:{number}", "expr": expr.replace("$__rate_interval", "5m")}
        for number, expr in enumerate(shown)
    ]
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": recorded}]}))
    promtool("check", "rules", str(file))


J = 'job="rating",instance="rating-1"'
BOUNDS: dict[str, tuple[str, tuple[float, ...], float]] = {
    "OutboxOld": (f"silverbear_outbox_oldest_seconds{{{J}}}", (59, 60), 61),
    "OutboxParked": (f"silverbear_outbox_parked_events{{{J}}}", (0,), 1),
    "ConsumerLag": (f'silverbear_consumer_lag_events{{{J},topic="application"}}', (4999, 5000), 5001),
    "ConsumerPaused": (f"silverbear_consumer_paused{{{J}}}", (0,), 1),
    "EventsParked": (f"silverbear_parked_events{{{J}}}", (0,), 1),
    "CallsUnknown": (f'silverbear_calls_open{{{J},state="unknown"}}', (0,), 1),
    "CallsFailed": (f'silverbear_calls_open{{{J},state="failed"}}', (0,), 1),
    "PoolExhausted": (f"silverbear_pool_connections_in_use{{{J}}}", (19,), 20),
    "RequestsFailing": (
        f'silverbear_request_seconds_count{{{J},operation="POST /v1/x",outcome="failed"}}',
        (9, 10),
        11,
    ),
    "SourceSilent": (f'silverbear_source_answers{{{J},source="broker"}}', (1,), 0),
}
"""For each alert its series, the values below and at the bound, and one beyond it (requests: failed of a thousand)."""
BESIDE = {
    "PoolExhausted": (f"silverbear_pool_connections{{{J}}}", "20x40"),
    "RequestsFailing": (f'silverbear_request_seconds_count{{{J},operation="POST /v1/x",outcome="done"}}', "0+990x40"),
}


def _case(rule: dict[str, Any], value: float, *, fires: bool, minute: int) -> dict[str, Any]:
    """One test in promtool's own words: this value from the first minute on, looked at in that minute."""
    name = rule["alert"]
    told, _, _ = BOUNDS[name]
    steps = f"0+{value}x40" if name == "RequestsFailing" else f"{value}x40"
    values = [{"series": told, "values": steps}]
    if name in BESIDE:
        besides, other = BESIDE[name]
        values.append({"series": besides, "values": other.replace("990", str(1000 - value))})
    expected = []
    if fires:
        by = re.search(r"by \(([^)]*)\)", rule["expr"])
        kept = by[1].split(", ") if by else ["job", "instance"]
        found = dict(re.findall(r'(\w+)="([^"]*)"', told))
        labels = {**{label: found[label] for label in kept}, **rule["labels"]}
        expected = [{"exp_labels": labels, "exp_annotations": _annotations(rule, labels, value)}]
    return {
        "interval": "1m",
        "input_series": values,
        "alert_rule_test": [{"alertname": name, "eval_time": f"{minute}m", "exp_alerts": expected}],
    }


def _annotations(rule: dict[str, Any], labels: dict[str, str], value: float) -> dict[str, str]:
    """The annotations as Prometheus fills them."""
    text = rule["annotations"]["summary"]
    for label, found in labels.items():
        text = text.replace(f"{{{{ $labels.{label} }}}}", found)
    text = text.replace("{{ $value }}", str(value))
    return {"summary": text.replace("{{ $value | humanizePercentage }}", f"{value / 10:.4g}%")}


def test_alerts_rest_at_their_bounds_fire_beyond_them_and_not_before_their_time(tmp_path: Path) -> None:
    assert {rule["alert"] for rule in rules()} == set(BOUNDS)
    cases = []
    for rule in rules():
        _, quiet, beyond = BOUNDS[rule["alert"]]
        minutes = int(rule.get("for", "0m").removesuffix("m"))
        cases += [_case(rule, value, fires=False, minute=minutes + 15) for value in quiet]
        cases.append(_case(rule, beyond, fires=True, minute=minutes + 15))
        if minutes:
            cases.append(_case(rule, beyond, fires=False, minute=minutes - 1))
    file = tmp_path / "alerts.test.yml"
    file.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": cases}))
    promtool("test", "rules", str(file))


def test_the_document_lists_every_metric_alert_and_setting_as_the_code_has_them() -> None:
    text = DOCUMENT.read_text("utf-8")
    rows = [
        f"| `{name}` | {kind} | {', '.join(labels) or '–'} | {meaning} |" for name, kind, labels, meaning in catalogue()
    ]
    told = [line for line in text.splitlines() if line.startswith("| `silverbear_")]
    assert told == rows, "\n".join(rows)
    alerts = re.findall(r"^\| `([A-Z][a-z]\w+)` \|", text, re.MULTILINE)
    assert alerts == [rule["alert"] for rule in rules()]
    variables = re.findall(r"^\| `([A-Z_]+)` \|", text, re.MULTILINE)
    assert variables == [name.upper() for name in SETTINGS]
    assert set(SETTINGS) <= set(Settings.model_fields)
