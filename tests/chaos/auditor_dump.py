"""The auditor's own canonical dump: what services know and told, by external references, without ids or wall times."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.chaos.auditor import Evidence

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# Plumbing: where a run of the same story may differ. `stream` and `calls` are shown without what is physical in them.
PLUMBING = frozenset(
    (
        "alembic_version",
        "cursor",
        "inbox",
        "outbox",
        "parked",
        "position",
        "published",
        "requests",
        "stream",
        "calls",
        "partner_events",
    )  # the last holds what topics hold, in the order of its commits
)
# Two facts of one day may come in either order, and what needs both is told by whichever came last.
TURNS = ("sequence", "actor", "cause")
# A ciphertext, the key that opens it, the moment of a disclosure, when a partner was told: never twice the same.
CHANCE = ("sealed", "wrapped", "at", "number", "told_at")
CALL_FIELDS = ("key", "kind", "request", "business_date", "org", "status")


def canonical(evidence: Evidence) -> dict[str, Counter[str]]:
    """Every service's rows, and every event told, as comparable lines."""
    names = {
        record.key: str(record.body.get("external_ref", ""))
        for record in evidence.records
        if record.type == "referral.received.v1"
    }
    dump: dict[str, Counter[str]] = defaultdict(Counter)
    for service, tables in evidence.tables.items():
        for table in tables.keys() - PLUMBING:
            rows = (
                {name: value for name, value in row.items() if name not in (*TURNS, *CHANCE)} for row in tables[table]
            )
            dump[f"{service}.{table}"] = Counter(_line(row, names) for row in rows)
        rows = ({name: row[name] for name in CALL_FIELDS if name in row} for row in tables.get("calls", []))
        dump[f"{service}.calls"] = Counter(_line(row, names) for row in rows)
        told = (row for row in tables.get("stream", []) if row["key"] in names and row["seq"])
        dump[f"{service}.stream"] = Counter(_line({"key": row["key"], "seq": row["seq"]}, names) for row in told)
    for record in evidence.once().values():
        if record.key in names:
            told_of = {"key": record.key, "type": record.type, "on": record.on, "body": record.body}
            dump[f"topic {record.topic}"][_line(told_of, names)] += 1
    return dump


def _line(row: dict[str, Any], names: dict[str, str]) -> str:
    text = json.dumps(row, ensure_ascii=False, sort_keys=True, default=_plain)
    return UUID.sub(lambda found: names.get(found[0], "id"), text)


def _plain(value: object) -> str:
    return str(value.normalize()) if isinstance(value, Decimal) else str(value)
