"""One facility: its cover with loans, claims and changes, who else stands for it, and what was made of the facts."""

from __future__ import annotations

from dataclasses import dataclass

from libs.kernel.errors import NotFound
from libs.kernel.money import total
from libs.runtime.tx import Tx
from services.guarantee.domain.cash import CashLeg
from services.guarantee.domain.change import Change
from services.guarantee.domain.claim import Claim, claim_paid, loss_ratio
from services.guarantee.domain.cover import Cover, CoverFile, present
from services.guarantee.domain.guarantors import Backing, backings
from services.guarantee.domain.loan import CoveredLoan
from services.guarantee.domain.routing import Routing
from services.guarantee.domain.subrogation import DEMANDED, Creditor, creditors
from services.guarantee.domain.undertaking import Undertaking
from services.guarantee.store import (
    AGREEMENTS,
    CHANGES,
    CLAIMS,
    COVERS,
    FILES,
    LEGS,
    LOANS,
    PROOFS,
    ROUTINGS,
    UNDERTAKINGS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FacilityView:
    """The facts that came, and what was made of them; `cover` is absent while the facts are incomplete.

    `routing` is the search for a partner, where the application named none; it is the bank's own affair. A partner sees
    the undertakings in its own favour. `guarantors` says what those of the bank still stand for, where it was agreed,
    `creditors` who may pursue the debtor for what once a claim is paid.
    """

    file: CoverFile
    cover: Cover | None
    loans: tuple[CoveredLoan, ...]
    changes: tuple[Change, ...]
    routing: Routing | None
    undertakings: tuple[Undertaking, ...]
    claims: tuple[Claim, ...]
    reimbursements: tuple[CashLeg, ...]
    guarantors: tuple[Backing, ...]
    creditors: tuple[Creditor, ...]


async def facility(tx: Tx, facility_id: str, party: str = "") -> FacilityView:
    """Everything guarantee knows of one facility; for a partner only if the cover is its own, else NotFound."""
    cover = present(await tx.of(COVERS, facility_id))
    if party and (cover is None or cover.partner != party):
        raise NotFound("not_found", f"no {CoverFile.__name__} {facility_id}")
    undertakings = await tx.of(UNDERTAKINGS, facility_id)
    routing = await tx.find(ROUTINGS, facility_id)
    return FacilityView(
        file=await tx.get(FILES, facility_id),
        cover=cover,
        loans=await tx.of(LOANS, facility_id),
        undertakings=tuple(one for one in undertakings if not party or one.creditor == party),
        changes=await tx.of(CHANGES, facility_id),
        routing=None if party else routing,
        claims=await tx.of(CLAIMS, facility_id),
        reimbursements=await tx.of(LEGS, facility_id),
        guarantors=() if party or cover is None else await _guarantors(tx, cover),
        creditors=() if cover is None else await _creditors(tx, cover),
    )


async def _creditors(tx: Tx, cover: Cover) -> tuple[Creditor, ...]:
    """Who is creditor of what is left of each loss that was paid."""
    found: list[Creditor] = []
    claims = await tx.of(CLAIMS, cover.facility_id)
    for loan in await tx.of(LOANS, cover.facility_id):
        paid = claim_paid(claims, loan.loan_id)
        if paid is not None:
            demanded = await tx.find(PROOFS, f"{loan.loan_id}/{DEMANDED}") is not None
            agreement = await tx.get(AGREEMENTS, cover.terms)
            found += creditors(paid, loan, agreement, loss_ratio(paid, cover), demanded=demanded)
    return tuple(found)


async def _guarantors(tx: Tx, cover: Cover) -> tuple[Backing, ...]:
    """What the bank's guarantors still stand for, once the cover is under an agreement's terms."""
    agreement = await tx.find(AGREEMENTS, cover.terms)
    loans = await tx.of(LOANS, cover.facility_id)
    repaid = total((loan.amount - loan.outstanding for loan in loans), cover.currency)
    terms = None if agreement is None else agreement.liability.guarantors
    return backings(terms, await tx.of(UNDERTAKINGS, cover.facility_id), repaid)
