"""Checkout's tables. Money is minor units; times are UTC."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    text,
)

from app.frame.data.consumers import position_table
from app.frame.data.database import UtcTime, new_metadata
from app.frame.data.leases import lease_table
from app.frame.data.outbox import outbox_tables

METADATA = new_metadata()

OUTBOX = outbox_tables(METADATA)
LEASES = lease_table(METADATA)
POSITIONS = position_table(METADATA)

CARS = Table(
    "cars",
    METADATA,
    Column("car_id", String(80), primary_key=True),
    Column("model_id", String(80), nullable=False),
    Column("title", String(200), nullable=False),
    Column("market", String(2), nullable=False),
    Column("dealer_id", String(80), nullable=False),
    Column("price", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("vat_rate", String(8), nullable=False),
    Column("rehearsal", Boolean, nullable=False),
    Column("listed", Boolean, nullable=False),
    Column("state", String(12), nullable=False),
    Column("ready_for_handover_at", UtcTime),
    Column("handover_lead_seconds", BigInteger),
    Column("dealer_calendar", Text),
    Column("identity", String(64)),
    Column("version", BigInteger, nullable=False, server_default=text("0")),
    Column("let_go_by", String(90)),
    Column("let_go_at", UtcTime),
)
"""What may be sold, as the catalogue told us. `state` is ours: only we decide who has a car.

`version` goes up with everything that happens to the car, its holds, orders or payments.

A car can be handed over at `ready_for_handover_at`, or `handover_lead_seconds` after its order;
neither when the catalogue does not say. `dealer_calendar` says when somebody is there to do it.

`let_go_by` is the session and the network of who last let it go without buying it, a blank between;
`let_go_at` is when, if it was for the second time in a row.
"""

Index(
    "uq_cars_one_taken_per_identity",
    CARS.c.identity,
    unique=True,
    postgresql_where=text("state <> 'available'"),
    sqlite_where=text("state <> 'available'"),
)
"""One physical car is held, reserved or sold once, however many feeds and ids it has."""

DESK_SALES = Table(
    "desk_sales",
    METADATA,
    Column("car_id", String(80), ForeignKey("cars.car_id"), primary_key=True),
    Column("sold_at", UtcTime, nullable=False),
    Column("reported_by", String(80), nullable=False),
    Column("left_feed", Boolean, nullable=False),
)
"""Cars that are `sold` because their dealer sold them in the showroom, and by whose key that was
reported. `left_feed`: the car has left its feed since; when it comes back it is on sale again."""

HOLDS = Table(
    "holds",
    METADATA,
    Column("hold_id", String(40), primary_key=True),
    Column("car_id", String(80), ForeignKey("cars.car_id"), nullable=False),
    Column("state", String(12), nullable=False),
    Column("session_id", String(40), nullable=False),
    Column("address_hash", String(40), nullable=False),
    Column("price", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("deposit", BigInteger, nullable=False),
    Column("context", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("extended", Boolean, nullable=False),
)
"""`state`: active, ordered, released, expired, sold_at_desk. The price is promised when it
is placed."""

Index(
    "uq_holds_one_active_per_car",
    HOLDS.c.car_id,
    unique=True,
    postgresql_where=text("state = 'active'"),
    sqlite_where=text("state = 'active'"),
)
Index(
    "ix_holds_active_expiry",
    HOLDS.c.expires_at,
    postgresql_where=text("state = 'active'"),
    sqlite_where=text("state = 'active'"),
)
Index(
    "ix_holds_over",
    HOLDS.c.expires_at,
    postgresql_where=text("state IN ('released', 'expired', 'sold_at_desk')"),
    sqlite_where=text("state IN ('released', 'expired', 'sold_at_desk')"),
)

ACTIVE_BY: Final = {
    "session_id": "state || '' = 'active'",
    "address_hash": "'' || state = 'active'",
}
"""How a query by this column says `state = 'active'`: no index but the column's own will do.

