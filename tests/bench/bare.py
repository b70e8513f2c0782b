"""The baseline of the request path: a bare FastAPI endpoint that checks its body and inserts two rows."""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Column, MetaData, Table, Text, insert
from sqlalchemy.ext.asyncio import create_async_engine

POOL = 20
"""As many connections as a service has (POOL_SIZE)."""
METADATA = MetaData()
FACILITIES = Table(
    "bare_facilities",
    METADATA,
    *(Column(name, Text, primary_key=name == "facility_id") for name in ("facility_id", "external_ref", "channel")),
    *(Column(name, Text) for name in ("branch", "name", "id_number", "phone")),
)
OUTBOX = Table(
    "bare_outbox", METADATA, Column("id", Text, primary_key=True), Column("key", Text), Column("payload", Text)
)


class BorrowerIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    id_number: str
    phone: str


class ReferralIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    external_ref: str
    channel: str
    branch: str
    consent: bool
    borrower: BorrowerIn


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://", 1)
    app.state.engine = create_async_engine(url, pool_size=POOL, max_overflow=0)
    async with app.state.engine.begin() as conn:
        await conn.run_sync(METADATA.create_all)
    yield
    await app.state.engine.dispose()


app = FastAPI(lifespan=_lifespan)


@app.get("/health/ready")
async def ready() -> dict[str, str]:
    """There."""
    return {}


@app.post("/referrals", status_code=201)
async def register(body: ReferralIn, request: Request) -> dict[str, str]:
    """Two rows, one transaction."""
    facility_id = str(uuid.uuid4())
    facility = {"facility_id": facility_id, **body.model_dump(include={"external_ref", "channel", "branch"})}
    event = {"id": str(uuid.uuid4()), "key": facility_id, "payload": body.model_dump_json()}
    async with request.app.state.engine.begin() as conn:
        await conn.execute(insert(FACILITIES).values(**facility, **body.borrower.model_dump()))
        await conn.execute(insert(OUTBOX).values(**event))
    return {"facility_id": facility_id}
