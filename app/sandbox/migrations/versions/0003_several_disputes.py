"""A payment may be disputed again, and over a part. Nullable columns, as before."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("payments", sa.Column("disputes", sa.Integer(), nullable=True))
    op.add_column("payments", sa.Column("disputed_amount", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("payments", "disputed_amount")
    op.drop_column("payments", "disputes")
