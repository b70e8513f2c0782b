"""Guarantee's tables, and the counters of each agreement's capacity, which one atomic statement alone may move."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Numeric, Table, Text

from libs.kernel.money import Money
from libs.runtime.shelf import Shelf
from libs.runtime.tables import service_metadata
from libs.runtime.tx import Tx
from services.guarantee.domain.agreement import Agreement, Partner
from services.guarantee.domain.claim import Claim
from services.guarantee.domain.cover import Cover, CoverFile
from services.guarantee.domain.loan import CoveredLoan

metadata = service_metadata()
PARTNERS = Shelf(metadata, "partners", Partner, id="partner_id", group="partner_id")
AGREEMENTS = Shelf(metadata, "agreements", Agreement, id="code", group="code")
FILES = Shelf(metadata, "files", CoverFile, id="facility_id")
COVERS = Shelf(metadata, "covers", Cover, id="cover_id")
LOANS = Shelf(metadata, "loans", CoveredLoan, id="loan_id")
CLAIMS = Shelf(metadata, "claims", Claim, id="claim_id")

Table(
    "capacities",
    metadata,
    Column("code", Text, primary_key=True),
    Column("capacity", Numeric(20, 2), nullable=False),
    Column("reserved", Numeric(20, 2), nullable=False, server_default="0"),
    Column("bound", Numeric(20, 2), nullable=False, server_default="0"),
    CheckConstraint("reserved <= capacity AND bound <= reserved AND bound >= 0", name="ck_capacities_within"),
    comment="per agreement: reserved is everything held, bound the part of it that covers hold",
)

# The advisory lock comes first: a batch may touch several agreements in any order, and two batches must not deadlock.
_MOVE_SQL = """
WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(hashtext('guarantee.capacities')))
UPDATE capacities c SET reserved = c.reserved + $2::numeric, bound = c.bound + $3::numeric FROM turn
WHERE c.code = $1 AND c.reserved + $2::numeric <= c.capacity RETURNING c.code
"""


async def open_capacity(tx: Tx, code: str, capacity: Money) -> None:
    """Start the counters of a new agreement."""
    await tx.sql("INSERT INTO capacities (code, capacity) VALUES ($1, $2)", code, capacity.amount)


async def reserve_capacity(tx: Tx, code: str, amount: Money) -> bool:
    """Take `amount` of the agreement's capacity if that much is free; False, and nothing taken, if it is not."""
    return bool(await tx.sql(_MOVE_SQL, code, amount.amount, amount.zero.amount))


async def keep_capacity(tx: Tx, code: str, *, held: Money, kept: Money) -> None:
    """Of what was held, keep `kept` (never more than held) under a bound cover and give the rest back."""
    await tx.sql(_MOVE_SQL, code, (kept - held).amount, kept.amount)


async def free_hold(tx: Tx, code: str, amount: Money) -> None:
    """Give back a hold that did not become a cover."""
    await tx.sql(_MOVE_SQL, code, -amount.amount, amount.zero.amount)


async def free_cover(tx: Tx, code: str, amount: Money) -> None:
    """Give back what an ended cover held."""
    await tx.sql(_MOVE_SQL, code, -amount.amount, -amount.amount)
