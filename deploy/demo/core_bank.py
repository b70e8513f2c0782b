"""A stand-in for core banking: pays each disbursement once per reference, and answers when asked by reference."""

from collections import Counter
from decimal import Decimal
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

from deploy.demo.misbehaviour import Misbehaviour

app = FastAPI(title="Core banking stand-in")
app.add_middleware(Misbehaviour)
_paid: dict[str, dict[str, Any]] = {}
_orders: Counter[str] = Counter()


class Disbursement(BaseModel):
    """An order to pay."""

    reference: Annotated[str, Field(min_length=1, max_length=200)]
    facility_ref: str
    amount: Annotated[Decimal, Field(gt=0)]
    currency: str
    business_date: str


@app.get("/health/ready")
async def ready() -> dict[str, str]:
    """The stand-in has nothing to wait for."""
    return {"status": "ready"}


@app.post("/disbursements")
async def disburse(order: Disbursement) -> dict[str, Any]:
    """Pay once; a repeat of the reference gets the first answer."""
    _orders[order.reference] += 1
    amount = {"amount": str(order.amount), "currency": order.currency}
    first = {"reference": order.reference, "facility_ref": order.facility_ref, "status": "paid", **amount}
    return _paid.setdefault(order.reference, first)


@app.get("/disbursements/{reference}")
async def inquire(reference: str) -> dict[str, Any]:
    """What became of a reference; 404 when it never arrived."""
    if reference not in _paid:
        raise HTTPException(404)
    return _paid[reference]


@app.get("/orders")
async def orders() -> list[dict[str, Any]]:
    """Every reference with what was paid and how often it was ordered: one that never asks first orders twice."""
    return [{**paid, "times": _orders[reference]} for reference, paid in _paid.items()]


@app.get("/totals")
async def totals() -> dict[str, Any]:
    """How many orders were paid and how much, for reconciliation."""
    return {"count": len(_paid), "amount": str(sum((Decimal(paid["amount"]) for paid in _paid.values()), Decimal(0)))}
