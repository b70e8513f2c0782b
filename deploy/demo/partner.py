"""A stand-in for guarantee partners: answers cover requests from its book, accepts claims, pays when the clock says so.

Its book is filled beforehand (POST /book) with what each facility's partner will guarantee: in a replay of records,
the recorded guaranteed amount.
"""

from decimal import Decimal
from typing import Any

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from deploy.demo.misbehaviour import Misbehaviour

app = FastAPI(title="Guarantee partner stand-in")
app.add_middleware(Misbehaviour)
_book: dict[str, Decimal] = {}
_covers: dict[str, dict[str, Any]] = {}
_quotes: dict[str, dict[str, Any]] = {}
_claims: dict[str, dict[str, Any]] = {}


class Entry(BaseModel):
    """What the partner is willing to guarantee for one facility; zero declines."""

    facility_ref: str
    guaranteed: Decimal


class CoverRequest(BaseModel):
    """A bank asks for cover."""

    reference: str
    agreement: str
    facility_ref: str
    amount: Decimal
    currency: str
    business_date: str


class Claim(BaseModel):
    """A bank claims its loss."""

    reference: str
    cover_reference: str
    loss: Decimal
    claimed: Decimal
    currency: str
    business_date: str


@app.get("/health/ready")
async def ready() -> dict[str, str]:
    """The stand-in has nothing to wait for."""
    return {"status": "ready"}


@app.post("/book", status_code=204)
async def book(entry: Entry) -> None:
    """Note what will be guaranteed."""
    _book[entry.facility_ref] = entry.guaranteed


@app.post("/covers")
async def cover(request: CoverRequest) -> dict[str, Any]:
    """Answer once per reference, from the book."""
    guaranteed = _book.get(request.facility_ref, Decimal(0))
    answer: dict[str, Any] = {
        "reference": request.reference,
        "accepted": guaranteed > 0,
        "guaranteed": f"{guaranteed:.2f}",
    }
    answer["reason"] = "" if guaranteed > 0 else "declined_by_underwriting"
    return _covers.setdefault(request.reference, answer)


@app.get("/covers/{reference}")
async def show_cover(reference: str) -> dict[str, Any]:
    """The answer given to a reference; 404 when it never arrived."""
    if reference not in _covers:
        raise HTTPException(404)
    return _covers[reference]


@app.post("/quotes")
async def quote(request: CoverRequest) -> dict[str, Any]:
    """Quote what the book allows, at the rate of the agreement."""
    guaranteed = _book.get(request.facility_ref, Decimal(0))
    answer = {
        "offered": guaranteed > 0,
        "guaranteed": f"{guaranteed:.2f}",
        "reason": "" if guaranteed else "no_appetite",
    }
    return _quotes.setdefault(request.reference, answer)


@app.get("/quotes/{reference}")
async def show_quote(reference: str) -> dict[str, Any]:
    """The quote given to a reference; 404 when it never arrived."""
    if reference not in _quotes:
        raise HTTPException(404)
    return _quotes[reference]


@app.post("/claims")
async def claim(request: Claim) -> dict[str, Any]:
    """Accept a claim on a cover that was given here."""
    known = request.cover_reference in _covers and _covers[request.cover_reference]["accepted"]
    answer = {"reference": request.reference, "accepted": known, "reason": "" if known else "no_such_cover"}
    answer["claimed"] = str(request.claimed)
    return _claims.setdefault(request.reference, answer)


@app.get("/claims/{reference}")
async def show_claim(reference: str) -> dict[str, Any]:
    """The answer given to a claim; 404 when it never arrived."""
    if reference not in _claims:
        raise HTTPException(404)
    return _claims[reference]


@app.get("/claims/{reference}/payment")
async def payment(reference: str, on: str) -> dict[str, Any]:
    """Whether an accepted claim has been paid by `on`: this partner pays on the day it is asked."""
    if reference not in _claims or not _claims[reference]["accepted"]:
        raise HTTPException(404)
    return {"paid": True, "receipt": f"R-{reference}", "paid_on": on, "amount": _claims[reference]["claimed"]}


@app.get("/totals")
async def totals() -> dict[str, Any]:
    """What this partner guaranteed and was asked to pay, for reconciliation."""
    guaranteed = sum((Decimal(c["guaranteed"]) for c in _covers.values() if c["accepted"]), Decimal(0))
    claimed = sum((Decimal(c["claimed"]) for c in _claims.values() if c["accepted"]), Decimal(0))
    return {"covers": len(_covers), "guaranteed": str(guaranteed), "claims": len(_claims), "claimed": str(claimed)}
