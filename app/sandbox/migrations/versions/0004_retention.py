"""Find by an index what has stayed long enough. Nothing else changes for the version before."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MADE = {"open": "accepted_at IS NULL", "made": "accepted_at IS NOT NULL"}


def upgrade() -> None:
    for when, made in MADE.items():
        op.create_index(
            f"ix_payments_{when}_created_at",
            "payments",
            ["created_at"],
            postgresql_where=sa.text(made),
            sqlite_where=sa.text(made),
        )
    op.create_index("ix_deliveries_payment_id", "deliveries", ["payment_id"])


def downgrade() -> None:
    op.drop_index("ix_deliveries_payment_id", table_name="deliveries")
    for when in MADE:
        op.drop_index(f"ix_payments_{when}_created_at", table_name="payments")
