"""The auditor on hand-made evidence: a sound story passes every count, and one flaw is seen by the count it is for."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.auditor import COUNTS, Evidence, Record, audit

F = "018f0000-0000-7000-8000-000000000001"
CALL = "018f0000-0000-7000-8000-0000000000ca"


def record(topic: str, sequence: int, type_: str, *, cause: str = "", actor: str = "anna", **body: Any) -> Record:
    """One event of facility F, in partition 0 at an offset that follows from its sequence."""
    return Record(
        topic=topic,
        part=0,
        offset=sequence,
        id=f"{topic}-{sequence}",
        type=f"{type_}.v1",
        source=f"/silverbear/{topic}",
        key=F,
        sequence=sequence,
        on="2026-01-05",
        actor=actor,
        cause=cause,
        body={"facility_id": F, "loan_id": "l1", **body},
    )


def money(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "CNY"}


def _guarantee(records: list[Record]) -> dict[str, list[dict[str, Any]]]:
    """Guarantee's tables: one cover that is over, and what its pools count."""
    return {
        "stream": [{"key": F, "seq": 2}],
        "inbox": [{"event_id": f"application-{n}", "type": records[n - 1].type} for n in (3, 6)],
        "cursor": [{"publisher": "/silverbear/application", "key": F, "seq": 6}],
        "position": [{"topic": "application", "part": 0, "offset": 6}],
        "covers": [
            {"facility_id": F, "agreement": "a1", "state": "released", "held": "0", "active": "0", "used": "80"}
            | {"lines": [{"pool": "agreement/a1", "kind": "agreement"}, {"pool": "year/a1/2026", "kind": "year"}]}
        ],
        "pools": [
            {"pool": "agreement/a1", "reserved": "0", "bound": "0", "active": "0"},
            {"pool": "year/a1/2026", "reserved": "80", "bound": "80", "active": "80"},
        ],
    }


def sound() -> Evidence:
    """A loan of 100 that was covered, paid out, repaid by 40 and written off by 60."""
    records = [
        record("application", 1, "referral.received", external_ref="cn-1"),
        record("application", 2, "disbursement.requested", actor="anna"),
        record("application", 3, "loan.disbursed", cause=CALL, amount=money("100.00")),
        record("application", 4, "repayment.received", actor="core-bank", principal=money("40.00")),
        record("application", 5, "loan.written_off", gross=money("60.00")),
        record("application", 6, "loan.closed", cause="application-5"),
        record("guarantee", 1, "cover.activated", cause="application-3", actor="guarantee:reaction"),
        record("guarantee", 2, "cover.released", cause="application-6", actor="guarantee:reaction"),
    ]
    commands: list[dict[str, Any]] = []
    for path, actor, answer in (
        ("/v1/referrals", "anna", {"facility_id": F}),
        (f"/v1/facilities/{F}/loans/l1/repayments", "core-bank", {"outstanding": "60.00"}),
        (f"/v1/facilities/{F}/loans/l1/write-off", "anna", {"outstanding": "0.00"}),
    ):
        command = {"service": "application", "path": path, "actor": actor, "key": f"k:{path}", "answer": answer}
        commands += [{"at": "sent", **command}, {"at": "answered", **command}]
    requests = [
        {"caller": c["actor"], "idempotency_key": c["key"], "answer": c["answer"]}
        for c in commands
        if c["at"] == "sent"
    ]
    application = {
        "requests": requests,
        "calls": [{"id": CALL, "kind": "core.disburse", "reference": "l1", "status": "done"}],
        "stream": [{"key": F, "seq": 6}],
        "loans": [
            {"loan_id": "l1", "facility_id": F, "amount": "100", "outstanding": "0", "disbursed_on": "2026-01-05"}
        ],
    }
    incentive = {
        "ledger": [
            {"posting": "l1/accrual", "account": "pay_expense", "amount": "3.00"},
            {"posting": "l1/accrual", "account": "paid", "amount": "-3.00"},
        ]
    }
    return Evidence(
        records=records,
        tables={
            "application": defaultdict(list, application),
            "guarantee": defaultdict(list, _guarantee(records)),
            "incentive": defaultdict(list, incentive),
        },
        commands=commands,
        applied=[("guarantee", "application-3"), ("guarantee", "application-6")],
        payments=[{"reference": "l1", "facility_ref": F, "amount": "100.00", "times": 1}],
    )


