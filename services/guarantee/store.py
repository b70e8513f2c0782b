"""Guarantee's tables, and the pools of capacity, which move in one statement at a time and only in turn.

Whoever decides on room (a pool, a cap, a suspension) takes the turn first and holds it to the end of the transaction,
so what was read stays true. An agreement's stream row is locked only in the turn: two batches cannot deadlock.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from libs.kernel.money import Money
from libs.runtime.dump import CHANCE
from libs.runtime.shelf import Shelf
from libs.runtime.tables import service_metadata
from libs.runtime.tx import Tx
from libs.runtime.wiring import Purge
from services.guarantee.domain.agreement import Adoption, Agreement, Partner, in_force
from services.guarantee.domain.cap import CapBook
from services.guarantee.domain.capacity import Bound, Exposure, Holding, Line, PoolKind, Standing, counted, why_no_room
from services.guarantee.domain.cash import CashLeg
from services.guarantee.domain.change import Change
from services.guarantee.domain.claim import Claim
from services.guarantee.domain.connection import Connection, Consent
from services.guarantee.domain.cover import Cover, CoverFile
from services.guarantee.domain.defence import Look, Proof, Security
from services.guarantee.domain.health import TrackRecord
from services.guarantee.domain.ledger import Entry
from services.guarantee.domain.listed import PartnerList
from services.guarantee.domain.loan import CoveredLoan
from services.guarantee.domain.pack import Judgement, Pack, PartnerKey
from services.guarantee.domain.payout import Payout, PayoutBook
from services.guarantee.domain.recovery import Balance
from services.guarantee.domain.routing import Routing
from services.guarantee.domain.suspension import Suspension
from services.guarantee.domain.telling import TOLD
from services.guarantee.domain.undertaking import Undertaking
from services.guarantee.domain.webhook import Endpoint

metadata = service_metadata()
PARTNERS = Shelf(metadata, "partners", Partner, id="partner_id", group="partner_id")
STANDINGS = Shelf(metadata, "standings", Standing, id="partner_id", group="partner_id")
EXPOSURES = Shelf(metadata, "exposures", Exposure, id="exposure_id", group="partner_id")
AGREEMENTS = Shelf(metadata, "agreements", Agreement, id="ref", group="code")
ADOPTIONS = Shelf(metadata, "adoptions", Adoption, id="adoption_id", group="code")
SUSPENSIONS = Shelf(metadata, "suspensions", Suspension, id="code", group="code")
RECORDS = Shelf(metadata, "records", TrackRecord, id="code", group="code")
CAP_BOOKS = Shelf(metadata, "cap_books", CapBook, id="book_id", group="code")
FILES = Shelf(metadata, "files", CoverFile, id="facility_id")
Index("ix_files_borrower", FILES.table.c.borrower)
COVERS = Shelf(metadata, "covers", Cover, id="cover_id")
LOANS = Shelf(metadata, "loans", CoveredLoan, id="loan_id")
CLAIMS = Shelf(metadata, "claims", Claim, id="claim_id")
LEGS = Shelf(metadata, "legs", CashLeg, id="leg_id")
PAYOUT_BOOKS = Shelf(metadata, "payout_books", PayoutBook, id="book_id", group="code")
PAYOUTS = Shelf(metadata, "payouts", Payout, id="claim_id")
CHANGES = Shelf(metadata, "changes", Change, id="change_id")
UNDERTAKINGS = Shelf(metadata, "undertakings", Undertaking, id="undertaking_id")
ROUTINGS = Shelf(metadata, "routings", Routing, id="facility_id")
PARTNER_KEYS = Shelf(metadata, "partner_keys", PartnerKey, id="key_ref", group="partner_id")
PACKS = Shelf(metadata, "packs", Pack, id="pack_ref", group="code")
JUDGEMENTS = Shelf(metadata, "judgements", Judgement, id="judgement_id")
ENTRIES = Shelf(metadata, "entries", Entry, id="entry_id")
Index("ix_entries_reference", ENTRIES.table.c.reference, ENTRIES.table.c.kind)
Index("ix_entries_on", ENTRIES.table.c.on)
SECURITIES = Shelf(metadata, "securities", Security, id="collateral_id")
PROOFS = Shelf(metadata, "proofs", Proof, id="proof_id")
LOOKS = Shelf(metadata, "looks", Look, id="loan_id")
BALANCES = Shelf(metadata, "balances", Balance, id="balance_id", group="partner_id")
LISTS = Shelf(metadata, "lists", PartnerList, id="list_id", group="partner_id")

Table(
    "list_rows",
    metadata,
    Column("list_id", Text, primary_key=True),
    Column("line", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, Text, nullable=False) for name in ("kind", "reference", "party", "currency", "state")),
    Column("amount", Numeric(20, 2), nullable=False),
    Column("day", Date, nullable=False),
    comment="a partner's own list as it was handed in, row by row",
)
Table(
    "differences",
    metadata,
    Column("list_id", Text, primary_key=True),
    Column("against", Text, primary_key=True, comment="whose list it was held against: bank, or another party"),
    Column("place", Text, primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("finding", "cause", "kind", "reference", "party")),
    Column("line", BigInteger, nullable=True),
    *(Column(f"{side}_currency", Text, nullable=True) for side in ("our", "their")),
    *(Column(f"{side}_amount", Numeric(20, 2), nullable=True) for side in ("our", "their")),
    *(Column(f"{side}_day", Date, nullable=True) for side in ("our", "their")),
    comment="where a list says something else than the one it was held against",
)
CONNECTIONS = Shelf(metadata, "connections", Connection, id="ref", group="partner_id")
CONSENTS = Shelf(metadata, "consents", Consent, id="consent_id")
ENDPOINTS = Shelf(metadata, "endpoints", Endpoint, id="endpoint_id", group="partner_id")

Index(
    "ix_covers_open_requests",
    *(COVERS.table.c[name] for name in ("partner", "asked_on", "cover_id")),
    postgresql_where=text("state = 'requested'"),
)
Index(
    "ix_covers_committed",
    COVERS.table.c.terms,
    postgresql_where=text("held > active AND state IN ('bound', 'active')"),
)
Table(
    "pools",
    metadata,
    Column("pool", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("size", Numeric(20, 2), comment="what bounded it when it was last reserved from; null: counted only"),
    Column("outside", Numeric(20, 2), nullable=False, server_default="0", comment="used at other banks, as reported"),
    Column("reserved", Numeric(20, 2), nullable=False, server_default="0"),
    Column("bound", Numeric(20, 2), nullable=False, server_default="0"),
    Column("active", Numeric(20, 2), nullable=False, server_default="0"),
    CheckConstraint("bound <= reserved AND active <= bound AND active >= 0", name="ck_pools_ordered"),
    comment="reserved is all that is held, bound its part under covers, active the part drawn and not repaid",
)

Table(
    "partner_feeds",
    metadata,
    Column("party", Text, primary_key=True),
    Column(
        "last", BigInteger, nullable=False, comment="the last number given out; its row lock keeps commits in order"
    ),
)
Table(
    "partner_events",
    metadata,
    Column("party", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False, info={CHANCE: True}, comment="without gaps"),
    Column("event_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False, comment="the facility, or the partner itself"),
    Column("business_date", Date, nullable=False),
    Column("told_at", DateTime(timezone=True), nullable=False, info={CHANCE: True}, server_default=func.now()),
    Column("body", JSONB, nullable=False),
    comment="what was published about each partner's own business, in the order of its commits",
)
_VARIES = {CHANCE: True}
Table(
    "endpoint_feeds",
    metadata,
    Column("endpoint_id", Text, primary_key=True),
    Column("reached", BigInteger, nullable=False, info=_VARIES, comment="the partner's event put on its way last"),
)
Table(
    "endpoint_keys",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("endpoint_id", Text, nullable=False, index=True),
    Column("sealed", Text, nullable=False, info=_VARIES),
    Column("wrapped", Text, nullable=False, info=_VARIES),
    Column("master", Text, nullable=False),
    Column("created", DateTime(timezone=True), nullable=False, server_default=func.now(), info=_VARIES),
    Column("retires", DateTime(timezone=True), info=_VARIES),
    comment="signing keys, sealed; those not yet retired sign side by side",
)
Table(
    "deliveries",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True, info=_VARIES),
    Column("endpoint_id", Text, nullable=False),
    Column("number", BigInteger, nullable=False, info=_VARIES),
    Column("subject", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("attempts", Integer, nullable=False, server_default="0", info=_VARIES),
    Column("created", DateTime(timezone=True), nullable=False, server_default=func.now(), info=_VARIES),
    Column("next_at", DateTime(timezone=True), nullable=False, server_default=func.now(), info=_VARIES),
    Column("lease_until", DateTime(timezone=True), info=_VARIES),
    Column("first_at", DateTime(timezone=True), info=_VARIES),
    Column("delivered_at", DateTime(timezone=True), info=_VARIES),
    Column("log", JSONB, nullable=False, server_default="[]", info=_VARIES),
    Index("ix_deliveries_waiting", "endpoint_id", "subject", "id", postgresql_where="state = 'waiting'"),
    Index("ix_deliveries_log", "endpoint_id", "id"),
    comment="a partner's event on its way to one endpoint: waiting, delivered, failed or dropped; log has each attempt",
)

# A partner's own: what is about its cover; without a cover, what names it or its agreement; and to a party behind the
# direct payer, what it owes and its part of losses and recoveries. Whether an event is told says domain/telling.py.
JOURNAL_SQL = f"""
WITH told AS (
    SELECT *, payload::jsonb AS body, headers ->> 'ce_type' AS type FROM ROWS FROM (
        jsonb_to_recordset($1::jsonb) AS (key text, event_id text, headers jsonb, payload text)
    ) WITH ORDINALITY AS t(key, event_id, headers, payload, place)
), concerned AS (
    SELECT DISTINCT t.place, p.party FROM told t
    LEFT JOIN covers c ON c.cover_id = t.body ->> 'cover_id'
    LEFT JOIN LATERAL (SELECT partner_id FROM agreements WHERE code = t.body ->> 'agreement' LIMIT 1) a
        ON t.body ->> 'cover_id' IS NULL
    CROSS JOIN LATERAL (
        SELECT COALESCE(NULLIF(c.partner, ''), t.body ->> 'partner', a.partner_id) AS party
        UNION ALL SELECT t.body ->> 'party' WHERE t.type LIKE 'reguarantee.%'
        UNION ALL SELECT e.partner_id FROM partners e, jsonb_array_elements(
            CASE WHEN split_part(t.type, '.v', 1) IN ('claim.paid', 'recovery.shared') THEN t.body -> 'parts' END
        ) AS part WHERE e.partner_id = part ->> 'party'
    ) AS p WHERE p.party <> '' AND split_part(t.type, '.v', 1) = ANY ('{{{",".join(sorted(TOLD))}}}')
), feed AS (
    INSERT INTO partner_feeds AS f (party, last)
    SELECT party, count(*) FROM concerned GROUP BY party ORDER BY party
    ON CONFLICT (party) DO UPDATE SET last = f.last + excluded.last RETURNING party, last
)
INSERT INTO partner_events (party, number, event_id, type, subject, business_date, body)
SELECT f.party, f.last + 1 - row_number() OVER (PARTITION BY f.party ORDER BY t.place DESC), t.event_id, t.type, t.key,
       (t.headers ->> 'ce_businessdate')::date, t.body
