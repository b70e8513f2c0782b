"""What the whole book under cover would cost whom: loans and commitments added up by the database, then split."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.guarantee.domain.agreement import Agreement
from services.guarantee.domain.cap import book_name
from services.guarantee.domain.portfolio import (
    Burden,
    PortfolioTerms,
    Sum,
    borne_share,
    burden,
    ceiling_of,
    slices_of,
)
from services.guarantee.store import AGREEMENTS, CAP_BOOKS

# What is bound and not drawn: the partners' part that is held for it, and the principal that this is a part of.
_COMMITTED = """
SELECT c.terms, c.currency, f.pd, c.held - c.active AS committed,
    round(c.amount * (c.held - c.active) / c.guaranteed, 2) AS undrawn
FROM covers c JOIN files f USING (facility_id)
WHERE c.state IN ('bound', 'active') AND c.held > c.active
"""
# A loan that has no PD, or is past due for too long, counts as defaulted. Whose claim was paid costs nobody any more.
# Of a commitment a share counts as a loan of this year. Grouped by columns as they are, for whose groups the planner
# has statistics: by expressions it would sort all loans.
_BOOK_SQL = f"""
SELECT terms, year, currency, sum(n)::bigint AS loans, sum(unrated)::bigint AS unrated,
    sum(outstanding) AS outstanding, sum(guaranteed) AS guaranteed,
    sum(covers)::bigint AS covers, sum(undrawn) AS undrawn, sum(committed) AS committed,
    sum(exposed * p) AS defaulted_expected, sum(exposed * least(1, p * $2::numeric)) AS defaulted_stressed,
    sum(backed * p) AS guaranteed_expected, sum(backed * least(1, p * $2::numeric)) AS guaranteed_stressed
