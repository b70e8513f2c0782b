"""Writes the Grafana dashboard beside this file from the table below: `python -m deploy.observability.dashboard`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("dashboard.json")
WIDTH, HEIGHT, COLUMNS = 12, 8, 2
HERE = 'job=~"$job"'
P99 = "histogram_quantile(0.99, sum by (le, {by}) (rate({name}_bucket{{" + HERE + "}}[$__rate_interval])))"
RATE = "sum by ({by}) (rate({name}{{" + HERE + "}}[$__rate_interval]))"
NOW = "max by ({by}) ({name}{{" + HERE + "}})"
SUM = "sum by ({by}) ({name}{{" + HERE + "}})"
PANELS: tuple[tuple[str, str, str, str, str], ...] = (
    ("Requests per second", "reqps", RATE, "silverbear_request_seconds_count", "job, outcome"),
    ("Requests: 99th percentile", "s", P99, "silverbear_request_seconds", "job, operation"),
    ("Events applied per second", "ops", RATE, "silverbear_reaction_seconds_count", "job, outcome"),
    ("Handlers of events: 99th percentile", "s", P99, "silverbear_reaction_seconds", "job, type"),
    ("From publication to effect: 99th percentile", "s", P99, "silverbear_event_delay_seconds", "job"),
    ("Consumer lag", "short", SUM, "silverbear_consumer_lag_events", "job, topic"),
    ("Outbox: oldest event", "s", NOW, "silverbear_outbox_oldest_seconds", "job"),
    ("Outbox: events", "short", NOW, "silverbear_outbox_events", "job"),
    ("Events published per second", "ops", RATE, "silverbear_events_published_total", "job"),
    ("Outbox: refused by the broker", "short", NOW, "silverbear_outbox_parked_events", "job"),
    ("Parked", "short", NOW, "silverbear_parked_events", "job"),
    ("Waiting behind parked or missing ones", "short", NOW, "silverbear_waiting_events", "job"),
    ("Consumption paused", "short", NOW, "silverbear_consumer_paused", "job"),
    ("Retries per second", "ops", RATE, "silverbear_retries_total", "job, where"),
    ("Calls open", "short", NOW, "silverbear_calls_open", "job, state"),
    ("Calls: exchanges per second", "ops", RATE, "silverbear_call_seconds_count", "kind, step, outcome"),
    ("Calls: 99th percentile", "s", P99, "silverbear_call_seconds", "kind, step"),
    ("Timers fired per second", "ops", RATE, "silverbear_timers_fired_total", "job, kind, outcome"),
    ("Timers waiting", "short", NOW, "silverbear_timers_set", "job"),
    ("Database connections in use", "short", SUM, "silverbear_pool_connections_in_use", "job, instance"),
    ("Database connections at most", "short", SUM, "silverbear_pool_connections", "job, instance"),
    (
        "Database and broker answer",
        "short",
        "min by ({by}) ({name}{{" + HERE + "}})",
        "silverbear_source_answers",
        "source",
    ),
    ("Memory", "bytes", SUM, "process_resident_memory_bytes", "job, instance"),
    ("Versions", "short", SUM, "silverbear_build_info", "service, version"),
)
"""Title, unit, expression, metric, and by which labels."""


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    source = {"type": "prometheus", "uid": "$source"}
    return {
        "uid": "silverbear",
        "title": "Silverbear",
        "schemaVersion": 39,
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "30s",
        "templating": {
            "list": [
                {"name": "source", "type": "datasource", "query": "prometheus"},
                {
                    "name": "job",
                    "type": "query",
                    "datasource": source,
                    "query": "label_values(silverbear_build_info, job)",
                    "includeAll": True,
                    "multi": True,
                    "allValue": ".*",
                    "current": {"text": "All", "value": "$__all"},
                },
            ]
        },
        "panels": [
            {
                "id": number + 1,
                "title": title,
                "type": "timeseries",
                "datasource": source,
                "gridPos": {
                    "x": number % COLUMNS * WIDTH,
                    "y": number // COLUMNS * HEIGHT,
                    "w": WIDTH,
                    "h": HEIGHT,
                },
                "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
                "targets": [
                    {
                        "refId": "A",
                        "expr": expression.format(name=name, by=by),
                        "legendFormat": " ".join(f"{{{{{label}}}}}" for label in by.split(", ")),
                    }
                ],
            }
            for number, (title, unit, expression, name, by) in enumerate(PANELS)
        ],
    }


def text() -> str:
    """What the file holds."""
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