FROM concerned c JOIN feed f USING (party) JOIN told t USING (place)
"""  # noqa: S608 - our own words
_DREW_SQL = """
SELECT 1 FROM files f JOIN covers c USING (facility_id) WHERE f.borrower = $1 AND c.agreement = $2 AND c.drawdowns > 0
LIMIT 1
"""
PURGES: tuple[Purge, ...] = (
    (
        """
        DELETE FROM deliveries WHERE id IN (
            SELECT d.id FROM deliveries d JOIN endpoints e USING (endpoint_id)
            WHERE d.created < now() - make_interval(days => $1) AND (d.state <> 'waiting' OR e.state <> 'enabled')
            ORDER BY d.id LIMIT $2 FOR UPDATE OF d SKIP LOCKED)
        """,
        "deliveries_days_kept",
    ),
    (
        # The oldest of each feed up to the first that a delivery still shows or waits for: what is left has no gap.
        """
        DELETE FROM partner_events e USING (
            SELECT t.party, t.number FROM partner_feeds f LEFT JOIN (
                SELECT n.partner_id, min(d.number) AS first FROM deliveries d JOIN endpoints n USING (endpoint_id)
                GROUP BY n.partner_id
            ) k ON k.partner_id = f.party CROSS JOIN LATERAL (
                SELECT party, number, told_at FROM partner_events p WHERE p.party = f.party ORDER BY number LIMIT $2
            ) t WHERE t.told_at < now() - make_interval(days => $1) AND (k.first IS NULL OR t.number < k.first)
            LIMIT $2) old
        WHERE e.party = old.party AND e.number = old.number
        """,
        "partner_events_days_kept",
    ),
)
_TURN_SQL = "SELECT pg_advisory_xact_lock(hashtext('guarantee.capacity'))"
_RESERVE_SQL = """
INSERT INTO pools AS p (pool, kind, size, outside, reserved)
SELECT pool, kind, size, outside, reserved FROM jsonb_to_recordset($1::jsonb)
AS t(pool text, kind text, size numeric, outside numeric, reserved numeric)
ON CONFLICT (pool) DO UPDATE SET
    size = excluded.size, outside = excluded.outside, reserved = p.reserved + excluded.reserved
