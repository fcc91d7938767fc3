"""How a restored database is noticed: the outbox has an epoch.

It only adds: the version before serves beside it, and goes on as it did.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.frame.data.database import UtcTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "outbox_epoch",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("epoch", sa.String(40), nullable=False),
        sa.Column("restated_at", UtcTime),
        sa.PrimaryKeyConstraint("id", name="pk_outbox_epoch"),
    )


def downgrade() -> None:
    op.drop_table("outbox_epoch")
