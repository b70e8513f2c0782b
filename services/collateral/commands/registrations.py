"""Perfection: a registered rank makes the security interest exist; a junior rank needs the risk director."""

from __future__ import annotations

from decimal import Decimal

from libs.events.collateral import CollateralPerfected
from libs.kernel.errors import Invalid
from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.collateral import store, views
from services.collateral.commands.prices import follow_index
from services.collateral.domain import capacity
from services.collateral.domain.capacity import PriorityTerms
from services.collateral.domain.file import SecurityFile, check_open, exposure
from services.collateral.domain.item import Registration, perfect
from services.collateral.store import FILES, ITEMS


async def register(
    tx: Tx, facility_id: str, number: int, *, registry: str, registration_no: str, rank: int
) -> views.ItemView:
    """Perfect a valued item at a rank that needs nobody else's consent."""
    terms = tx.policy(PriorityTerms, "collateral/priority")
    capacity.check_rank(rank, terms.terms)
    file = await tx.get(FILES, facility_id)
    nothing = Money(Decimal(0), file.currency)
    registration = Registration(registry=registry, number=registration_no, rank=rank, senior_claims=nothing)
    return await _perfect(tx, file, number, registration, terms.ref)


async def register_junior(
    tx: Tx, facility_id: str, number: int, *, registry: str, registration_no: str, rank: int, senior_claims: Money
) -> views.ItemView:
    """Perfect a valued item behind others, as the risk director accepts it; senior claims count (COL-02)."""
    terms = tx.policy(PriorityTerms, "collateral/priority")
    if rank < terms.terms.escalate_from_rank:
        raise Invalid("rank_not_junior", f"rank {rank} is below {terms.terms.escalate_from_rank}")
    if senior_claims <= senior_claims.zero:
        raise Invalid("senior_claims_missing", "a junior rank has claims before it")
    file = await tx.get(FILES, facility_id)
    item = await store.item(tx, facility_id, number)
    capacity.check_junior(item, exposure(file), senior_claims)
    registration = Registration(registry=registry, number=registration_no, rank=rank, senior_claims=senior_claims)
    return await _perfect(tx, file, number, registration, terms.ref)


async def _perfect(tx: Tx, file: SecurityFile, number: int, registration: Registration, policy: str) -> views.ItemView:
    check_open(file)
    item = perfect(await store.item(tx, file.facility_id, number), registration)
    tx.put(ITEMS, item)
    await follow_index(tx, item)
    tx.publish(
        CollateralPerfected(
            facility_id=item.facility_id,
            collateral_id=item.collateral_id,
            registration_no=registration.number,
            rank=registration.rank,
        ),
        policy=policy,
    )
    return views.item_view(item)
