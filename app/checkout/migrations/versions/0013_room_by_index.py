"""Look whether there is room for one more hold without reading everybody's.

Each count has an index of its own, which it alone can use: plans that were made while nothing was
held walked through all active holds an hour later. The session has a lock of its own too: whoever
came from several addresses at once, to several processes, got more cars than one may hold. Same
name and arguments: the version that serves meanwhile calls the function as before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

HEAD = """
CREATE OR REPLACE FUNCTION room_for_hold(
    session text, address text, most_of_session int, most_of_address int
) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
"""


ACTIVE_BY = {"session_id": "state || '' = 'active'", "address_hash": "'' || state = 'active'"}


def upgrade() -> None:
    for column, active in ACTIVE_BY.items():
        op.create_index(
            f"ix_holds_active_by_{column}",
            "holds",
            [column],
            unique=False,
            postgresql_where=sa.text(active),
            sqlite_where=sa.text(active),
        )
        op.drop_index(f"ix_holds_active_{column}", table_name="holds")
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute(
        HEAD  # noqa: S608 - constants
        + """
        BEGIN
            IF NOT pg_try_advisory_xact_lock(hashtext(address)) THEN
                RETURN false;
            END IF;
            IF session <> '' THEN
                IF NOT pg_try_advisory_xact_lock(hashtext('of:' || session)) THEN
                    RETURN false;
                END IF;
                IF (SELECT count(*) FROM holds WHERE state || '' = 'active'
                       AND holds.session_id = session) >= most_of_session THEN
                    RETURN false;
                END IF;
            END IF;
            RETURN (SELECT count(*) FROM holds WHERE '' || state = 'active'
                       AND holds.address_hash = address) < most_of_address;
        END
        $$
        """
    )


def downgrade() -> None:
    for column in ACTIVE_BY:
        op.create_index(
            f"ix_holds_active_{column}",
            "holds",
            [column],
            unique=False,
            postgresql_where=sa.text("state = 'active'"),
            sqlite_where=sa.text("state = 'active'"),
        )
        op.drop_index(f"ix_holds_active_by_{column}", table_name="holds")
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute(
        HEAD  # noqa: S608 - constants
        + """
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
