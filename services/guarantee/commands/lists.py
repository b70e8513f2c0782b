"""Take a partner's own list in and hold it against our books and the other parties' lists: one statement a comparison.

Equal lines are paired first, each with one; what is left of the same matter is paired in order, so a changed line is
one finding and not two.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from libs.runtime.tx import Tx
from services.guarantee.domain.bordereau import days_of
from services.guarantee.domain.listed import FILED, About, Comparison, PartnerList, list_name
from services.guarantee.domain.sharing import BANK
from services.guarantee.store import LISTS, PARTNERS
from services.guarantee.views.statements import LINES_SQL

# The planner knows nothing yet of rows that came a moment ago.
_PLAN_SQL = (
    "SELECT set_config('enable_nestloop', 'off', true), set_config('work_mem', '64MB', true),"
    " set_config('jit', 'off', true)"
)
_TAKE_SQL = """
INSERT INTO list_rows (list_id, line, kind, reference, party, currency, state, amount, day)
SELECT $1, t.* FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::numeric[],
    $9::date[]) AS t
"""
_OURS_SQL = f"""
SELECT row_number() OVER (ORDER BY l.entry_id) AS place, l.kind, l.reference, l.party, l.currency, l.amount, l.day,
       g.reference IS NOT NULL AS removed
FROM ({LINES_SQL}) l LEFT JOIN gone g ON g.reference = l.reference AND l.kind = '{FILED}'
WHERE $6::text IN ('', l.kind)
"""  # noqa: S608 - our own words
_LISTED_SQL = """
SELECT line AS place, kind, reference, party, currency, amount, day, state = 'removed' AS removed
FROM list_rows WHERE list_id = {}
"""
_COMPARE_SQL = """
WITH gone AS MATERIALIZED (SELECT DISTINCT reference FROM entries WHERE kind = 'cover.removed'),
ours AS MATERIALIZED (
    SELECT *, row_number() OVER (PARTITION BY kind, reference, party, currency, amount, day ORDER BY place) AS nth
    FROM ({ours}) o
), theirs AS MATERIALIZED (
    SELECT *, row_number() OVER (PARTITION BY kind, reference, party, currency, amount, day ORDER BY place) AS nth
    FROM ({theirs}) t
), equal AS MATERIALIZED (
    SELECT o.place AS our_place, t.place AS line, o.removed AS our_removed, t.removed AS their_removed
    FROM ours o JOIN theirs t USING (kind, reference, party, currency, amount, day, nth)
), our_rest AS (
    SELECT o.*, row_number() OVER (PARTITION BY kind, reference, party ORDER BY day, amount, place) AS mth
    FROM ours o LEFT JOIN equal e ON e.our_place = o.place WHERE e.our_place IS NULL
), their_rest AS (
    SELECT t.*, row_number() OVER (PARTITION BY kind, reference, party ORDER BY day, amount, place) AS mth
    FROM theirs t LEFT JOIN equal e ON e.line = t.place WHERE e.line IS NULL
), unequal AS MATERIALIZED (
    SELECT kind, reference, party, o.place AS our_place, t.place AS line, o.removed AS our_removed,
           t.removed AS their_removed, o.currency AS our_currency, t.currency AS their_currency,
           o.amount AS our_amount, t.amount AS their_amount, o.day AS our_day, t.day AS their_day
    FROM our_rest o FULL JOIN their_rest t USING (kind, reference, party, mth)
), seen AS (SELECT DISTINCT kind, reference, party FROM ours),
elsewhere AS (
    SELECT DISTINCT ON (e.kind, e.reference, e.party) e.kind, e.reference, e.party, e."on"
    FROM unequal u JOIN entries e USING (kind, reference, party) JOIN covers c USING (cover_id)
    WHERE u.our_place IS NULL AND c.partner = $1 AND e."on" NOT BETWEEN $2 AND $3
    ORDER BY e.kind, e.reference, e.party, e."on" DESC
), pairs AS (
    SELECT t.kind, t.reference, t.party, e.our_place, e.line, e.our_removed, e.their_removed,
           t.currency AS our_currency, t.currency AS their_currency, t.amount AS our_amount,
           t.amount AS their_amount, t.day AS our_day, t.day AS their_day
    FROM equal e JOIN theirs t ON t.place = e.line WHERE e.our_removed <> e.their_removed
    UNION ALL
    SELECT kind, reference, party, our_place, line, our_removed, their_removed, our_currency, their_currency,
           our_amount, their_amount, our_day, their_day FROM unequal
), judged AS (
    SELECT p.*, COALESCE(p.our_day, x."on") AS known_day, f.finding,
           s.kind IS NOT NULL AS is_seen, x.kind IS NOT NULL AS is_elsewhere
    FROM pairs p
    LEFT JOIN seen s ON p.our_place IS NULL AND (s.kind, s.reference, s.party) = (p.kind, p.reference, p.party)
    LEFT JOIN elsewhere x ON p.our_place IS NULL AND (x.kind, x.reference, x.party) = (p.kind, p.reference, p.party)
    LEFT JOIN gone g ON g.reference = p.reference
    LEFT JOIN loans l ON l.loan_id = p.reference
    CROSS JOIN LATERAL unnest(ARRAY[
        CASE WHEN p.line IS NULL THEN 'missing' END,
        CASE WHEN p.our_place IS NULL THEN CASE WHEN s.kind IS NOT NULL THEN 'doubled'
             WHEN g.reference IS NOT NULL THEN CASE WHEN NOT p.their_removed THEN 'removed' END
             WHEN x.kind IS NOT NULL THEN 'date' ELSE 'unknown' END END,
        CASE WHEN (p.our_amount, p.our_currency) <> (p.their_amount, p.their_currency) THEN 'amount' END,
        CASE WHEN p.our_day <> p.their_day THEN
             CASE WHEN p.kind = 'cover.filed' AND p.their_day > l.file_by THEN 'late' ELSE 'date' END END,
        CASE WHEN p.our_removed <> p.their_removed THEN 'removed' END
    ]) AS f(finding) WHERE f.finding IS NOT NULL
), twins AS (
    SELECT o.our_place, t.line
    FROM judged o JOIN judged t ON o.finding = 'missing' AND t.finding = 'unknown' AND o.kind = t.kind
        AND (o.our_amount, o.our_currency, o.our_day) = (t.their_amount, t.their_currency, t.their_day)
), written AS (
    INSERT INTO differences (list_id, against, place, finding, cause, kind, reference, party, line, our_currency,
        our_amount, our_day, their_currency, their_amount, their_day)
    SELECT $4, $5, lpad((row_number() OVER (ORDER BY j.line, j.reference, j.finding))::text, 9, '0'), j.finding,
        CASE j.finding
            WHEN 'missing' THEN CASE WHEN EXISTS (SELECT 1 FROM twins w WHERE w.our_place = j.our_place)
                                THEN 'other_reference' ELSE 'not_listed' END
            WHEN 'unknown' THEN CASE WHEN EXISTS (SELECT 1 FROM twins w WHERE w.line = j.line)
                                THEN 'other_reference' ELSE 'not_in_the_books' END
            WHEN 'doubled' THEN 'listed_twice'
            WHEN 'amount' THEN CASE WHEN j.our_currency <> j.their_currency THEN 'other_currency'
                WHEN abs(j.our_amount - j.their_amount) <= 0.01 THEN 'rounding' ELSE 'other_amount' END
            WHEN 'date' THEN CASE WHEN j.is_elsewhere OR j.their_day NOT BETWEEN $2 AND $3
                THEN 'other_month' ELSE 'other_day' END
            WHEN 'late' THEN 'after_the_last_day'
            ELSE CASE WHEN j.their_removed THEN 'removed_by_them' ELSE 'removed_by_us' END
        END,
        j.kind, j.reference, j.party, j.line, j.our_currency, j.our_amount, j.known_day, j.their_currency,
        j.their_amount, j.their_day
    FROM judged j RETURNING finding
)
SELECT (SELECT count(*) FROM equal WHERE our_removed = their_removed) AS agree,
       (SELECT jsonb_object_agg(w.finding, w.n)
        FROM (SELECT finding, count(*) AS n FROM written GROUP BY finding) w) AS found
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRow:
    """One row of a list; `state` is empty, or `removed` for what its side no longer covers."""

    kind: str
    reference: str
    party: str
    amount: Decimal
    currency: str
    day: date
    state: str


