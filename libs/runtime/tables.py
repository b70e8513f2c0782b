"""The framework's tables, the same in every service's schema; rows here and the service's own commit together."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


# One lock of the whole database, in a space of two numbers: commands share it, whoever closes a day takes it alone.
DAY_LOCK = "7, 1"
# What proves, within a command's one statement, that nothing is dated by a day that was closed. Two statements of its
# own: the second sees all that was committed when the lock was had, and not only when the command's began.
STILL_OPEN = f"""
CREATE OR REPLACE FUNCTION still_open(day date) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF pg_try_advisory_xact_lock_shared({DAY_LOCK}) THEN
        RETURN EXISTS (SELECT FROM clock WHERE id = 1 AND open = day);
    END IF;
    RETURN false;
END $$
"""


def service_metadata() -> MetaData:
    """Fresh metadata that already holds the framework's tables; a service adds its own shelves to it."""
    metadata = MetaData(naming_convention=NAMING)
    _flow(metadata)
    _waiting(metadata)
    _doors(metadata)
    return metadata


def _flow(metadata: MetaData) -> None:
    Table(
        "stream",
        metadata,
        Column("key", Text, primary_key=True),
        Column("seq", BigInteger, nullable=False, server_default="0"),
        Column("version", BigInteger, nullable=False, server_default="0", comment="counts the key's changes"),
        Column("org", Text, nullable=False, server_default="", comment="whose the key is; empty: not known, or all's"),
        comment="last sequence published per key; its row lock makes one key's changes serial",
    )
    Table(
        "outbox",
        metadata,
        Column("id", BigInteger, primary_key=True, autoincrement=True),
        Column("key", Text, nullable=False, index=True),
        Column("topic", Text, nullable=False),
        Column("event_id", Text, nullable=False),
        Column("headers", JSONB, nullable=False),
        Column("payload", Text, nullable=False),
        Column("created", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("error", Text, nullable=False, server_default=""),
        comment="events committed and not yet acknowledged by the broker; a non-empty error parks the row",
    )
    Table(
        "inbox",
        metadata,
        Column("event_id", Text, primary_key=True),
        Column("type", Text, nullable=False, index=True),
        comment="every event whose handler took effect here, once",
    )
    Table(
        "cursor",
        metadata,
        Column("publisher", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("seq", BigInteger, nullable=False),
        comment="last sequence seen per publisher and key: loss and disorder are detected here",
    )
    for name, what in (("position", "last offset applied"), ("published", "last offset acknowledged")):
        Table(
            name,
            metadata,
            Column("topic", Text, primary_key=True),
            Column("part", Integer, primary_key=True),
            Column("offset", BigInteger, nullable=False),
            comment=f"{what} per topic and partition",
        )


def _waiting(metadata: MetaData) -> None:
    Table(
        "parked",
        metadata,
        Column("id", BigInteger, primary_key=True, autoincrement=True),
        Column("key", Text, nullable=False, index=True),
        Column("status", Text, nullable=False, comment="parked: the culprit; waiting: behind it, in order"),
        Column("topic", Text, nullable=False),
        Column("event_id", Text, nullable=False, index=True),
        Column("headers", JSONB, nullable=False),
        Column("payload", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("arrived", DateTime(timezone=True), nullable=False, server_default=func.now()),
        comment="events that could not be applied and those of the same key behind them",
    )
    Table(
        "calls",
        metadata,
        Column("id", Text, primary_key=True),
        Column("key", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("reference", Text, nullable=False),
        Column("request", JSONB, nullable=False),
        Column("business_date", Date, nullable=False),
        Column("org", Text, nullable=False, server_default=""),
        Column("traceparent", Text, nullable=False, server_default=""),
        Column("status", Text, nullable=False, server_default="pending"),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("next_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("lease_until", DateTime(timezone=True)),
        Column("error", Text, nullable=False, server_default=""),
        Index("ix_calls_open", "next_at", postgresql_where="status in ('pending', 'unknown')"),
        Index("ix_calls_failed", "id", postgresql_where="status = 'failed'"),
        UniqueConstraint("kind", "reference"),
        comment="outbound HTTP calls: pending, unknown (ask before retrying), done or failed",
    )
    Table(
        "timers",
        metadata,
        Column("kind", Text, primary_key=True),
        Column("ref", Text, primary_key=True),
        Column("key", Text, nullable=False),
        Column("due", Date, nullable=False, index=True),
        Column("org", Text, nullable=False, server_default=""),
        Column("traceparent", Text, nullable=False, server_default=""),
        comment="commands that fire when the business date reaches `due`",
    )
    Table(
        "clock",
        metadata,
        Column("id", SmallInteger, primary_key=True, autoincrement=False),
        Column("open", Date, nullable=False),
        comment="the business date this service stands at; one row",
    )


def _doors(metadata: MetaData) -> None:
    Table(
        "requests",
        metadata,
        Column("caller", Text, primary_key=True),
        Column("idempotency_key", Text, primary_key=True),
        Column("fingerprint", Text, nullable=False),
        Column("status", Integer, nullable=False),
        Column("headers", JSONB, nullable=False),
        Column("body", Text, nullable=False),
        Column("created", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Index("ix_requests_created", "created", postgresql_using="brin"),  # rows come in this order; read to purge
        comment="the first answer to each idempotency key, replayed to a repeat of the same request",
    )
