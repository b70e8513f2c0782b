"""The main job on real servers and processes: every loan lives to its end, and the books agree to the cent.

The sums are taken from the input files by this test's own reading, and from the journal by its own arithmetic.
"""

from __future__ import annotations

import csv
import gzip
import signal
from collections import Counter, defaultdict
from collections.abc import Iterable
from decimal import ROUND_DOWN, Decimal
from pathlib import Path

import pytest

from deploy.demo import sample, sba
from deploy.demo.journal import Entry
from deploy.local.stack import SERVICES
from tests.harness.platform import Killer, Rebuilt, Run
from tests.journeys.conftest import PUBLIC, PUBLIC_ROWS, SEED, TRAPS

CENT = Decimal("0.01")
REPAID_EVENTS_MAX, WRITTEN_OFF_EVENTS_MAX, REPAYMENTS_MAX = 40, 60, 8
REJECTED_SHARE_MAX = Decimal("0.02")
# fmt: off
WIRE_NAMES = (
    "referral.received", "consent.granted", "application.submitted", "investigation.opened", "investigation.filed",
    "investigation.reconciled", "information.verified", "rating.assigned", "collateral.offered", "collateral.valued",
    "collateral.perfected", "cover.requested", "capacity.reserved", "cover.bound", "application.reviewed",
    "application.approved", "application.refused", "facility.granted", "contract.signed", "drawdown.requested",
    "disbursement.requested", "loan.disbursed", "cover.activated", "premium.due", "premium.paid",
    "repayment.received", "loan.overdue", "loan.reclassified", "provision.changed", "collateral.revalued",
    "shortfall.found", "claim.filed", "claim.accepted", "claim.paid", "disposal.started", "collateral.disposed",
    "recovery.received", "recovery.shared", "loan.written_off", "loan.closed", "cover.released", "result.accrued",
    "pay.deferred", "pay.vested", "pay.clawed_back", "case.opened", "case.determined", "exemption.granted",
    "exemption.refused",
)
# fmt: on
NEVER_IN_THE_GENERATED_BRANCH = {
    "consent.revoked": "nobody there takes a consent back",
    "capacity.released": "its partners accept what they are asked for, and no refusal overtakes their answer",
    "claim.denied": "its partners accept every claim on a cover they gave",
    "claim.withdrawn": "a missed instalment is never made good there",
    "disbursement.failed": "its core banking pays every order",
    "disbursement.unknown": "its core banking answers every order",
    "loan.cured": "a missed instalment is never made good there",
}

needs_public = pytest.mark.skipif(not PUBLIC.exists(), reason=f"the public loan file is not there: {PUBLIC.name}")


def cells(path: Path) -> dict[int, dict[str, str]]:
    """The file's rows by line number, as they stand in it."""
    raw = path.read_bytes()
    lines = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8", "replace").split("\n")
    header = next(csv.reader([lines[0]]))
    return {
        number: dict(zip(header, next(csv.reader([line.rstrip("\r")]), []), strict=False))
        for number, line in enumerate(lines[1:], start=2)
    }


def dollars(cell: str) -> Decimal:
    """An amount in whatever way the file writes it."""
    return Decimal(cell.replace("$", "").replace(",", "").strip() or 0)


def charged_off(row: dict[str, str]) -> Decimal:
    """What the row says was lost."""
    return dollars(row["ChgOffPrinGr"]) if row["MIS_Status"].replace(" ", "").upper() == "CHGOFF" else Decimal(0)


def amounts(story: Iterable[Entry], name: str, field: str) -> Decimal:
    """One field of one event type, summed."""
    return sum((Decimal(entry.body[field]["amount"]) for entry in story if entry.type == f"{name}.v1"), Decimal(0))


def parts(story: Iterable[Entry], name: str) -> dict[str, Decimal]:
    """Each party's parts of one event type, summed."""
    found: dict[str, Decimal] = defaultdict(Decimal)
    for entry in story:
        if entry.type == f"{name}.v1":
            for part in entry.body["parts"]:
                found[part["party"]] += Decimal(part["amount"]["amount"])
    return dict(found)


def shared_out(whole: Decimal, weights: dict[str, Decimal]) -> dict[str, Decimal]:
    """The largest-remainder rule, written down once more: whole cents, then one each to the largest rests."""
    base = sum(weights.values())
    exact = {party: whole * weight / base for party, weight in weights.items()}
    given = {party: share.quantize(CENT, ROUND_DOWN) for party, share in exact.items()}
    for party in sorted(weights, key=lambda party: given[party] - exact[party]):
        if sum(given.values()) == whole:
            break
        given[party] += CENT
    return given