def change(evidence: Evidence, number: int, **fields: Any) -> None:
    evidence.records[number] = replace(evidence.records[number], **fields)


def _answer_that_was_never_stored(e: Evidence) -> None:
    e.tables["application"]["requests"].pop()


def _answer_without_its_event(e: Evidence) -> None:
    change(e, 3, type="provision.changed.v1")


def _other_answer(e: Evidence) -> None:
    e.tables["application"]["requests"][0]["answer"] = {"facility_id": "another"}


def _event_of_no_cause(e: Evidence) -> None:
    change(e, 6, cause="nothing")


def _event_nobody_asked_for(e: Evidence) -> None:
    change(e, 1, actor="stranger")


def _event_that_was_rolled_back(e: Evidence) -> None:
    e.tables["application"]["stream"][0]["seq"] = 5


def _mark_of_no_event(e: Evidence) -> None:
    e.tables["guarantee"]["inbox"].append({"event_id": "phantom", "type": "loan.closed.v1"})


def _payment_nobody_ordered(e: Evidence) -> None:
    e.payments.append({"reference": "l2", "facility_ref": "other", "amount": "1.00", "times": 1})


def _event_not_applied(e: Evidence) -> None:
    e.tables["guarantee"]["inbox"].pop()
    seen = {"event_id": "application-6", "type": "loan.closed.v1"}
    e.tables["console"] = defaultdict(list, {"inbox": [seen]})
    e.tables["guarantee"]["inbox"].append({"event_id": "application-6", "type": "loan.disbursed.v1"})
    e.tables["guarantee"]["inbox"].pop(0)


def _reader_behind(e: Evidence) -> None:
    e.tables["guarantee"]["cursor"][0]["seq"] = 5


def _told_again_in_another_place(e: Evidence) -> None:
    e.records.append(replace(e.records[6], sequence=3, offset=3))


def _command_taken_twice(e: Evidence) -> None:
    e.records.append(replace(e.records[3], id="again", sequence=7, offset=7))


def _applied_again(e: Evidence) -> None:
    e.applied.append(("guarantee", "application-6"))


def _backwards(e: Evidence) -> None:
    e.applied.reverse()


def _gap(e: Evidence) -> None:
    change(e, 5, sequence=8)


def _number_given_twice(e: Evidence) -> None:
    e.records.append(replace(e.records[5], id="other"))


def _disorder(e: Evidence) -> None:
    change(e, 4, offset=9)


def _committed_and_never_sent(e: Evidence) -> None:
    e.tables["application"]["stream"].append({"key": "other", "seq": 1})


def _posting_short_of_a_cent(e: Evidence) -> None:
    e.tables["incentive"]["ledger"][0]["amount"] = "2.99"


def _repayment_lost(e: Evidence) -> None:
    change(e, 3, body={"facility_id": F, "loan_id": "l1", "principal": money("39.99")})


def _ordered_twice(e: Evidence) -> None:
    e.payments[0]["times"] = 2


def _paid_another_amount(e: Evidence) -> None:
    e.payments[0]["amount"] = "100.01"


def _capacity_not_given_back(e: Evidence) -> None:
    e.tables["guarantee"]["pools"][0]["reserved"] = "80"


def _new_business_forgotten(e: Evidence) -> None:
    e.tables["guarantee"]["pools"][1].update(active="0")


def _cover_that_outlives_its_loan(e: Evidence) -> None:
    e.tables["guarantee"]["covers"][0].update(state="active", held="80", active="80")
    e.tables["guarantee"]["pools"][0].update(reserved="80", bound="80", active="80")


def _row_that_differs(e: Evidence) -> None:
    e.reference = copy.deepcopy(e)
    e.tables["guarantee"]["covers"][0]["agreement"] = "a2"


def _event_left(e: Evidence) -> None:
    e.tables["application"]["outbox"] = [{"event_id": "application-7"}]


