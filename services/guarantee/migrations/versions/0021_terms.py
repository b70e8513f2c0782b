"""Terms that came later: rollovers, how full an agreement is, years in which payouts crossed their line."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021_terms"
down_revision = "0020_guarantee_judgements"

MONEY = sa.Numeric(precision=20, scale=2)


def upgrade() -> None:
    op.add_column("files", sa.Column("renews", sa.Text(), nullable=False, server_default=""))
    op.create_index("ix_files_borrower", "files", ["borrower"])
    op.add_column("agreements", sa.Column("use", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    for name in ("bound", "capacity"):
        op.add_column("records", sa.Column(name, MONEY, nullable=False, server_default="0"))
    op.add_column("records", sa.Column("warned_use", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.alter_column("files", "renews", server_default=None)
    for name in ("bound", "capacity", "warned_use"):
        op.alter_column("records", name, server_default=None)
    op.add_column("payout_books", sa.Column("crossed", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.alter_column("payout_books", "crossed", server_default=None)
