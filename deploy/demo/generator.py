"""Generates a Chinese branch portfolio and price indices from a seed: one seed gives one world, to the cent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from deploy.demo.lives import (
    QUARTER_MONTHS,
    Course,
    Default,
    Disposal,
    Figures,
    IndexMove,
    Inspection,
    Instalment,
    Life,
    Security,
    even_plan,
    first_of_month,
    last_quarter_day,
    quarter_days,
    repay,
    scaled,
    spread,
)
from deploy.demo.policies import Assumptions, Draw, assumptions, span
from libs.kernel.calendar import add_months
from libs.kernel.errors import Invalid
from libs.kernel.money import Money

PROFILE = "cn-branch"
CURRENCY = "CNY"
POLICY = "portfolio"
INDEX_POLICIES = (("cn-", "portfolio", date(2025, 7, 1)), ("us-", "replay-assumptions", date(1970, 1, 1)))
YEAR_MONTHS = 12
ONE = Decimal(1)
ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643-1999 check digit
ID_CHECKS = "10X98765432"
BORN_FROM, BORN_DAYS, BORN_STEP = date(1965, 1, 1), 12_000, 7_919  # a step prime to the days: no date repeats early
FIGURE_COUNT = 6


@dataclass(frozen=True, slots=True)
class Books:
    """One borrower's figures as declared, as two managers found them apart, and as hard sources show them."""

    declared: Figures
    investigations: tuple[Figures, Figures]
    sources: Figures
    disputed: bool


def invent_books(
    draw: Draw,
    terms: Assumptions,
    sales: Money,
    *,
    margin: tuple[Decimal, Decimal] | None = None,
    leverage: tuple[Decimal, Decimal] | None = None,
    overstated: Decimal = Decimal(0),
    believed: Decimal = Decimal(0),
) -> Books:
    """Synthetic books around `sales`: stated higher by `overstated`, found higher by `believed`.

    Fractions, not percent. Reads the policy's [figures] only, so nothing of the loan's outcome can enter.
    """
    truth = _true_figures(draw, terms, sales, margin or terms.span("figures", "margin"), leverage)
    found = _inflated(truth, believed)
    first, second = (_jitter(draw, found, terms.span("figures", "finding_over_truth")) for _ in range(2))
    disputed = draw.happens(terms.number("figures", "disagreement_probability"))
    if disputed:
        apart = ONE + draw.between(terms.span("figures", "disagreement_over_truth"))
        second = replace(second, annual_sales=first.annual_sales * apart, total_assets=first.total_assets * apart)
    return Books(
        declared=_jitter(draw, _inflated(truth, overstated), terms.span("figures", "declared_over_truth")),
        investigations=(first, second),
        sources=_jitter(draw, truth, terms.span("figures", "source_over_truth")),
        disputed=disputed,
    )


def _true_figures(
    draw: Draw,
    terms: Assumptions,
    sales: Money,
    margin: tuple[Decimal, Decimal],
    leverage: tuple[Decimal, Decimal] | None,
) -> Figures:
    assets = sales * draw.between(terms.span("figures", "assets_to_sales"))
    monthly = ONE / YEAR_MONTHS
    return Figures(
        annual_sales=sales,
        annual_profit=sales * draw.between(margin),
        total_assets=assets,
        total_liabilities=assets * draw.between(leverage or terms.span("figures", "leverage")),
        monthly_bank_inflow=sales * (monthly * draw.between(terms.span("figures", "inflow_to_sales"))),
        monthly_tax_sales=sales * (monthly * draw.between(terms.span("figures", "tax_to_sales"))),
    )


def _inflated(figures: Figures, part: Decimal) -> Figures:
    """Sales, profit and what should follow from them stated higher; the balance sheet as it is."""
    up = ONE + part
    return scaled(figures, (up, up, ONE, ONE, up, up))


def _jitter(draw: Draw, figures: Figures, ends: tuple[Decimal, Decimal]) -> Figures:
    return scaled(figures, [ONE + draw.between(ends) for _ in range(FIGURE_COUNT)])


def invent_security(draw: Draw, terms: Assumptions, kind: str, series: str, first: Money) -> Security:
    """A security whose first appraisal is `first`; the second and the owner's own value are drawn around it."""
    second = first * (ONE + draw.between(terms.span("security", "second_appraisal_over_first")))
    declared = first * (ONE + draw.between(terms.span("security", "declared_over_first")))
    return Security(kind=kind, declared_value=declared, appraisals=(first, second), index_series=series)