FROM (
    SELECT *, CASE WHEN late THEN 1 ELSE coalesce(pd, 1) END AS p, CASE WHEN pd IS NULL THEN n ELSE 0 END AS unrated
    FROM (
        SELECT terms, year, currency, pd, coalesce(overdue_since <= $1, false) AS late,
            count(*) AS n, sum(outstanding) AS outstanding, sum(guaranteed) AS guaranteed,
            0 AS covers, 0 AS undrawn, 0 AS committed, sum(outstanding) AS exposed, sum(guaranteed) AS backed
        FROM loans WHERE NOT closed AND loan_id NOT IN (SELECT loan_id FROM claims WHERE state = 'paid')
        GROUP BY 1, 2, 3, 4, 5
        UNION ALL
        SELECT terms, $3::bigint, currency, pd, false, 0, 0, 0, count(*), sum(undrawn), sum(committed),
            sum(undrawn) * $4::numeric, sum(committed) * $4::numeric
        FROM ({_COMMITTED}) committed GROUP BY terms, currency, pd
    ) AS grouped
) AS weighed GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""  # noqa: S608 - our own words
# Above the ceiling of one loan all partners' parts of it are cut in proportion, as the final split cuts them.
_SLICED_SQL = f"""
SELECT terms, year, place, sum(
    p.pd * (least(p.lost, s.high * amount) - least(p.lost, s.low * amount))
    * CASE WHEN whole.asked > ceiling * amount THEN ceiling * amount / whole.asked ELSE 1 END
) AS lost
FROM jsonb_to_recordset($4::jsonb)
    AS t(terms text, covered numeric, ceiling numeric, lows numeric[], highs numeric[], borne numeric[])
JOIN (
    SELECT terms, year, amount, outstanding, pd, overdue_since <= $1 AS late FROM loans
    WHERE NOT closed AND NOT EXISTS (SELECT FROM claims c WHERE c.loan_id = loans.loan_id AND c.state = 'paid')
    UNION ALL
    SELECT terms, $5::bigint, undrawn * $6::numeric, undrawn * $6::numeric, pd, false FROM ({_COMMITTED}) committed
) AS l USING (terms)
CROSS JOIN LATERAL (
    SELECT CASE WHEN late THEN 1 ELSE least(1, coalesce(l.pd, 1) * $2::numeric) END AS pd,
        outstanding * $3::numeric * covered AS lost
) AS p
CROSS JOIN LATERAL (
    SELECT sum(u.borne * (least(p.lost, u.high * amount) - least(p.lost, u.low * amount))) AS asked
    FROM unnest(lows, highs, t.borne) AS u(low, high, borne)
) AS whole
CROSS JOIN LATERAL unnest(lows, highs) WITH ORDINALITY AS s(low, high, place)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""  # noqa: S608 - our own words


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementLoad:
    """The loans out under all versions of one agreement, and what partners stand for of them.

    `committed` is what they are bound to stand for once it is drawn.
    """

    agreement: str
    loans: int
    outstanding: Money
    guaranteed: Money
    committed: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioView:
    """All loans under cover in one currency, and who bears what of the loss of a year: expected, and under stress.

    `unrated` loans have no PD and count as defaulted. `covers` are bound with something left to draw: `undrawn` of
    principal, of which partners are `committed` to their part; the policy's share of it counts in the losses.
    """

    on: date
    policy: str
    loans: int
    unrated: int
    outstanding: Money
    guaranteed: Money
    covers: int
    undrawn: Money
    committed: Money
    agreements: tuple[AgreementLoad, ...]
    expected: Burden
    stressed: Burden


async def portfolio(tx: Tx, pd_factor: Decimal, lgd_factor: Decimal) -> tuple[PortfolioView, ...]:
    """The whole book under cover by currency: what it is expected to cost whom, and with PD and LGD multiplied."""
    policy = tx.policy(PortfolioTerms, "guarantee/portfolio")
    defaulted = tx.date - timedelta(days=policy.terms.default_days)
    drawn = policy.terms.drawn_share
    rows = await tx.sql(_BOOK_SQL, defaulted, pd_factor, tx.date.year, drawn)
    refs = sorted({row["terms"] for row in rows})
    agreements = {a.ref: a for a in (AGREEMENTS.load(r) for r in await tx.sql(AGREEMENTS.find_sql, refs))}
    names = sorted({book_name(a.code, year) for a in agreements.values() if a.cap for year in _years(rows, tx.date)})
    books = {b.book_id: b for b in (CAP_BOOKS.load(r) for r in await tx.sql(CAP_BOOKS.find_sql, names))}
    lgd = policy.terms.lgd
    harsh = min(Decimal(1), lgd * lgd_factor)
    sliced = {
        name: await _sliced(tx, agreements.values(), (defaulted, factor, severity), drawn)
        for name, factor, severity in (("expected", Decimal(1), lgd), ("stressed", pd_factor, harsh))
    }
    found = []
    for currency in sorted({row["currency"] for row in rows}):
        own = [row for row in rows if row["currency"] == currency]
        burdens = {
            name: burden(_sums(own, name, sliced[name]), agreements, books, lgd=severity, on=tx.date, currency=currency)
            for name, severity in (("expected", lgd), ("stressed", harsh))
        }
        found.append(
            PortfolioView(
                on=tx.date,
                policy=policy.ref,
                loans=sum(row["loans"] for row in own),
                outstanding=Money(sum(row["outstanding"] for row in own), currency),
                guaranteed=Money(sum(row["guaranteed"] for row in own), currency),
                covers=sum(row["covers"] for row in own),
                undrawn=Money(sum(row["undrawn"] for row in own), currency),
                committed=Money(sum(row["committed"] for row in own), currency),
                unrated=sum(row["unrated"] for row in own),
                agreements=_loads(own, agreements, currency),
                **burdens,
            )
        )
    return tuple(found)


def _years(rows: list[dict[str, Any]], on: date) -> set[int]:
    return {row["year"] for row in rows} | {on.year}


def _loads(rows: list[dict[str, Any]], agreements: dict[str, Agreement], currency: str) -> tuple[AgreementLoad, ...]:
    none = Money(Decimal(0), currency)
    loads: dict[str, AgreementLoad] = {}
    for row in rows:
        code = agreements[row["terms"]].code
        load = loads.get(code) or AgreementLoad(
            agreement=code, loans=0, outstanding=none, guaranteed=none, committed=none
        )
        loads[code] = AgreementLoad(
            agreement=code,
            loans=load.loans + row["loans"],
            outstanding=load.outstanding + Money(row["outstanding"], currency),
            guaranteed=load.guaranteed + Money(row["guaranteed"], currency),
            committed=load.committed + Money(row["committed"], currency),
        )
    return tuple(loads[code] for code in sorted(loads))


def _sums(rows: list[dict[str, Any]], scenario: str, sliced: dict[tuple[str, int], tuple[Decimal, ...]]) -> list[Sum]:
    return [
        Sum(
            row["terms"],
            row["year"],
            row[f"defaulted_{scenario}"],
            row[f"guaranteed_{scenario}"],
            sliced.get((row["terms"], row["year"]), ()),
        )
        for row in rows
    ]


async def _sliced(
    tx: Tx, agreements: Iterable[Agreement], scenario: tuple[date, Decimal, Decimal], drawn: Decimal
) -> dict[tuple[str, int], tuple[Decimal, ...]]:
    """What is lost in each slice, loan by loan, for terms that have any; a `scenario` is as _SLICED_SQL reads it."""
    asked = []
    for agreement in agreements:
        if slices := slices_of(agreement):
            ceiling = ceiling_of(agreement)
            asked.append(
                {
                    "terms": agreement.ref,
                    "covered": str(agreement.coverage.principal),
                    "ceiling": None if ceiling is None else str(ceiling),
                    "lows": [str(one.low) for one in slices],
                    "highs": [str(one.high) for one in slices],
                    "borne": [str(borne_share(one.shares)) for one in slices],
                }
            )
    if not asked:
        return {}
    found: dict[tuple[str, int], list[Decimal]] = {}
    for row in await tx.sql(_SLICED_SQL, *scenario, json.dumps(asked), tx.date.year, drawn):
        found.setdefault((row["terms"], row["year"]), []).append(row["lost"])
    return {key: tuple(lost) for key, lost in found.items()}
