"""The door for the whole book under cover: what it is expected to cost whom, and under stress."""

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Query, Response

from libs.runtime.reading import ReadDoor
from services.guarantee.views import portfolio as views

router = APIRouter(prefix="/v1")
Factor = Annotated[Decimal, Query(ge=1, le=100, max_digits=7, decimal_places=4)]


@router.get("/cover-portfolio", response_model=tuple[views.PortfolioView, ...])
async def show_portfolio(door: ReadDoor, pd_factor: Factor = Decimal(1), lgd_factor: Factor = Decimal(1)) -> Response:
    """Who bears what of a year's loss on all loans under cover: expected, and with PD and LGD times these factors
    (risk_director, auditor).
    """
    door.require("risk_director", "auditor")
    door.require_head_office()
    return await door.query(lambda tx: views.portfolio(tx, pd_factor, lgd_factor))
