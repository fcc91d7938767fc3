"""Rows as they were read, one class a table (a test compares them with `models`).

The first column is the primary key.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from app.contracts.checkout import OrderState


class Car(NamedTuple):
    """`version` goes up with everything that happens to the car, its holds, orders or payments."""

    car_id: str
    model_id: str
    title: str
    market: str
    dealer_id: str
    price: int
    currency: str
    vat_rate: str
    rehearsal: bool
    listed: bool
    state: str
    ready_for_handover_at: datetime | None
    handover_lead_seconds: int | None
    dealer_calendar: str | None
    identity: str | None
    version: int
    let_go_by: str | None
    let_go_at: datetime | None


class Hold(NamedTuple):
    hold_id: str
    car_id: str
    state: str
    session_id: str
    address_hash: str
    price: int
    currency: str
    deposit: int
    context: dict[str, Any]
    created_at: datetime
    expires_at: datetime
    extended: bool

    @property
    def holder(self) -> str:
        """Session and network of who holds the car, as `Car.let_go_by` keeps them."""
        return f"{self.session_id} {self.address_hash}"


class Order(NamedTuple):
    order_id: str
    hold_id: str
    car_id: str
    state: OrderState
    token_hash: str
    price: int
    vat_rate: str
    vat: int
    deposit: int
    currency: str
    provider: str
    advice_id: str
    context: dict[str, Any]
    message: str | None
    created_at: datetime
    confirmed_at: datetime | None
    handed_over_at: datetime | None
    ended_at: datetime | None
    ready_for_handover_at: datetime | None
    pick_up_by: datetime | None
    erased_at: datetime | None


class Payment(NamedTuple):
    order_id: str
    provider: str
    payment_id: str | None
    payment_url: str | None
    state: str
    amount: int
    currency: str
    accepted_at: datetime | None
    created_at: datetime
    refunded_amount: int | None
    dispute: str | None
    moves: dict[str, Any] | None


class Key(NamedTuple):
    """An Idempotency-Key; `status` is None while its first request is under way."""

    key: str
    fingerprint: str
    resource_id: str | None
    status: int | None
    media_type: str | None
    body: bytes | None
    created_at: datetime
    locked_until: datetime


class DeskSale(NamedTuple):
    car_id: str
    sold_at: datetime
    reported_by: str
    left_feed: bool


@dataclass(frozen=True, slots=True)
class Purchase:
    """An order and all that belongs to it."""

    order: Order
    payment: Payment
    hold: Hold
    car: Car
