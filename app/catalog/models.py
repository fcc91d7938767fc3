"""The catalogue's tables. One writer at a time: every write begins by locking `stock_head`."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    text,
)

from app.frame.data.consumers import position_table
from app.frame.data.database import UtcTime, new_metadata
from app.frame.data.leases import lease_table
from app.frame.data.outbox import outbox_tables

METADATA: Final = new_metadata()

cars: Final = Table(
    "cars",
    METADATA,
    Column("car_id", String(40), primary_key=True),
    Column("source", String(40), nullable=False),
    Column("market", String(2), nullable=False),
    Column("stock_id", String(100), nullable=False),
    Column("dealer_id", String(60), nullable=False),
    # The members of a wire `Car` that do not depend on time, caller or checkout.
    Column("document", JSON, nullable=False),
    Column("handover_at", UtcTime),
    Column("handover_lead_seconds", BigInteger),
    # SHA-256 over what a shopper sees: equal means that the feed brought nothing new.
    Column("digest", String(64), nullable=False),
    # Keyed hash of the VIN (catalog.identity); empty when the feed states none.
    Column("identity", String(64)),
    # Another identity, which its row states while a customer has the car by the first one.
    Column("stated", String(64)),
    Column("listed", Boolean, nullable=False),
    # Why the row of a car that is not listed was refused (catalog.swap); empty when it has none.
    Column("refused", String(8)),
    Column("state", String(10), nullable=False),
    # Unique, in commit order: whoever has seen version N has seen every change up to N.
    Column("version", BigInteger, nullable=False),
    Column("first_listed_at", UtcTime, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    UniqueConstraint("source", "market", "stock_id"),
    Index(None, "version", unique=True),
)

Index(
    "uq_cars_one_offer_per_identity",
    cars.c.identity,
    unique=True,
    postgresql_where=text("listed"),
    sqlite_where=text("listed"),
)
Index(
    "ix_cars_off_sale",
    cars.c.changed_at,
    postgresql_where=text("NOT listed"),
    sqlite_where=text("NOT listed"),
)
Index("ix_cars_identity", cars.c.identity)
Index("ix_cars_stated", cars.c.stated)

identity_key: Final = Table(
    "identity_key",
    METADATA,
    # One row. Hexadecimal; what identities are made with (catalog.identity.VinHash).
    Column("key", String(64), primary_key=True),
)

dealers: Final = Table(
    "dealers",
    METADATA,
    Column("dealer_id", String(60), primary_key=True),
    Column("document", JSON, nullable=False),
)

feeds: Final = Table(
    "feeds",
    METADATA,
    Column("source", String(40), primary_key=True),
    Column("market", String(2), primary_key=True),
    Column("adapter", String(60), nullable=False),
    Column("imported_at", UtcTime, nullable=False),
    # The newest export that was imported, where the sender says when it was made.
    Column("exported_at", UtcTime),
    # Name of the dealer key that the last import came with; empty in rows of before.
    Column("sent_by", String(80)),
)

stock_head: Final = Table(
    "stock_head",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
)

OUTBOX: Final = outbox_tables(METADATA)
leases: Final = lease_table(METADATA)
positions: Final = position_table(METADATA)
