"""Whose dealer key a source's last import came with.

A nullable column: the version that serves meanwhile neither writes nor reads it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("feeds", sa.Column("sent_by", sa.String(80)))


def downgrade() -> None:
    op.drop_column("feeds", "sent_by")
