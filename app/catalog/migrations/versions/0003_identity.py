"""A car's identity, and when a feed was exported.

Both columns are empty in rows of before, so that cars that are listed twice today break nothing:
the next import of their sources lets one of them keep its place. The version before serves beside.
"""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

from app.frame.data.database import UtcTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cars", sa.Column("identity", sa.String(64)))
    op.create_index(
        "uq_cars_one_offer_per_identity",
        "cars",
        ["identity"],
        unique=True,
        postgresql_where=sa.text("listed"),
        sqlite_where=sa.text("listed"),
    )
    op.create_index("ix_cars_identity", "cars", ["identity"])
    key = op.create_table(
        "identity_key", sa.Column("key", sa.String(64), primary_key=True, nullable=False)
    )
    op.bulk_insert(key, [{"key": secrets.token_hex(32)}])
    op.add_column("feeds", sa.Column("exported_at", UtcTime))


def downgrade() -> None:
    op.drop_column("feeds", "exported_at")
    op.drop_table("identity_key")
    op.drop_index("ix_cars_identity", table_name="cars")
    op.drop_index("uq_cars_one_offer_per_identity", table_name="cars")
    op.drop_column("cars", "identity")
