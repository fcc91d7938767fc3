"""When dealers are open, and until when an order's car is kept, as it was promised.

Nullable columns: the version that serves meanwhile neither writes nor reads them. What it lists or
confirms is kept for so much time on the clock, as it always was.
"""

import sqlalchemy as sa
from alembic import op

from app.frame.data.database import UtcTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cars", sa.Column("dealer_calendar", sa.Text(), nullable=True))
    op.add_column("orders", sa.Column("pick_up_by", UtcTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("orders", "pick_up_by")
    op.drop_column("cars", "dealer_calendar")
