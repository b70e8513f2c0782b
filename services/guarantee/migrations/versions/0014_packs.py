"""Partners' signed rule packs, the keys that sign them, and what a pack said of each request."""

import sqlalchemy as sa
from alembic import op

revision = "0014_guarantee_packs"
down_revision = "0013_open_requests"


def upgrade() -> None:
    _create("partner_keys", "key_ref", ("key_ref", "partner_id", "key_id", "public_key"), "partner_id")
    op.add_column("partner_keys", sa.Column("known_since", sa.Date(), nullable=False))
    op.add_column("partner_keys", sa.Column("revoked_on", sa.Date(), nullable=True))
    texts = ("pack_ref", "code", "partner", "document", "digest", "signed_by", "signature", "received_from")
    _create("packs", "pack_ref", texts, "code")
    op.add_column("packs", sa.Column("version", sa.BigInteger(), nullable=False))
    op.add_column("packs", sa.Column("effective", sa.Date(), nullable=False))
    op.add_column("packs", sa.Column("received_on", sa.Date(), nullable=False))
    said = ("facility_id", "code", "partner", "pack", "reason", "statement", "digest")
    _create("judgements", "facility_id", said)
    op.add_column("judgements", sa.Column("admitted", sa.Boolean(), nullable=False))
    op.add_column("judgements", sa.Column("judged_on", sa.Date(), nullable=False))


def _create(table: str, id_: str, texts: tuple[str, ...], group: str = "") -> None:
    columns = [sa.Column(name, sa.Text(), nullable=False) for name in texts]
    op.create_table(table, *columns, sa.PrimaryKeyConstraint(id_, name=op.f(f"pk_{table}")))
    if group:
        op.create_index(op.f(f"ix_{table}_{group}"), table, [group])
