"""Indexes for the limits of holds, and a function that tells whether there is room for one more.

A statement sees what was committed before it began; a volatile function's own queries see what is
committed when they run. So the count that follows the lock is exact in the middle of a statement.
It does not wait: somebody else at the same address is a matter for the careful path.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in ("session_id", "address_hash"):
        op.create_index(
            f"ix_holds_active_{column}",
            "holds",
            [column],
            unique=False,
            postgresql_where=sa.text("state = 'active'"),
            sqlite_where=sa.text("state = 'active'"),
        )
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute(
        """
        CREATE OR REPLACE FUNCTION room_for_hold(
            session text, address text, most_of_session int, most_of_address int
        ) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
        DECLARE
            of_session bigint;
            of_address bigint;
        BEGIN
            IF NOT pg_try_advisory_xact_lock(hashtext(address)) THEN
                RETURN false;
            END IF;
            SELECT count(*) FILTER (WHERE session <> '' AND holds.session_id = session),
                   count(*) FILTER (WHERE holds.address_hash = address)
              INTO of_session, of_address
              FROM holds
             WHERE holds.state = 'active'
               AND (holds.address_hash = address
                    OR (session <> '' AND holds.session_id = session));
            RETURN of_session < most_of_session AND of_address < most_of_address;
        END
        $$
        """
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION room_for_hold(text, text, int, int)")
    for column in ("address_hash", "session_id"):
        op.drop_index(f"ix_holds_active_{column}", table_name="holds")
