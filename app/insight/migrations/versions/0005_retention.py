"""What has left of the ledger's details: how many rows, and since when all are there.

New tables and an index: the version before serves beside them, and removes nothing.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.frame.data.database import UtcTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tallies",
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("gone", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name="pk_tallies"),
    )
    op.create_table(
        "horizon",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kept_since", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_horizon"),
    )
    op.create_index(
        "ix_orders_never_confirmed",
        "orders",
        ["confirmed_at", "submitted_at"],
        postgresql_where=sa.text("confirmed_at IS NULL"),
        sqlite_where=sa.text("confirmed_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_orders_never_confirmed", table_name="orders")
    op.drop_table("horizon")
    op.drop_table("tallies")
