"""A cover that is promised and bound after the approval, and the guarantor's disbursement notice before the money."""

import sqlalchemy as sa
from alembic import op

revision = "0004_application"
down_revision = "0003_application"


def upgrade() -> None:
    for name in ("cover_promised", "notice_awaited"):
        op.add_column("facilities", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
        op.alter_column("facilities", name, server_default=None)