def _call_left(e: Evidence) -> None:
    e.tables["application"]["calls"][0]["status"] = "unknown"


def _parked(e: Evidence) -> None:
    e.tables["guarantee"]["parked"] = [{"status": "parked", "key": F, "reason": "gap"}]


FLAWS: list[tuple[str, Callable[[Evidence], None]]] = [
    ("lost_commands", _answer_that_was_never_stored),
    ("lost_commands", _answer_without_its_event),
    ("lost_commands", _other_answer),
    ("effects_without_cause", _event_of_no_cause),
    ("effects_without_cause", _event_nobody_asked_for),
    ("effects_without_cause", _event_that_was_rolled_back),
    ("effects_without_cause", _mark_of_no_event),
    ("effects_without_cause", _payment_nobody_ordered),
    ("lost_events", _event_not_applied),
    ("lost_events", _reader_behind),
    ("applied_twice", _told_again_in_another_place),
    ("applied_twice", _command_taken_twice),
    ("applied_twice", _applied_again),
    ("out_of_order", _backwards),
    ("sequence_faults", _gap),
    ("sequence_faults", _number_given_twice),
    ("sequence_faults", _disorder),
    ("sequence_faults", _committed_and_never_sent),
    ("ledger_unbalanced", _posting_short_of_a_cent),
    ("ledger_unbalanced", _repayment_lost),
    ("disbursed_twice", _ordered_twice),
    ("disbursed_twice", _paid_another_amount),
    ("capacity_leaks", _capacity_not_given_back),
    ("capacity_leaks", _new_business_forgotten),
    ("capacity_leaks", _cover_that_outlives_its_loan),
    ("dump_differences", _row_that_differs),
    ("left_over", _event_left),
    ("left_over", _call_left),
    ("left_over", _parked),
]


def test_a_sound_story_passes_every_count() -> None:
    evidence = sound()
    evidence.reference = sound()
    assert audit(evidence) == {name: [] for name in COUNTS}


def test_copies_of_an_event_are_no_fault_because_delivery_is_at_least_once() -> None:
    evidence = sound()
    evidence.records.append(replace(evidence.records[0], offset=20))
    assert audit(evidence) == {name: [] for name in COUNTS}


def test_a_command_whose_answer_never_came_is_a_cause_all_the_same() -> None:
    evidence = sound()
    evidence.commands = [
        {name: value for name, value in command.items() if name != "answer"}
        for command in evidence.commands
        if command["at"] == "sent"
    ]
    assert COUNTS["effects_without_cause"](evidence) == []


def test_the_dump_knows_facilities_by_their_references_and_not_by_their_ids() -> None:
    evidence, other = sound(), sound()
    new = "018f0000-0000-7000-8000-0000000000ff"
    other.records = [replace(r, key=new, body={**r.body, "facility_id": new}) for r in other.records]
    for tables in other.tables.values():
        for row in (row for rows in tables.values() for row in rows):
            row.update({name: new for name, value in row.items() if value == F})
    evidence.reference = other
    assert COUNTS["dump_differences"](evidence) == []


@pytest.mark.parametrize(("count", "flaw"), FLAWS, ids=[flaw.__name__.strip("_") for _, flaw in FLAWS])
def test_a_flaw_is_seen_by_its_count(count: str, flaw: Callable[[Evidence], None]) -> None:
    evidence = sound()
    flaw(evidence)
    assert COUNTS[count](evidence)


def test_every_count_is_shown_a_flaw_and_has_a_plant() -> None:
    from tests.chaos.plants import PLANTS  # noqa: PLC0415 - the auditor's own tests need nothing of the replicas

    assert {count for count, _ in FLAWS} == COUNTS.keys()
    assert {count for plant in PLANTS.values() for count in plant.caught_by} == COUNTS.keys()


def test_every_plant_still_fits_the_code_it_spoils() -> None:
    put_all = "from tests.chaos.plants import PLANTS\nfor plant in PLANTS.values(): plant.put()"
    subprocess.run([sys.executable, "-c", put_all], check=True, cwd=Path(__file__).parents[2])
