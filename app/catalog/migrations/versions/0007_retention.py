"""Find by an index what has stayed long enough. Nothing else changes for the version before."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_cars_off_sale",
        "cars",
        ["changed_at"],
        postgresql_where=sa.text("NOT listed"),
        sqlite_where=sa.text("NOT listed"),
    )


def downgrade() -> None:
    op.drop_index("ix_cars_off_sale", table_name="cars")
