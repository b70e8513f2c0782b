"""A request is judged under each agreement for itself: one judgement per facility and agreement."""

import sqlalchemy as sa
from alembic import op

revision = "0020_guarantee_judgements"
down_revision = "0019_connections"


def upgrade() -> None:
    op.add_column("judgements", sa.Column("judgement_id", sa.Text(), nullable=True))
    op.execute("UPDATE judgements SET judgement_id = facility_id || '/' || code")
    op.alter_column("judgements", "judgement_id", nullable=False)
    op.drop_constraint("pk_judgements", "judgements")
    op.create_primary_key("pk_judgements", "judgements", ["judgement_id"])
    op.create_index("ix_judgements_facility_id", "judgements", ["facility_id"])
