"""Changes of covered loans, and what the partner said to them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007_guarantee_changes"
down_revision = "0006_guarantee_undertakings"

TEXTS = ("change_id", "facility_id", "cover_id", "loan_id", "kind", "state", "document", "reason")


def upgrade() -> None:
    op.create_table(
        "changes",
        *(sa.Column(name, sa.Text(), nullable=False) for name in TEXTS),
        sa.Column("heavier", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        *(sa.Column(name, sa.Numeric(), nullable=False) for name in ("rate_before", "annual_rate")),
        *(sa.Column(name, sa.Date(), nullable=False) for name in ("maturity_before", "maturity", "asked_on")),
        sa.Column("decided_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("change_id", name=op.f("pk_changes")),
    )
    op.create_index(op.f("ix_changes_facility_id"), "changes", ["facility_id"])
