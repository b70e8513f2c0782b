"""What a partner may hold against a claim, and the facts by which it is judged; versions signed before agreed nothing.

Facts begin with this version: of securities, inspections and proofs from before nothing is known.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017_guarantee_cover_at_risk"
down_revision = "0016_guarantee_statements"

JSON = postgresql.JSONB(astext_type=sa.Text())
MONEY = sa.Numeric(precision=20, scale=2)


def upgrade() -> None:
    op.add_column("agreements", sa.Column("duties", JSON, nullable=False, server_default="{}"))
    op.alter_column("agreements", "duties", server_default=None)
    op.create_table(
        "securities",
        sa.Column("collateral_id", sa.Text(), nullable=False),
        sa.Column("facility_id", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Boolean(), nullable=False) for name in ("perfected", "released", "disposed")),
        sa.PrimaryKeyConstraint("collateral_id", name=op.f("pk_securities")),
    )
    op.create_table(
        "proofs",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("proof_id", "facility_id", "loan_id", "duty")),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("proof_id", name=op.f("pk_proofs")),
    )
    op.create_table(
        "looks",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("loan_id", "facility_id", "currency")),
        sa.Column("told", MONEY, nullable=False),
        sa.Column("findings", JSON, nullable=False),
        sa.PrimaryKeyConstraint("loan_id", name=op.f("pk_looks")),
    )
    for table in ("securities", "proofs", "looks"):
        op.create_index(op.f(f"ix_{table}_facility_id"), table, ["facility_id"])
