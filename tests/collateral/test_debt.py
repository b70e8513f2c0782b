"""What secures a debt follows the debt: what is owed, when it is in default, and when security is given back."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.kernel.errors import Refused
from libs.kernel.money import Money
from services.collateral.domain.file import (
    FileStatus,
    LoanBalance,
    LoanStatus,
    SecurityFile,
    check_open,
    close_loan,
    exposure,
    in_default,
    loan_of,
    owed,
    with_loan,
)
from services.collateral.domain.item import Item, ItemStatus, Registration, give_up, perfect


def cny(amount: int) -> Money:
    return Money(Decimal(amount), "CNY")


def loan(loan_id: str, outstanding: int, status: LoanStatus = LoanStatus.PERFORMING) -> LoanBalance:
    return LoanBalance(loan_id=loan_id, outstanding=cny(outstanding), status=status)


def file(*loans: LoanBalance) -> SecurityFile:
    return SecurityFile(
        facility_id="f1", currency="CNY", status=FileStatus.OPEN, requested=cny(500), loans=tuple(loans)
    )


def item(status: ItemStatus) -> Item:
    return Item(
        collateral_id="c1",
        facility_id="f1",
        number=1,
        kind="house",
        currency="CNY",
        declared_value=cny(1000),
        index_series="",
        synthetic=False,
        status=status,
    )


def test_the_amount_asked_for_is_the_exposure_until_something_is_drawn() -> None:
    assert exposure(file()) == cny(500)
    assert owed(file()) is None
    assert exposure(file(loan("l1", 300), loan("l2", 100))) == cny(400)
    with pytest.raises(Refused, match="not_submitted"):
        exposure(SecurityFile(facility_id="f1", currency="CNY"))


@pytest.mark.parametrize(
    ("status", "default"),
    [
        (LoanStatus.PERFORMING, False),
        (LoanStatus.NPL, True),
        (LoanStatus.WRITTEN_OFF, True),
        (LoanStatus.CLOSED, False),
    ],
)
def test_a_written_off_loan_is_still_in_default_and_a_closed_one_is_not(status: LoanStatus, default: bool) -> None:
    assert in_default(file(loan("l1", 100), loan("l2", 100, status))) is default


def test_a_changed_drawdown_replaces_itself_and_a_new_one_comes_last() -> None:
    both = with_loan(file(loan("l1", 100)), loan("l2", 200))
    changed = with_loan(both, loan("l1", 50))
    assert [(one.loan_id, one.outstanding) for one in changed.loans] == [("l1", cny(50)), ("l2", cny(200))]


def test_a_drawdown_that_was_never_paid_out_is_unknown() -> None:
    with pytest.raises(Refused, match="loan_unknown"):
        loan_of(file(), "l9")


def test_the_file_ends_with_its_last_drawdown() -> None:
    first = close_loan(file(loan("l1", 0), loan("l2", 10)), "l1", "repaid")
    assert first.status is FileStatus.OPEN
    assert close_loan(first, "l2", "repaid").status is FileStatus.REPAID
    assert close_loan(first, "l2", "written_off").status is FileStatus.WRITTEN_OFF


@pytest.mark.parametrize("status", [FileStatus.REFUSED, FileStatus.REPAID, FileStatus.WRITTEN_OFF])
def test_nothing_is_filed_on_a_facility_that_ended(status: FileStatus) -> None:
    with pytest.raises(Refused, match="facility_ended"):
        check_open(SecurityFile(facility_id="f1", currency="CNY", status=status))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ItemStatus.OFFERED, ItemStatus.LAPSED),
        (ItemStatus.VALUED, ItemStatus.LAPSED),
        (ItemStatus.PERFECTED, ItemStatus.RELEASED),
        (ItemStatus.DISPOSING, ItemStatus.RELEASED),
        (ItemStatus.DISPOSED, ItemStatus.DISPOSED),
        (ItemStatus.RELEASED, ItemStatus.RELEASED),
        (ItemStatus.LAPSED, ItemStatus.LAPSED),
    ],
)
def test_only_a_held_interest_is_released(before: ItemStatus, after: ItemStatus) -> None:
    assert give_up(item(before)).status is after


def test_registration_needs_an_accepted_value() -> None:
    registration = Registration(registry="r", number="1", rank=1, senior_claims=cny(0))
    with pytest.raises(Refused, match="not_valued"):
        perfect(item(ItemStatus.OFFERED), registration)
