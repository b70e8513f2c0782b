"""Turns a recorded SBA loan into a Life: recorded facts stay, gaps are filled and labelled, blind to the outcome."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from deploy.demo.generator import invent_books, invent_security
from deploy.demo.lives import (
    Course,
    Default,
    Disposal,
    Life,
    days_before,
    even_plan,
    first_of_month,
    half_year_days,
    last_half_year_day,
    plan_around_default,
    repay,
    spread,
)
from deploy.demo.policies import Assumptions, Draw
from deploy.demo.sba import CURRENCY, Record, replay_assumptions, tenor_months
from libs.kernel.money import Money

PROFILE = "us-sba"
ASSUMED = (
    "identity:placeholder",
    "channel:assumed",
    "tenor:assumed-from-amount",
    "rate:assumed-from-year",
    "years-in-business:synthetic",
    "figures:synthetic",
    "security:synthetic",
)


def life(record: Record, seed: int) -> Life:
    """The record as a Life: recorded facts as they are, the gaps filled by policy and labelled.

    What is known before the decision is drawn from (seed, ref) and never from the outcome.
    """
    terms = replay_assumptions()
    number = record.ref.removeprefix("sba-")
    before = Draw(seed, record.ref, "before")
    years = before.between(terms.span("business", "new_years" if record.new_business else "existing_years"))
    books = invent_books(before, terms, _sales(record, before, terms))
    first = record.amount * before.between(terms.span("security", "appraisal_to_amount"))
    kind = before.row(terms.rows("security"))
    rate = next(row["rate"] for row in terms.rows("rates") if record.approved_on.year <= row["year_max"])
    if record.charged_off and record.charged_off_on and record.first_missed:
        after = Draw(seed, record.ref, "after")
        lost = _default(record.charged_off, record.charged_off_on, record.first_missed, first, terms, after)
        course = _defaulted(record, rate, terms, lost)
    else:
        course = _repaid(record, rate, terms)
    return Life(
        ref=record.ref,
        profile=PROFILE,
        notes=(*ASSUMED, course.note, *record.notes),
        borrower_name=f"Borrower {number}",
        borrower_id_number=f"00-{number}",
        borrower_phone=f"+1-555-{number[-7:-4]}-{number[-4:]}",
        channel=str(before.row(terms.rows("business", "channels"))["code"]),
        branch=f"us-{record.bank_state}",
        region=record.state,
        industry=record.naics,
        employees=record.employees,
        years_in_business=years.quantize(Decimal("0.1")),
        first_time_borrower=record.new_business,
        applied_on=record.approved_on,
        amount=record.amount,
        tenor_months=tenor_months(record.amount, terms),
        annual_rate=rate,
        product=record.product,
        agreement="sba-504" if record.product == "sba-504" else "sba-7a",
        guaranteed=record.guaranteed,
        recorded_decision="approved",
        declared=books.declared,
        investigations=books.investigations,
        sources=books.sources,
        security=invent_security(before, terms, str(kind["kind"]), str(kind["series"]), first),
        drawn=record.drawn,
        disbursed_on=record.disbursed_on,
        schedule=course.schedule,
        repayments=course.repayments,
        default=course.default,
        inspection=None,
    )


def _sales(record: Record, draw: Draw, terms: Assumptions) -> Money:
    """Yearly sales from recorded employees and sector, at least a multiple of the amount."""
    heads = min(max(record.employees, 1), terms.count("figures", "employees_counted_max"))
    known = {row["naics"]: Decimal(row["sales"]) for row in terms.rows("figures", "sales_per_head")}
    per_head = known.get(record.naics, terms.number("figures", "sales_per_head_otherwise"))
    by_heads = Money(per_head * heads, CURRENCY) * draw.between(terms.span("figures", "head_factor"))
    return max(by_heads, record.amount * draw.between(terms.span("figures", "sales_to_amount")))


def _repaid(record: Record, rate: Decimal, terms: Assumptions) -> Course:
    """The file has no pay-off date: the assumed plan is taken as paid."""
    maturity = last_half_year_day(record.disbursed_on, tenor_months(record.amount, terms))
    days = spread(half_year_days(record.disbursed_on, maturity), terms.count("tenors", "instalments_max"))
    plan = even_plan(record.drawn, days)
    return Course(plan, repay(plan, record.drawn, record.disbursed_on, rate), None, "repayments:assumed-as-planned")


def _defaulted(record: Record, rate: Decimal, terms: Assumptions, lost: Default) -> Course:
    """The recorded loss on its recorded day; the plan is rebuilt so that the rest was paid before it."""
    missed = lost.first_missed
    maturity = last_half_year_day(record.disbursed_on, tenor_months(record.amount, terms))
    early = half_year_days(record.disbursed_on, days_before(missed, 1))
    paid_days = spread(early, terms.count("tenors", "defaulted_paid_instalments_max"))
    later_days = spread(half_year_days(missed, maturity), terms.count("tenors", "defaulted_later_instalments_max"))
    plan, met = plan_around_default(record.drawn, lost.charged_off, missed, paid_days, later_days)
    paid = repay(met, record.drawn, record.disbursed_on, rate)
    return Course(plan, paid, lost, "schedule:rebuilt-from-outcome")


def _default(lost: Money, lost_on: date, missed: date, appraisal: Money, terms: Assumptions, draw: Draw) -> Default:
    price = min(appraisal * draw.between(terms.span("disposal", "price_to_appraisal")), lost)
    costs = price * draw.between(terms.span("disposal", "costs_to_price"))
    on = first_of_month(lost_on + timedelta(days=1), draw.whole(terms.span("disposal", "months")))
    disposal = Disposal(on=on, price=price, costs=costs)
    return Default(first_missed=missed, charged_off_on=lost_on, charged_off=lost, disposal=disposal)