def generate(count: int, seed: int, start: date = date(2025, 9, 1)) -> Iterator[Life]:
    """`count` lives in application order, on the Mondays of the policy's first weeks from `start`.

    Raises Invalid when a life would leave the policy's window of business dates.
    """
    terms = assumptions(POLICY, start)
    monday = start + timedelta(days=-start.weekday() % 7)
    weeks = terms.count("window", "approval_weeks")
    for index in range(count):
        applied_on = monday + timedelta(weeks=index * weeks // count)
        life = _life(index, Draw(seed, index), terms, applied_on)
        if applied_on < terms.day("window", "first") or life.ends_on > terms.day("window", "last"):
            raise Invalid("outside_window", f"{life.ref} from {applied_on} to {life.ends_on}")
        yield life


@dataclass(frozen=True, slots=True)
class _Facts:
    """How sound a borrower is in truth; `weak` raises the chance of default, nothing else reads it."""

    sales_to_amount: Decimal
    leverage: tuple[Decimal, Decimal]
    years: Decimal
    overstated: Decimal
    believed: Decimal
    weak: bool


def _facts(draw: Draw, terms: Assumptions) -> _Facts:
    def strikes(weakness: str) -> bool:
        return draw.happens(terms.number("weakness", f"{weakness}_probability"))

    thin, indebted, young, overstates = map(strikes, ("thin_sales", "over_indebted", "young", "overstated"))
    times = terms.span("weakness", "thin_sales_to_amount") if thin else terms.span("figures", "sales_to_amount")
    years = terms.span("weakness", "young_years") if young else terms.span("borrower", "years_in_business")
    overstated = draw.between(terms.span("weakness", "overstated_over_truth")) if overstates else Decimal(0)
    return _Facts(
        sales_to_amount=draw.between(times),
        leverage=terms.span("weakness", "over_indebted_leverage") if indebted else terms.span("figures", "leverage"),
        years=draw.between(years).quantize(Decimal("0.1")),
        overstated=overstated,
        believed=overstated if strikes("overstatement_believed") else Decimal(0),
        weak=thin or indebted or young or overstates,
    )


def _life(index: int, draw: Draw, terms: Assumptions, applied_on: date) -> Life:
    facts = _facts(draw, terms)
    amount = _amount(draw, terms)
    months = int(draw.row(terms.rows("tenors"))["months"])
    agreement = _agreement(draw, terms, amount, months)
    industry, place = draw.row(terms.rows("industries")), draw.row(terms.rows("places"))
    sales = amount * facts.sales_to_amount
    margin = span(industry["margin"])
    books = invent_books(
        draw, terms, sales, margin=margin, leverage=facts.leverage, overstated=facts.overstated, believed=facts.believed
    )
    kind = draw.row(terms.rows("security"))
    worth = amount * (ONE / (kind["ceiling"] * draw.between(terms.span("security", "ceiling_used"))))
    series = str(kind["series"]).format(region=place["region"])
    security = invent_security(draw, terms, str(kind["kind"]), series, _rounded(worth, terms))
    rate = terms.number("rates", "prime") + draw.between(terms.span("rates", "spread"))
    rate = rate.quantize(Decimal("0.0001"))
    drawn = _drawn(draw, terms, amount)
    disbursed_on = applied_on + timedelta(weeks=1)  # a Monday again: no business date of its own
    course = _course(draw, terms, drawn, disbursed_on, months, rate, security, facts)
    return Life(
        ref=f"cn-{index:06d}",
        profile=PROFILE,
        notes=("life:generated", course.note),
        borrower_name=f"{place['city']}{draw.word(terms.words('places', 'given'))}示例{industry['trade']}有限公司",
        borrower_id_number=_id_number(str(place["id_region"]), index),
        borrower_phone=f"199{index:08d}",
        channel=str(draw.row(terms.rows("channels"))["code"]),
        branch=str(place["branch"]),
        region=str(place["region"]),
        industry=str(industry["code"]),
        employees=max(1, int(sales.amount / industry["sales_per_head"])),
        years_in_business=facts.years,
        first_time_borrower=draw.happens(terms.number("borrower", "first_time_probability")),
        applied_on=applied_on,
        amount=amount,
        tenor_months=months,
        annual_rate=rate,
        product=str(kind["product"]),
        agreement=str(agreement["code"]),
        guaranteed=amount * Decimal(agreement["partner_share"]),
        recorded_decision="",
        declared=books.declared,
        investigations=books.investigations,
        sources=books.sources,
        security=security,
        drawn=drawn,
        disbursed_on=disbursed_on,
        schedule=course.schedule,
        repayments=course.repayments,
        default=course.default,
        inspection=None if books.disputed else _inspection(draw, terms, disbursed_on, course),
    )


def _amount(draw: Draw, terms: Assumptions) -> Money:
    band = draw.row(terms.rows("amounts", "bands"))
    return _rounded(Money(draw.between((Decimal(band["low"]), Decimal(band["high"]))), CURRENCY), terms)


def _rounded(money: Money, terms: Assumptions) -> Money:
    """To whole units of the policy (10,000): nobody applies for, or appraises at, odd cents."""
    unit = terms.number("amounts", "unit")
    return Money((money.amount / unit).to_integral_value() * unit, CURRENCY)


def _drawn(draw: Draw, terms: Assumptions, amount: Money) -> Money:
    if not draw.happens(terms.number("amounts", "partly_drawn_probability")):
        return amount
    part = _rounded(amount * draw.between(terms.span("amounts", "partly_drawn")), terms)
    return min(part, amount)


def _agreement(draw: Draw, terms: Assumptions, amount: Money, months: int) -> Mapping[str, Any]:
    """One of the agreements whose own limits admit the loan; the row without code asks for no cover."""
    admitted = [
        row for row in terms.rows("agreements") if amount.amount <= row["amount_max"] and months <= row["months_max"]
    ]
    return draw.row(admitted)


def _id_number(region: str, index: int) -> str:
    """Eighteen characters with a right check digit in a region that does not exist: nobody's number, no two alike."""
    born = BORN_FROM + timedelta(days=index * BORN_STEP % BORN_DAYS)
    body = f"{region}{born:%Y%m%d}{index % 1000:03d}"
    return body + ID_CHECKS[sum(int(digit) * weight for digit, weight in zip(body, ID_WEIGHTS, strict=True)) % 11]


def _course(
    draw: Draw,
    terms: Assumptions,
    drawn: Money,
    disbursed_on: date,
    months: int,
    rate: Decimal,
    security: Security,
    facts: _Facts,
) -> Course:
    """The plan never depends on the outcome; a default pays the rows before the missed one and none after."""
    settled = disbursed_on + timedelta(days=terms.count("tenors", "first_instalment_days_min") - 1)
    days = quarter_days(settled, last_quarter_day(disbursed_on, months))
    plan = even_plan(drawn, spread(days, terms.count("tenors", "instalments_max")))
    chance = terms.number("default", "weak_probability" if facts.weak else "probability")
    if not draw.happens(chance):
        return Course(plan, repay(plan, drawn, disbursed_on, rate), None, "outcome:generated-repaid")
    kept = draw.whole((Decimal(0), Decimal(len(plan) - 1)))
    lost = _default(draw, terms, plan[kept:], security)
    return Course(plan, repay(plan[:kept], drawn, disbursed_on, rate), lost, "outcome:generated-default")


def _default(draw: Draw, terms: Assumptions, unpaid: tuple[Instalment, ...], security: Security) -> Default:
    missed = unpaid[0].due
    off_on = _month_end(add_months(missed, draw.whole(terms.span("default", "write_off_months"))))
    price = security.appraisals[0] * draw.between(terms.span("disposal", "price_to_appraisal"))
    return Default(
        first_missed=missed,
        charged_off_on=off_on,
        charged_off=sum((row.principal for row in unpaid[1:]), unpaid[0].principal),
        disposal=Disposal(
            on=first_of_month(off_on + timedelta(days=1), draw.whole(terms.span("default", "disposal_months"))),
            price=price,
            costs=price * draw.between(terms.span("disposal", "costs_to_price")),
        ),
    )


def _month_end(day: date) -> date:
    return add_months(day.replace(day=1), 1) - timedelta(days=1)


def _inspection(draw: Draw, terms: Assumptions, disbursed_on: date, course: Course) -> Inspection | None:
    """A few defaults turn out to rest on files the lead manager falsified; some other loans are looked at routinely.

    Not asked for a disputed file: a third person has looked into it already.
    """
    if course.default and draw.happens(terms.number("default", "falsified_probability")):
        on = add_months(course.default.first_missed, terms.count("default", "falsified_after_months"))
        return Inspection(on=on, finding="falsified_file", against="lead")
    if draw.happens(terms.number("default", "routine_inspection_probability")):
        return Inspection(on=quarter_days(disbursed_on, course.schedule[-1].due)[0], finding="in_order")
    return None


def indices(lives: Iterable[Life], seed: int) -> tuple[IndexMove, ...]:
    """Every price index the lives use, from 100 on the first application to the last day anything happens.

    Ordered by day, then series. Raises Invalid for a series no policy knows.
    """
    known = list(lives)
    if not known:
        return ()
    first, last = min(life.applied_on for life in known), max(life.ends_on for life in known)
    series = sorted({life.security.index_series for life in known})
    moves = [move for name in series for move in _path(name, first, last, seed)]
    return tuple(sorted(moves, key=lambda move: (move.on, move.series)))


def _path(series: str, first: date, last: date, seed: int) -> Iterator[IndexMove]:
    """One series: a drift at each step, a fall where the policy dates one. Steps are settlement days."""
    terms, shape = _index_shape(series)
    draw, level = Draw(seed, "index", series), Decimal(100)
    yield IndexMove(series=series, on=first, value=level)
    falls = {fall["on"]: span(fall["move"]) for fall in shape["falls"]}
    step = terms.count("indices", "every_months")
    for on in quarter_days(first, last):
        if (on.month - QUARTER_MONTHS[0]) % step == 0:  # every quarter, or every March
            level = (level * (ONE + draw.between(falls.get(on, span(shape["drift"]))))).quantize(Decimal("0.0001"))
            yield IndexMove(series=series, on=on, value=level)


def _index_shape(series: str) -> tuple[Assumptions, Mapping[str, Any]]:
    for prefix, policy, on in INDEX_POLICIES:
        if series.startswith(prefix):
            terms = assumptions(policy, on)
            for row in terms.rows("indices"):
                if series.startswith(row["prefix"]):
                    return terms, row
    raise Invalid("index_unknown", series)
