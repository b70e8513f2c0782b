"""The door for people and systems: data providers deliver hard data, everyone at the bank may read a rating."""

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.kernel.money import Money
from libs.runtime.auth import BANK
from libs.runtime.http import Day, Door, MoneyIn
from libs.runtime.reading import ReadDoor
from services.rating import commands, views
from services.rating.domain.sources import HardFigures, Product, Source, SourceRecord

router = APIRouter(prefix="/v1")
FacilityId = Annotated[str, Path(min_length=1, max_length=64)]
PRODUCTS_MAX = 100
_FORBID = ConfigDict(extra="forbid")
_LIMIT = Decimal("1e12")


class SignedMoneyIn(BaseModel):
    """An amount that may be a loss: a signed decimal with at most two decimals, and a currency."""

    model_config = _FORBID

    amount: Annotated[Decimal, Field(gt=-_LIMIT, lt=_LIMIT, decimal_places=2, allow_inf_nan=False)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]

    def money(self) -> Money:
        """The amount as the domain knows it."""
        return Money(self.amount, self.currency)


class ProductIn(BaseModel):
    """One product line of the invoices."""

    model_config = _FORBID

    cost: Annotated[Decimal, Field(ge=0, lt=_LIMIT, decimal_places=8)]
    price: Annotated[Decimal, Field(gt=0, lt=_LIMIT, decimal_places=8)]
    sales_share: Annotated[Decimal, Field(ge=0, le=1, decimal_places=8)]

    def product(self) -> Product:
        """The line as the domain knows it."""
        return Product(cost=self.cost, price=self.price, sales_share=self.sales_share)


class HardFiguresIn(BaseModel):
    """What a source states; a tax record needs monthly_tax_sales, a bank-flow record monthly_bank_inflow."""

    model_config = _FORBID

    annual_sales: MoneyIn | None = None
    annual_profit: SignedMoneyIn | None = None
    total_assets: MoneyIn | None = None
    total_liabilities: MoneyIn | None = None
    monthly_bank_inflow: MoneyIn | None = None
    monthly_tax_sales: MoneyIn | None = None
    operating_cash_flow: SignedMoneyIn | None = None
    debt_service: MoneyIn | None = None
    opening_equity: SignedMoneyIn | None = None
    injections: MoneyIn | None = None
    appreciation: MoneyIn | None = None
    withdrawals: MoneyIn | None = None
    depreciation: MoneyIn | None = None
    products: Annotated[list[ProductIn], Field(max_length=PRODUCTS_MAX)] = []

    def figures(self) -> HardFigures:
        """The figures as the domain knows them."""
        stated: dict[str, Money] = {
            name: value.money()
            for name in type(self).model_fields
            if isinstance(value := getattr(self, name), MoneyIn | SignedMoneyIn)
        }
        return HardFigures(**stated, products=tuple(line.product() for line in self.products))


class SourceRecordIn(BaseModel):
    """One record of one hard source as it stood on `as_of`."""

    model_config = _FORBID

    source: Source
    figures: HardFiguresIn
    as_of: Day

    def record(self) -> SourceRecord:
        """The record as the domain knows it; raises Invalid."""
        return SourceRecord(source=self.source, as_of=self.as_of, figures=self.figures.figures())


@router.post("/facilities/{facility_id}/source-records", status_code=201, response_model=commands.SourceReceipt)
async def receive_source(facility_id: FacilityId, body: SourceRecordIn, door: Door) -> Response:
    """Deliver a record of hard data; once every fact is in, the borrower is rated with this call."""
    door.require("data_provider")
    return await door.execute(
        lambda tx: commands.receive_source(tx, facility_id, body.record()), keys=[facility_id], status=201
    )


@router.get("/facilities/{facility_id}", response_model=views.FacilitySeen)
async def show_facility(facility_id: FacilityId, door: ReadDoor) -> Response:
    """What rating knows and concluded about one facility."""
    door.require(*BANK)
    return await door.query(lambda tx: views.facility(tx, facility_id), key=facility_id)
