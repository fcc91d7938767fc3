"""Room for the console's ended logins. A new table: the version before serves beside it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.frame.data.database import UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ended_logins",
        sa.Column("login_id", sa.String(40), nullable=False),
        sa.Column("expires_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("login_id", name="pk_ended_logins"),
    )


def downgrade() -> None:
    op.drop_table("ended_logins")
