"""Agreements in signed versions, pools of capacity, caps, cash behind the direct payer.

Agreements admitted before count as signed by both sides. Covers bound before cannot be carried over: on which day
their loans were disbursed was never kept, so a database that holds any is refused rather than filled with guesses.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003_guarantee"
down_revision = "0002_guarantee"

JSON = postgresql.JSONB(astext_type=sa.Text())
MONEY = sa.Numeric(precision=20, scale=2)
TERMS = ("coverage", "eligibility", "binding", "limits", "claims", "liability")


def upgrade() -> None:
    if op.get_bind().execute(sa.text("SELECT EXISTS (SELECT 1 FROM files)")).scalar():
        raise RuntimeError("facilities were covered before agreements had versions: start with an empty database")
    _agreements()
    _beside_agreements()
    _records()
    _facilities()
    _pools()


def _agreements() -> None:
    for name in ("ref", "digest", "direct", "premium_product", "drafted_by"):
        op.add_column("agreements", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.add_column("agreements", sa.Column("adopting", sa.Text(), nullable=False, server_default="every_branch"))
    op.add_column("agreements", sa.Column("capacity", MONEY, nullable=False, server_default="0"))
    op.add_column("agreements", sa.Column("premium_rate_max", sa.Numeric(), nullable=True))
    op.add_column("agreements", sa.Column("cap", JSON, nullable=True))
    for name in ("layers", "legs", "triggers", "signatures"):
        op.add_column("agreements", sa.Column(name, JSON, nullable=False, server_default="[]"))
    for name in TERMS:
        op.add_column("agreements", sa.Column(name, JSON, nullable=False, server_default="{}"))
    op.execute(
        "UPDATE agreements a SET ref = code || '@' || effective,"
        " capacity = (SELECT c.capacity FROM capacities c WHERE c.code = a.code), signatures = jsonb_build_array("
        "  jsonb_build_object('party', 'bank', 'by', 'before versions', 'on', effective, 'digest', ''),"
        "  jsonb_build_object('party', partner_id, 'by', 'before versions', 'on', effective, 'digest', ''))"
    )
    op.drop_constraint("pk_agreements", "agreements")
    op.create_primary_key("pk_agreements", "agreements", ["ref"])
    op.create_index(op.f("ix_agreements_code"), "agreements", ["code"])
    texts = ("ref", "digest", "direct", "premium_product", "drafted_by", "adopting", "capacity")
    for name in (*texts, "layers", "legs", "triggers", "signatures", *TERMS):
        op.alter_column("agreements", name, server_default=None)


def _beside_agreements() -> None:
    op.create_table(
        "adoptions",
        sa.Column("adoption_id", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("branch", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("capacity", MONEY, nullable=False),
        sa.Column("amount_max", MONEY, nullable=True),
        sa.Column("grades", JSON, nullable=False),
        sa.Column("adopted_by", sa.Text(), nullable=False),
        sa.Column("adopted_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("adoption_id", name=op.f("pk_adoptions")),
    )
    op.create_index(op.f("ix_adoptions_code"), "adoptions", ["code"])
    op.create_table(
        "standings",
        sa.Column("partner_id", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("net_assets", MONEY, nullable=False),
        sa.Column("outside", MONEY, nullable=False),
        sa.Column("mainly_small", sa.Boolean(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("partner_id", name=op.f("pk_standings")),
    )
    op.create_table(
        "exposures",
        sa.Column("exposure_id", sa.Text(), nullable=False),
        sa.Column("partner_id", sa.Text(), nullable=False),
        sa.Column("obligor", sa.Text(), nullable=False),
        sa.Column("related_group", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("outside", MONEY, nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("exposure_id", name=op.f("pk_exposures")),
    )
    op.create_index(op.f("ix_exposures_partner_id"), "exposures", ["partner_id"])
    op.create_table(
        "suspensions",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("suspended_by", sa.Text(), nullable=False),
        sa.Column("lifted_on", sa.Date(), nullable=True),
        sa.Column("lifted_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_suspensions")),
    )
    op.create_table(
        "cap_books",
        sa.Column("book_id", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("opened", sa.Date(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("disbursed", MONEY, nullable=False),
        sa.Column("balance", MONEY, nullable=False),
        sa.Column("balance_days", sa.Numeric(), nullable=False),
        sa.Column("used", MONEY, nullable=False),
        sa.PrimaryKeyConstraint("book_id", name=op.f("pk_cap_books")),
    )
    op.create_index(op.f("ix_cap_books_code"), "cap_books", ["code"])


def _records() -> None:
    amounts = ("disbursed", "balance", "in_arrears", "premiums", "paid", "recovered")
    op.create_table(
        "records",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("partner", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        *(sa.Column(name, MONEY, nullable=False) for name in amounts),
        sa.Column("claims_decided", sa.BigInteger(), nullable=False),
        sa.Column("claims_denied", sa.BigInteger(), nullable=False),
        sa.Column("payments", sa.BigInteger(), nullable=False),
        sa.Column("late", sa.BigInteger(), nullable=False),
        sa.Column("warned", JSON, nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_records")),
    )


def _facilities() -> None:
    added: dict[str, dict[str, Any]] = {
        "files": {
            **dict.fromkeys(("borrower", "branch", "size_class", "industry", "product"), sa.Text()),
            "tenor_months": sa.BigInteger(),
            "annual_rate": sa.Numeric(),
        },
        "covers": {
            "terms": sa.Text(),
            "active": MONEY,
            "used": MONEY,
            "drawdowns": sa.BigInteger(),
            "layers": JSON,
            "lines": JSON,
        },
        "loans": {"guaranteed": MONEY, "annual_rate": sa.Numeric(), "disbursed_on": sa.Date()},
        "claims": {"parts": JSON, "counted": MONEY, "book": sa.Text()},
    }
    for table, columns in added.items():
        for name, kind in columns.items():
            op.add_column(table, sa.Column(name, kind, nullable=False))
    for name in ("file_by", "filed_on"):
        op.add_column("loans", sa.Column(name, sa.Date(), nullable=True))
    op.create_table(
        "legs",
        sa.Column("leg_id", sa.Text(), nullable=False),
        sa.Column("facility_id", sa.Text(), nullable=False),
        sa.Column("cover_id", sa.Text(), nullable=False),
        sa.Column("claim_id", sa.Text(), nullable=False),
        sa.Column("party", sa.Text(), nullable=False),
        sa.Column("payee", sa.Text(), nullable=False),
        sa.Column("proof", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", MONEY, nullable=False),
        sa.Column("paid", MONEY, nullable=False),
        sa.Column("due", sa.Date(), nullable=False),
        sa.Column("receipts", JSON, nullable=False),
        sa.PrimaryKeyConstraint("leg_id", name=op.f("pk_legs")),
    )
    op.create_index(op.f("ix_legs_facility_id"), "legs", ["facility_id"])


def _pools() -> None:
    op.create_table(
        "pools",
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "size", MONEY, nullable=True, comment="what bounded it when it was last reserved from; null: counted only"
        ),
        sa.Column("outside", MONEY, server_default="0", nullable=False, comment="used at other banks, as reported"),
        sa.Column("reserved", MONEY, server_default="0", nullable=False),
        sa.Column("bound", MONEY, server_default="0", nullable=False),
        sa.Column("active", MONEY, server_default="0", nullable=False),
        sa.CheckConstraint("bound <= reserved AND active <= bound AND active >= 0", name="ck_pools_ordered"),
        sa.PrimaryKeyConstraint("pool", name=op.f("pk_pools")),
        comment="reserved is all that is held, bound its part under covers, active the part drawn and not repaid",
    )
    op.drop_table("capacities")
