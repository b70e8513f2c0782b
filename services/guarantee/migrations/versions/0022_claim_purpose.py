"""What a partner is told the borrower's identity for with a claim."""

import sqlalchemy as sa
from alembic import op

revision = "0022_claim_purpose"
down_revision = "0021_terms"


def upgrade() -> None:
    op.add_column("connections", sa.Column("claim_purpose", sa.Text(), nullable=False, server_default=""))
    op.alter_column("connections", "claim_purpose", server_default=None)
