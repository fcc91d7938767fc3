"""Whether money that a provider keeps ready shall be taken. Rules only: nothing is changed here."""

from __future__ import annotations

from typing import Final

from app.checkout.providers.protocol import ProviderPayment
from app.checkout.states import allowed
from app.checkout.store import Record, Store

SETTLED: Final = ("captured", "refund_due", "refund_refused", "refunded")
"""Payment states in which money came in: a further message about it changes nothing."""


def expected_amount(order: Record, payment: ProviderPayment) -> bool:
    """Whether a payment is of the order's deposit, to the minor unit and in its currency."""
    return (payment.amount, payment.currency) == (order["deposit"], order["currency"])


async def wanted(store: Store, order: Record, payment: ProviderPayment) -> bool:
    """Whether taking this money would buy the car as far as one can see now.

    Not a promise: the transaction that follows decides, and pays back what came too late after
    all.
    """
    if not expected_amount(order, payment) or order["payment_state"] in SETTLED:
        return False
    if not allowed(order["state"], "confirmed") or order["erased_at"] is not None:
        return False
    car = await store.read_car(order["car_id"])
    if car is None:
        return False
    ours = car["state"] == "held" and car["held_by"] == order["hold_id"]
    return ours or (car["state"] == "available" and bool(car["listed"]))
