"""What the world knows about one loan, as plain data: a Life that contradicts itself cannot be made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from decimal import Decimal

from libs.kernel.calendar import add_months
from libs.kernel.errors import Invalid
from libs.kernel.money import CENT, Money, split, total

QUARTER_MONTHS = (3, 6, 9, 12)
HALF_YEAR_MONTHS = (6, 12)
SETTLEMENT_DAY = 20  # Chinese banks settle interest on the 20th; the replay keeps the same few days
YEAR_DAYS = 360  # interest per day is the yearly rate / 360
REPAYMENTS_MAX, INSTALMENTS_MAX = 4, 5  # what the driver is built to carry for one life


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """A borrower's books as somebody states them; monthly ones are averages of the last twelve months."""

    annual_sales: Money
    annual_profit: Money
    total_assets: Money
    total_liabilities: Money
    monthly_bank_inflow: Money
    monthly_tax_sales: Money


@dataclass(frozen=True, kw_only=True, slots=True)
class Security:
    """What is offered, what its owner says it is worth, what two appraisers say, and the index it moves with."""

    kind: str
    declared_value: Money
    appraisals: tuple[Money, Money]
    index_series: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Instalment:
    """One row of the contract's plan."""

    due: date
    principal: Money


@dataclass(frozen=True, kw_only=True, slots=True)
class Repayment:
    """Money that came in."""

    on: date
    principal: Money
    interest: Money


@dataclass(frozen=True, kw_only=True, slots=True)
class Disposal:
    """The security's sale: a price and what selling cost, never more than the price."""

    on: date
    price: Money
    costs: Money


@dataclass(frozen=True, kw_only=True, slots=True)
class Default:
    """How it went wrong: the first due date that was missed, the write-off, the sale after it."""

    first_missed: date
    charged_off_on: date
    charged_off: Money
    disposal: Disposal


@dataclass(frozen=True, slots=True)
class Course:
    """How a loan runs from disbursement on, and the label that says where that comes from."""

    schedule: tuple[Instalment, ...]
    repayments: tuple[Repayment, ...]
    default: Default | None
    note: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """A later look at the file: finding `in_order` against nobody, or `falsified_file` against a role (`lead`)."""

    on: date
    finding: str
    against: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexMove:
    """A price index published on a day; the series starts at 100."""

    series: str
    on: date
    value: Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class Life:
    """One loan from application to end. `notes` label what is synthetic, assumed or corrected.

    `recorded_decision` is "approved", "refused" or "" (the platform's own review decides). Everything from `drawn`
    on is the future: nothing that decides about the loan may see it. Raises Invalid if the parts contradict.
    """

    ref: str
    profile: str
    notes: tuple[str, ...]
    borrower_name: str
    borrower_id_number: str
    borrower_phone: str
    channel: str
    branch: str
    region: str
    industry: str
    employees: int
    years_in_business: Decimal
    first_time_borrower: bool
    applied_on: date
    amount: Money
    tenor_months: int
    annual_rate: Decimal
    product: str
    agreement: str
    guaranteed: Money
    recorded_decision: str
    declared: Figures
    investigations: tuple[Figures, Figures]
    sources: Figures
    security: Security
    drawn: Money
    disbursed_on: date
    schedule: tuple[Instalment, ...]
    repayments: tuple[Repayment, ...]
    default: Default | None
    inspection: Inspection | None

    def __post_init__(self) -> None:
        if not self.amount.zero < self.drawn <= self.amount:
            raise Invalid("drawn_outside_amount", self.ref)
        if not self.amount.zero <= self.guaranteed <= self.amount or bool(self.guaranteed) != bool(self.agreement):
            raise Invalid("cover_inconsistent", self.ref)
        if self.disbursed_on < self.applied_on:
            raise Invalid("disbursed_before_application", self.ref)
        _check_plan(self)
        if self.default is None:
            _check_repaid(self)
        else:
            _check_defaulted(self, self.default)

    @property
    def ends_on(self) -> date:
        """The last day on which anything is known to happen to this loan."""
        days = [row.due for row in self.schedule] + [row.on for row in self.repayments]
        if self.default:
            days += [self.default.charged_off_on, self.default.disposal.on]
        if self.inspection:
            days.append(self.inspection.on)
        return max(days)


def _check_plan(life: Life) -> None:
    dues, paid = [row.due for row in life.schedule], [row.on for row in life.repayments]
    if not 1 <= len(dues) <= INSTALMENTS_MAX or len(paid) > REPAYMENTS_MAX:
        raise Invalid("too_many_rows", life.ref)
    for days in (dues, paid):
        if any(later <= earlier for earlier, later in zip([life.disbursed_on, *days], days, strict=False)):
            raise Invalid("days_not_ascending", life.ref)
    principals = [row.principal for row in life.schedule] + [row.principal for row in life.repayments]
    if any(principal <= life.drawn.zero for principal in principals):
        raise Invalid("empty_row", life.ref)
    if total((row.principal for row in life.schedule), life.drawn.currency) != life.drawn:
        raise Invalid("schedule_not_drawn", life.ref)


def paid_by(life: Life, day: date) -> Money:
    """Principal received up to and including `day`."""
    return total((row.principal for row in life.repayments if row.on <= day), life.drawn.currency)


def due_by(life: Life, day: date) -> Money:
    """Principal planned up to and including `day`."""
    return total((row.principal for row in life.schedule if row.due <= day), life.drawn.currency)


