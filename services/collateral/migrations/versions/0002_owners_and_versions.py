"""Whose a key is, and how often what is kept under it changed; requests are purged by age."""

import sqlalchemy as sa
from alembic import op

revision = "0002_collateral"
down_revision = "0001_collateral"


def upgrade() -> None:
    op.add_column(
        "stream",
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False, comment="counts the key's changes"),
    )
    op.add_column(
        "stream",
        sa.Column(
            "org", sa.Text(), server_default="", nullable=False, comment="whose the key is; empty: not known, or all's"
        ),
    )
    op.create_index("ix_calls_failed", "calls", ["id"], unique=False, postgresql_where="status = 'failed'")
    op.create_index("ix_requests_created", "requests", ["created"], unique=False, postgresql_using="brin")
