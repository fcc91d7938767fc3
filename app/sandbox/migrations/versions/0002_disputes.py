"""Remember disputes. A nullable column: the version that serves meanwhile leaves it empty."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("payments", sa.Column("dispute", sa.String(length=8), nullable=True))


def downgrade() -> None:
    op.drop_column("payments", "dispute")
