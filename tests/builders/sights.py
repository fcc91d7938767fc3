"""What checkout saw of a car, a hold or an order, for rules that are tried without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from app.checkout.change import Change
from app.checkout.idempotency import Claim
from app.checkout.looks import CarSight, DeskSight, HoldSight, OrderSight
from app.checkout.rows import Car, DeskSale, Hold, Key, Order, Payment
from app.checkout.tokens import OrderTokens

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
    let_go_by=None,
    let_go_at=None,
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
) -> OrderSight:
    """An order that waits for its payment, changed where it is said."""
    return OrderSight(
        order=ORDER._replace(**(order or {})),
        payment=PAYMENT._replace(**(payment or {})),
        hold=HOLD._replace(**(hold or {})),
        car=CAR._replace(**(car or {})),
        last_of_hold=last_of_hold,
        taken_elsewhere=taken_elsewhere,
        event_known=False,
    )


TOKENS = OrderTokens("a key of the tests' own")
TOKEN = TOKENS.of("ord_1")
CLAIM = Claim("ses_1/a key", "what was asked")
UNFINISHED = Key(
    key=CLAIM.key,
    fingerprint=CLAIM.fingerprint,
    resource_id=None,
    status=None,
    media_type=None,
    body=None,
    created_at=NOW - timedelta(minutes=1),
    locked_until=NOW - timedelta(seconds=45),
)
"""The key of a request that never finished, and keeps nobody waiting any more."""
SALE = DeskSale("car_1", NOW - timedelta(hours=1), "umea", left_feed=False)
OVERDUE: dict[str, Any] = {"expires_at": NOW}
"""A hold that was not swept yet."""

FREE_CAR = CAR._replace(state="available")


def a_car_sight(**seen: Any) -> CarSight:
    """A car that is free, of somebody who holds none, changed where it is said."""
    nothing: dict[str, Any] = {"hold": None, "order": None, "elsewhere": ""}
    return CarSight(**{"car": FREE_CAR, **nothing, "of_session": 0, "of_address": 0, **seen})


def a_hold_sight(
    *,
    hold: dict[str, Any] | None = None,
    order: dict[str, Any] | None = None,
    payment: dict[str, Any] | None = None,
    orders: int = 1,
) -> HoldSight:
    """A running hold, with an order that waits for its payment when one is said."""
    return HoldSight(
        hold=HOLD._replace(**(hold or {})),
        car=CAR,
        order=None if order is None else ORDER._replace(**order),
        payment=None if order is None else PAYMENT._replace(**(payment or {})),
        orders=0 if order is None else orders,
    )


def a_desk_sight(**seen: Any) -> DeskSight:
    """A car that is free, changed where it is said."""
    nothing: dict[str, Any] = {"hold": None, "last": None, "sale": None, "in_force": None}
    return DeskSight(**{"car": FREE_CAR, **nothing, "elsewhere": "", **seen})


def states_after(change: Change[Any]) -> dict[str, Any]:
    """The new states by table."""
    return {
        each.table.name: each.values["state"]
        for each in change.sets.values()
        if "state" in each.values
    }


def facts_of(change: Change[Any]) -> list[str]:
    """The facts by their short names, in order."""
    return [fact.TYPE.removeprefix("checkout.") for fact, _ in change.facts]
