"""Room for the addresses of Stripe's hosted pages, which carry a long fragment.

Widening a varchar changes PostgreSQL's catalogue only: no row is rewritten, and the version that
serves meanwhile does not notice. SQLite copies the table, within the transaction of the start.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("payments") as payments:
        payments.alter_column(
            "payment_url", existing_type=sa.String(length=400), type_=sa.String(length=2000)
        )


def downgrade() -> None:
    """Nothing: an address that is stored must stay readable."""
