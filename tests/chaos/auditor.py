"""Judges a run by what lies in the databases and topics, knowing nothing of the code that put it there.

It imports neither the services nor their runtime (a house rule holds it to that): the words of the contract, event
types and column names, are written down here a second time on purpose. Each count is a list of sentences; all have to
be empty.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.chaos.auditor_capacity import held_in_pools
from tests.chaos.auditor_dump import canonical

Rows = list[dict[str, Any]]
FACILITY = re.compile(r"/v1/facilities/([^/]+)/")
CLOCK_TOPIC = "clock"

# What a command that was answered with success has told, once: by the path's end.
TOLD_BY: dict[str, tuple[str, ...]] = {
    "/referrals": ("referral.received.v1",),
    "/application": ("application.submitted.v1",),
    "/investigations": ("investigation.filed.v1",),
    "/review": ("application.reviewed.v1",),
    "/decision": tuple(f"{what}.{how}.v1" for what in ("application", "extension") for how in ("approved", "refused")),
    "/contract": ("contract.signed.v1",),
    "/drawdowns": ("drawdown.requested.v1",),
    "/repayments": ("repayment.received.v1",),
    "/inspections": ("inspection.completed.v1",),
    "/write-off": ("loan.written_off.v1",),
    "/registrations": ("collateral.perfected.v1",),
    "/disposal": ("collateral.disposed.v1",),
    "/premium-payments": ("premium.paid.v1",),
}
# What happens at most once under one facility: the driver draws one loan under each.
ONCE = (
    "referral.received.v1",
    "application.submitted.v1",
    "investigation.opened.v1",
    "rating.assigned.v1",
    "application.approved.v1",
    "application.refused.v1",
    "facility.granted.v1",
    "contract.signed.v1",
    "disbursement.requested.v1",
    "loan.disbursed.v1",
    "loan.written_off.v1",
    "loan.closed.v1",
    "capacity.reserved.v1",
    "cover.bound.v1",
    "cover.activated.v1",
    "cover.released.v1",
    "claim.paid.v1",
    "result.accrued.v1",
    "case.opened.v1",
    "case.determined.v1",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One event as it lies in a topic, copies included."""

    topic: str
    part: int
    offset: int
    id: str
    type: str
    source: str
    key: str
    sequence: int
    on: str
    actor: str = ""
    cause: str = ""
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Evidence:
    """What the auditor has before it.

    `tables` are all rows by service and table; `commands` the driver's journal, in which `at` is sent or answered;
    `applied` the order in which effects were marked, as triggers saw it; `payments` core banking's own book; `poison`
    the ids of events that were thrown in on purpose. `reference` is the same of a run without faults.
    """

    records: list[Record]
    tables: dict[str, dict[str, Rows]]
    commands: Rows = field(default_factory=list)
    applied: list[tuple[str, str]] = field(default_factory=list)
    payments: Rows = field(default_factory=list)
    poison: frozenset[str] = frozenset()
    reference: Evidence | None = None

    def rows(self, service: str, table: str) -> Rows:
        """The rows of a table; raises KeyError when it is not there, which is not the same as empty."""
        return self.tables[service][table]

    def once(self) -> dict[str, Record]:
        """Every event by its id: the first copy."""
        found: dict[str, Record] = {}
        for record in self.records:
            found.setdefault(record.id, record)
        return found

    def answered(self) -> Rows:
        return [command for command in self.commands if command["at"] == "answered"]


def facility_of(command: dict[str, Any]) -> str:
    """The facility a command is about, or nothing."""
    found = FACILITY.search(command["path"])
    return found[1] if found else str((command.get("answer") or {}).get("facility_id", ""))


def _told_by(command: dict[str, Any]) -> tuple[str, ...]:
    return TOLD_BY.get("/" + command["path"].rpartition("/")[2], ())


def lost_commands(evidence: Evidence) -> list[str]:
    """Commands acknowledged to a client but without effect."""
    stored = {
        (service, row["caller"], row["idempotency_key"]): row
        for service in evidence.tables
        for row in evidence.rows(service, "requests")
    }
    problems, wanted = [], Counter[tuple[str, tuple[str, ...]]]()
    for command in evidence.answered():
        row = stored.get((command["service"], command["actor"], command["key"]))
        if row is None:
            problems.append(f"{command['service']} {command['path']} {command['key']}: answered, but nothing is stored")
        elif row["answer"] != command["answer"]:
            problems.append(f"{command['service']} {command['path']} {command['key']}: stored another answer")
        if types := _told_by(command):
            wanted[facility_of(command), types] += 1
    told = Counter((record.key, record.type) for record in evidence.once().values())
    for (facility, types), count in wanted.items():
        found = sum(told[facility, type_] for type_ in types)
        if found < count:
            problems.append(f"{facility}: {count} commands answered, {' or '.join(types)} told {found} times")
    return problems