def _check_repaid(life: Life) -> None:
    if paid_by(life, date.max) != life.drawn:
        raise Invalid("not_repaid", life.ref)
    if any(paid_by(life, row.due) < due_by(life, row.due) for row in life.schedule):
        raise Invalid("repaid_late", life.ref)


def _check_defaulted(life: Life, default: Default) -> None:
    if paid_by(life, date.max) + default.charged_off != life.drawn or default.charged_off <= life.drawn.zero:
        raise Invalid("loss_not_balanced", life.ref)
    late = [row.due for row in life.schedule if paid_by(life, row.due) < due_by(life, row.due)]
    if not late or late[0] != default.first_missed:
        raise Invalid("first_missed_not_planned", life.ref)
    if any(row.on > default.first_missed for row in life.repayments):
        raise Invalid("repaid_after_default", life.ref)
    if not default.first_missed < default.charged_off_on < default.disposal.on:
        raise Invalid("default_out_of_order", life.ref)
    if not life.drawn.zero <= default.disposal.costs <= default.disposal.price:
        raise Invalid("disposal_costs_above_price", life.ref)


def quarter_days(after: date, until: date) -> list[date]:
    """The settlement days (20 March, June, September, December) after `after`, up to and including `until`."""
    days = (date(year, month, SETTLEMENT_DAY) for year in range(after.year, until.year + 1) for month in QUARTER_MONTHS)
    return [day for day in days if after < day <= until]


def half_year_days(after: date, until: date) -> list[date]:
    """The settlement days of June and December after `after`, up to and including `until`; else the quarter's.

    The replay keeps its due dates to these: the fewer business days, the sooner forty years have passed.
    """
    days = quarter_days(after, until)
    return [day for day in days if day.month in HALF_YEAR_MONTHS] or days


def month_settlement_days(after: date, until: date) -> list[date]:
    """The 20th of every month after `after`, up to and including `until`."""
    months = (until.year - after.year) * 12 + until.month - after.month
    first = after.replace(day=SETTLEMENT_DAY)
    days = (add_months(first, count) for count in range(months + 1))
    return [day for day in days if after < day <= until]


def first_of_month(on_or_after: date, months_later: int) -> date:
    """The first 1st of a month on or after the day, moved `months_later` months on."""
    if on_or_after.day != 1:
        on_or_after = add_months(on_or_after.replace(day=1), 1)
    return add_months(on_or_after, months_later)


def spread(days: Sequence[date], count: int) -> list[date]:
    """At most `count` of `days`, evenly apart, the last one always among them."""
    kept = min(count, len(days))
    return [days[(index + 1) * len(days) // kept - 1] for index in range(kept)]


def even_plan(principal: Money, days: Sequence[date]) -> tuple[Instalment, ...]:
    """`principal` in equal parts on `days`; a part that would be less than a cent is left out."""
    used = days[: int(principal.amount / CENT)]
    parts = split(principal, {day: Decimal(1) for day in used}) if used else {}
    return tuple(Instalment(due=day, principal=part) for day, part in parts.items())


def repay(rows: Sequence[Instalment], drawn: Money, disbursed_on: date, annual_rate: Decimal) -> tuple[Repayment, ...]:
    """Each row paid on its due date with simple interest on the open balance since the last payment (/360)."""
    paid, left, since = [], drawn, disbursed_on
    for row in rows:
        interest = left * (annual_rate * (row.due - since).days / YEAR_DAYS)
        paid.append(Repayment(on=row.due, principal=row.principal, interest=interest))
        left, since = left - row.principal, row.due
    return tuple(paid)


def plan_around_default(
    drawn: Money, charged_off: Money, missed: date, paid_days: Sequence[date], later_days: Sequence[date]
) -> tuple[tuple[Instalment, ...], tuple[Instalment, ...]]:
    """A plan that fits a recorded loss, and the rows of it that were paid.

    What was not lost is paid on `paid_days`; with no such day it is a part payment on the missed day itself. What
    was lost falls due on the missed day and `later_days`. Only for records whose real plan is unknown.
    """
    met = even_plan(drawn - charged_off, paid_days)
    lost = even_plan(charged_off, [missed, *later_days])
    if met or drawn == charged_off:
        return (*met, *lost), met
    part = Instalment(due=missed, principal=drawn - charged_off)
    first = Instalment(due=missed, principal=part.principal + lost[0].principal)
    return (first, *lost[1:]), (part,)


def last_half_year_day(disbursed_on: date, tenor_months: int) -> date:
    """The plan's last due date on the half-year days, for tenors of years."""
    return half_year_days(disbursed_on, last_quarter_day(disbursed_on, tenor_months))[-1]


def last_quarter_day(disbursed_on: date, tenor_months: int) -> date:
    """The plan's last due date: the latest settlement day inside the tenor (which must hold one)."""
    until = add_months(disbursed_on, tenor_months)
    days = quarter_days(disbursed_on, until)
    if not days:
        raise Invalid("tenor_too_short", f"{tenor_months} months from {disbursed_on} hold no settlement day")
    return days[-1]


def scaled(figures: Figures, factors: Sequence[Decimal]) -> Figures:
    """Each of the six figures times its factor, in the order of the fields."""
    names = [field.name for field in fields(Figures)]
    return Figures(**{name: getattr(figures, name) * factor for name, factor in zip(names, factors, strict=True)})


def days_before(day: date, count: int) -> date:
    return day - timedelta(days=count)
