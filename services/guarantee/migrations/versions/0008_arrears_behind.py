"""A trigger on the arrears of those behind a partner, and whether it has warned."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008_guarantee_arrears"
down_revision = "0007_guarantee_changes"


def upgrade() -> None:
    op.add_column("agreements", sa.Column("arrears", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column("records", sa.Column("warned_behind", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.alter_column("records", "warned_behind", server_default=None)