def effects_without_cause(evidence: Evidence) -> list[str]:
    """Events, marks and payments that nothing asked for, or that never were committed by their publisher."""
    events = evidence.once()
    calls = {row["id"] for service in evidence.tables for row in evidence.rows(service, "calls")}
    sent = {(command["service"], command["actor"], facility_of(command)) for command in evidence.commands}
    keys = {(command["service"], command["actor"], command["key"]) for command in evidence.commands}
    for service in evidence.tables:  # whose answer never came knows its facility from what was stored
        for row in evidence.rows(service, "requests"):
            if (service, row["caller"], row["idempotency_key"]) in keys and isinstance(row["answer"], dict):
                sent.add((service, row["caller"], str(row["answer"].get("facility_id", ""))))
    stream = {
        (service, row["key"]): row["seq"] for service in evidence.tables for row in evidence.rows(service, "stream")
    }
    problems = []
    for record in events.values():
        publisher = record.source.rpartition("/")[2]
        timer = record.cause.partition(":")[0]
        if record.cause:
            if record.cause not in events and record.cause not in calls and timer not in events:
                problems.append(f"{record.type} of {record.key}: its cause {record.cause} never was")
        elif publisher != CLOCK_TOPIC and (publisher, record.actor, record.key) not in sent:
            problems.append(f"{record.type} of {record.key}: {record.actor} sent no such command")
        if publisher in evidence.tables and record.sequence > stream.get((publisher, record.key), 0):
            problems.append(f"{record.type} of {record.key}: published, never committed (sequence {record.sequence})")
    for service in evidence.tables:
        unknown = {row["event_id"] for row in evidence.rows(service, "inbox")} - events.keys() - evidence.poison
        problems += [f"{service}: applied {id_}, which nobody published" for id_ in sorted(unknown)]
    ordered = {record.key for record in events.values() if record.type == "disbursement.requested.v1"}
    paid = {payment["facility_ref"] for payment in evidence.payments}
    problems += [f"core banking paid {facility}, which nobody ordered" for facility in sorted(paid - ordered)]
    told = {record.key for record in events.values() if record.type == "loan.disbursed.v1"}
    problems += [f"{facility}: told as paid out, but core banking never paid" for facility in sorted(told - paid)]
    return problems


def lost_events(evidence: Evidence) -> list[str]:
    """Events that a reader of their topic handles and never applied, or has not come to."""
    events = evidence.once()
    last: dict[tuple[str, str], int] = {}
    for record in events.values():
        last[record.source, record.key] = max(record.sequence, last.get((record.source, record.key), 0))
    problems = []
    for service in evidence.tables:
        marks = {row["event_id"] for row in evidence.rows(service, "inbox")}
        handled = _handled(evidence, service)
        missed = [r for r in events.values() if r.type in handled and r.id not in marks and r.id not in evidence.poison]
        problems += [f"{service}: {r.type} of {r.key} was never applied" for r in missed]
        reads = {row["topic"] for row in evidence.rows(service, "position")}
        seen = {(row["publisher"], row["key"]): row["seq"] for row in evidence.rows(service, "cursor")}
        for (source, key), sequence in last.items():
            if source.rpartition("/")[2] in reads and seen.get((source, key), 0) < sequence:
                problems.append(f"{service}: of {source} {key} it has seen {seen.get((source, key), 0)} of {sequence}")
    return problems


def _handled(evidence: Evidence, service: str) -> set[str]:
    runs = [evidence, *([evidence.reference] if evidence.reference else [])]
    return {row["type"] for run in runs for row in run.rows(service, "inbox")}


