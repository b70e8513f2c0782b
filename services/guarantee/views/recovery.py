"""The shared recovery book from the ledger: who bore what, what came back and how, and which months are still open."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Any

from libs.kernel.money import Money, total
from libs.runtime.tx import Tx
from services.guarantee.domain.bordereau import days_of
from services.guarantee.domain.contribution import Contribution, contributions
from services.guarantee.domain.recovery import (
    Agreed,
    AgreementBook,
    Balance,
    PartyBook,
    RecoveryBook,
    balance_name,
    digest_of,
    interest_first,
)
from services.guarantee.store import BALANCES, PARTNERS

_PARTIES_SQL = """
SELECT c.agreement, c.currency, e.party,
       COALESCE(sum(e.amount) FILTER (WHERE e.kind = 'loss.borne'), 0) AS borne,
       COALESCE(sum(e.amount) FILTER (WHERE e.kind = 'recovery.shared' AND e."on" < $2), 0) AS before,
       COALESCE(sum(e.amount) FILTER (WHERE e.kind = 'recovery.shared' AND e."on" >= $2), 0) AS back
FROM entries e JOIN covers c USING (cover_id)
WHERE c.partner = $1 AND e.kind IN ('loss.borne', 'recovery.shared') AND e."on" <= $3
GROUP BY c.agreement, c.currency, e.party ORDER BY c.agreement, e.party
"""
# Only of covers whose loss was shared: what other sales cost is the bank's own affair.
_COVERS_SQL = """
SELECT c.agreement, c.currency,
       COALESCE(sum(e.amount) FILTER (WHERE e.kind = 'loss.interest'), 0) AS interest,
       COALESCE(sum(e.amount) FILTER (WHERE e.kind = 'recovery.costs' AND e."on" >= $2), 0) AS costs,
       COALESCE(sum(e.amount) FILTER (WHERE e.kind = 'recovery.shared' AND e."on" < $2), 0) AS before,
       COALESCE(sum(e.amount) FILTER (WHERE e.kind = 'recovery.shared' AND e."on" >= $2), 0) AS back
FROM entries e JOIN covers c USING (cover_id)
WHERE c.partner = $1 AND e."on" <= $3 AND e.kind IN ('loss.interest', 'recovery.costs', 'recovery.shared')
  AND EXISTS (SELECT 1 FROM entries p WHERE p.cover_id = e.cover_id AND p.kind = 'claim.paid' AND p."on" <= $3
              AND (p.reference = e.reference OR e.kind <> 'loss.interest'))
GROUP BY c.agreement, c.currency, c.cover_id
"""
# Guarantors of the bank that stood beside the partner on the day it paid, where contribution was agreed.
_GUARANTORS_SQL = """
SELECT k.claim_id, k.facility_id, k.currency, k.claimed AS paid, c.guaranteed, a.liability ->> 'contribution' AS agreed,
       u.guarantor, sum(u.amount) AS signed
FROM entries e JOIN claims k ON k.claim_id = e.reference JOIN covers c ON c.cover_id = k.cover_id
JOIN agreements a ON a.ref = c.terms
JOIN undertakings u ON u.facility_id = k.facility_id AND u.creditor = 'bank' AND u.signed_on <= e."on"
    AND (u.released_on IS NULL OR u.released_on > e."on")
WHERE c.partner = $1 AND e.kind = 'claim.paid' AND e."on" BETWEEN $2 AND $3 AND a.liability ->> 'contribution' <> ''
GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 7
"""
# Every month that is over and in which something was recovered, unless both sides confirmed it.
_MONTHS_SQL = """
SELECT DISTINCT c.partner, to_char(e."on", 'YYYY-MM') AS month
FROM entries e JOIN covers c USING (cover_id)
WHERE e.kind = 'recovery.shared' AND e."on" < date_trunc('month', $1::date) AND $2 IN ('', c.partner)
  AND (c.partner, to_char(e."on", 'YYYY-MM')) > ($3, $4)
ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBalance:
    """A month that is over and not yet confirmed by both sides, and who has not spoken or contests it."""

    partner: str
    month: str
    agreed: Agreed
    contested_by: str
    waits_for: tuple[str, ...]


