"""What brought a visit and an order: channel group, source and medium.

Columns that may be empty: the version before serves beside them, and leaves them so.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("sessions", "orders"):
        op.add_column(table, sa.Column("channel_group", sa.String(80)))
        op.add_column(table, sa.Column("utm_source", sa.String(100)))
        op.add_column(table, sa.Column("utm_medium", sa.String(100)))


def downgrade() -> None:
    for table in ("orders", "sessions"):
        for column in ("utm_medium", "utm_source", "channel_group"):
            op.drop_column(table, column)
