"""The door for people and systems: appraisers, managers, the risk director, the index provider, the disposal agent."""

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from libs.runtime.auth import BANK
from libs.runtime.http import Day, Door, MoneyIn
from libs.runtime.reading import ReadDoor
from services.collateral import views
from services.collateral.commands import appraisals, prices, registrations, sales

router = APIRouter(prefix="/v1")
FacilityId = Annotated[str, Path(min_length=1, max_length=64)]
ItemNumber = Annotated[int, Path(ge=1, le=100)]
Word = Annotated[str, Field(min_length=1, max_length=100)]
INDEX_MAX = Decimal("1e9")


class AppraisalIn(BaseModel):
    """One appraiser's value of an item as of a day."""

    model_config = ConfigDict(extra="forbid")

    value: MoneyIn
    valued_on: Day


class RegistrationIn(BaseModel):
    """The registry's entry of our security interest."""

    model_config = ConfigDict(extra="forbid")

    registry: Word
    number: Word
    rank: Annotated[int, Field(ge=1, le=99)]


class JuniorRegistrationIn(RegistrationIn):
    """An entry behind others, and what they claim before us."""

    senior_claims: MoneyIn


class IndexLevelIn(BaseModel):
    """One level of a price-index series, in force from `on` (any base, above zero)."""

    model_config = ConfigDict(extra="forbid")

    series: Word
    on: Day
    value: Annotated[Decimal, Field(gt=0, lt=INDEX_MAX, allow_inf_nan=False, max_digits=20, decimal_places=8)]


class DisposalIn(BaseModel):
    """What a sale fetched and what it cost."""

    model_config = ConfigDict(extra="forbid")

    price: MoneyIn
    costs: MoneyIn


@router.post(
    "/facilities/{facility_id}/items/{item}/appraisals", status_code=201, response_model=views.AppraisalReceipt
)
async def file_appraisal(facility_id: FacilityId, item: ItemNumber, body: AppraisalIn, door: Door) -> Response:
    """File one appraisal; the caller is the appraiser. The second that agrees gives the item its value."""
    door.require("appraiser")
    return await door.execute(
        lambda tx: appraisals.file_appraisal(tx, facility_id, item, value=body.value.money(), valued_on=body.valued_on),
        keys=[facility_id],
        status=201,
    )


@router.post("/facilities/{facility_id}/items/{item}/registrations", status_code=201, response_model=views.ItemView)
async def register(facility_id: FacilityId, item: ItemNumber, body: RegistrationIn, door: Door) -> Response:
    """Report the registration of a valued item at a rank that needs nobody else's consent."""
    door.require("customer_manager")
    return await door.execute(
        lambda tx: registrations.register(
            tx, facility_id, item, registry=body.registry, registration_no=body.number, rank=body.rank
        ),
        keys=[facility_id],
        status=201,
    )


@router.post(
    "/facilities/{facility_id}/items/{item}/junior-registrations", status_code=201, response_model=views.ItemView
)
async def register_junior(
    facility_id: FacilityId, item: ItemNumber, body: JuniorRegistrationIn, door: Door
) -> Response:
    """Accept and report a registration behind senior claims, which count against the value (COL-02)."""
    door.require("risk_director")
    return await door.execute(
        lambda tx: registrations.register_junior(
            tx,
            facility_id,
            item,
            registry=body.registry,
            registration_no=body.number,
            rank=body.rank,
            senior_claims=body.senior_claims.money(),
        ),
        keys=[facility_id],
        status=201,
    )


@router.post("/indices", status_code=201, response_model=views.LevelReceipt)
async def record_level(body: IndexLevelIn, door: Door) -> Response:
    """Publish an index level; it reaches the held items of its series with the next business day."""
    door.require("data_provider")
    return await door.execute(
        lambda tx: prices.record_level(tx, body.series, body.on, body.value),
        keys=[f"index/{body.series}"],
        status=201,
    )


@router.post("/facilities/{facility_id}/items/{item}/disposal", status_code=201, response_model=views.ItemView)
async def sell_item(facility_id: FacilityId, item: ItemNumber, body: DisposalIn, door: Door) -> Response:
    """Report the sale of an item whose disposal started, at or above its floor."""
    door.require("disposal_agent")
    return await door.execute(
        lambda tx: sales.sell_item(tx, facility_id, item, price=body.price.money(), costs=body.costs.money()),
        keys=[facility_id],
        status=201,
    )


@router.get("/facilities/{facility_id}", response_model=views.FacilityView)
async def show_facility(facility_id: FacilityId, door: ReadDoor) -> Response:
    """The security of one facility and what it must carry."""
    door.require(*BANK)
    return await door.query(lambda tx: views.facility(tx, facility_id), key=facility_id)
