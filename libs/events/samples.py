"""One example of every event, made from the types of its fields: the same each time, and true to its schema.

Words are codes that really travel; a text field without a word here shows its own name.
"""

from __future__ import annotations

import dataclasses
from datetime import date
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints
from uuid import NAMESPACE_OID, uuid5

from libs.events.incentive import Result
from libs.events.rating import Check
from libs.kernel.money import Money


def sample_id(name: str) -> str:
    """An example of an identifier: the same for the same name."""
    return str(uuid5(NAMESPACE_OID, name))


_PLAIN: dict[Any, Any] = {
    bool: True,
    int: 3,
    Decimal: Decimal("0.05"),
    date: date(2026, 1, 5),
    Money: Money(Decimal("250000.00"), "CNY"),
}
_SPECIAL: dict[str, Any] = {
    "Check.code": "sales_vs_tax",
    "Check.deviation": Decimal("0.05"),
    "Check.result": "passed",
    "Check.source": "tax",
    "CollateralRevalued.change": Decimal("-0.12"),
    "DayClosed.closed": date(2026, 1, 4),
    "ExemptionRefused.results": (
        Result(
            staff="m-qian", role="assistant", result="not_exempt", grounds=("falsified_file",), evidence=("file 7",)
        ),
    ),
    "InformationDisputed.checks": (
        Check(
            code="sales_vs_tax",
            source="tax",
            deviation=Decimal("0.31"),
            tolerance=Decimal("0.20"),
            result="failed",
        ),
    ),
    "InspectionFinding.code": "inspection_late",
    "LoanReclassified.days_past_due": 91,
    "PartOf.party": "bank",
    "ShareOf.party": "bank",
}
"""Where the name of a field alone would say too little: by class and field."""
_WORDS: dict[str, Any] = {
    "after": "substandard",
    "agreement": "reg-4321",
    "approver": "a-wei",
    "assistant": "m-qian",
    "before": "special_mention",
    "branch": "branch",
    "capped_by": "",
    "channel": "tax_platform",
    "characteristic": "leverage",
    "decided_by": "a-wei",
    "evidence": "visit report 2026-01-05",
    "external_ref": "loan-0001",
    "field": "annual_sales",
    "contract_id": "C-2026-0001",
    "employees": 12,
    "grade": "AA",
    "grounds": "no_evidence_of_breach",
    "index_series": "house",
    "industry": "wholesale",
    "inputs": "0.42",
    "inputs key": "leverage",
    "inspector": "i-he",
    "investigator": "m-zhao",
    "kind": "house",
    "lead": "m-zhao",
    "ltv": Decimal("0.62"),
    "advance_rate": Decimal("0.70"),
    "maturity": date(2027, 1, 5),
    "mode": "blind",
    "opinion": "cash flow carries the loan",
    "outcome": "repaid",
    "partner": "huiding",
    "payer": "borrower",
    "product": "working-capital",
    "points": 16,
    "points_max": 20,
    "reached": 41,
    "reached key": "application",
    "reached value key": "0",
    "rank": 1,
    "ratio": Decimal("1.08"),
    "receipt": "receipt-0001",
    "reason": "request_rejected",
    "reasons": "leverage_above_maximum",
    "recommendation": "approve",
    "reference": sample_id("loan_id"),
    "region": "east",
    "registration_no": "R-2026-0001",
    "resolved_by": "",
    "result": "exempt_full",
    "reviewer": "r-feng",
    "risk_class": "special_mention",
    "role": "lead",
    "score": 83,
    "size_class": "small",
    "source": "collateral",
    "staff": "m-zhao",
    "synthetic": False,
    "tenor_months": 12,
    "tolerance": Decimal("0.20"),
    "trigger": "watch",
    "valid_until": date(2027, 1, 5),
    "weight": Decimal(2),
    "yardstick": "incentive/exemption@2024-08-02",
    "years_in_business": Decimal("6.5"),
}


def sample(body: type) -> Any:
    """An example of an event body, or of a record inside one, with every field filled."""
    hints = get_type_hints(body)
    fields = [field.name for field in dataclasses.fields(body)]
    return body(**{name: _value(hints[name], name, body.__name__) for name in fields})


def _value(hint: Any, name: str, owner: str) -> Any:
    special = f"{owner}.{name}"
    if special in _SPECIAL:
        return _SPECIAL[special]
    origin, args = get_origin(hint), get_args(hint)
    if origin is UnionType:  # what may be absent
        return _value(next(arg for arg in args if arg is not NoneType), name, owner)
    if origin is tuple:
        return tuple(_value(arg, name, owner) for arg in args if arg is not Ellipsis)
    if origin is dict:
        return {_value(args[0], f"{name} key", owner): _value(args[1], _inner(name, args[1]), owner)}
    return _plain(hint, name)


def _plain(hint: type, name: str) -> Any:
    if name in _WORDS and isinstance(_WORDS[name], hint):
        return _WORDS[name]
    if hint is str:
        return sample_id(name) if name.endswith("_id") else name
    return _PLAIN[hint] if hint in _PLAIN else sample(hint)


def _inner(name: str, hint: Any) -> str:
    """What to call the values of a map: a map of maps has keys of its own inside."""
    return f"{name} value" if get_origin(hint) is dict else name.removesuffix(" value")
