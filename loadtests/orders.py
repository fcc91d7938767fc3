"""The shoppers' own memory of their orders: what the verdict holds the shop to.

An append-only file of JSON lines. A line is written the moment that a client learned something,
before anything else is done with it, so that a shop that dies a moment later still owes the order.
"""

import json
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Seen = Literal["submitted", "paid", "confirmed"]


@dataclass(frozen=True, slots=True)
class OrderSeen:
    """What a client saw of an order. `at` is Unix seconds, `price` minor units of `currency`.

    `submitted`: the shop took the order; `paid`: the provider told the shopper that the money was
    accepted; `confirmed`: the shop told the shopper that the car is theirs.
    """

    seen: Seen
    order_id: str
    car_id: str
    at: float
    price: int
    currency: str


class OrderBook:
    """Writes what clients saw; one per load generator."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def note(self, seen: Seen, *, order_id: str, car_id: str, price: int, currency: str) -> None:
        """Write one line; it is with the operating system when this returns."""
        entry = OrderSeen(seen, order_id, car_id, time.time(), price, currency)
        os.write(self._descriptor, json.dumps(asdict(entry)).encode() + b"\n")

    def close(self) -> None:
        os.close(self._descriptor)


def read_orders(path: Path) -> tuple[OrderSeen, ...]:
    """Everything that clients noted; empty when nobody ordered."""
    if not path.exists():
        return ()
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(OrderSeen(**json.loads(line)) for line in lines if line)


def orders_seen(entries: Iterable[OrderSeen], seen: Seen) -> dict[str, OrderSeen]:
    """The orders that a client saw in this state, by id."""
    return {entry.order_id: entry for entry in entries if entry.seen == seen}
