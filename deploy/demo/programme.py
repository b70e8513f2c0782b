"""Replays the real 7(a) programme: what its dated agreements would have guaranteed of each loan, beside the record.

`python -m deploy.demo.programme --loans FILE` reads a file in the public SBA loan format, all rows of it. One amount is
predicted per row from what was known at its approval; what was recorded as guaranteed is read to compare, never to
predict.
"""

from __future__ import annotations

import argparse
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from deploy.demo.sba import CURRENCY, Rejected, Unusable, amount_of, day_of, loan_number, replay_assumptions, rows
from libs.kernel.money import Money
from libs.runtime.policies import PolicyBook, read_profile
from services.guarantee.api.bodies import AgreementIn
from services.guarantee.domain.agreement import Agreement, hold_for, in_force, sign
from services.guarantee.domain.cover import CoverFile, CoverTerms, why_not_eligible
from services.guarantee.domain.sharing import BANK
from services.guarantee.domain.terms import Signature

RULES = Path(__file__).parent / "programmes" / "sba.toml"
PROFILE = "us-sba"
EXPRESS_SERIES = "5"  # the seventh digit of the ten of a loan number
WITHIN = Decimal("0.001")  # a dollar in a thousand of the approved amount
HALF, PREFERRED = Decimal("0.5"), (Decimal("0.7"), Decimal("0.8"))
PREFERRED_UNTIL = date(1995, 10, 12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What was known of one loan when it was approved."""

    approved_on: date
    amount: Money
    product: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One row: which version covered it, what that guarantees, and what is recorded."""

    approval: Approval
    ref: str
    guaranteed: Money
    recorded: Money

    @property
    def explained(self) -> bool:
        return abs((self.guaranteed - self.recorded).amount) <= self.approval.amount.amount * WITHIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """The agreements by code in the order in which a loan is offered to them."""

    route: tuple[str, ...]
    versions: dict[str, tuple[Agreement, ...]]
    terms: CoverTerms

    def cover(self, approval: Approval) -> Agreement | None:
        """The version that covers the loan, by the service's own rules; None when none does."""
        file = CoverFile(
            facility_id="", currency=CURRENCY, amount=approval.amount, grade="unrated", product=approval.product
        )
        for code in self.route:
            version = in_force(self.versions[code], approval.approved_on)
            if version and not why_not_eligible(file, approval.amount, version, None, self.terms):
                return version
        return None


def read_programme(path: Path = RULES) -> Programme:
    """The agreements as a bank would admit them, signed by both sides."""
    data = tomllib.loads(path.read_text("utf-8"), parse_float=Decimal)
    versions: dict[str, tuple[Agreement, ...]] = defaultdict(tuple)
    for rule in data["version"]:
        version = signed_by_both(AgreementIn.model_validate(data["common"] | _with_shares(rule)).agreement("drafter"))
        versions[version.code] += (version,)
    terms = PolicyBook(read_profile(PROFILE)).get(CoverTerms, "guarantee/cover", date(1970, 1, 1)).terms
    return Programme(route=tuple(data["route"]), versions=dict(versions), terms=terms)


def replay(path: Path, programme: Programme) -> Iterator[Replayed | Rejected]:
    """Every row of the file, whatever became of the loan."""
    for line, row in rows(path):
        yield row if isinstance(row, Rejected) else _replayed(line, row, programme)


def why_not(row: Replayed) -> str:
    """Why the record differs from the rule, as far as it tells; the first that holds."""
    share = row.recorded.amount / row.approval.amount.amount
    reasons = {
        "guaranteed in full: debentures of the 504 programme, which nothing known at approval marks": share == 1,
        "half guaranteed, though neither loan number nor flags mark it as Express": share == HALF,
        "marked as Express, yet guaranteed like any other loan": row.ref.startswith("sba-express"),
        "70 or 80 % before October 1995: preferred lenders, whom the file does not name": share in PREFERRED
        and row.approval.approved_on < PREFERRED_UNTIL,
        "less than the rule, as a lender may ask for (in the 1980s and 1990s: as was negotiated)": row.recorded
        < row.guaranteed,
        "more than the rule: another programme (export, short terms of 1993 to 1995, pilots)": True,
    }
    return next(reason for reason, holds in reasons.items() if holds)


def report(replayed: Iterable[Replayed | Rejected]) -> str:
    """The figures as a page's tables: each version's share explained, and the rest by reason."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    rest: Counter[str] = Counter()
    unread: Counter[str] = Counter()
    for row in replayed:
        if isinstance(row, Rejected):
            unread[row.code] += 1
            continue
        counts[row.ref][0] += 1
        counts[row.ref][1] += row.explained
        if not row.explained:
            rest[why_not(row)] += 1
    whole = sum(rows for rows, _ in counts.values()) + unread.total()
    explained = sum(right for _, right in counts.values())
    lines = [f"{explained:,} of {whole:,} rows explained: {percent(explained, whole)}", ""]
    lines += ["| agreement | rows | explained | |", "|---|--:|--:|--:|"]
    lines += [f"| `{ref}` | {n:,} | {right:,} | {percent(right, n)} |" for ref, (n, right) in sorted(counts.items())]
    lines += ["", "| not explained | rows | |", "|---|--:|--:|"]
    lines += [f"| {reason} | {n:,} | {percent(n, whole)} |" for reason, n in rest.most_common()]
    lines += [f"| cannot be read: `{code}` | {n:,} | {percent(n, whole)} |" for code, n in unread.most_common()]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report on one file."""
    parser = argparse.ArgumentParser(prog="python -m deploy.demo.programme", description=__doc__)
    parser.add_argument(
        "--loans", type=Path, required=True, metavar="FILE", help="public SBA loan format, csv or csv.gz"
    )
    print(report(replay(parser.parse_args(arguments).loans, read_programme())))
    return 0


def _with_shares(rule: dict[str, Any]) -> dict[str, Any]:
    part = rule.pop("sba")
    return rule | {"shares": [{"party": "sba", "weight": part}, {"party": BANK, "weight": 100 - part}]}


def signed_by_both(version: Agreement) -> Agreement:
    """The version in force from its first day."""
    for party in (BANK, version.partner_id):
        by = Signature(party=party, by=f"{party}-signatory", on=version.effective, digest=version.digest)
        version = sign(version, by)
    return version


def _replayed(line: int, row: dict[str, str], programme: Programme) -> Replayed | Rejected:
    number = loan_number(row["LoanNr_ChkDgt"])
    ref = f"sba-{number}"
    try:
        amount, recorded = amount_of(row, "GrAppv"), amount_of(row, "SBA_Appv")
        approved_on = day_of(row, "ApprovalDate", replay_assumptions())
    except Unusable as unusable:
        return Rejected(line=line, ref=ref, code=unusable.code, reason=unusable.reason)
    if number is None or approved_on is None or not amount:
        return Rejected(line=line, ref=ref, code="approval_unknown", reason="no number, no day or no amount")
    approval = Approval(approved_on=approved_on, amount=amount, product=_product(number, row))
    version = programme.cover(approval)
    if version is None:
        return Rejected(line=line, ref=ref, code="no_agreement", reason=f"nothing covered it on {approved_on}")
    return Replayed(approval=approval, ref=version.ref, guaranteed=hold_for(version, amount), recorded=recorded)


def _product(number: str, row: dict[str, str]) -> str:
    """What loan number and flags say of the kind of loan.

    Lenders under Express number their loans in a series of their own. A revolving line (Y; T in some lenders' records)
    is Express too: the ordinary programme lends for a term.
    """
    if number[6] == EXPRESS_SERIES:
        return "express-series"
    if row["LowDoc"].upper() == "Y":
        return "low-document"
    return "revolving" if row["RevLineCr"].upper() in ("Y", "T") else "term"


def percent(part: int, whole: int) -> str:
    """A part of a whole as a page shows it."""
    return f"{Decimal(100 * part) / max(whole, 1):.1f} %"


if __name__ == "__main__":
    raise SystemExit(main())
