"""Who let a car go without buying it, and when: it rests from them for a moment.

The version before leaves both as they are.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cars", sa.Column("let_go_by", sa.String(length=90)))
    op.add_column("cars", sa.Column("let_go_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    for column in ("let_go_at", "let_go_by"):
        op.drop_column("cars", column)
