"""What partners tell us at our own door: each command is about the caller's own, and another's looks like nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from libs.kernel.errors import Invalid, NotFound, Refused
from libs.kernel.money import Money
from libs.runtime.parties import BulkResult, each_row
from libs.runtime.tx import Tx
from services.guarantee.commands import agreements, binding, cash, claim_life, claims, covers
from services.guarantee.domain.agreement import Agreement, Partner, version_ref
from services.guarantee.domain.capacity import Exposure
from services.guarantee.domain.claim import Claim, ClaimState
from services.guarantee.domain.cover import Cover, CoverAnswer
from services.guarantee.domain.terms import Contact
from services.guarantee.store import AGREEMENTS

_OWN_SQL = """
SELECT facility_id FROM covers WHERE partner = $1 AND facility_id = ANY($2) AND state NOT IN ('refused', 'withdrawn')
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The partner's word on one drawdown of a batch; `removed_for` is why it is struck off, empty when confirmed."""

    facility_id: str
    loan_id: str
    removed_for: str


async def require_own_cover(tx: Tx, facility_id: str, party: str) -> None:
    """A partner (`party`, empty for the bank) sees its own covers only; raises NotFound."""
    if not party:
        return
    cover = await covers.cover_of(tx, facility_id)
    if cover is None or cover.partner != party:
        raise NotFound("no_cover", facility_id)


async def require_own_leg(tx: Tx, facility_id: str, claim_id: str, behind: str, party: str) -> None:
    """Both ends of a reimbursement may report it, the party that owes for itself alone; raises NotFound."""
    if not party or party != behind or not await cash.owes(tx, facility_id, claim_id, party):
        await require_own_cover(tx, facility_id, party)


async def require_own_version(tx: Tx, code: str, effective: date, party: str) -> None:
    """A partner sees its own agreements only; raises NotFound, as for a version that is not there."""
    version = await tx.find(AGREEMENTS, version_ref(code, effective))
    if party and (version is None or version.partner_id != party):
        raise NotFound("not_found", f"no {Agreement.__name__} {version_ref(code, effective)}")


def require_own_name(partner_id: str, party: str) -> None:
    """A partner reports for itself; raises NotFound, as for a partner that is not there."""
    if party and partner_id != party:
        raise NotFound("not_found", f"no {Partner.__name__} {partner_id}")


async def answer_cover(tx: Tx, facility_id: str, cover_id: str, answer: CoverAnswer) -> Cover:
    """The partner answers a request it found at our door; what it may not bind is refused with the reason."""
    cover = await covers.known_cover(tx, facility_id)
    if cover.cover_id != cover_id:
        raise NotFound("no_cover", facility_id)
    await _require_calling(tx, cover)
    if answer.guaranteed is not None and answer.guaranteed.currency != cover.currency:
        raise Invalid("currency_mismatch", f"{cover_id} is in {cover.currency}")
    await binding.take_cover_answer(tx, facility_id, cover_id, answer)
    return await covers.known_cover(tx, facility_id)


async def confirm_batch(tx: Tx, party: str, rows: Sequence[Confirmation]) -> BulkResult:
    """Confirm filed drawdowns or strike them off, each for itself; only the partner's own facilities are locked."""
    named = sorted({row.facility_id for row in rows})
    found = await tx.sql(_OWN_SQL, party, named)
    own = {row["facility_id"] for row in found}
    await tx.unit.lock(own)

    async def decide(row: Confirmation) -> None:
        if row.facility_id not in own:
            raise NotFound("no_cover", row.facility_id)
        if row.removed_for:
            await covers.remove_drawdown(tx, row.facility_id, row.loan_id, row.removed_for)
        else:
            await covers.confirm_drawdown(tx, row.facility_id, row.loan_id)

    return await each_row(rows, decide)


async def report_exposures(tx: Tx, rows: Sequence[Exposure]) -> BulkResult:
    """A partner reports what it guarantees elsewhere for many obligors, each for itself."""
    return await each_row(rows, lambda row: agreements.report_exposure(tx, row))


async def decide_claim(
    tx: Tx, facility_id: str, claim_id: str, denied_for: str, decided_on: date | None = None
) -> Claim:
    """The partner accepts a claim, or denies it with a reason; raises Invalid for a decision of a day to come."""
    await _open_claim(tx, facility_id, claim_id)
    if decided_on is not None and decided_on > tx.date:
        raise Invalid("decided_in_future", f"today is {tx.date}")
    if denied_for:
        await claims.deny_claim(tx, facility_id, claim_id, denied_for, decided_on)
    else:
        await claims.accept_claim(tx, facility_id, claim_id)
    return await claims.known_claim(tx, facility_id, claim_id)


async def query_claim(tx: Tx, facility_id: str, claim_id: str, asked: tuple[str, ...]) -> Claim:
    """The partner asks for something before it decides on a claim."""
    await _open_claim(tx, facility_id, claim_id)
    return await claim_life.query_claim(tx, facility_id, claim_id, asked)


async def report_interim(tx: Tx, facility_id: str, claim_id: str, amount: Money, receipt: str) -> Claim:
    """The partner paid a part of a claim in advance."""
    await _open_claim(tx, facility_id, claim_id)
    return await claim_life.pay_interim(tx, facility_id, claim_id, amount, receipt)


async def report_payment(tx: Tx, facility_id: str, claim_id: str, amount: Money, receipt: str) -> Claim:
    """The partner paid what is left of an accepted claim; raises Refused for any other amount."""
    claim = await _open_claim(tx, facility_id, claim_id)
    if receipt in claim.receipts:
        raise Refused("receipt_counted", f"{receipt} was counted for {claim_id}")
    if claim.state is ClaimState.ACCEPTED and amount != claim.left:
        raise Refused("payment_differs", f"{claim.left} is owed on {claim_id}", owed=str(claim.left))
    await claims.take_payment(tx, facility_id, claim_id, receipt)
    return await claims.known_claim(tx, facility_id, claim_id)


async def _open_claim(tx: Tx, facility_id: str, claim_id: str) -> Claim:
    await _require_calling(tx, await covers.known_cover(tx, facility_id))
    claim = await claims.known_claim(tx, facility_id, claim_id)
    if claim.state is ClaimState.WITHDRAWN:
        raise Refused(f"claim_{claim.state}", f"{claim_id} is {claim.state}")
    return claim


async def _require_calling(tx: Tx, cover: Cover) -> None:
    agreement = await covers.terms_of(tx, cover)
    if agreement.contact is not Contact.PARTNER_CALLS:
        raise Refused("partner_is_called", f"under {agreement.ref} we ask at the partner's own door")