"""
_MOVE_SQL = """
WITH turn AS MATERIALIZED (SELECT pg_advisory_xact_lock(hashtext('guarantee.capacity')))
UPDATE pools p SET reserved = p.reserved + t.reserved, bound = p.bound + t.bound, active = p.active + t.active
FROM turn, jsonb_to_recordset($1::jsonb) AS t(pool text, reserved numeric, bound numeric, active numeric)
WHERE p.pool = t.pool
"""


async def take_turn(tx: Tx) -> None:
    """Wait for the turn to decide on room; it is held until this transaction ends."""
    await tx.sql(_TURN_SQL)


async def agreements_in_force(tx: Tx, currency: str) -> tuple[Agreement, ...]:
    """The version in force today of every agreement in a currency, by code."""
    rows = await tx.sql("SELECT * FROM agreements WHERE currency = $1 ORDER BY code, effective", currency)
    found = []
    for _, versions in groupby((AGREEMENTS.load(row) for row in rows), lambda version: version.code):
        version = in_force(tuple(versions), tx.date)
        if version is not None:
            found.append(version)
    return tuple(found)


async def drew_before(tx: Tx, file: CoverFile, code: str) -> bool:
    """Whether the borrower has drawn a loan under the agreement before, as far as it is saved."""
    return bool(await tx.sql(_DREW_SQL, file.borrower, code))


async def reserve(tx: Tx, bounds: Sequence[Bound], asked: Holding) -> str:
    """Count `asked` in every pool, or in none: the code of the first pool without room, empty when all had it.

    The turn must have been taken.
    """
    pools = [bound.line.pool for bound in bounds]
    rows = await tx.sql("SELECT pool, reserved FROM pools WHERE pool = ANY($1::text[])", pools)
    reason = why_no_room(tuple(bounds), {r["pool"]: Money(r["reserved"], asked.held.currency) for r in rows}, asked)
    if not reason:
        await tx.sql(_RESERVE_SQL, json.dumps([_reservation(bound, asked) for bound in bounds]))
    return reason


async def move(tx: Tx, lines: Sequence[Line], before: Holding, after: Holding) -> None:
    """A cover holds something else than before: count it so in each of its pools."""
    moves = [_change(line, before, after) for line in lines]
    if any(value != "0.00" for change in moves for name, value in change.items() if name != "pool"):
        await tx.sql(_MOVE_SQL, json.dumps(moves))


async def active_balance(tx: Tx, code: str, currency: str) -> Money:
    """What partners stand for under an agreement now: drawn and not repaid."""
    rows = await tx.sql("SELECT active FROM pools WHERE pool = $1", f"{PoolKind.AGREEMENT}/{code}")
    return Money(sum(row["active"] for row in rows), currency)


async def bound_amount(tx: Tx, code: str, currency: str) -> Money:
    """What covers hold under an agreement now."""
    rows = await tx.sql("SELECT bound FROM pools WHERE pool = $1", f"{PoolKind.AGREEMENT}/{code}")
    return Money(sum(row["bound"] for row in rows), currency)


def _reservation(bound: Bound, asked: Holding) -> dict[str, str | None]:
    return {
        "pool": bound.line.pool,
        "kind": bound.line.kind.value,
        "size": None if bound.size is None else str(bound.size.amount),
        "outside": str(bound.outside.amount),
        "reserved": str(counted(bound.line, asked)[0].amount),
    }


def _change(line: Line, before: Holding, after: Holding) -> dict[str, str]:
    pairs = zip(counted(line, before), counted(line, after), strict=True)
    reserved, bound, active = (str((new - old).amount) for old, new in pairs)
    return {"pool": line.pool, "reserved": reserved, "bound": bound, "active": active}
