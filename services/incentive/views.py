"""What incentive tells: a facility's loans with pay and case, one person's pay account, and the balanced ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from libs.kernel.errors import NotFound
from libs.kernel.money import Money
from libs.runtime.tx import Tx
from services.incentive import store
from services.incentive.domain.ledger import Account
from services.incentive.domain.loan_file import LoanFile


@dataclass(frozen=True, slots=True, kw_only=True)
class FacilityView:
    """The files of a facility's loans, and the ids of the cases that are open past their due day."""

    facility_id: str
    loans: tuple[LoanFile, ...]
    overdue_cases: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """The sum of one account; debit is positive, so what was paid or is owed to a person is negative."""

    account: Account
    balance: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class PayAccount:
    """One person's balances over all loans."""

    staff_id: str
    balances: tuple[Balance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerView:
    """Every account's balance, and their sum per currency: zero, always."""

    balances: tuple[Balance, ...]
    sums: tuple[Money, ...]


async def facility(tx: Tx, facility_id: str) -> FacilityView:
    """The facility's loan files; NotFound when none was disbursed."""
    files = await tx.of(store.FILES, facility_id)
    if not files:
        raise NotFound("not_found", f"no loan was disbursed under {facility_id}")
    late = tuple(file.case.case_id for file in files if file.case is not None and file.case.is_overdue(tx.date))
    return FacilityView(facility_id=facility_id, loans=files, overdue_cases=late)


async def pay_account(tx: Tx, staff_id: str) -> PayAccount:
    """The balances of one person; NotFound when nothing was ever posted for them."""
    rows = await tx.sql(
        "SELECT account, currency, sum(amount) AS amount FROM ledger WHERE staff = $1"
        " GROUP BY account, currency ORDER BY account, currency",
        staff_id,
    )
    if not rows:
        raise NotFound("not_found", f"no pay was ever posted for {staff_id}")
    return PayAccount(staff_id=staff_id, balances=_balances(rows))


async def ledger(tx: Tx) -> LedgerView:
    """The balances of all accounts; a full scan, because running totals would make every facility wait for one row."""
    rows = await tx.sql(
        "SELECT account, currency, sum(amount) AS amount FROM ledger GROUP BY account, currency"
        " ORDER BY account, currency"
    )
    balances = _balances(rows)
    sums: dict[str, Money] = {}
    for row in balances:
        known = sums.get(row.balance.currency, row.balance.zero)
        sums[row.balance.currency] = known + row.balance
    return LedgerView(balances=balances, sums=tuple(sums.values()))


def _balances(rows: list[dict[str, Any]]) -> tuple[Balance, ...]:
    return tuple(
        Balance(account=Account(row["account"]), balance=Money(row["amount"], row["currency"])) for row in rows
    )
