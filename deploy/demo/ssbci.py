"""Replays the states' credit programmes of 2010: the shares and premiums of their agreements, beside the record.

`python -m deploy.demo.ssbci --transactions FILE` reads a file in the Treasury's public format of transactions. Each
state's agreement predicts what it guarantees or lends as collateral; where the record says something else, the service
is given it as the partner's answer and binds it or not. Of a loss reserve the state's half of the premium is predicted
from what borrower and lender paid.
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

from deploy.demo.programme import PROFILE, WITHIN, percent, signed_by_both
from deploy.demo.sba import CURRENCY, Rejected, Unusable, amount_of, rows
from libs.events.application import LoanDisbursed
from libs.kernel.money import CENT, Money
from libs.runtime.policies import PolicyBook, read_profile
from services.guarantee.api.bodies import AgreementIn
from services.guarantee.domain.agreement import Agreement, hold_for
from services.guarantee.domain.cover import (
    Cover,
    CoverAnswer,
    CoverFile,
    CoverState,
    CoverTerms,
    hold_cover,
    settle_answer,
    why_not_eligible,
)
from services.guarantee.domain.loan import activate_cover
from services.guarantee.domain.premium import PremiumTerms, charge_premium, premium_for
from services.guarantee.domain.sharing import BANK

RULES = Path(__file__).parent / "programmes" / "ssbci.toml"
PAID = ("borrower_insurance_premium", "lender_insurance_premium")
MATCHED = ("ssbci_original_funds", "ssbci_recycled_funds")
LENT, STATE, KIND = "loan_investment_amount", "state_id", "program_type"
BORNE = {
    "Loan Guarantee": ("guarantee", "guaranteed_amount"),
    "Collateral Support": ("collateral", "collateral_support"),
}
RESERVE = "CAP"
COLUMNS = (STATE, KIND, LENT, *PAID, *MATCHED, *(column for _, column in BORNE.values()))
EQUAL = ""
LESS = {
    "guarantee": "guarantee below the state's usual share, as lender and state agreed: bound by the answer",
    "collateral": "support below the state's usual share, no more than the collateral lacks: bound by the answer",
}
MORE = "{} above the state's usual share, within the federal frame: bound by the answer"
NO_USUAL = "{} in a state of too few loans for a usual share: bound by the answer"
NO_COVER = "no cover at all: the state lends or invests itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """One row: what its programme predicts and what is recorded; `reason` is empty where they are equal."""

    programme: str
    predicted: Money
    recorded: Money
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Programmes:
    """Each programme's federal frame, in which the partner's answer names the part, and the states' usual shares."""

    frames: dict[str, Agreement]
    states: dict[tuple[str, str], Agreement]
    on: date
    maturity: date
    cover: CoverTerms
    premium: PremiumTerms


def read_programmes(path: Path = RULES) -> Programmes:
    """The agreements as a bank would admit them, signed by both sides."""
    data = tomllib.loads(path.read_text("utf-8"), parse_float=Decimal)
    frames, states = {}, {}
    for name in ("guarantee", "collateral", "reserve"):
        rule = data[name]
        frames[name] = _agreement(data["common"], name, rule, {"share_source": "answer"})
        for state, part in rule.get("states", {}).items():
            shares = [{"party": state.lower(), "weight": part}, {"party": BANK, "weight": 100 - part}]
            own = {"share_source": "agreement", "shares": shares, "partner_id": state.lower()}
            states[name, state] = _agreement(data["common"], f"{name}-{state.lower()}", rule, own)
    book, on = PolicyBook(read_profile(PROFILE)), data["replayed_on"]
    return Programmes(
        frames=frames,
        states=states,
        on=on,
        maturity=data["matures_on"],
        cover=book.get(CoverTerms, "guarantee/cover", on).terms,
        premium=book.get(PremiumTerms, "guarantee/premium", on).terms,
    )


def replay(path: Path, programmes: Programmes) -> Iterator[Replayed | Rejected]:
    """Every row of the file."""
    for line, row in rows(path, COLUMNS):
        if isinstance(row, Rejected):
            yield row
            continue
        try:
            yield _replayed(line, row, programmes)
        except Unusable as unusable:
            yield Rejected(line=line, ref="", code=unusable.code, reason=unusable.reason)


def report(replayed: Iterable[Replayed | Rejected]) -> str:
    """The figures as a page's tables: what is equal in each programme, and the rest by reason."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    rest: Counter[str] = Counter()
    for row in replayed:
        if isinstance(row, Rejected):
            rest[f"cannot be read: `{row.code}`"] += 1
            continue
        if row.reason != NO_COVER:
            counts[row.programme][0] += 1
            counts[row.programme][1] += row.reason == EQUAL
        if row.reason != EQUAL:
            rest[row.reason] += 1
    lines = ["| programme | rows | as recorded | |", "|---|--:|--:|--:|"]
    lines += [f"| {name} | {n:,} | {equal:,} | {percent(equal, n)} |" for name, (n, equal) in sorted(counts.items())]
    lines += ["", "| otherwise | rows |", "|---|--:|"]
    lines += [f"| {reason} | {n:,} |" for reason, n in rest.most_common()]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report on one file."""
    parser = argparse.ArgumentParser(prog="python -m deploy.demo.ssbci", description=__doc__)
    parser.add_argument("--transactions", type=Path, required=True, metavar="FILE", help="public format, csv or csv.gz")
    print(report(replay(parser.parse_args(arguments).transactions, read_programmes())))
    return 0


