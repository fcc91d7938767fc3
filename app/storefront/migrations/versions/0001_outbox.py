"""The outbox."""

import sqlalchemy as sa
from alembic import op

from app.frame.data.database import UtcTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("position", sa.BigInteger),
        sa.Column("event_id", sa.String(40), nullable=False),
        sa.Column("type", sa.String(80), nullable=False),
        sa.Column("time", UtcTime, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("context", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("position", name="uq_outbox_position"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "outbox_head",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox_head"),
    )
    op.create_table(
        "outbox_consumers",
        sa.Column("consumer", sa.String(40), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("seen_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("consumer", name="pk_outbox_consumers"),
    )


def downgrade() -> None:
    for table in ("outbox_consumers", "outbox_head", "outbox"):
        op.drop_table(table)
