"""A partner's open requests are found without looking at all its covers."""

import sqlalchemy as sa
from alembic import op

revision = "0013_open_requests"
down_revision = "0012_guarantee_payouts"


def upgrade() -> None:
    op.create_index(
        "ix_covers_open_requests",
        "covers",
        ["partner", "asked_on", "cover_id"],
        postgresql_where=sa.text("state = 'requested'"),
    )
