"""Everything a verdict is given: what clients saw, what servers measured, what the books say."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from loadtests.books import BookedOrder, Invariant
from loadtests.evidence import GeneratorSeen, Plan, RequestSeen, VisitSeen
from loadtests.orders import OrderSeen


@dataclass(frozen=True, slots=True)
class Measured:
    """A promise as Prometheus measured it over the run.

    `good` is a fraction, None without any event; `events` is how many events it judges (None for a
    promise about time).
    """

    good: float | None
    events: float | None


@dataclass(frozen=True, slots=True)
class AlertSpell:
    """One alert that was pending or firing at a moment of the run; times are Unix seconds."""

    name: str
    state: str
    severity: str
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class Record:
    """One run. Servers' numbers cover `window`: (start, end) in Unix seconds.

    `ever_confirmed` is checkout's own count, `ledger_orders` is `shop_orders_total` summed.
    """

    plan: Plan
    window: tuple[float, float]
    requests: tuple[RequestSeen, ...]
    visits: tuple[VisitSeen, ...]
    orders_seen: tuple[OrderSeen, ...]
    generator: tuple[GeneratorSeen, ...]
    promises: Mapping[str, Measured]
    invariants: tuple[Invariant, ...]
    booked: tuple[BookedOrder, ...]
    ever_confirmed: int
    ledger_orders: float
    ledger_lag_seconds: float
    alerts: tuple[AlertSpell, ...] = field(default=())
