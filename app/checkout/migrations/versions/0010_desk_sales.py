"""Cars that their dealer sold in the showroom.

A new table: the version that serves meanwhile neither writes nor reads it. It keeps such a car off
sale, because its state is `sold`.
"""

import sqlalchemy as sa
from alembic import op

from app.frame.data.database import UtcTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "desk_sales",
        sa.Column("car_id", sa.String(80), nullable=False),
        sa.Column("sold_at", UtcTime(), nullable=False),
        sa.Column("reported_by", sa.String(80), nullable=False),
        sa.Column("left_feed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["car_id"], ["cars.car_id"]),
        sa.PrimaryKeyConstraint("car_id"),
    )


def downgrade() -> None:
    op.drop_table("desk_sales")
