"""A sound borrower whose every number can be varied, and the policies exactly as their files state them."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from libs.events.application import ApplicationSubmitted, Figures, InvestigationReconciled, Profile
from libs.kernel.money import Money
from libs.kernel.policy import Dated
from libs.runtime.policies import read_versions
from services.rating.domain.authenticity import InformationTerms
from services.rating.domain.scorecard import ScorecardTerms
from services.rating.domain.size import SizeTerms
from services.rating.domain.sources import HardFigures, Source, SourceRecord

T = TypeVar("T")
DAY = date(2025, 9, 15)
FACILITY = "f-1"
PROFILES = ("", "-us-sba")


def policy(terms: type[T], name: str) -> Dated[T]:
    """The newest version of `rating/<name>` as its file states it."""
    version = read_versions(f"rating/{name}")[-1]
    return Dated(version.ref, TypeAdapter(terms).validate_python(version.terms))


INFORMATION = policy(InformationTerms, "information")
SIZES = policy(SizeTerms, "size")
SCORECARD = policy(ScorecardTerms, "scorecard")


def vector(id_: str) -> dict[str, Any]:
    """One test vector of the domain rules."""
    rows = json.loads(Path(__file__).with_name("vectors.json").read_text(encoding="utf-8"))
    return next(row for row in rows if row["id"] == id_)


def cny(amount: Decimal | int | str) -> Money:
    return Money(Decimal(amount), "CNY")


def figures(**changed: int) -> Figures:
    """Sales of 12 million a year, all of them on the books of tax office and bank."""
    stated = {
        "annual_sales": 12_000_000,
        "annual_profit": 1_200_000,
        "total_assets": 8_000_000,
        "total_liabilities": 3_200_000,
        "monthly_bank_inflow": 1_000_000,
        "monthly_tax_sales": 1_000_000,
    }
    return Figures(**{name: cny(value) for name, value in (stated | changed).items()})


def profile(**changed: Any) -> Profile:
    sound = Profile(
        industry="industry",
        region="hangzhou",
        employees=60,
        years_in_business=Decimal(10),
        first_time_borrower=False,
    )
    return replace(sound, **changed)


def application(**changed: Any) -> ApplicationSubmitted:
    sound = ApplicationSubmitted(
        facility_id=FACILITY,
        borrower_id="b-1",
        amount=cny(1_500_000),
        tenor_months=12,
        annual_rate=Decimal("0.045"),
        product="working-capital",
        profile=profile(),
        declared=figures(),
        security=(),
        agreement="",
    )
    return replace(sound, **changed)


def findings(found: Figures | None = None) -> InvestigationReconciled:
    return InvestigationReconciled(facility_id=FACILITY, figures=found or figures(), differences=())


def tax(as_of: date = DAY, **stated: Any) -> SourceRecord:
    return SourceRecord(
        source=Source.TAX, as_of=as_of, figures=HardFigures(**{"monthly_tax_sales": cny(1_000_000), **stated})
    )


def bank(as_of: date = DAY, **stated: Any) -> SourceRecord:
    return SourceRecord(
        source=Source.BANK_FLOW, as_of=as_of, figures=HardFigures(**{"monthly_bank_inflow": cny(1_000_000), **stated})
    )


def money_json(money: Money) -> dict[str, str]:
    return {"amount": str(money.amount), "currency": money.currency}


def record_json(record: SourceRecord) -> dict[str, Any]:
    """A record as a data provider would post it."""
    stated = {field.name: getattr(record.figures, field.name) for field in fields(record.figures)}
    body: dict[str, Any] = {name: money_json(value) for name, value in stated.items() if isinstance(value, Money)}
    return {"source": record.source.value, "as_of": record.as_of.isoformat(), "figures": body}
