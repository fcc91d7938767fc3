"""When a car can be collected: as the catalogue says, and as it was when an order was placed.

Nullable columns: the version that serves meanwhile neither writes nor reads them. A car that it
lists, or an order that it takes, counts its days from the confirmation, as it always did.
"""

import sqlalchemy as sa
from alembic import op

from app.frame.data.database import UtcTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cars", sa.Column("ready_for_handover_at", UtcTime(), nullable=True))
    op.add_column("cars", sa.Column("handover_lead_seconds", sa.BigInteger(), nullable=True))
    op.add_column("orders", sa.Column("ready_for_handover_at", UtcTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("orders", "ready_for_handover_at")
    op.drop_column("cars", "handover_lead_seconds")
    op.drop_column("cars", "ready_for_handover_at")
