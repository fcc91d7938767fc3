"""The ledger as entries: what each visit, checkout and order adds to a number, and added before.

Visits keep the moments of their steps, orders those of what became of them. The table `steps` goes:
the version before stops booking where this one begins, so nothing is booked by two sets of rules.
Entries of what is stored are made when this version starts (`Projection.restate`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import orjson
import sqlalchemy as sa
from alembic import op

from app.frame.data.database import UtcTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SEGMENT = ("market", "channel", "device", "entry", "traffic")
WIDTHS = (8, 16, 16, 16, 16)


def _segment(nullable: bool) -> list[sa.Column[str]]:
    pairs = zip(SEGMENT, WIDTHS, strict=True)
    return [sa.Column(name, sa.String(width), nullable=nullable) for name, width in pairs]


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("number", NUMBER, primary_key=True),
        sa.Column("event_id", sa.String(80), nullable=False),
        sa.Column("source", sa.String(80), nullable=False),
        sa.Column("type", sa.String(80), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("booked_at", UtcTime, nullable=False),
        sa.Column("session_id", sa.String(80), nullable=False),
        sa.Column("wire", sa.Text(), nullable=False),
    )
    op.create_index("ux_events_event_id", "events", ["event_id"], unique=True)
    op.create_index("ix_events_at", "events", ["at"])
    op.create_index("ix_events_session_id", "events", ["session_id"])
    op.create_table(
        "entries",
        sa.Column("number", NUMBER, primary_key=True),
        sa.Column("subject", sa.String(80), nullable=False),
        sa.Column("measure", sa.String(32), nullable=False),
        sa.Column("label", sa.String(160), nullable=False),
        *_segment(nullable=False),
        sa.Column("channel_group", sa.String(80), nullable=False),
        sa.Column("campaign", sa.String(100), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("moment", UtcTime, nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("booked_at", UtcTime, nullable=False),
        sa.Column("until", UtcTime),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("ended_by", sa.String(16)),
    )
    op.create_index("ix_entries_measure_at", "entries", ["measure", "at"])
    op.create_index("ix_entries_at", "entries", ["at"])
    op.create_index(
        "ux_entries_standing",
        "entries",
        ["subject", "measure"],
        unique=True,
        postgresql_where=sa.text("until IS NULL"),
        sqlite_where=sa.text("until IS NULL"),
    )
    op.create_table(
        "restated",
        sa.Column("metric", sa.String(60), primary_key=True),
        sa.Column("labels", sa.String(400), primary_key=True),
        sa.Column("part", sa.String(16), primary_key=True),
        sa.Column("direction", sa.String(8), primary_key=True),
        sa.Column("reason", sa.String(16), primary_key=True),
        sa.Column("value", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "head",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("booked_at", UtcTime, nullable=False),
        sa.Column("rules", sa.Integer(), nullable=False),
    )
    reached, happened = _steps()
    _sessions(reached)
    _checkouts()
    _orders(happened)
    op.drop_table("steps")
    op.drop_table("tallies")


def downgrade() -> None:
    raise RuntimeError("the version before cannot book what this one has: restore a backup")


Moments = dict[str, dict[str, str]]


def _steps() -> tuple[Moments, Moments]:
    """Moments of steps by visit, and of what became of orders, as their new columns have them."""
    reached: Moments = defaultdict(dict)
    happened: Moments = defaultdict(dict)
    steps = sa.table(
        "steps",
        *(sa.column(name) for name in ("subject", "funnel", "step")),
        sa.column("at", UtcTime),
    )
    for subject, funnel, step, at in op.get_bind().execute(sa.select(steps)):
        moment = at.isoformat()
        if funnel == "shop":
            reached[subject][f"step.{step}"] = moment
        elif funnel == "advice":
            reached[subject]["unmatched" if step == "unmatched" else f"advice.{step}"] = moment
        elif step in ("cancelled", "returned"):
            happened[subject][step] = moment
        elif step == "crash":
            reached[subject]["crash"] = moment
    return reached, happened


def _sessions(reached: Moments) -> None:
    _add(
        "sessions",
        sa.Column("awaits_proof", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("proven", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("suspected", sa.String(80)),
        sa.Column("reached", sa.Text(), nullable=False, server_default="{}"),
        sa.Column("campaign", sa.String(100), nullable=False, server_default=""),
        sa.Column("visitor_id", sa.String(40)),
        sa.Column("crashed", sa.String(60)),
    )
    for name in ("advised", "engaged", "converted"):
        op.drop_column("sessions", name)
    op.create_index("ix_sessions_visitor_id", "sessions", ["visitor_id"])
    rows = [
        {
            "key": subject,
            "reached": _json({k: at for k, at in steps.items() if k != "crash"}),
            "crashed": "unknown" if "crash" in steps else None,
        }
        for subject, steps in reached.items()
    ]
    _fill(
        "UPDATE sessions SET reached = :reached, crashed = :crashed WHERE session_id = :key", rows
    )


def _checkouts() -> None:
    _add(
        "checkouts",
        sa.Column("session_id", sa.String(80), nullable=False, server_default=""),
        sa.Column("suspected", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("channel_group", sa.String(80)),
        sa.Column("campaign", sa.String(100), nullable=False, server_default=""),
    )
    op.drop_column("checkouts", "counted_as")
    with op.batch_alter_table("checkouts") as table:
        for name, width in zip(SEGMENT, WIDTHS, strict=True):
            table.alter_column(name, existing_type=sa.String(width), nullable=True)
        table.alter_column("started_at", existing_type=UtcTime, nullable=True)
    op.create_index("ix_checkouts_session_id", "checkouts", ["session_id"])


def _orders(happened: Moments) -> None:
    _add(
        "orders",
        sa.Column("session_id", sa.String(80), nullable=False, server_default=""),
        sa.Column("happened", sa.Text(), nullable=False, server_default="{}"),
        sa.Column("return_reason", sa.String(40), nullable=False, server_default=""),
        sa.Column("visitor_id", sa.String(40)),
        sa.Column("customer_id", sa.String(80)),
    )
    with op.batch_alter_table("orders") as table:
        for name, width in zip(SEGMENT, WIDTHS, strict=True):
            table.alter_column(name, existing_type=sa.String(width), nullable=True)
    orders = sa.table(
        "orders", sa.column("order_id"), sa.column("state"), sa.column("ended_at", UtcTime)
    )
    rows = []
    for order_id, state, ended_at in op.get_bind().execute(sa.select(orders)):
        moments = dict(happened.get(order_id, {}))
        name = f"ended.{state}" if state in ("declined", "expired") else state
        if ended_at is not None and state not in ("payment_pending", "confirmed"):
            moments.setdefault(name, ended_at.isoformat())
        reason = "other" if "returned" in moments else ""
        rows.append({"key": order_id, "happened": _json(moments), "reason": reason})
    _fill(
        "UPDATE orders SET happened = :happened, return_reason = :reason WHERE order_id = :key",
        rows,
    )


def _add(table: str, *columns: sa.Column[object]) -> None:
    for column in columns:
        op.add_column(table, column)


def _fill(statement: str, rows: Sequence[Mapping[str, object]]) -> None:
    if rows:
        op.get_bind().execute(sa.text(statement), [dict(row) for row in rows])


def _json(moments: dict[str, str]) -> str:
    return orjson.dumps(moments, option=orjson.OPT_SORT_KEYS).decode()
