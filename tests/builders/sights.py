"""What checkout saw of an order, for rules that are tried without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.checkout.change import Sight
from app.checkout.rows import Car, Hold, Order, Payment

NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)

CAR = Car(
    car_id="car_1",
    model_id="norrsken",
    title="Norrsken",
    market="SE",
    dealer_id="umea",
    price=48_990_000,
    currency="SEK",
    vat_rate="0.25",
    rehearsal=False,
    listed=True,
    state="held",
    ready_for_handover_at=None,
    handover_lead_seconds=None,
    dealer_calendar=None,
    identity=None,
    version=3,
)
HOLD = Hold(
    hold_id="hld_1",
    car_id="car_1",
    state="active",
    session_id="ses_1",
    address_hash="",
    price=48_990_000,
    currency="SEK",
    deposit=500_000,
    context={},
    created_at=NOW - timedelta(minutes=5),
    expires_at=NOW + timedelta(minutes=10),
    extended=False,
)
ORDER = Order(
    order_id="ord_1",
    hold_id="hld_1",
    car_id="car_1",
    state="payment_pending",
    token_hash="",
    price=48_990_000,
    vat_rate="0.25",
    vat=9_798_000,
    deposit=500_000,
    currency="SEK",
    provider="sandbox",
    advice_id="",
    context={},
    message=None,
    created_at=NOW - timedelta(minutes=3),
    confirmed_at=None,
    handed_over_at=None,
    ended_at=None,
    ready_for_handover_at=None,
    pick_up_by=None,
    erased_at=None,
)
PAYMENT = Payment(
    order_id="ord_1",
    provider="sandbox",
    payment_id="pay_1",
    payment_url="https://pay.example/pay_1",
    state="pending",
    amount=500_000,
    currency="SEK",
    accepted_at=None,
    created_at=NOW - timedelta(minutes=3),
    refunded_amount=None,
    dispute=None,
    moves=None,
)


def a_sight(
    *,
    order: dict[str, Any] | None = None,
    payment: dict[str, Any] | None = None,
    hold: dict[str, Any] | None = None,
    car: dict[str, Any] | None = None,
    last_of_hold: str = "ord_1",
    taken_elsewhere: bool = False,
) -> Sight:
    """An order that waits for its payment, changed where it is said."""
    return Sight(
        order=replace(ORDER, **(order or {})),
        payment=replace(PAYMENT, **(payment or {})),
        hold=replace(HOLD, **(hold or {})),
        car=replace(CAR, **(car or {})),
        last_of_hold=last_of_hold,
        taken_elsewhere=taken_elsewhere,
        event_known=False,
    )
