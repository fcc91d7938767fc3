"""The shop's own numbers of a period, and what follows from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.insight.ledger.accounts import ADVICE_STEP, STEP
from app.insight.ledger.store import SEPARATOR
from app.insight.ledger.sums import Sums
from telemetry.catalogue.insight import ADVICE_STEPS, FUNNEL_STEPS, LOSSES

SHOP: Final = (
    "session",
    "engaged",
    "converted",
    "views",
    "crash",
    *(f"{STEP}{step}" for step in FUNNEL_STEPS),
    *(f"{ADVICE_STEP}{step}" for step in ADVICE_STEPS),
    "checkout",
    "checkout_end",
    "order",
    "order_value",
    "order_value_lost",
)
"""Measures of which these numbers are sums."""


@dataclass(frozen=True, slots=True)
class Shop:
    """The shop's numbers of one period, all of one committed moment.

    `order_value` is in minor units by currency; durations are seconds, ascending. `ends` counts
    the period's checkouts by how they ended in truth; those that go on are in none of them.
    """

    steps: Mapping[str, int]
    advice_steps: Mapping[str, int]
    sessions: int
    engaged: int
    converted: int
    views: int
    crashed: int
    checkouts: int
    ends: Mapping[str, int]
    orders: int
    order_value: Mapping[str, int]
    orders_by_currency: Mapping[str, int]
    order_value_lost: Mapping[str, Mapping[str, int]]
    """Of `order_value`, what was given up, returned or paid back since: by loss and currency."""
    order_seconds: Sequence[float] = ()
    confirmation_seconds: Sequence[float] = ()

    @property
    def conversion(self) -> float | None:
        """Visits that bought, 0 to 1; None without visits."""
        return self.converted / self.sessions if self.sessions else None

    @property
    def bounce(self) -> float | None:
        """Visits that were no more than a glance."""
        return (self.sessions - self.engaged) / self.sessions if self.sessions else None

    @property
    def crash_free(self) -> float | None:
        """Visits in which no error broke a page."""
        return (self.sessions - self.crashed) / self.sessions if self.sessions else None

    @property
    def abandonment(self) -> float | None:
        """Checkouts that could have ended in an order and did not; a lost race for a car is none.

        Those that go on are among them until they end.
        """
        could = self.checkouts - self.ends.get("sold_out", 0)
        return (could - self.ends.get("ordered", 0)) / could if could else None

    @property
    def open_checkouts(self) -> int:
        return self.checkouts - sum(self.ends.values())

    @property
    def net_order_value(self) -> Mapping[str, int]:
        """What is left of the period's order value, by currency."""
        lost: Counter[str] = Counter()
        for amounts in self.order_value_lost.values():
            lost.update(amounts)
        return {name: value - lost[name] for name, value in self.order_value.items()}


def shop_of(found: Sums, seconds: Mapping[str, Sequence[float]] | None = None) -> Shop:
    """The numbers that these sums say; `seconds` are durations by their measure."""
    lost: dict[str, dict[str, int]] = {loss: {} for loss in LOSSES}
    for label, amount in found.of("order_value_lost").items():
        currency, loss = label.split(SEPARATOR)
        lost[loss][currency] = amount
    durations = seconds or {}
    return Shop(
        steps={step: found.total(f"{STEP}{step}") for step in FUNNEL_STEPS},
        advice_steps={step: found.total(f"{ADVICE_STEP}{step}") for step in ADVICE_STEPS},
        sessions=found.total("session"),
        engaged=found.total("engaged"),
        converted=found.total("converted"),
        views=found.total("views"),
        crashed=found.total("crash"),
        checkouts=found.total("checkout"),
        ends=found.of("checkout_end"),
        orders=found.total("order"),
        order_value=found.of("order_value"),
        orders_by_currency=found.rows_of("order_value"),
        order_value_lost=lost,
        order_seconds=durations.get("order_seconds", ()),
        confirmation_seconds=durations.get("confirmation_seconds", ()),
    )
