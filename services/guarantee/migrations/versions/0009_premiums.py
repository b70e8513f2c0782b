"""Premiums by period and payer; what was charged before stands as one charge to maturity."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009_guarantee_premiums"
down_revision = "0008_guarantee_arrears"

JSON = postgresql.JSONB(astext_type=sa.Text())


def upgrade() -> None:
    op.add_column("agreements", sa.Column("premiums", JSON, nullable=False, server_default="{}"))
    op.add_column("loans", sa.Column("charges", JSON, nullable=False, server_default="[]"))
    op.execute(
        "UPDATE loans l SET charges = jsonb_build_array(jsonb_build_object("
        " 'start', disbursed_on, 'until', maturity, 'paid', NOT premium_open,"
        " 'amount', jsonb_build_object('amount', premium::text, 'currency', l.currency),"
        " 'payer', (SELECT a.premium_payer FROM covers c JOIN agreements a ON a.ref = c.terms"
        "  WHERE c.cover_id = l.cover_id))) WHERE premium > 0"
    )
    op.alter_column("agreements", "premiums", server_default=None)
    op.alter_column("loans", "charges", server_default=None)
