"""The door for cap runways."""

from fastapi import APIRouter, Response

from libs.runtime import auth
from libs.runtime.reading import ReadDoor
from services.guarantee.api.bodies import InPath
from services.guarantee.views import runway as views

router = APIRouter(prefix="/v1")


@router.get("/agreements/{code}/runway", response_model=tuple[views.CapRunway, ...])
async def show_runway(code: InPath, door: ReadDoor) -> Response:
    """When each period's cap will be used up, and what claims then fall on the bank, with bands."""
    door.require(*auth.BANK)
    return await door.query(lambda tx: views.runways(tx, code))