def _agreement(common: dict[str, Any], name: str, rule: dict[str, Any], own: dict[str, Any]) -> Agreement:
    terms = {
        "code": f"ssbci-{name}",
        "partner_id": "states",
        "source": rule["source"],
        "share_max": rule["most"],
        "bank_share_min": 1 - rule["most"],
        "eligibility": {"products": [rule["product"]], "amount_max": rule["amount_max"]},
    }
    if "subsidy" in rule:
        terms["premiums"] = {"subsidy": rule["subsidy"], "subsidised_by": "states"}
        terms |= {bound: rule[bound] for bound in ("premium_rate", "premium_rate_max")}
    return signed_by_both(AgreementIn.model_validate(common | terms | own).agreement("drafter"))


def _replayed(line: int, row: dict[str, str], programmes: Programmes) -> Replayed:
    kind, amount = row[KIND], amount_of(row, LENT)
    if not amount:
        raise Unusable("bad_amount", f"{LENT} is {row[LENT]!r}")
    if kind == RESERVE:
        return _reserve(line, row, amount, programmes)
    if kind not in BORNE:
        return Replayed(programme=kind, predicted=amount.zero, recorded=amount.zero, reason=NO_COVER)
    name, column = BORNE[kind]
    return _share(line, name, row[STATE], amount, amount_of(row, column), programmes)


def _share(line: int, name: str, state: str, amount: Money, recorded: Money, programmes: Programmes) -> Replayed:
    """What the state's agreement guarantees of the loan; otherwise what the frame makes of the recorded answer."""
    usual = programmes.states.get((name, state))
    predicted = amount.zero if usual is None else hold_for(usual, amount)
    if usual is not None and abs((predicted - recorded).amount) <= amount.amount * WITHIN:
        return Replayed(programme=name, predicted=predicted, recorded=recorded, reason=EQUAL)
    bound = _bound(line, name, amount, recorded, programmes)
    if isinstance(bound, str):
        reason = f"{name} refused: `{bound}`"
    elif usual is None:
        reason = NO_USUAL.format(name)
    else:
        reason = LESS[name] if recorded < predicted else MORE.format(name)
    return Replayed(programme=name, predicted=predicted, recorded=recorded, reason=reason)


def _reserve(line: int, row: dict[str, str], amount: Money, programmes: Programmes) -> Replayed:
    """The state's half of the premium that borrower and lender began, by the service's own charge."""
    frame, name = programmes.frames["reserve"], "reserve"
    paid = amount_of(row, PAID[0]) + amount_of(row, PAID[1])
    recorded = amount_of(row, MATCHED[0]) + amount_of(row, MATCHED[1])
    cover = _bound(line, name, amount, amount, programmes, rate=2 * paid.ratio(amount))
    if isinstance(cover, str):
        return Replayed(programme=name, predicted=amount.zero, recorded=recorded, reason=f"reserve refused: `{cover}`")
    active, loan, _ = activate_cover(cover, _drawn(cover, programmes), frame, programmes.on)
    _, dues = charge_premium(loan, active, frame, programmes.on, programmes.premium)
    owed = {due.payer: due.amount for due in dues}
    own, matched = (owed.get(payer, amount.zero) for payer in (frame.premium_payer, frame.premiums.subsidised_by))
    least, most = (
        premium_for(amount, rate or Decimal(0), programmes.on, programmes.maturity, programmes.premium)
        for rate in (frame.premium_rate, frame.premium_rate_max)
    )
    cents = Money(2 * CENT, CURRENCY)  # borrower's and lender's part are each rounded
    reason = EQUAL
    if not least - cents - cents <= own + matched <= most + cents + cents:
        reason = "premium outside 2 to 7 %"
    elif max(abs((own - paid).amount), abs((matched - recorded).amount)) > cents.amount:
        reason = "matched by the state with another amount than was paid"
    return Replayed(programme=name, predicted=matched, recorded=recorded, reason=reason)


def _bound(
    line: int, name: str, amount: Money, recorded: Money, programmes: Programmes, rate: Decimal | None = None
) -> Cover | str:
    """The cover that the service binds on this answer, or its code for why it does not."""
    frame = programmes.frames[name]
    file = CoverFile(
        facility_id=f"ssbci-{line}",
        currency=CURRENCY,
        amount=amount,
        grade="unrated",
        product=frame.eligibility.products[0],
    )
    reason = why_not_eligible(file, amount, frame, None, programmes.cover)
    if reason:
        return reason
    held, _ = hold_cover(file, frame, amount, file.facility_id, (), rate)
    answer = CoverAnswer(accepted=True, guaranteed=recorded, reason="")
    cover, _ = settle_answer(held, frame, answer, programmes.cover)
    if cover.state is not CoverState.BOUND:
        return cover.reason
    return cover


def _drawn(cover: Cover, programmes: Programmes) -> LoanDisbursed:
    nobody = dict.fromkeys(("lead", "assistant", "reviewer", "approver", "channel"), "")
    return LoanDisbursed(
        facility_id=cover.facility_id,
        loan_id=cover.facility_id,
        amount=cover.amount,
        maturity=programmes.maturity,
        annual_rate=Decimal(0),
        grade="unrated",
        **nobody,
    )


if __name__ == "__main__":
    raise SystemExit(main())
