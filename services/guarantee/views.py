"""What guarantee shows: a facility's cover with its loans and claims, and what each agreement's capacity has left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from libs.kernel.errors import NotFound
from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.claim import Claim
from services.guarantee.domain.cover import Cover, CoverFile
from services.guarantee.domain.loan import CoveredLoan
from services.guarantee.store import AGREEMENTS, CLAIMS, COVERS, FILES, LOANS


@dataclass(frozen=True, slots=True, kw_only=True)
class FacilityView:
    """The facts that came, and what was made of them; `cover` is absent while the facts are incomplete."""

    file: CoverFile
    cover: Cover | None
    loans: tuple[CoveredLoan, ...]
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementView:
    """An agreement and its counters: `reserved` is all that is held, `bound` the part held by covers."""

    agreement: Agreement
    capacity: Money
    reserved: Money
    bound: Money
    available: Money


async def facility(tx: Tx, facility_id: str, party: str = "") -> FacilityView:
    """Everything guarantee knows of one facility; for a partner only if the cover is its own, else NotFound."""
    cover = next(iter(await tx.of(COVERS, facility_id)), None)
    if party and (cover is None or cover.partner != party):
        raise NotFound("not_found", f"no {CoverFile.__name__} {facility_id}")
    return FacilityView(
        file=await tx.get(FILES, facility_id),
        cover=cover,
        loans=await tx.of(LOANS, facility_id),
        claims=await tx.of(CLAIMS, facility_id),
    )


async def agreement(tx: Tx, code: str, party: str = "") -> AgreementView:
    """One agreement with its capacity, of any partner or of `party` alone; raises NotFound."""
    found = await _agreements(tx, "WHERE a.code = $1 AND $2 IN ('', a.partner_id)", code, party)
    if not found:
        raise NotFound("not_found", f"no agreement {code}")
    return found[0]


async def agreements(tx: Tx, after: str, limit: int, party: str = "") -> tuple[AgreementView, ...]:
    """At most `limit` agreements with a code after `after`, by code, of any partner or of `party` alone."""
    rest = "WHERE a.code > $1 AND $3 IN ('', a.partner_id) ORDER BY a.code LIMIT $2::int"
    return await _agreements(tx, rest, after, limit, party)


async def _agreements(tx: Tx, rest: str, *values: Any) -> tuple[AgreementView, ...]:
    rows = await tx.sql(
        f"SELECT a.*, c.capacity, c.reserved, c.bound FROM {AGREEMENTS.name} a JOIN capacities c USING (code) {rest}",  # noqa: S608 - our own words
        *values,
    )
    return tuple(_agreement(row) for row in rows)


def _agreement(row: dict[str, Any]) -> AgreementView:
    capacity, reserved, bound = (Money(row[name], row["currency"]) for name in ("capacity", "reserved", "bound"))
    return AgreementView(
        agreement=AGREEMENTS.load(row),
        capacity=capacity,
        reserved=reserved,
        bound=bound,
        available=capacity - reserved,
    )
