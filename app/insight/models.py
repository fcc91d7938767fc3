"""The ledger's tables. Nothing personal is in them: identifiers, segments, times and amounts.

`counters` holds every exported number; the other tables remember what was already counted, so
that nothing is counted twice, and carry the exact numbers of any period.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    text,
)

from app.frame.data.consumers import position_table
from app.frame.data.database import UtcTime, new_metadata
from app.frame.data.leases import lease_table
from app.frame.data.outbox import outbox_tables

METADATA: Final = new_metadata()
OUTBOX: Final = outbox_tables(METADATA)
POSITIONS: Final = position_table(METADATA)
LEASES: Final = lease_table(METADATA)


def _segment(*, nullable: bool = False) -> list[Column[Any]]:
    return [
        Column("market", String(8), nullable=nullable),
        Column("channel", String(16), nullable=nullable),
        Column("device", String(16), nullable=nullable),
        Column("entry", String(16), nullable=nullable),
        Column("traffic", String(16), nullable=nullable),
    ]


def _acquisition() -> list[Column[Any]]:
    """What brought it; unknown where the version before booked it."""
    return [
        Column("channel_group", String(80)),
        Column("utm_source", String(100)),
        Column("utm_medium", String(100)),
    ]


COUNTERS: Final = Table(
    "counters",
    METADATA,
    Column("metric", String(60), primary_key=True),
    Column("labels", String(400), primary_key=True),  # JSON object with sorted keys
    Column("part", String(16), primary_key=True),  # '' for counters; bucket edges and 'sum'
    Column("value", BigInteger, nullable=False),  # a sum of seconds is kept in millionths
)

SESSIONS: Final = Table(
    "sessions",
    METADATA,
    Column("session_id", String(80), primary_key=True),
    *_segment(nullable=True),  # unknown until the session's start is read
    Column("started_at", UtcTime),
    Column("first_seen", UtcTime, nullable=False),
    Column("last_seen", UtcTime, nullable=False),
    Column("views", Integer, nullable=False),
    Column("key_event", Boolean, nullable=False),
    Column("ordered", Boolean, nullable=False),
    Column("advised", Boolean, nullable=False),
    Column("engaged", Boolean, nullable=False),  # counted in shop_sessions_engaged_total
    Column("converted", Boolean, nullable=False),  # counted in shop_sessions_converted_total
    Column("closed_at", UtcTime),
    *_acquisition(),  # of its first request
    Index("ix_sessions_last_seen", "last_seen"),
    Index("ix_sessions_started_at", "started_at"),
)

STEPS: Final = Table(
    "steps",
    METADATA,
    Column("subject", String(80), primary_key=True),  # a session, or a hold without one
    Column("funnel", String(16), primary_key=True),  # shop, advice, or once
    Column("step", String(40), primary_key=True),
    *_segment(),
    Column("at", UtcTime, nullable=False),
    Index("ix_steps_at", "at"),
)

CHECKOUTS: Final = Table(
    "checkouts",
    METADATA,
    Column("checkout_id", String(80), primary_key=True),
    *_segment(),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("counted_as", String(16)),  # the end that was counted, once
    Column("result", String(16)),  # how it ended in truth; a late payment corrects it
    Column("trace_id", String(32), nullable=False),
    Index("ix_checkouts_started_at", "started_at"),
)

ORDERS: Final = Table(
    "orders",
    METADATA,
    Column("order_id", String(80), primary_key=True),
    Column("hold_id", String(80), nullable=False),
    Column("car_id", String(80), nullable=False),
    Column("model_id", String(80), nullable=False),
    *_segment(),
    Column("state", String(20), nullable=False),
    Column("provider", String(20), nullable=False),
    Column("price", BigInteger, nullable=False),  # minor units of `currency`, VAT included
    Column("currency", String(3), nullable=False),
    Column("campaign", String(100), nullable=False),
    Column("release", String(60), nullable=False),
    Column("submitted_at", UtcTime),
    Column("confirmed_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("order_seconds", Float),
    Column("confirmation_seconds", Float),
    Column("submitted_trace", String(32), nullable=False),
    Column("payment_trace", String(32), nullable=False),
    Column("confirmed_trace", String(32), nullable=False),
    *_acquisition(),  # of its session's last click that was not direct
    Index("ix_orders_confirmed_at", "confirmed_at"),
    Index("ix_orders_submitted_at", "submitted_at"),
    Index(
        "ix_orders_never_confirmed",
        "confirmed_at",
        "submitted_at",
        postgresql_where=text("confirmed_at IS NULL"),
        sqlite_where=text("confirmed_at IS NULL"),
    ),
)

CARS: Final = Table(
    "cars",
    METADATA,
    Column("car_id", String(80), primary_key=True),
    Column("title", String(200), nullable=False),
)

ALERTS: Final = Table(
    "alerts",
    METADATA,
    Column("fingerprint", String(40), primary_key=True),
    Column("starts_at", UtcTime, primary_key=True),
    Column("name", String(120), nullable=False),
    Column("severity", String(20), nullable=False),
    Column("service", String(40), nullable=False),
    Column("summary", Text, nullable=False),
    Column("runbook", String(200), nullable=False),
    Column("labels", JSON, nullable=False),
    Column("state", String(20), nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("ends_at", UtcTime),
    Index("ix_alerts_starts_at", "starts_at"),
)

ENDED_LOGINS: Final = Table(
    "ended_logins",
    METADATA,
    Column("login_id", String(40), primary_key=True),
    Column("expires_at", UtcTime, nullable=False),
)

TALLIES: Final = Table(
    "tallies",
    METADATA,
    Column("kind", String(16), primary_key=True),  # step, start or end
    Column("name", String(40), primary_key=True),  # which step, or how a checkout ended
    Column("gone", BigInteger, nullable=False),
)
"""How many rows have left of those that the counters are compared with."""

HORIZON: Final = Table(
    "horizon",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("kept_since", UtcTime, nullable=False),
)
"""One row once anything has left: of sessions, steps and checkouts all are there since then."""
