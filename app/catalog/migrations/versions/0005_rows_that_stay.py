"""A car whose row was refused is still in its feed, and a corrected VIN waits beside the first one.

Two nullable columns: the version that serves meanwhile neither writes nor reads them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cars", sa.Column("stated", sa.String(64)))
    op.create_index("ix_cars_stated", "cars", ["stated"])
    op.add_column("cars", sa.Column("refused", sa.String(8)))


def downgrade() -> None:
    op.drop_column("cars", "refused")
    op.drop_index("ix_cars_stated", table_name="cars")
    op.drop_column("cars", "stated")