def check_losses(ref: str, story: list[Entry], lost: Decimal) -> Counter[str]:
    """Who lost what in the end, after recoveries; checks every split on the way."""
    claimed, back = parts(story, "claim.paid"), parts(story, "recovery.shared")
    recovered = amounts(story, "recovery.received", "amount")
    bound = [entry for entry in story if entry.type == "cover.bound.v1"]
    if bound and lost:
        weights = {share["party"]: Decimal(share["weight"]) for share in bound[0].body["shares"]}
        assert claimed == shared_out(amounts(story, "claim.filed", "loss"), weights), ref
        assert back == (shared_out(recovered, weights) if recovered else {}), ref
    from_partners = sum((part for party, part in claimed.items() if party != "bank"), Decimal(0))
    assert amounts(story, "claim.paid", "amount") == from_partners, ref
    assert amounts(story, "loan.written_off", "net") == lost - from_partners, ref
    net = Counter({party: claimed[party] - back.get(party, Decimal(0)) for party in claimed if party != "bank"})
    net["bank"] = lost - from_partners - (recovered - sum((p for who, p in back.items() if who != "bank"), Decimal(0)))
    assert all(loss >= 0 for loss in net.values()), ref
    assert sum(net.values()) + recovered == lost, ref
    return net


def check_file(run: Run, path: Path, records: Iterable[sba.Record]) -> None:
    """Each accepted row of the file against its loan, and the totals of both."""
    rows, stories = cells(path), run.stories
    wanted: Counter[str] = Counter()
    found: Counter[str] = Counter()
    net: Counter[str] = Counter()
    for record in records:
        row, story = rows[record.line], stories[record.ref]
        approved, guaranteed, lost = dollars(row["GrAppv"]), dollars(row["SBA_Appv"]), charged_off(row)
        assert amounts(story, "application.approved", "amount") == approved, record.ref
        assert amounts(story, "cover.bound", "guaranteed") == guaranteed, record.ref
        assert amounts(story, "loan.written_off", "gross") == lost, record.ref
        ends = [entry.body["outcome"] for entry in story if entry.type == "loan.closed.v1"]
        assert ends == (["written_off"] if lost else ["repaid"]), record.ref
        wanted.update(approved=approved, guaranteed=guaranteed, lost=lost)
        found.update(
            approved=amounts(story, "application.approved", "amount"),
            guaranteed=amounts(story, "cover.bound", "guaranteed"),
            lost=amounts(story, "loan.written_off", "gross"),
            recovered=amounts(story, "recovery.received", "amount"),
        )
        net.update(check_losses(record.ref, story, lost))
    assert {name: found[name] for name in wanted} == dict(wanted)
    assert sum(net.values()) + found["recovered"] == wanted["lost"]
    assert min(wanted.values()) > 0


def check_lengths(run: Run) -> None:
    """Nobody's story is longer than the platform was sized for."""
    for ref, story in run.stories.items():
        ends = [entry.body["outcome"] for entry in story if entry.type == "loan.closed.v1"]
        most = WRITTEN_OFF_EVENTS_MAX if ends == ["written_off"] else REPAID_EVENTS_MAX
        assert len(story) <= most, (ref, Counter(entry.type for entry in story))
        assert sum(entry.type == "repayment.received.v1" for entry in story) <= REPAYMENTS_MAX, ref


def check_journal(run: Run) -> None:
    """Every event once, gapless per publisher and key, and applied once by each service that handles its type."""
    published = Counter(entry.type for entry in run.journal)
    assert published == run.outcome.published
    for service, applied in run.outcome.applied.items():
        assert applied == {kind: published[kind] for kind in applied}, service
    assert run.outcome.applied["console"].keys() >= published.keys() - {"day.closed.v1"}
    assert not run.outcome.findings.problems
    assert "Reconciles with the input to the cent" in run.outcome.report


# --- (a) the file of traps ---------------------------------------------------------------------------------------


def test_every_row_of_the_file_of_traps_is_finished_or_rejected_with_its_line_and_reason(american: Run) -> None:
    results = list(sba.read(TRAPS))
    rejected = [row for row in results if isinstance(row, sba.Rejected)]
    finished = [row for row in results if isinstance(row, sba.Record) and row.ref in american.stories]
    loans = [line for line in TRAPS.read_bytes().split(b"\n")[1:] if line.strip()]
    assert len(loans) == len(finished) + len(rejected)
    assert all(row.line > 1 and row.code and row.reason for row in rejected)
    closed = {ref for ref, story in american.stories.items() if any(e.type == "loan.closed.v1" for e in story)}
    assert {row.ref for row in finished} <= closed
    expected = [line for line, row in cells(TRAPS).items() if row.get("Expect", "").startswith("accept")]
    assert {row.line for row in finished} <= set(expected)


