"""Which physical car a row is about: one of them is held, reserved or sold once.

Empty in rows of before, so that cars that are taken twice today break nothing. The version that
serves meanwhile neither writes nor reads it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cars", sa.Column("identity", sa.String(64)))
    op.create_index(
        "uq_cars_one_taken_per_identity",
        "cars",
        ["identity"],
        unique=True,
        postgresql_where=sa.text("state <> 'available'"),
        sqlite_where=sa.text("state <> 'available'"),
    )


def downgrade() -> None:
    op.drop_index("uq_cars_one_taken_per_identity", table_name="cars")
    op.drop_column("cars", "identity")
