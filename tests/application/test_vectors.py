"""The published and hand-checked cases of the lending rules, run as they stand in vectors.json."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from libs.kernel.money import Money
from libs.runtime.policies import read_versions
from services.application.domain.classification import ClassificationTerms, RiskClass, class_by_days
from services.application.domain.pricing import (
    PricingTerms,
    break_even_rate,
    economic_capital,
    expected_loss,
    net_profit,
    raroc,
)
from services.application.domain.provision import ProvisionTerms, adequacy

CASES: dict[str, dict[str, Any]] = {
    case["id"]: case for case in json.loads(Path(__file__).with_name("vectors.json").read_text(), parse_float=Decimal)
}


def percent(ratio: Decimal | None, places: str) -> str:
    assert ratio is not None
    return f"{(ratio * 100).quantize(Decimal(places))}%"


def test_cls_01_days_past_due_give_the_floor_class() -> None:
    case = CASES["CLS-01"]
    terms = ClassificationTerms(**read_versions("application/classification")[0].terms)
    assert [class_by_days(days, terms) for days in case["input"]["dpd"]] == case["expected"]["cls"]


def test_prv_01_reserves_against_the_whole_book() -> None:
    given, expected = CASES["PRV-01"]["input"], CASES["PRV-01"]["expected"]
    terms = ProvisionTerms(**read_versions("application/provisions")[0].terms)
    names = {
        "normal": RiskClass.NORMAL,
        "special": RiskClass.SPECIAL_MENTION,
        "sub": RiskClass.SUBSTANDARD,
        "doubt": RiskClass.DOUBTFUL,
        "loss": RiskClass.LOSS,
    }
    balances = {risk_class: Money(Decimal(given[name]), "CNY") for name, risk_class in names.items()}
    found = adequacy(balances, Money(Decimal(given["reserves"]), "CNY"), terms)
    assert found.specific.amount == Decimal(expected["specific"])
    assert found.general.amount == Decimal(expected["general"])
    assert found.required.amount == Decimal(expected["required_reserve"])
    assert found.shortfall.amount == Decimal(expected["shortfall"])
    assert percent(found.npl_ratio, "0.001") == expected["npl_ratio"]
    assert percent(found.coverage, "0.01") == expected["coverage"]
    assert percent(found.reserve_to_loans, "0.001") == expected["loan_provision_ratio"]


def test_prc_01_the_break_even_rate_just_earns_the_hurdle() -> None:
    given, expected = CASES["PRC-01"]["input"], CASES["PRC-01"]["expected"]
    terms = PricingTerms(
        lgd=given["lgd"],
        funding_rate=given["ftp"],
        operating_rate=given["opex"],
        risk_weight=given["rw"],
        capital_ratio=given["capital"],
        tax_rate=given["tax"],
        hurdle=given["hurdle"],
    )
    exposure = Decimal(given["ead"])
    rate = break_even_rate(given["pd"], terms)
    profit = net_profit(exposure, rate, given["pd"], terms)
    capital = economic_capital(exposure, terms)
    assert expected_loss(exposure, given["pd"], terms) == Decimal(expected["el"])
    assert capital == Decimal(expected["ec"])
    assert percent(rate, "0.001") == expected["rate"]
    assert (rate - given["lpr"]) * 10_000 == Decimal(expected["spread_bp"])
    assert profit == Decimal(expected["net_profit"])
    assert profit - capital * given["hurdle"] == Decimal(expected["eva"])


def test_prc_03_risk_adjusted_return_on_capital() -> None:
    given, expected = CASES["PRC-03"]["input"], CASES["PRC-03"]["expected"]
    found = raroc(Decimal(given["income"]), Decimal(given["cost"]), Decimal(given["el"]), Decimal(given["ec"]))
    assert percent(found, "0.001") == expected["raroc"]
