"""The practice provider's tables. No card number is ever stored."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    text,
)

from app.frame.data.database import UtcTime, new_metadata
from app.frame.data.leases import lease_table

METADATA = new_metadata()
LEASES = lease_table(METADATA)

PAYMENTS = Table(
    "payments",
    METADATA,
    Column("payment_id", String(40), primary_key=True),
    Column("reference", String(80), nullable=False, unique=True),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("refunded", BigInteger, nullable=False),
    Column("state", String(30), nullable=False),
    Column("card", String(20)),
    Column("description", String(200), nullable=False),
    Column("return_url", String(600), nullable=False),
    Column("cancel_url", String(600), nullable=False),
    Column("language", String(5), nullable=False),
    Column("traceparent", String(60), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("accepted_at", UtcTime),
    Column("dispute", String(8)),
    Column("disputes", Integer),
    Column("disputed_amount", BigInteger),
)
"""`card`: the behaviour that a practice card stands for (`pays`, `declined`, …), nothing else.

`dispute`: open, won, lost; the latest of so many `disputes`, over `disputed_amount`.
"""

DELIVERIES = Table(
    "deliveries",
    METADATA,
    Column("event_id", String(40), primary_key=True),
    Column("payment_id", String(40), ForeignKey("payments.payment_id"), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("copies", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", UtcTime),
)
"""Webhooks; `copies` still to be sent, `due_at` is empty when there is nothing left to do."""

for _when, _made in (("open", "accepted_at IS NULL"), ("made", "accepted_at IS NOT NULL")):
    Index(
        f"ix_payments_{_when}_created_at",
        PAYMENTS.c.created_at,
        postgresql_where=text(_made),
        sqlite_where=text(_made),
    )
Index("ix_deliveries_payment_id", DELIVERIES.c.payment_id)
Index("ix_deliveries_due_at", DELIVERIES.c.due_at)
