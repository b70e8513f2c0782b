"""Guarantors of a facility and counter-guarantees in the partner's favour."""

import sqlalchemy as sa
from alembic import op

revision = "0006_guarantee_undertakings"
down_revision = "0005_guarantee_notice"

TEXTS = ("undertaking_id", "facility_id", "kind", "guarantor", "creditor", "liability", "currency", "document", "state")


def upgrade() -> None:
    op.create_table(
        "undertakings",
        *(sa.Column(name, sa.Text(), nullable=False) for name in TEXTS),
        sa.Column("amount", sa.Numeric(precision=20, scale=2), nullable=False),
        sa.Column("signed_on", sa.Date(), nullable=False),
        sa.Column("registration", sa.Text(), nullable=False),
        sa.Column("perfected_on", sa.Date(), nullable=True),
        sa.Column("released_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("undertaking_id", name=op.f("pk_undertakings")),
    )
    op.create_index(op.f("ix_undertakings_facility_id"), "undertakings", ["facility_id"])
