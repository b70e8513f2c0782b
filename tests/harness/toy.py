"""Two toy services that use every door of the runtime: what they record is the order in which effects happened.

`application` publishes referrals, pays through an outbound call and records what rating answered; `rating` records
each referral and answers it. A referral named `poison` fails until `MENDED` is set.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

import httpx
from fastapi import APIRouter, Response
from pydantic import BaseModel
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import create_async_engine

from libs.events.application import ReferralReceived
from libs.events.envelope import Meta
from libs.events.rating import InformationVerified
from libs.kernel.errors import Refused
from libs.kernel.money import Money
from libs.runtime import migrate
from libs.runtime.calls import Answer, Outbound
from libs.runtime.http import Door
from libs.runtime.reading import ReadDoor
from libs.runtime.service import Service
from libs.runtime.shelf import Shelf
from libs.runtime.tables import service_metadata
from libs.runtime.tx import Tx

NAMES = ("application", "rating")
MENDED = asyncio.Event()


class Colour(StrEnum):
    """A text enum, to be stored as its value."""

    RED = "red"


@dataclass(frozen=True, slots=True)
class Part:
    """A nested value, stored as JSON."""

    name: str
    share: Decimal
    worth: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One row with every kind of field a shelf takes."""

    id: str
    facility_id: str
    currency: str = "CNY"
    price: Money = field(default_factory=lambda: Money(Decimal("12.30"), "CNY"))
    limit: Money | None = None
    rate: Decimal = Decimal("0.0435")
    factor: Decimal | None = None
    colour: Colour = Colour.RED
    shade: Colour | None = None
    born: date = date(2026, 1, 2)
    died: date | None = None
    count: int = 3
    good: bool = True
    parts: tuple[Part, ...] = ()
    notes: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """What happened to one facility, in the order it took effect here."""

    facility_id: str
    seen: tuple[str, ...]


def _metadata() -> tuple[MetaData, Shelf[Tally], Shelf[Thing]]:
    metadata = service_metadata()
    tally = Shelf(metadata, "tally", Tally, id="facility_id")
    return metadata, tally, Shelf(metadata, "thing", Thing, id="id")


METADATA, TALLY, THING = _metadata()


async def note(tx: Tx, facility_id: str, what: str) -> None:
    """Add one word to the facility's tally: not idempotent, so that a second effect shows."""
    found = await tx.find(TALLY, facility_id)
    tx.put(TALLY, Tally(facility_id, (*(found.seen if found else ()), what)))


def referral(facility_id: str, external_ref: str) -> ReferralReceived:
    """The event that application publishes."""
    return ReferralReceived(
        facility_id=facility_id, external_ref=external_ref, borrower_id="b", channel="web", branch="b1"
    )


# --- application


class ReferIn(BaseModel):
    """One referral."""

    facility_id: str
    name: str
    branch: str = ""


router, reading = APIRouter(), APIRouter()


@router.post("/referrals", status_code=201)
async def refer(body: ReferIn, door: Door) -> Response:
    """Publish a referral."""
    door.require("officer")

    async def command(tx: Tx) -> dict[str, str]:
        if body.name == "refused":
            raise Refused("toy_refused", "as asked", facility=body.facility_id)
        await note(tx, body.facility_id, body.name)
        return {"event": tx.publish(referral(body.facility_id, body.name))}

    return await door.execute(command, keys=[body.facility_id], owner=body.branch, status=201)


@router.post("/replacements")
async def replace(body: ReferIn, door: Door) -> Response:
    """Put one word in the place of all that was noted."""

    async def command(tx: Tx) -> dict[str, str]:
        tx.put(TALLY, Tally(body.facility_id, (body.name,)))
        return {}

    return await door.overwrite(command, keys=[body.facility_id], owner=body.branch)


@reading.get("/tallies/{facility_id}")
async def tally_of(facility_id: str, door: ReadDoor) -> Response:
    """What is known of a facility."""
    return await door.query(lambda tx: tx.get(TALLY, facility_id), key=facility_id)


