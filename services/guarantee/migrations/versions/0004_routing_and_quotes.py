"""Offers and quotes for a request that names no agreement; what those behind a partner owe it in its record."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004_guarantee_routing"
down_revision = "0003_guarantee"

JSON = postgresql.JSONB(astext_type=sa.Text())
MONEY = sa.Numeric(precision=20, scale=2)


def upgrade() -> None:
    op.create_table(
        "routings",
        sa.Column("facility_id", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("pd", sa.Numeric(), nullable=False),
        sa.Column("asked_on", sa.Date(), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("offers", JSON, nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("facility_id", name=op.f("pk_routings")),
    )
    op.add_column("covers", sa.Column("premium_rate", sa.Numeric(), nullable=True))
    nothing = {("files", "pd"): sa.Numeric(), ("records", "behind"): MONEY, ("records", "behind_late"): MONEY}
    for (table, name), kind in nothing.items():
        op.add_column(table, sa.Column(name, kind, nullable=False, server_default="0"))
        op.alter_column(table, name, server_default=None)
