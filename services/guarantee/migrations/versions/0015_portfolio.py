"""A loan under cover knows its terms and its probability of default: the whole book is one scan of one table."""

import sqlalchemy as sa
from alembic import op

revision = "0015_guarantee_portfolio"
down_revision = "0014_guarantee_packs"


def upgrade() -> None:
    op.add_column("loans", sa.Column("terms", sa.Text(), server_default="", nullable=False))
    op.add_column("loans", sa.Column("pd", sa.Numeric(), nullable=True))
    op.add_column("loans", sa.Column("year", sa.BigInteger(), server_default="0", nullable=False))
    op.execute("UPDATE loans SET year = extract(year FROM disbursed_on)")
    op.execute("UPDATE loans l SET terms = c.terms FROM covers c WHERE c.cover_id = l.cover_id")
    op.alter_column("loans", "terms", server_default=None)
    op.alter_column("loans", "year", server_default=None)
