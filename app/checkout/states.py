"""The order's state machine: one table of allowed transitions, and the picture drawn from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.contracts.checkout import OrderState

TRANSITIONS: Final[Mapping[OrderState, Mapping[OrderState, str]]] = {
    "payment_pending": {
        "confirmed": "the provider accepted the deposit",
        "declined": "the shopper's bank refused",
        "expired": "the hold ran out before payment",
        "cancelled": "the shopper withdrew or submitted again, or the provider closed the payment",
    },
    "confirmed": {
        "cancelled": "withdrawn before handover, or not collected in its opening days",
        "return_requested": "given back within 14 days of handover",
        "disputed": "the shopper's bank wants the money back",
        "refunded": "the money went back at the provider",
    },
    "disputed": {
        "confirmed": "the dispute was won, or lost over a part",
        "refunded": "all of it was lost, or the money went back",
    },
    "declined": {
        "confirmed": "a late success, the car was still free",
        "refunded": "a late success, the car was gone",
    },
    "expired": {
        "confirmed": "a late success, the car was still free",
        "refunded": "a late success, the car was gone",
    },
    "cancelled": {"refunded": "the deposit went back"},
    "return_requested": {
        "returned": "the dealer has the car again",
        "refunded": "the money went back at the provider",
    },
    "returned": {"refunded": "the money went back"},
    "refunded": {},
}
"""From state -> to state -> what makes it happen."""

LIVE: Final[frozenset[OrderState]] = frozenset({"payment_pending", "confirmed", "disputed"})
"""States in which an order has its car."""


def allowed(before: OrderState, after: OrderState) -> bool:
    return after in TRANSITIONS[before]


def diagram() -> str:
    """The state machine as a Mermaid diagram (docs/orders.md shows exactly this)."""
    lines = ["stateDiagram-v2", "    [*] --> payment_pending: submitted"]
    for before, targets in TRANSITIONS.items():
        lines += [f"    {before} --> {after}: {why}" for after, why in targets.items()]
    return "\n".join([*lines, "    refunded --> [*]"])
