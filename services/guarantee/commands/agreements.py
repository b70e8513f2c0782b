"""Admit partners and agreements; what was admitted never changes, because covers were bound on it."""

from __future__ import annotations

from libs.kernel.errors import Invalid, Refused
from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.guarantee.domain.agreement import Agreement, Partner
from services.guarantee.store import AGREEMENTS, PARTNERS, open_capacity


async def admit_partner(tx: Tx, partner: Partner) -> Partner:
    """Admit a partner once; Refused when the id is taken."""
    if await tx.find(PARTNERS, partner.partner_id) is not None:
        raise Refused("partner_exists", partner.partner_id)
    tx.put(PARTNERS, partner)
    return partner


async def admit_agreement(tx: Tx, agreement: Agreement, capacity: Money) -> Agreement:
    """Admit an agreement with an admitted partner and open its capacity; Refused when the code is taken."""
    if capacity.currency != agreement.currency:
        raise Invalid("currency_mismatch", f"{agreement.code} counts in {agreement.currency}, not {capacity.currency}")
    await tx.get(PARTNERS, agreement.partner_id)
    if await tx.find(AGREEMENTS, agreement.code) is not None:
        raise Refused("agreement_exists", f"{agreement.code}: new terms need a new code")
    tx.put(AGREEMENTS, agreement)
    await open_capacity(tx, agreement.code, capacity)
    return agreement
