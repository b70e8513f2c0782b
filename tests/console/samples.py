"""Made-up events for the console's tests: any type of the catalogue, and the story of one loan that went wrong."""

from __future__ import annotations

import dataclasses
from datetime import date
from decimal import Decimal
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from libs.events import application as app
from libs.events import collateral, guarantee, incentive, rating
from libs.events.envelope import kind_of
from libs.kernel.money import Money
from libs.runtime.inbound import Arrival, read_meta
from libs.runtime.tx import adapter_of
from services.console.domain.story import Told
from tests.harness.bench import key_of

DAY = date(2025, 9, 1)


def cny(amount: str) -> Money:
    return Money(Decimal(amount), "CNY")


_PLAIN: dict[Any, Any] = {
    str: "word",
    int: 7,
    bool: True,
    Decimal: Decimal("0.25"),
    date: DAY,
    Money: cny("1234567.80"),
}


def _any(hint: Any, text: str) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if hint is str:
        return text
    if hint in _PLAIN:
        return _PLAIN[hint]
    if origin in (Union, UnionType):
        return _any(args[0], text)
    if origin is tuple:
        return tuple(_any(arg, text) for arg in args if arg is not Ellipsis)
    if origin is dict:
        return {"one": _any(args[1], text)}
    return sample(hint, text=text)


def sample(body: type, *, text: str = "word", **fields: Any) -> Any:
    """An event body with every field filled; every text is `text`. What concerns a partner has no `facility_id`."""
    hints = get_type_hints(body)
    filled = {field.name: _any(hints[field.name], text) for field in dataclasses.fields(body)}
    if "facility_id" not in filled:
        fields.pop("facility_id", None)
    return body(**{**filled, **fields})


def told(body: Any, sequence: int, *, on: date = DAY, cause: str = "", event_id: str = "") -> Told:
    """A body as the console keeps it."""
    kind = kind_of(body)
    return Told(
        event_id=event_id or f"{kind.topic}-{sequence}",
        key=key_of(body),
        topic=kind.topic,
        sequence=sequence,
        type=kind.type,
        business_date=on,
        actor="someone",
        org="b1",
        policy="",
        cause=cause,
        body=adapter_of(kind.body).dump_python(body, mode="json"),
    )


def arrival(body: Any, sequence: int, *, number: int = 0) -> Arrival:
    """A body as it comes from the broker, with the sequence its publisher gave it; `number` tells equal ones apart."""
    kind = kind_of(body)
    headers = {
        "ce_id": f"{kind.type}-{key_of(body)}-{sequence}-{number}",
        "ce_type": kind.type,
        "ce_source": f"/silverbear/{kind.topic}",
        "ce_partitionkey": key_of(body),
        "ce_sequence": str(sequence),
        "ce_businessdate": DAY.isoformat(),
        "ce_time": "2026-01-01T00:00:00+00:00",
    }
    payload = adapter_of(kind.body).dump_json(body).decode()
    return Arrival(kind.topic, 0, sequence, headers, payload, read_meta(headers))


def bad_loan(facility_id: str) -> list[tuple[date, list[Any]]]:
    """What each publisher said of one loan that went bad, day by day; within a day topics may come in any order."""
    ids = {"facility_id": facility_id, "loan_id": "loan-1"}

    def of(body: type, **fields: Any) -> Any:
        names = {field.name for field in dataclasses.fields(body)}
        return sample(body, **{**{name: value for name, value in ids.items() if name in names}, **fields})

    return [
        (
            date(2025, 9, 1),
            [
                of(app.ReferralReceived, external_ref="ref-1", branch="b1", channel="guild"),
                of(app.ApplicationSubmitted, amount=cny("800000")),
                of(collateral.CollateralOffered),
            ],
        ),
        (date(2025, 9, 3), [of(app.InvestigationReconciled), of(rating.RatingAssigned), of(guarantee.CoverBound)]),
        (
            date(2025, 9, 4),
            [
                of(app.ApplicationReviewed),
                of(app.ApplicationApproved),
                of(app.FacilityGranted, limit=cny("750000")),
                of(app.ContractSigned),
                of(app.DrawdownRequested),
                of(app.LoanDisbursed),
                of(incentive.ResultAccrued),
            ],
        ),
        (
            date(2026, 1, 5),
            [
                of(app.LoanOverdue),
                of(app.LoanReclassified, after="special_mention", npl=False, days_past_due=1),
                of(guarantee.ClaimFiled),
            ],
        ),
        (date(2026, 4, 8), [of(app.LoanReclassified, after="substandard", npl=True), of(incentive.CaseOpened)]),
        (date(2026, 8, 8), [of(app.LoanWrittenOff)]),
    ]
