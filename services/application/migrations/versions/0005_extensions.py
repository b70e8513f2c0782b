"""Extensions of loans: asked for, approved, and what became of them."""

import sqlalchemy as sa
from alembic import op

revision = "0005_application"
down_revision = "0004_application"


def upgrade() -> None:
    texts = ("facility_id", "loan_id", "state", "document", "asked_by", "approver", "reason")
    op.create_table(
        "extensions",
        sa.Column("extension_id", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in texts),
        *(sa.Column(name, sa.Date(), nullable=False) for name in ("maturity_before", "maturity", "asked_on")),
        sa.PrimaryKeyConstraint("extension_id", name=op.f("pk_extensions")),
    )
    op.create_index(op.f("ix_extensions_facility_id"), "extensions", ["facility_id"])
