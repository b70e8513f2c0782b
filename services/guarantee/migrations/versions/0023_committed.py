"""Covers that are bound and not wholly drawn are found without reading all covers."""

import sqlalchemy as sa
from alembic import op

revision = "0023_committed"
down_revision = "0022_claim_purpose"


def upgrade() -> None:
    op.create_index(
        "ix_covers_committed",
        "covers",
        ["terms"],
        postgresql_where=sa.text("held > active AND state IN ('bound', 'active')"),
    )