def test_the_file_of_traps_reconciles_loan_by_loan_and_in_total(american: Run) -> None:
    check_file(american, TRAPS, (row for row in sba.read(TRAPS) if isinstance(row, sba.Record)))


def test_one_of_two_processes_of_each_service_was_killed_on_the_way(american_and_killer: tuple[Run, Killer]) -> None:
    run, killer = american_and_killer
    assert 0 < killer.done_then < len(run.lives)
    assert killer.dead == dict.fromkeys(killer.victims, -signal.SIGKILL)
    assert {name.partition("-")[0] for name in killer.dead} == set(SERVICES)


# --- (b) real records --------------------------------------------------------------------------------------------


@needs_public
def test_real_records_reconcile_loan_by_loan_and_in_total(american: Run) -> None:
    drawn = sample.stratified(sba.read(PUBLIC), PUBLIC_ROWS, SEED)
    assert len(drawn.records) == PUBLIC_ROWS
    check_file(american, PUBLIC, drawn.records)


@needs_public
def test_at_most_two_in_a_hundred_real_records_are_rejected() -> None:
    drawn = sample.stratified(sba.read(PUBLIC), PUBLIC_ROWS, SEED)
    rejected = sum(drawn.rejected.values())
    assert rejected <= REJECTED_SHARE_MAX * (drawn.accepted + rejected)


# --- (a), (b), (c) together --------------------------------------------------------------------------------------


@pytest.mark.parametrize("portfolio", ["american", "chinese"])
def test_every_life_ends_and_the_journal_is_complete(portfolio: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(portfolio)
    assert run.stories.keys() == {life.ref for life in run.lives}
    for ref, story in run.stories.items():
        assert any(entry.type in ("loan.closed.v1", "application.refused.v1") for entry in story), ref
    check_journal(run)
    check_lengths(run)


# --- (c) the generated branch ------------------------------------------------------------------------------------


def test_the_generated_branch_shows_every_wire_name_with_a_reader(chinese: Run) -> None:
    published = chinese.outcome.published
    assert [name for name in WIRE_NAMES if not published.get(f"{name}.v1")] == []
    read = {kind for applied in chinese.outcome.applied.values() for kind, count in applied.items() if count}
    assert [name for name in WIRE_NAMES if f"{name}.v1" not in read] == []


def test_what_the_generated_branch_never_exercises_is_known_with_its_reason(chinese: Run) -> None:
    handled = {kind for applied in chinese.outcome.applied.values() for kind in applied}
    never = {kind.rpartition(".")[0] for kind in handled if not chinese.outcome.published.get(kind)}
    assert never == set(NEVER_IN_THE_GENERATED_BRANCH)


def test_the_generated_branch_loses_what_was_lent_and_not_repaid_split_to_the_cent(chinese: Run) -> None:
    net: Counter[str] = Counter()
    gross = recovered = Decimal(0)
    for life in chinese.lives:
        story = chinese.stories[life.ref]
        lent, repaid = amounts(story, "loan.disbursed", "amount"), amounts(story, "repayment.received", "principal")
        lost = amounts(story, "loan.written_off", "gross")
        assert lent - repaid == lost, life.ref
        assert lost == (life.default.charged_off.amount if life.default and lent else 0), life.ref
        net.update(check_losses(life.ref, story, lost))
        gross, recovered = gross + lost, recovered + amounts(story, "recovery.received", "amount")
    assert sum(net.values()) + recovered == gross > 0
    assert {"bank", "anxin"} <= net.keys()


# --- made anew from the topics -----------------------------------------------------------------------------------


@pytest.mark.parametrize("service", ["incentive", "console"])
def test_a_reader_made_anew_from_the_topics_alone_knows_the_same_to_the_last_id(
    service: str, rebuilt: dict[str, Rebuilt]
) -> None:
    before, after = rebuilt[service].before, rebuilt[service].after
    assert all(before.rows[table] for table in before.rows if table != "timers")
    assert after.canonical == before.canonical
    assert after.rows == before.rows


def test_incentive_made_anew_would_publish_what_it_published_under_the_same_ids(
    chinese: Run, rebuilt: dict[str, Rebuilt]
) -> None:
    told = {
        entry.type for entry in chinese.journal if entry.type.startswith(("result.", "pay.", "case.", "exemption."))
    }
    published = sorted((e.id, e.key, e.sequence) for e in chinese.journal if e.type in told)
    assert rebuilt["incentive"].before.outbox == []
    assert rebuilt["incentive"].after.outbox == published