def applied_twice(evidence: Evidence) -> list[str]:
    """Effects that happened more than once for one cause."""
    problems = []
    places: dict[str, set[tuple[str, str, int]]] = defaultdict(set)
    for record in evidence.records:
        places[record.id].add((record.source, record.key, record.sequence))
    problems += [f"event {id_} was told as {sorted(p)}" for id_, p in places.items() if len(p) > 1]
    told = Counter((record.key, record.type) for record in evidence.once().values())
    problems += [f"{key}: {type_} told {n} times" for (key, type_), n in told.items() if type_ in ONCE and n > 1]
    commands = {(command["service"], command["actor"], command["key"]): command for command in evidence.commands}
    asked = Counter((facility_of(command), type_) for command in commands.values() for type_ in _told_by(command))
    direct = Counter((record.key, record.type) for record in evidence.once().values() if not record.cause)
    for (key, type_), count in direct.items():
        if (key, type_) in asked and count > asked[key, type_]:
            problems.append(f"{key}: {type_} told {count} times for {asked[key, type_]} commands")
    marked = Counter(evidence.applied)
    problems += [f"{service}: applied {id_} {n} times" for (service, id_), n in marked.items() if n > 1]
    return problems


def out_of_order(evidence: Evidence) -> list[str]:
    """Events of one loan and publisher that a service applied in another order than they were told."""
    events = evidence.once()
    last: dict[tuple[str, str, str], int] = {}
    problems = []
    for service, id_ in evidence.applied:
        record = events.get(id_)
        if record is None:
            continue
        place = (service, record.source, record.key)
        if record.sequence < last.get(place, 0):
            problems.append(f"{service}: applied {record.type} of {record.key} after sequence {last[place]}")
        last[place] = max(record.sequence, last.get(place, 0))
    return problems


