"""The life of a claim: evidence, query and answer, appeal, payment in advance; the notice of loss."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011_life_of_a_claim"
down_revision = "0010_partner_doors"

JSON = postgresql.JSONB(astext_type=sa.Text())
MONEY = sa.Numeric(precision=20, scale=2)


def upgrade() -> None:
    for name in ("evidence", "asked", "receipts"):
        op.add_column("claims", sa.Column(name, JSON, nullable=False, server_default="[]"))
    for name in ("act_by", "appeal_by"):
        op.add_column("claims", sa.Column(name, sa.Date(), nullable=True))
    op.add_column("claims", sa.Column("appealed", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("claims", sa.Column("interim", MONEY, nullable=False, server_default="0"))
    for name in ("evidence", "asked", "receipts", "appealed", "interim"):
        op.alter_column("claims", name, server_default=None)
    op.add_column("loans", sa.Column("notified_on", sa.Date(), nullable=True))
