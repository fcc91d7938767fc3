"""The ledger, the alerts' history, and the frame's tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.frame.data.database import UtcTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _segment(*, nullable: bool = False) -> list[sa.Column[str]]:
    return [
        sa.Column("market", sa.String(8), nullable=nullable),
        sa.Column("channel", sa.String(16), nullable=nullable),
        sa.Column("device", sa.String(16), nullable=nullable),
        sa.Column("entry", sa.String(16), nullable=nullable),
        sa.Column("traffic", sa.String(16), nullable=nullable),
    ]


def upgrade() -> None:
    _frame()
    _numbers()
    _journeys()
    _references()


def _frame() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("position", sa.BigInteger),
        sa.Column("event_id", sa.String(40), nullable=False),
        sa.Column("type", sa.String(80), nullable=False),
        sa.Column("time", UtcTime, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("context", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("position", name="uq_outbox_position"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "outbox_head",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox_head"),
    )
    op.create_table(
        "outbox_consumers",
        sa.Column("consumer", sa.String(40), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("seen_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("consumer", name="pk_outbox_consumers"),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("holder", sa.String(40), nullable=False),
        sa.Column("held_until", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    op.create_table(
        "consumer_positions",
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("source", name="pk_consumer_positions"),
    )


def _numbers() -> None:
    op.create_table(
        "counters",
        sa.Column("metric", sa.String(60), nullable=False),
        sa.Column("labels", sa.String(400), nullable=False),
        sa.Column("part", sa.String(16), nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("metric", "labels", "part", name="pk_counters"),
    )
    op.create_table(
        "steps",
        sa.Column("subject", sa.String(80), nullable=False),
        sa.Column("funnel", sa.String(16), nullable=False),
        sa.Column("step", sa.String(40), nullable=False),
        *_segment(),
        sa.Column("at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("subject", "funnel", "step", name="pk_steps"),
    )
    op.create_index("ix_steps_at", "steps", ["at"])


def _journeys() -> None:
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.String(80), nullable=False),
        *_segment(nullable=True),
        sa.Column("started_at", UtcTime),
        sa.Column("first_seen", UtcTime, nullable=False),
        sa.Column("last_seen", UtcTime, nullable=False),
        sa.Column("views", sa.Integer, nullable=False),
        sa.Column("key_event", sa.Boolean, nullable=False),
        sa.Column("ordered", sa.Boolean, nullable=False),
        sa.Column("advised", sa.Boolean, nullable=False),
        sa.Column("engaged", sa.Boolean, nullable=False),
        sa.Column("converted", sa.Boolean, nullable=False),
        sa.Column("closed_at", UtcTime),
        sa.PrimaryKeyConstraint("session_id", name="pk_sessions"),
    )
    op.create_index("ix_sessions_last_seen", "sessions", ["last_seen"])
    op.create_index("ix_sessions_started_at", "sessions", ["started_at"])
    op.create_table(
        "checkouts",
        sa.Column("checkout_id", sa.String(80), nullable=False),
        *_segment(),
        sa.Column("started_at", UtcTime, nullable=False),
        sa.Column("ended_at", UtcTime),
        sa.Column("counted_as", sa.String(16)),
        sa.Column("result", sa.String(16)),
        sa.Column("trace_id", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("checkout_id", name="pk_checkouts"),
    )
    op.create_index("ix_checkouts_started_at", "checkouts", ["started_at"])
    op.create_table(
        "orders",
        sa.Column("order_id", sa.String(80), nullable=False),
        sa.Column("hold_id", sa.String(80), nullable=False),
        sa.Column("car_id", sa.String(80), nullable=False),
        sa.Column("model_id", sa.String(80), nullable=False),
        *_segment(),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("provider", sa.String(20), nullable=False),
        sa.Column("price", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("campaign", sa.String(100), nullable=False),
        sa.Column("release", sa.String(60), nullable=False),
        sa.Column("submitted_at", UtcTime),
        sa.Column("confirmed_at", UtcTime),
        sa.Column("ended_at", UtcTime),
        sa.Column("order_seconds", sa.Float),
        sa.Column("confirmation_seconds", sa.Float),
        sa.Column("submitted_trace", sa.String(32), nullable=False),
        sa.Column("payment_trace", sa.String(32), nullable=False),
        sa.Column("confirmed_trace", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("order_id", name="pk_orders"),
    )
    op.create_index("ix_orders_confirmed_at", "orders", ["confirmed_at"])
    op.create_index("ix_orders_submitted_at", "orders", ["submitted_at"])


def _references() -> None:
    op.create_table(
        "cars",
        sa.Column("car_id", sa.String(80), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("car_id", name="pk_cars"),
    )
    op.create_table(
        "alerts",
        sa.Column("fingerprint", sa.String(40), nullable=False),
        sa.Column("starts_at", UtcTime, nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("severity", sa.String(20), nullable=False),
        sa.Column("service", sa.String(40), nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("runbook", sa.String(200), nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("received_at", UtcTime, nullable=False),
        sa.Column("ends_at", UtcTime),
        sa.PrimaryKeyConstraint("fingerprint", "starts_at", name="pk_alerts"),
    )
    op.create_index("ix_alerts_starts_at", "alerts", ["starts_at"])


def downgrade() -> None:
    for table in (
        "alerts",
        "cars",
        "orders",
        "checkouts",
        "sessions",
        "steps",
        "counters",
        "consumer_positions",
        "leases",
        "outbox_consumers",
        "outbox_head",
        "outbox",
    ):
        op.drop_table(table)
