"""A car's version: it goes up with everything that happens to the car, its holds, orders, payments.

Whoever decided about a car writes only if it is as it was seen. A version of ours from before does
not count; while it serves beside this one a trigger counts its moves of cars. Room is left in the
pages (`fillfactor`), so that counting stays within them; never index the version.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "cars", sa.Column("version", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
    )
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("ALTER TABLE cars SET (fillfactor = 90)")
    op.execute(
        """
        CREATE FUNCTION count_car_version() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.version := OLD.version + 1;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER count_car_version BEFORE UPDATE ON cars FOR EACH ROW
        WHEN (NEW.version = OLD.version AND NEW.state IS DISTINCT FROM OLD.state)
        EXECUTE FUNCTION count_car_version()
        """
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER count_car_version ON cars")
        op.execute("DROP FUNCTION count_car_version()")
    op.drop_column("cars", "version")