async def take_list(
    tx: Tx, partner_id: str, about: About, month: str, *, party: str, rows: Sequence[ListedRow]
) -> PartnerList:
    """The list takes the place of the party's earlier one, and is held against our books and each other party's list.

    Raises NotFound for a partner that was never admitted.
    """
    await tx.get(PARTNERS, partner_id)
    list_id = list_name(partner_id, about, month, party)
    await tx.sql("SELECT pg_advisory_xact_lock(hashtext($1))", f"guarantee.lists/{partner_id}/{about}/{month}")
    others = [
        each
        for each in await tx.of(LISTS, partner_id)
        if (each.about, each.month) == (about, month) and each.party != party
    ]
    await tx.sql("DELETE FROM differences WHERE list_id = $1", list_id)
    await tx.sql("DELETE FROM list_rows WHERE list_id = $1", list_id)
    await tx.sql(_PLAN_SQL)
    await _keep(tx, list_id, rows)
    kind = FILED if about is About.FILINGS else ""
    sides = {BANK: (_OURS_SQL, kind), **{each.party: (_LISTED_SQL.format("$6"), each.list_id) for each in others}}
    span = (partner_id, *days_of(month), list_id)
    compared = [await _compare(tx, span, against, *side) for against, side in sides.items()]
    taken = PartnerList(
        list_id=list_id,
        partner_id=partner_id,
        party=party,
        about=about,
        month=month,
        rows=len(rows),
        handed_in_by=tx.actor,
        on=tx.date,
        compared=tuple(compared),
    )
    tx.put(LISTS, taken)
    for other in others:
        await _forget_pair(tx, other, party)
    return taken


async def _keep(tx: Tx, list_id: str, rows: Sequence[ListedRow]) -> None:
    columns = [[getattr(row, name) for row in rows] for name in ("kind", "reference", "party", "currency", "state")]
    amounts, days = [row.amount for row in rows], [row.day for row in rows]
    await tx.sql(_TAKE_SQL, list_id, list(range(1, len(rows) + 1)), *columns, amounts, days)


async def _compare(tx: Tx, span: tuple[str, date, date, str], against: str, side: str, of: str) -> Comparison:
    statement = _COMPARE_SQL.format(ours=side, theirs=_LISTED_SQL.format("$4"))
    (row,) = await tx.sql(statement, *span, against, of)
    return Comparison(against=against, agree=row["agree"], findings=json.loads(row["found"] or "{}"))


async def _forget_pair(tx: Tx, other: PartnerList, party: str) -> None:
    """What another list was found to differ in from the one that was replaced."""
    await tx.sql("DELETE FROM differences WHERE list_id = $1 AND against = $2", other.list_id, party)
    tx.put(LISTS, replace(other, compared=tuple(each for each in other.compared if each.against != party)))