While next to nothing is active PostgreSQL finds a walk through any index of active holds as cheap,
keeps that plan, and walks through thousands an hour later.
"""

for _limited, _active in ACTIVE_BY.items():
    Index(
        f"ix_holds_active_by_{_limited}",
        HOLDS.c[_limited],
        postgresql_where=text(_active),
        sqlite_where=text(_active),
    )

ORDERS = Table(
    "orders",
    METADATA,
    Column("order_id", String(40), primary_key=True),
    Column("hold_id", String(40), ForeignKey("holds.hold_id"), nullable=False),
    Column("car_id", String(80), ForeignKey("cars.car_id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("token_hash", String(64), nullable=False),
    Column("price", BigInteger, nullable=False),
    Column("vat_rate", String(8), nullable=False),
    Column("vat", BigInteger, nullable=False),
    Column("deposit", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("provider", String(20), nullable=False),
    Column("advice_id", String(60), nullable=False),
    Column("context", JSON, nullable=False),
    Column("message", String(60)),
    Column("created_at", UtcTime, nullable=False),
    Column("confirmed_at", UtcTime),
    Column("handed_over_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("ready_for_handover_at", UtcTime),
    Column("pick_up_by", UtcTime),
    Column("erased_at", UtcTime),
)
"""Every order ever submitted; a confirmed one keeps `confirmed_at` whatever becomes of it.

`ready_for_handover_at` is what the shopper was told when ordering, `pick_up_by` when the order was
confirmed; no later feed, calendar or rule moves them.
`erased_at`: since then nobody knows whose order it was.
"""

Index("ix_orders_hold_id", ORDERS.c.hold_id)
Index(
    "uq_orders_one_live_per_car",
    ORDERS.c.car_id,
    unique=True,
    postgresql_where=text("state IN ('payment_pending', 'confirmed')"),
    sqlite_where=text("state IN ('payment_pending', 'confirmed')"),
)

for _kept, _why in (
    ("handed_over", "handed_over_at IS NOT NULL"),
    ("disputed", "state = 'disputed'"),
):
    Index(
        f"ix_orders_{_kept}",
        ORDERS.c.car_id,
        postgresql_where=text(_why),
        sqlite_where=text(_why),
    )
for _named, _erased in (
    ("known", "confirmed_at IS NULL AND erased_at IS NULL"),
    ("erased", "confirmed_at IS NULL AND erased_at IS NOT NULL"),
):
    Index(
        f"ix_orders_never_confirmed_{_named}",
        ORDERS.c.ended_at,
        postgresql_where=text(_erased),
        sqlite_where=text(_erased),
    )

CUSTOMERS = Table(
    "customers",
    METADATA,
    Column("order_id", String(40), ForeignKey("orders.order_id"), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("email_index", String(60)),
)
"""The only personal data: name, e-mail and phone, encrypted; deleting the row erases the person.

`email_index` finds a customer's rows (`customers.CustomerIndex`); empty in a row of an older
version.
"""

Index(
    "ix_customers_email_index",
    CUSTOMERS.c.email_index,
    postgresql_where=text("email_index IS NOT NULL"),
    sqlite_where=text("email_index IS NOT NULL"),
)

PAYMENTS = Table(
    "payments",
    METADATA,
    Column("order_id", String(40), ForeignKey("orders.order_id"), primary_key=True),
    Column("provider", String(20), nullable=False),
    Column("payment_id", String(80)),
    Column("payment_url", String(2000)),
    Column("state", String(16), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("accepted_at", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("refunded_amount", BigInteger),
    Column("dispute", String(8)),
    Column("moves", JSON),
)
"""`state`: pending, captured, declined, cancelled, refund_due, refund_refused, refunded.

`moves` is what its provider told of each refund and dispute (`moves.Moves`). What they add up to:
`refunded_amount` is what went back so far, whoever sent it; `dispute`: open, won, lost.
"""

Index("ix_payments_state", PAYMENTS.c.state)
Index("ix_payments_payment_id", PAYMENTS.c.payment_id)

WORK = Table(
    "work",
    METADATA,
    Column("kind", String(12), primary_key=True),
    Column("item_id", String(40), primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("due_at", UtcTime, nullable=False),
)
"""Items of work lists that failed: how often, since when, and when they are tried again."""

PAYMENT_EVENTS = Table(
    "payment_events",
    METADATA,
    Column("event_id", String(80), primary_key=True),
    Column("provider", String(20), nullable=False),
    Column("order_id", String(40), nullable=False),
    Column("type", String(40), nullable=False),
    Column("received_at", UtcTime, nullable=False),
)
"""Provider messages already applied: a repeated one changes nothing."""

Index("ix_payment_events_received_at", PAYMENT_EVENTS.c.received_at)

IDEMPOTENCY = Table(
    "idempotency",
    METADATA,
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("resource_id", String(40)),
    Column("status", Integer),
    Column("media_type", String(60)),
    Column("body", LargeBinary),
    Column("created_at", UtcTime, nullable=False),
    Column("locked_until", UtcTime, nullable=False),
)
"""First answers by key; `status` is empty while the first request is under way."""

Index("ix_idempotency_created_at", IDEMPOTENCY.c.created_at)