async def recovery_book(tx: Tx, partner_id: str, month: str) -> RecoveryBook:
    """A partner's month; raises NotFound for a partner that was never admitted."""
    await tx.get(PARTNERS, partner_id)
    first, last = days_of(month)
    ways: dict[str, list[Any]] = defaultdict(list)
    for row in await tx.sql(_COVERS_SQL, partner_id, first, last):
        ways[row["agreement"]].append(row)
    rows = await tx.sql(_PARTIES_SQL, partner_id, first, last)
    books = tuple(
        _agreement(code, list(parties), ways.get(code, [])) for code, parties in groupby(rows, lambda r: r["agreement"])
    )
    balance = await tx.find(BALANCES, balance_name(partner_id, month))
    asked = await _contributions(tx, partner_id, first, last)
    return RecoveryBook(
        partner=partner_id,
        month=month,
        digest=digest_of(partner_id, month, books, asked),
        agreed=balance.agreed if balance else Agreed.OPEN,
        words=balance.words if balance else (),
        agreements=books,
        contributions=asked,
    )


async def open_balances(tx: Tx, party: str, after: tuple[str, str], limit: int) -> tuple[OpenBalance, ...]:
    """Months that nobody or only one side confirmed, or that are contested, after (partner, month), oldest first."""
    found: list[OpenBalance] = []
    for row in await tx.sql(_MONTHS_SQL, tx.date, party, *after):
        partner, month = row["partner"], row["month"]
        name = balance_name(partner, month)
        balance = await tx.find(BALANCES, name) or Balance(balance_id=name, partner_id=partner, month=month)
        if balance.agreed is not Agreed.CONFIRMED:
            said = {word.side: word.agreed for word in balance.words}
            found.append(
                OpenBalance(
                    partner=partner,
                    month=month,
                    agreed=balance.agreed,
                    contested_by=next((side for side, it in said.items() if it is Agreed.CONTESTED), ""),
                    waits_for=tuple(side for side in ("bank", partner) if said.get(side) is not Agreed.CONFIRMED),
                )
            )
        if len(found) == limit:
            break
    return tuple(found)


async def _contributions(tx: Tx, partner_id: str, first: date, last: date) -> tuple[Contribution, ...]:
    """What the partner may ask of other guarantors for the claims it paid in these days."""
    claims: dict[str, list[Any]] = defaultdict(list)
    for row in await tx.sql(_GUARANTORS_SQL, partner_id, first, last):
        claims[row["claim_id"]].append(row)
    found: list[Contribution] = []
    for claim_id, rows in claims.items():
        one, others = rows[0], {row["guarantor"]: Money(row["signed"], row["currency"]) for row in rows}
        paid, guaranteed = (Money(one[name], one["currency"]) for name in ("paid", "guaranteed"))
        for guarantor, amount in contributions(one["agreed"], paid, guaranteed, others).items():
            found.append(
                Contribution(facility_id=one["facility_id"], claim_id=claim_id, guarantor=guarantor, amount=amount)
            )
    return tuple(found)


def _agreement(code: str, parties: list[dict[str, Any]], covers: list[dict[str, Any]]) -> AgreementBook:
    currency = parties[0]["currency"]

    def money(amount: Decimal) -> Money:
        return Money(amount, currency)

    ways = [interest_first(*(money(row[name]) for name in ("interest", "before", "back"))) for row in covers]
    return AgreementBook(
        agreement=code,
        costs=total((money(row["costs"]) for row in covers), currency),
        interest=total((interest for interest, _ in ways), currency),
        principal=total((principal for _, principal in ways), currency),
        parties=tuple(
            PartyBook(
                party=row["party"],
                borne=money(row["borne"]),
                back_before=money(row["before"]),
                back=money(row["back"]),
                left=money(row["borne"] - row["before"] - row["back"]),
            )
            for row in parties
        ),
    )
