"""Keep each refund and dispute by its own id: a payment may have several.

A nullable column: the version that serves meanwhile leaves it empty, and reads the two sums beside
it, which are still written.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("payments", sa.Column("moves", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("payments", "moves")
