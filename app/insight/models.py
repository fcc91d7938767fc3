"""The ledger's tables. Nothing personal is in them: identifiers, segments, times and amounts.

`events` is all that was ever told, in the order and with the moment of its booking; everything else
follows from it. `sessions`, `checkouts` and `orders` are what is known of each; `entries` is what
they add to the numbers, with what they added before; `counters` and `restated` are exported.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    text,
)
from sqlalchemy.types import TypeDecorator

from app.frame.data.consumers import position_table
from app.frame.data.database import UtcTime, new_metadata
from app.frame.data.leases import lease_table
from app.frame.data.outbox import outbox_tables

METADATA: Final = new_metadata()
OUTBOX: Final = outbox_tables(METADATA)
POSITIONS: Final = position_table(METADATA)
LEASES: Final = lease_table(METADATA)


class Moments(TypeDecorator[Mapping[str, datetime]]):
    """Moments by name: a JSON object of RFC 3339 texts with sorted keys."""

    impl = Text
    cache_ok = True

    def process_bind_param(
        self, value: Mapping[str, datetime] | None, dialect: Dialect
    ) -> str | None:
        return None if value is None else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()

    def process_result_value(
        self, value: str | None, dialect: Dialect
    ) -> dict[str, datetime] | None:
        if value is None:
            return None
        return {name: datetime.fromisoformat(at) for name, at in orjson.loads(value).items()}


_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")
"""Of a key that the database counts up: SQLite does so for INTEGER alone."""


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

EVENTS: Final = Table(
    "events",
    METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("event_id", String(80), nullable=False),
    Column("source", String(80), nullable=False),
    Column("type", String(80), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("booked_at", UtcTime, nullable=False),
    Column("session_id", String(80), nullable=False),
    Column("wire", Text, nullable=False),  # the CloudEvent
    Index("ux_events_event_id", "event_id", unique=True),
    Index("ix_events_at", "at"),
    Index("ix_events_session_id", "session_id"),
)

ENTRIES: Final = Table(
    "entries",
    METADATA,
    Column("number", _NUMBER, primary_key=True),
    Column("subject", String(80), nullable=False),
    Column("measure", String(32), nullable=False),
    Column("label", String(160), nullable=False),  # the metric's own label values, joined by |
    *_segment(),
    Column("channel_group", String(80), nullable=False),
    Column("campaign", String(100), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("moment", UtcTime, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("booked_at", UtcTime, nullable=False),
    Column("until", UtcTime),  # since when it no longer counts
    Column("reason", String(16), nullable=False),
    Column("ended_by", String(16)),  # the reason of what counts instead, or of counting no more
    Index("ix_entries_measure_at", "measure", "at"),
    Index("ix_entries_at", "at"),
    Index(
        "ux_entries_standing",
        "subject",
        "measure",
        unique=True,
        postgresql_where=text("until IS NULL"),
        sqlite_where=text("until IS NULL"),
    ),
)
"""A subject has one entry of a measure that counts: the database itself holds that."""

RESTATED: Final = Table(
    "restated",
    METADATA,
    Column("metric", String(60), primary_key=True),
    Column("labels", String(400), primary_key=True),
    Column("part", String(16), primary_key=True),
    Column("direction", String(8), primary_key=True),  # up, down; gone: its entries have left
    Column("reason", String(16), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

SESSIONS: Final = Table(
    "sessions",
    METADATA,
    Column("session_id", String(80), primary_key=True),
    *_segment(nullable=True),  # unknown until the session's start is read
    Column("started_at", UtcTime),
    Column("first_seen", UtcTime, nullable=False),
    Column("last_seen", UtcTime, nullable=False),
    Column("awaits_proof", Boolean, nullable=False),
    Column("proven", Boolean, nullable=False),
    Column("suspected", String(80)),
    Column("views", Integer, nullable=False),
    Column("key_event", Boolean, nullable=False),
    Column("ordered", Boolean, nullable=False),
    Column("reached", Moments, nullable=False),
    Column("closed_at", UtcTime),
    *_acquisition(),  # of its first request
    Column("campaign", String(100), nullable=False),
    Column("visitor_id", String(40)),
    Column("crashed", String(60)),
    Index("ix_sessions_last_seen", "last_seen"),
    Index("ix_sessions_started_at", "started_at"),
    Index("ix_sessions_visitor_id", "visitor_id"),
)

CHECKOUTS: Final = Table(
    "checkouts",
    METADATA,
    Column("checkout_id", String(80), primary_key=True),
    *_segment(nullable=True),  # unknown until its start is read
    Column("session_id", String(80), nullable=False),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("result", String(16)),
    Column("suspected", Boolean, nullable=False),
    Column("trace_id", String(32), nullable=False),
    Column("channel_group", String(80)),
    Column("campaign", String(100), nullable=False),
    Index("ix_checkouts_started_at", "started_at"),
    Index("ix_checkouts_session_id", "session_id"),
)

ORDERS: Final = Table(
    "orders",
    METADATA,
    Column("order_id", String(80), primary_key=True),
    Column("hold_id", String(80), nullable=False),
    Column("car_id", String(80), nullable=False),
    Column("model_id", String(80), nullable=False),
    *_segment(nullable=True),  # unknown until it was submitted or confirmed
    Column("session_id", String(80), nullable=False),
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
    Column("happened", Moments, nullable=False),
    Column("return_reason", String(40), nullable=False),
    Column("visitor_id", String(40)),
    Column("customer_id", String(80)),
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

HORIZON: Final = Table(
    "horizon",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("kept_since", UtcTime, nullable=False),
)
"""One row once anything has left: of visits and checkouts all are there since then."""

HEAD: Final = Table(
    "head",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("booked_at", UtcTime, nullable=False),
    Column("rules", Integer, nullable=False),
)
"""One row: when the last batch was booked, and by which version of the rules all entries stand."""
