"""Find by an index what has stayed long enough. Nothing else changes for the version before."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

INDEXES = (
    ("ix_holds_over", "holds", "expires_at", "state IN ('released', 'expired', 'sold_at_desk')"),
    (
        "ix_orders_never_confirmed_known",
        "orders",
        "ended_at",
        "confirmed_at IS NULL AND erased_at IS NULL",
    ),
    (
        "ix_orders_never_confirmed_erased",
        "orders",
        "ended_at",
        "confirmed_at IS NULL AND erased_at IS NOT NULL",
    ),
    ("ix_payment_events_received_at", "payment_events", "received_at", ""),
)


def upgrade() -> None:
    for name, table, column, where in INDEXES:
        part = sa.text(where) if where else None
        op.create_index(name, table, [column], postgresql_where=part, sqlite_where=part)


def downgrade() -> None:
    for name, table, _, __ in INDEXES:
        op.drop_index(name, table_name=table)
