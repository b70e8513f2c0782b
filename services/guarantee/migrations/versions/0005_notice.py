"""Covers that are bound between approval and pay-out, and the guarantor's disbursement notice."""

import sqlalchemy as sa
from alembic import op

revision = "0005_guarantee_notice"
down_revision = "0004_guarantee_routing"


def upgrade() -> None:
    op.add_column("covers", sa.Column("asked", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("covers", sa.Column("notice", sa.Text(), nullable=False, server_default=""))
    for name in ("asked", "notice"):
        op.alter_column("covers", name, server_default=None)
