"""Partners' webhook endpoints, their sealed keys, and what is on its way to them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018_webhooks"
down_revision = "0017_guarantee_cover_at_risk"

JSON = postgresql.JSONB(astext_type=sa.Text())
MOMENT = sa.DateTime(timezone=True)
NOW = sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "endpoints",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("endpoint_id", "partner_id", "url")),
        sa.Column("types", JSON, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("state", "reason", "registered_by")),
        sa.Column("since", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint_id", name=op.f("pk_endpoints")),
    )
    op.create_index(op.f("ix_endpoints_partner_id"), "endpoints", ["partner_id"])
    op.create_table(
        "endpoint_feeds",
        sa.Column("endpoint_id", sa.Text(), nullable=False),
        sa.Column("reached", sa.BigInteger(), nullable=False, comment="the partner's event put on its way last"),
        sa.PrimaryKeyConstraint("endpoint_id", name=op.f("pk_endpoint_feeds")),
    )
    op.create_table(
        "endpoint_keys",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("key_id", "endpoint_id", "sealed", "wrapped")),
        sa.Column("master", sa.Text(), nullable=False),
        sa.Column("created", MOMENT, server_default=NOW, nullable=False),
        sa.Column("retires", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_endpoint_keys")),
        comment="signing keys, sealed; those not yet retired sign side by side",
    )
    op.create_index(op.f("ix_endpoint_keys_endpoint_id"), "endpoint_keys", ["endpoint_id"])
    op.create_table(
        "deliveries",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("endpoint_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created", MOMENT, server_default=NOW, nullable=False),
        sa.Column("next_at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.Column("first_at", MOMENT, nullable=True),
        sa.Column("delivered_at", MOMENT, nullable=True),
        sa.Column("log", JSON, server_default="[]", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        comment=(
            "a partner's event on its way to one endpoint: waiting, delivered, failed or dropped; log has each attempt"
        ),
    )
    waiting = sa.text("state = 'waiting'")
    op.create_index("ix_deliveries_waiting", "deliveries", ["endpoint_id", "subject", "id"], postgresql_where=waiting)
    op.create_index("ix_deliveries_log", "deliveries", ["endpoint_id", "id"])
