"""The ledger of covers, months that both sides confirm, and partners' own lists.

Entries begin with this version.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016_guarantee_statements"
down_revision = "0015_guarantee_portfolio"

JSON = postgresql.JSONB(astext_type=sa.Text())
MONEY = sa.Numeric(precision=20, scale=2)


def upgrade() -> None:
    op.create_table(
        "entries",
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("entry_id", "facility_id", "cover_id", "kind", "reference", "currency")
        ),
        sa.Column("amount", MONEY, nullable=True),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("party", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_entries")),
    )
    op.create_index(op.f("ix_entries_facility_id"), "entries", ["facility_id"])
    op.create_index("ix_entries_reference", "entries", ["reference", "kind"])
    op.create_index("ix_entries_on", "entries", ["on"])
    op.create_table(
        "lists",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("list_id", "partner_id", "party", "about", "month")),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("handed_in_by", sa.Text(), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("compared", JSON, nullable=False),
        sa.PrimaryKeyConstraint("list_id", name=op.f("pk_lists")),
    )
    op.create_index(op.f("ix_lists_partner_id"), "lists", ["partner_id"])
    op.create_table(
        "balances",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("balance_id", "partner_id", "month")),
        sa.Column("words", JSON, nullable=False),
        sa.PrimaryKeyConstraint("balance_id", name=op.f("pk_balances")),
    )
    op.create_index(op.f("ix_balances_partner_id"), "balances", ["partner_id"])
    op.create_table(
        "list_rows",
        sa.Column("list_id", sa.Text(), nullable=False),
        sa.Column("line", sa.BigInteger(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("kind", "reference", "party", "currency", "state")),
        sa.Column("amount", MONEY, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("list_id", "line", name=op.f("pk_list_rows")),
        comment="a partner's own list as it was handed in, row by row",
    )
    op.create_table(
        "differences",
        sa.Column("list_id", sa.Text(), nullable=False),
        sa.Column(
            "against", sa.Text(), nullable=False, comment="whose list it was held against: bank, or another party"
        ),
        sa.Column("place", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("finding", "cause", "kind", "reference", "party")),
        sa.Column("line", sa.BigInteger(), nullable=True),
        *(sa.Column(f"{side}_currency", sa.Text(), nullable=True) for side in ("our", "their")),
        *(sa.Column(f"{side}_amount", MONEY, nullable=True) for side in ("our", "their")),
        *(sa.Column(f"{side}_day", sa.Date(), nullable=True) for side in ("our", "their")),
        sa.PrimaryKeyConstraint("list_id", "against", "place", name=op.f("pk_differences")),
        comment="where a list says something else than the one it was held against",
    )
