"""The door for programs: counts, the list of facilities and one facility's story, for operators and auditors."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from libs.runtime.paging import PAGE_ROWS, Cursor, Limit, Page, after
from libs.runtime.reading import ReadDoor
from libs.runtime.tx import Tx
from services.console.domain.facility import Stage
from services.console.store import FACILITIES, STORY
from services.console.views import lists
from services.console.views.story import StorySeen, story

READERS = ("operator", "auditor", "admin")

router = APIRouter(prefix="/v1", tags=["console"])

Id = Annotated[str, Path(max_length=64)]


async def read_story(tx: Tx, facility_id: str) -> StorySeen:
    """One facility's story from the projection; raises NotFound."""
    line = await tx.find(FACILITIES, facility_id)
    return story(facility_id, line, await tx.of(STORY, facility_id))


@router.get("/counts", response_model=lists.Counts)
async def counts(door: ReadDoor) -> Response:
    """How many events of each type were told, and of how many facilities."""
    door.require(*READERS)
    return await door.query(lists.counts)


@router.get("/facilities", response_model=Page[lists.FacilityRow])
async def facilities(
    door: ReadDoor, cursor: Cursor = "", stage: Stage | None = None, limit: Limit = PAGE_ROWS
) -> Response:
    """Facilities of the caller's branch and those below it, in the order of their ids, from the cursor on."""
    door.require(*READERS)
    place, wanted, reach = after(cursor), stage.value if stage else "", door.caller.reach
    return await door.query(lambda tx: lists.facilities(tx, after=place, stage=wanted, limit=limit, reach=reach))


@router.get("/facilities/{facility_id}/story", response_model=StorySeen)
async def show_story(facility_id: Id, door: ReadDoor) -> Response:
    """Everything that was told about one facility, in order, in English and Chinese."""
    door.require(*READERS)
    return await door.query(lambda tx: read_story(tx, facility_id), key=facility_id)
