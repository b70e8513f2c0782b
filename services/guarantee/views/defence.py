"""The facts by which covers are judged, of one facility or of the portfolio a chunk at a time, and the figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from libs.kernel.money import Money
from libs.runtime.shelf import Shelf
from libs.runtime.tx import Tx
from services.guarantee.domain import cap as caps
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.change import Change
from services.guarantee.domain.claim import Claim, claimed
from services.guarantee.domain.cover import Cover, CoverFile, CoverState
from services.guarantee.domain.defence import AtRisk, DefenceTerms, Facts, Look, Proof, Security, at_risk
from services.guarantee.domain.law import LawTerms, under_law
from services.guarantee.domain.loan import CoveredLoan
from services.guarantee.domain.suspension import suspended
from services.guarantee.store import (
    AGREEMENTS,
    CAP_BOOKS,
    CHANGES,
    CLAIMS,
    COVERS,
    FILES,
    LOANS,
    LOOKS,
    PROOFS,
    SECURITIES,
    SUSPENSIONS,
)

T = TypeVar("T")
CHUNK = 500
_LIVE_SQL = """
SELECT DISTINCT l.facility_id FROM loans l JOIN covers c USING (cover_id)
WHERE NOT l.closed AND l.outstanding > 0 AND c.state = 'active' AND l.facility_id > $1
ORDER BY l.facility_id LIMIT $2::int
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DefenceTotal:
    """What one defence would deny today, over all loans; one loan may meet several."""

    defence: str
    loans: int
    amount: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerRisk:
    """One partner's covers: what they would pay if all were claimed today, and what of it would be denied."""

    partner: str
    loans: int
    loans_at_risk: int
    payable: Money
    at_risk: Money
    defences: tuple[DefenceTotal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FacilityRisk:
    """The loans of one facility of which something would be denied."""

    facility_id: str
    loans: tuple[AtRisk, ...]


@dataclass(slots=True)
class Told:
    """Everything guarantee knows of one facility that bears on a defence."""

    file: CoverFile | None
    covers: tuple[Cover, ...]
    loans: tuple[CoveredLoan, ...]
    claims: tuple[Claim, ...]
    securities: tuple[Security, ...]
    proofs: tuple[Proof, ...]
    looks: tuple[Look, ...]
    changes: tuple[Change, ...]


_SHELVES: tuple[Shelf[Any], ...] = (COVERS, LOANS, CLAIMS, SECURITIES, PROOFS, LOOKS, CHANGES)


def is_live(loan: CoveredLoan, cover: Cover, claims: tuple[Claim, ...]) -> bool:
    """Whether the cover still has to stand for this loan, and nobody has claimed on it."""
    drawn = not loan.closed and bool(loan.outstanding)
    return drawn and cover.state is CoverState.ACTIVE and not claimed(claims, loan.loan_id)


async def facts_of(tx: Tx, facility_id: str, terms: DefenceTerms) -> tuple[Facts, ...]:
    """The facts of each live loan of one facility, as this transaction has changed them."""
    rows = [await tx.of(shelf, facility_id) for shelf in _SHELVES]
    file: CoverFile | None = next(iter(await tx.of(FILES, facility_id)), None)
    return await _facts(tx, Told(file, *rows), terms)


async def facility(tx: Tx, facility_id: str) -> tuple[AtRisk, ...]:
    """The live loans of one facility, judged as of today."""
    terms = tx.policy(DefenceTerms, "guarantee/defence").terms
    return tuple(at_risk(facts) for facts in await facts_of(tx, facility_id, terms))


async def facilities(tx: Tx, after: str, limit: int) -> tuple[FacilityRisk, ...]:
    """At most `limit` facilities with something at risk, by their ids after `after`."""
    found: list[FacilityRisk] = []
    async for judged in _portfolio(tx, after):
        loans = tuple(each for each in judged if each.at_risk)
        if loans:
            found.append(FacilityRisk(facility_id=loans[0].facility_id, loans=loans))
        if len(found) == limit:
            break
    return tuple(found)


async def portfolio(tx: Tx) -> tuple[PartnerRisk, ...]:
    """The whole portfolio by partner and currency, judged as of today."""
    sums: dict[tuple[str, str], list[AtRisk]] = defaultdict(list)
    async for judged in _portfolio(tx, ""):
        for each in judged:
            sums[each.partner, each.payable.currency].append(each)
    return tuple(_partner(partner, found) for (partner, _), found in sorted(sums.items()))


def _partner(partner: str, found: list[AtRisk]) -> PartnerRisk:
    none = found[0].payable.zero
    by_defence: dict[str, list[Money]] = defaultdict(list)
    for each in found:
        for gap in each.gaps:
            by_defence[gap.defence].append(gap.amount)
    return PartnerRisk(
        partner=partner,
        loans=len(found),
        loans_at_risk=sum(bool(each.at_risk) for each in found),
        payable=sum((each.payable for each in found), none),
        at_risk=sum((each.at_risk for each in found), none),
        defences=tuple(
            DefenceTotal(defence=name, loans=len(amounts), amount=sum(amounts, none))
            for name, amounts in sorted(by_defence.items())
        ),
    )


async def _portfolio(tx: Tx, after: str) -> AsyncIterator[tuple[AtRisk, ...]]:
    """Facilities with live loans, judged; a chunk is read with one statement a table."""
    terms = tx.policy(DefenceTerms, "guarantee/defence").terms
    while ids := [row["facility_id"] for row in await tx.sql(_LIVE_SQL, after, CHUNK)]:
        files = {row.facility_id: row for row in await _rows(tx, FILES, ids)}
        groups = [_grouped(shelf, await _rows(tx, shelf, ids)) for shelf in _SHELVES]
        for id_ in ids:
            told = Told(files.get(id_), *(group.get(id_, ()) for group in groups))
            yield tuple(at_risk(facts) for facts in await _facts(tx, told, terms))
        after = ids[-1]


async def _rows(tx: Tx, shelf: Shelf[T], ids: list[str]) -> list[T]:
    return [shelf.load(record) for record in await tx.sql(shelf.select_sql, ids)]


def _grouped(shelf: Shelf[T], rows: Iterable[T]) -> dict[str, tuple[T, ...]]:
    found: dict[str, list[T]] = defaultdict(list)
    for row in rows:
        found[shelf.group_of(row)].append(row)
    return {key: tuple(each) for key, each in found.items()}


async def _facts(tx: Tx, told: Told, terms: DefenceTerms) -> tuple[Facts, ...]:
    found: list[Facts] = []
    covers = {cover.cover_id: cover for cover in told.covers}
    law = tx.policy(LawTerms, "guarantee/law").terms
    misused = {look.loan_id for look in told.looks if set(look.findings) & set(terms.misuse_findings)}
    for loan in told.loans:
        cover = covers[loan.cover_id]
        if told.file is None or not is_live(loan, cover, told.claims):
            continue
        agreed = await tx.get(AGREEMENTS, cover.terms)
        agreement = under_law(agreed, law)
        pause = await tx.find(SUSPENSIONS, agreement.code)
        found.append(
            Facts(
                loan=loan,
                cover=cover,
                agreement=agreement,
                file=told.file,
                securities=told.securities,
                proofs=tuple(proof for proof in told.proofs if proof.loan_id == loan.loan_id),
                changes=tuple(change for change in told.changes if change.loan_id == loan.loan_id),
                misused=loan.loan_id in misused,
                suspended=suspended(pause),
                cap_room=await _room(tx, agreement, loan),
                on=tx.date,
            )
        )
    return tuple(found)


async def _room(tx: Tx, agreement: Agreement, loan: CoveredLoan) -> Money | None:
    """What is left under the cap that a claim of today would count on; None where there is none."""
    if agreement.cap is None:
        return None
    year = caps.book_year(agreement.cap, loan.disbursed_on, tx.date)
    book = await tx.find(CAP_BOOKS, caps.book_name(agreement.code, year))
    return None if book is None else caps.room(book, agreement.cap, tx.date)
