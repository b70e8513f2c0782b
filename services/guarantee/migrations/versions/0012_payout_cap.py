"""A cap on a year's payouts, and what each year has taken in and promised."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012_guarantee_payouts"
down_revision = "0011_life_of_a_claim"

MONEY = sa.Numeric(precision=20, scale=2)


def upgrade() -> None:
    op.add_column("agreements", sa.Column("payout", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.create_table(
        "payout_books",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("book_id", "code", "currency")),
        *(sa.Column(name, MONEY, nullable=False) for name in ("income", "promised")),
        sa.PrimaryKeyConstraint("book_id", name=op.f("pk_payout_books")),
    )
    op.create_index(op.f("ix_payout_books_code"), "payout_books", ["code"])
    op.create_table(
        "payouts",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("claim_id", "facility_id", "book_id")),
        sa.PrimaryKeyConstraint("claim_id", name=op.f("pk_payouts")),
    )
    op.create_index(op.f("ix_payouts_facility_id"), "payouts", ["facility_id"])
