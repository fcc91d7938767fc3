"""Find a customer's orders by a blind index, and remember which orders were erased.

Nullable columns: the version that serves meanwhile leaves them empty, and a row without an index is
opened when somebody is looked for. The index on PostgreSQL is built on a column that is still
empty, and is partial, so that writers wait for one pass over a narrow table.
"""

import sqlalchemy as sa
from alembic import op

from app.frame.data.database import UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("erased_at", UtcTime(), nullable=True))
    op.add_column("customers", sa.Column("email_index", sa.String(length=60), nullable=True))
    op.create_index(
        "ix_customers_email_index",
        "customers",
        ["email_index"],
        unique=False,
        postgresql_where=sa.text("email_index IS NOT NULL"),
        sqlite_where=sa.text("email_index IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_customers_email_index", table_name="customers")
    op.drop_column("customers", "email_index")
    op.drop_column("orders", "erased_at")
