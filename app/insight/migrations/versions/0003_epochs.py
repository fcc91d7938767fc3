"""How a restored database is noticed: the outbox has an epoch, a consumer a memory.

It only adds: the version before serves beside it, and goes on as it did.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.frame.data.database import UtcTime

revision = "0003"
down_revision = "0002"
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
    op.add_column("consumer_positions", sa.Column("event_id", sa.String(80)))
    op.add_column("consumer_positions", sa.Column("marked", sa.BigInteger))
    op.add_column("consumer_positions", sa.Column("epoch", sa.String(40)))
    op.add_column("consumer_positions", sa.Column("parted_at", UtcTime))
    op.create_table(
        "consumer_history",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("digests", sa.LargeBinary, nullable=False),
        sa.Column("astray", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_consumer_history"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_consumer_history_read", "consumer_history", ["source", "astray", "position"]
    )


def downgrade() -> None:
    op.drop_table("consumer_history")
    for column in ("parted_at", "epoch", "marked", "event_id"):
        op.drop_column("consumer_positions", column)
    op.drop_table("outbox_epoch")