def sequence_faults(evidence: Evidence) -> list[str]:
    """Gaps, repeats and disorder in what one publisher told of one key."""
    ids: dict[tuple[str, str], dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    first_seen: dict[tuple[str, str], list[int]] = defaultdict(list)
    parts: dict[tuple[str, str], set[int]] = defaultdict(set)
    for record in sorted(evidence.records, key=lambda record: (record.topic, record.part, record.offset)):
        place = (record.source, record.key)
        parts[place].add(record.part)
        if record.sequence not in ids[place]:
            first_seen[place].append(record.sequence)
        ids[place][record.sequence].add(record.id)
    problems = []
    for place, by_sequence in ids.items():
        told = sorted(by_sequence)
        if told != list(range(1, len(told) + 1)):
            problems.append(f"{place}: sequences {_gaps(told)} are missing")
        problems += [
            f"{place}: sequence {n} was given to {len(each)} events" for n, each in by_sequence.items() if len(each) > 1
        ]
        if first_seen[place] != sorted(first_seen[place]):
            problems.append(f"{place}: lies in its topic out of order")
        if len(parts[place]) > 1:
            problems.append(f"{place}: lies in partitions {sorted(parts[place])}")
    for service in evidence.tables:
        for row in evidence.rows(service, "stream"):
            found = len(ids.get((f"/silverbear/{service}", row["key"]), {}))
            if row["seq"] != found:
                problems.append(f"{service} {row['key']}: committed {row['seq']} events, {found} lie in the topic")
    return problems


def _gaps(told: list[int]) -> list[int]:
    return sorted(set(range(1, max(told) + 1)) - set(told))[:5]


def ledger_unbalanced(evidence: Evidence) -> list[str]:
    """Postings, loans and shared losses that do not add up to the cent."""
    problems = []
    postings: dict[str, Decimal] = defaultdict(Decimal)
    for row in evidence.rows("incentive", "ledger"):
        postings[row["posting"]] += Decimal(row["amount"])
    problems += [f"posting {posting} sums to {amount}" for posting, amount in postings.items() if amount]
    events = evidence.once().values()
    repaid, off = _sums(events, "repayment.received.v1", "principal"), _sums(events, "loan.written_off.v1", "gross")
    for loan in evidence.rows("application", "loans"):
        if loan["disbursed_on"] is None:
            continue
        id_, amount = loan["loan_id"], Decimal(loan["amount"])
        left = amount - repaid[id_] - off[id_]
        if left != Decimal(loan["outstanding"]):
            problems.append(f"loan {id_}: {amount} less what came and went is {left}, it says {loan['outstanding']}")
    for record in events:
        if record.type in ("claim.paid.v1", "recovery.shared.v1"):
            whole = sum((Decimal(part["amount"]["amount"]) for part in record.body["parts"]), Decimal(0))
            if record.type == "recovery.shared.v1" and whole != Decimal(record.body["amount"]["amount"]):
                problems.append(f"{record.key}: a recovery of {record.body['amount']['amount']} was shared as {whole}")
            if record.type == "claim.paid.v1" and off.get(_loan_of(evidence, record.key), whole) != whole:
                problems.append(f"{record.key}: a loss split as {whole} was written off as another amount")
    return problems


def _sums(events: Iterable[Record], type_: str, name: str) -> dict[str, Decimal]:
    found: dict[str, Decimal] = defaultdict(Decimal)
    for record in events:
        if record.type == type_:
            found[record.body["loan_id"]] += Decimal(record.body[name]["amount"])
    return found


def _loan_of(evidence: Evidence, facility: str) -> str:
    loans = evidence.rows("application", "loans")
    return next((row["loan_id"] for row in loans if row["facility_id"] == facility), "")


def disbursed_twice(evidence: Evidence) -> list[str]:
    """Disbursements ordered twice at core banking, or paid in another amount than was told."""
    problems = [
        f"{payment['reference']}: ordered {payment['times']} times"
        for payment in evidence.payments
        if payment["times"] > 1
    ]
    paid = Counter(payment["facility_ref"] for payment in evidence.payments)
    problems += [f"{facility}: paid under {count} references" for facility, count in paid.items() if count > 1]
    told = {r.key: r.body["amount"]["amount"] for r in evidence.once().values() if r.type == "loan.disbursed.v1"}
    for payment in evidence.payments:
        amount = told.get(payment["facility_ref"])
        if amount is not None and Decimal(amount) != Decimal(payment["amount"]):
            problems.append(f"{payment['facility_ref']}: paid {payment['amount']}, told {amount}")
    return problems


def capacity_leaks(evidence: Evidence) -> list[str]:
    """Capacity that a pool counts and no cover holds, or the other way round, or held for a facility that is over."""
    over = {r.key for r in evidence.once().values() if r.type in ("loan.closed.v1", "application.refused.v1")}
    covers = evidence.rows("guarantee", "covers")
    problems = [
        f"{cover['facility_id']}: is over, but its cover still holds {cover['held']}"
        for cover in covers
        if cover["facility_id"] in over and Decimal(cover["held"])
    ]
    held = held_in_pools(covers)
    for row in evidence.rows("guarantee", "pools"):
        counted = [Decimal(row[name]) for name in ("reserved", "bound", "active")]
        if counted != held[row["pool"]]:
            problems.append(f"pool {row['pool']}: counts {counted}, its covers hold {held[row['pool']]}")
    return problems


def left_over(evidence: Evidence) -> list[str]:
    """What should have come to rest and did not: unsent events, open or failed calls, parked events."""
    problems = []
    for service in evidence.tables:
        problems += [
            f"{service}: event {row['event_id']} is still in the outbox" for row in evidence.rows(service, "outbox")
        ]
        open_calls = [row for row in evidence.rows(service, "calls") if row["status"] != "done"]
        problems += [f"{service}: call {row['kind']} {row['reference']} is {row['status']}" for row in open_calls]
        parked = evidence.rows(service, "parked")
        problems += [f"{service}: {row['status']} {row['key']}: {row['reason']}" for row in parked]
    return problems


def dump_differences(evidence: Evidence) -> list[str]:
    """Rows that a run of the same seed without faults has and this one has not, or the other way round."""
    if evidence.reference is None:
        return []
    ours, theirs = canonical(evidence), canonical(evidence.reference)
    problems = []
    for place in sorted(ours.keys() | theirs.keys()):
        more, fewer = ours[place] - theirs[place], theirs[place] - ours[place]
        problems += [f"{place}: only with faults: {line[:300]}" for line in more.elements()]
        problems += [f"{place}: only without faults: {line[:300]}" for line in fewer.elements()]
    return problems


COUNTS: dict[str, Callable[[Evidence], list[str]]] = {
    "lost_commands": lost_commands,
    "effects_without_cause": effects_without_cause,
    "lost_events": lost_events,
    "applied_twice": applied_twice,
    "out_of_order": out_of_order,
    "sequence_faults": sequence_faults,
    "ledger_unbalanced": ledger_unbalanced,
    "disbursed_twice": disbursed_twice,
    "capacity_leaks": capacity_leaks,
    "dump_differences": dump_differences,
    "left_over": left_over,
}


def audit(evidence: Evidence) -> dict[str, list[str]]:
    """Every count with its findings."""
    return {name: judge(evidence) for name, judge in COUNTS.items()}