@router.post("/payments")
async def pay(body: ReferIn, door: Door) -> Response:
    """Ask for an outbound payment."""

    async def command(tx: Tx) -> dict[str, str]:
        tx.call("pay", key=body.facility_id, reference=body.name, request={"facility": body.facility_id})
        return {}

    return await door.execute(command, keys=[body.facility_id])


@router.post("/reminders")
async def remind(body: ReferIn, door: Door) -> Response:
    """Set a timer for the first of February 2026."""

    async def command(tx: Tx) -> dict[str, str]:
        tx.timer("remind", ref=body.name, key=body.facility_id, due=date(2026, 2, 1))
        return {}

    return await door.execute(command, keys=[body.facility_id])


async def on_verified(tx: Tx, body: InformationVerified, meta: Meta) -> None:
    """Record rating's answer."""
    await note(tx, body.facility_id, f"verified {body.size_class}")


async def _send(client: httpx.AsyncClient, reference: str, request: dict[str, Any]) -> Answer:
    answer = await client.post("/transfers", json={"reference": reference, **request})
    return Answer(answer.status_code, answer.json())


async def _inquire(client: httpx.AsyncClient, reference: str, request: dict[str, Any]) -> Answer | None:
    answer = await client.get(f"/transfers/{reference}")
    return None if answer.status_code == 404 else Answer(answer.status_code, answer.json())


async def _paid(tx: Tx, reference: str, request: dict[str, Any], answer: Answer) -> None:
    if answer.status >= 400:
        raise Refused("bank_refused", str(answer.status))
    await note(tx, request["facility"], f"paid {reference}")
    tx.publish(referral(request["facility"], f"paid {reference}"))


async def _reminded(tx: Tx, ref: str, key: str) -> None:
    if ref == "poison" and not MENDED.is_set():
        raise Refused("toy_timer_refused")
    await note(tx, key, f"reminded {ref} on {tx.date}")
    tx.publish(referral(key, f"reminded {ref}"))


# --- rating


async def on_referral(tx: Tx, body: ReferralReceived, meta: Meta) -> None:
    """Record the referral and answer it."""
    if body.external_ref.startswith("poison") and not MENDED.is_set():
        raise Refused("toy_poison", body.external_ref)
    if body.external_ref == "huge":
        await tx.sql("SELECT $1::bigint", 2**70)  # the driver cannot encode it
    await note(tx, body.facility_id, body.external_ref)
    tx.publish(InformationVerified(facility_id=body.facility_id, checks=(), size_class=body.external_ref))


def toy(name: str) -> Service:
    """A fresh toy service, `application` or `rating`."""
    if name == "application":
        return Service(
            name=name,
            metadata=METADATA,
            reads=("rating",),
            reactions={InformationVerified: on_verified},
            timers={"remind": _reminded},
            partners={"pay": Outbound(target="core_bank", send=_send, inquire=_inquire, answered=_paid)},
            routers=[router, reading],
        )
    return Service(
        name=name,
        metadata=METADATA,
        reads=("application",),
        reactions={ReferralReceived: on_referral},
        timers={},
        partners={},
        routers=[reading],
    )


application = toy("application").app
rating = toy("rating").app


async def build(admin_url: str) -> None:
    """The schemas of both toys and of the clock, as each owner's role (toys have no migrations)."""
    await migrate.provision(admin_url, (*NAMES, "clock"))
    for name in (*NAMES, "clock"):
        url = migrate.role_url(admin_url, name).replace("postgresql://", "postgresql+asyncpg://", 1)
        engine = create_async_engine(url, connect_args={"server_settings": {"search_path": name}})
        async with engine.begin() as conn:
            await conn.run_sync(METADATA.create_all if name in NAMES else service_metadata().create_all)
            await conn.run_sync(migrate.furnish)
        await engine.dispose()
