"""A run's books held against its input: sums by this module's own reading of the files and its own arithmetic."""

from __future__ import annotations

import csv
import gzip
from collections import Counter, defaultdict
from collections.abc import Iterable
from decimal import ROUND_DOWN, Decimal
from pathlib import Path

from deploy.demo import sba
from deploy.demo.journal import Entry
from tests.harness.platform import Run

CENT = Decimal("0.01")
REPAID_EVENTS_MAX, WRITTEN_OFF_EVENTS_MAX, REPAYMENTS_MAX = 40, 60, 8


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


def check_run(run: Run) -> None:
    """Every life came to its end, no story is too long, and the journal is complete."""
    assert run.stories.keys() == {life.ref for life in run.lives}
    for ref, story in run.stories.items():
        assert any(entry.type in ("loan.closed.v1", "application.refused.v1") for entry in story), ref
    check_journal(run)
    check_lengths(run)
