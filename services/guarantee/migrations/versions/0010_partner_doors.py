"""Partners answer at our door: who calls whom, what a partner said to a request or a list, and its own events."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010_partner_doors"
down_revision = "0009_guarantee_premiums"

JSON = postgresql.JSONB(astext_type=sa.Text())


def upgrade() -> None:
    op.add_column("agreements", sa.Column("contact", sa.Text(), nullable=False, server_default="we_call"))
    op.add_column("covers", sa.Column("asked_on", sa.Date(), nullable=True))
    op.add_column("covers", sa.Column("conditions", JSON, nullable=False, server_default="[]"))
    op.add_column("loans", sa.Column("confirmed_on", sa.Date(), nullable=True))
    op.add_column("loans", sa.Column("removed", sa.Text(), nullable=False, server_default=""))
    op.add_column("loans", sa.Column("reported", JSON, nullable=False, server_default="[]"))
    for table, column in (
        ("agreements", "contact"),
        ("covers", "conditions"),
        ("loans", "removed"),
        ("loans", "reported"),
    ):
        op.alter_column(table, column, server_default=None)
    op.create_table(
        "partner_feeds",
        sa.Column("party", sa.Text(), nullable=False),
        sa.Column(
            "last",
            sa.BigInteger(),
            nullable=False,
            comment="the last number given out; its row lock keeps commits in order",
        ),
        sa.PrimaryKeyConstraint("party", name=op.f("pk_partner_feeds")),
    )
    op.create_table(
        "partner_events",
        sa.Column("party", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False, comment="without gaps"),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False, comment="the facility, or the partner itself"),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("body", JSON, nullable=False),
        sa.PrimaryKeyConstraint("party", "number", name=op.f("pk_partner_events")),
        comment="what was published about each partner's own business, in the order of its commits",
    )
