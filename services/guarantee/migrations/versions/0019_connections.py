"""The ways to partners with sealed credentials, and the consents that name partners."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019_connections"
down_revision = "0018_webhooks"

JSON = postgresql.JSONB(astext_type=sa.Text())


def upgrade() -> None:
    texts = ("partner_id", "adapter", "base_url", "header", "purpose", "admitted_by", "sealed", "wrapped", "master")
    op.create_table(
        "connections",
        sa.Column("ref", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in texts),
        sa.Column("effective", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("ref", name=op.f("pk_connections")),
    )
    op.create_index(op.f("ix_connections_partner_id"), "connections", ["partner_id"])
    op.create_table(
        "consents",
        sa.Column("consent_id", sa.Text(), nullable=False),
        sa.Column("facility_id", sa.Text(), nullable=False),
        sa.Column("purposes", JSON, nullable=False),
        sa.Column("partners", JSON, nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("revoked", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("consent_id", name=op.f("pk_consents")),
    )
    op.create_index(op.f("ix_consents_facility_id"), "consents", ["facility_id"])
