"""Follow money that moves after it was taken, and put off work that fails.

Nullable columns and a table of its own: the version that serves meanwhile writes neither. The
partial indexes are empty or narrow; the one of payments is built over its rows once.
"""

import sqlalchemy as sa
from alembic import op

from app.frame.data.database import UtcTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KEPT = {"handed_over": "handed_over_at IS NOT NULL", "disputed": "state = 'disputed'"}


def upgrade() -> None:
    op.add_column("payments", sa.Column("refunded_amount", sa.BigInteger(), nullable=True))
    op.add_column("payments", sa.Column("dispute", sa.String(length=8), nullable=True))
    op.create_index("ix_payments_payment_id", "payments", ["payment_id"], unique=False)
    for name, why in KEPT.items():
        op.create_index(
            f"ix_orders_{name}",
            "orders",
            ["car_id"],
            unique=False,
            postgresql_where=sa.text(why),
            sqlite_where=sa.text(why),
        )
    op.create_table(
        "work",
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("item_id", sa.String(length=40), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("since", UtcTime(), nullable=False),
        sa.Column("due_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "item_id", name=op.f("pk_work")),
    )


def downgrade() -> None:
    op.drop_table("work")
    for name in KEPT:
        op.drop_index(f"ix_orders_{name}", table_name="orders")
    op.drop_index("ix_payments_payment_id", table_name="payments")
    op.drop_column("payments", "dispute")
    op.drop_column("payments", "refunded_amount")
