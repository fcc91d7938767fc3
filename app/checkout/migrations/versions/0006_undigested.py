"""Room for events that cannot be digested. A new table: the version before serves beside it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.frame.data.database import UtcTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "undigested",
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("event_id", sa.String(80), nullable=False),
        sa.Column("type", sa.String(80), nullable=False),
        sa.Column("subjects", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("error", sa.String(300), nullable=False),
        sa.Column("first_seen", UtcTime, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("source", "position", name="pk_undigested"),
    )


def downgrade() -> None:
    op.drop_table("undigested")
