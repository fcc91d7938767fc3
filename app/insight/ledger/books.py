"""The pages of the ledger that one batch of facts touches, in memory.

A projection loads these pages, books the facts into them (`rules.py`), and stores them again in
the same transaction. Everything here is plain data: no SQL, no clock, no I/O.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from app.kernel.channels import ChannelGroup
from app.kernel.facts import EventContext
from telemetry.catalogue import Metric
from telemetry.catalogue.labels import (
    CHANNELS,
    CURRENCY_OF_MARKET,
    DEVICES,
    ENTRIES,
    MARKETS,
    TRAFFIC,
)

MILLIONTHS: Final = 1_000_000
"""Sums of observations are kept as integers: adding them in another order gives the same sum."""

ONCE: Final = "once"
"""The funnel of events that are counted once but are no step of anything."""

LOST: Final = "lost"
"""What happens once to an order whose price the shop does not keep."""

KEPT_STEPS: Final = ("cancelled", "returned", "feedback", LOST)
"""What happens to an order once: these never leave, as the orders do not."""

LATE: Final = timedelta(days=30)
"""A visit, a checkout, an order's payment is shorter: none has facts before and after so long."""

MARKET_OF_CURRENCY: Final = {currency: market for market, currency in CURRENCY_OF_MARKET.items()}


class Segment(NamedTuple):
    """The five labels that every `shop_*` metric carries; each from a closed set."""

    market: str
    channel: str
    device: str
    entry: str
    traffic: str


def segment_of(context: EventContext, *, currency: str = "") -> Segment | None:
    """The segment of a fact; None when its market is not one of ours and cannot be known.

    An order always has one: its currency names the market. Values of a later version become the
    set's cautious member (traffic that we do not know is not people).
    """
    market = context.market if context.market in MARKETS else MARKET_OF_CURRENCY.get(currency)
    if market is None:
        return None
    return Segment(
        market=market,
        channel=_known(context.channel, CHANNELS, "api"),
        device=_known(context.device, DEVICES, "unknown"),
        entry=_known(context.entry, ENTRIES, "direct"),
        traffic=_known(context.traffic, TRAFFIC, "bot"),
    )


def _known(value: str, values: tuple[str, ...], otherwise: str) -> str:
    return value if value in values else otherwise


class StepKey(NamedTuple):
    """Something that is counted once: a step of a funnel by a session, or one event."""

    subject: str
    funnel: str
    step: str


@dataclass(frozen=True, slots=True)
class Step:
    """A step as it is stored: reports count these rows."""

    key: StepKey
    segment: Segment
    at: datetime


@dataclass(slots=True)
class SessionPage:
    """One session. `segment` and `started_at` are unknown until its start has been read."""

    session_id: str
    first_seen: datetime
    last_seen: datetime
    segment: Segment | None = None
    started_at: datetime | None = None
    views: int = 0
    key_event: bool = False
    ordered: bool = False
    advised: bool = False
    engaged: bool = False
    converted: bool = False
    closed_at: datetime | None = None
    channel_group: ChannelGroup | None = None
    utm_source: str | None = None
    utm_medium: str | None = None

    def seen(self, at: datetime) -> None:
        self.first_seen = min(self.first_seen, at)
        self.last_seen = max(self.last_seen, at)

    @property
    def active_seconds(self) -> float:
        """Between the shopper's first and last act."""
        return (self.last_seen - self.first_seen).total_seconds()


@dataclass(slots=True)
class CheckoutPage:
    """One hold, or one refused attempt. `counted_as` never changes once it is set."""

    checkout_id: str
    segment: Segment
    started_at: datetime
    trace_id: str
    ended_at: datetime | None = None
    counted_as: str | None = None
    result: str | None = None


@dataclass(slots=True)
class OrderPage:
    """One order as the console shows it; money in minor units, durations in seconds."""

    order_id: str
    hold_id: str
    car_id: str
    segment: Segment
    model_id: str = ""
    state: str = "payment_pending"
    provider: str = ""
    price: int = 0
    currency: str = ""
    campaign: str = ""
    release: str = ""
    submitted_at: datetime | None = None
    confirmed_at: datetime | None = None
    ended_at: datetime | None = None
    order_seconds: float | None = None
    confirmation_seconds: float | None = None
    submitted_trace: str = ""
    payment_trace: str = ""
    confirmed_trace: str = ""
    channel_group: ChannelGroup | None = None
    utm_source: str | None = None
    utm_medium: str | None = None


class Cell(NamedTuple):
    """One exported number. `labels` are values in the metric's own order.

    `part` is empty for a counter; a histogram has its bucket edges (not cumulated) and `sum`.
    """

    metric: str
    labels: tuple[str, ...]
    part: str = ""


@dataclass(slots=True)
class Books:
    """What is loaded for a batch, and what the batch adds."""

    sessions: dict[str, SessionPage] = field(default_factory=dict)
    checkouts: dict[str, CheckoutPage] = field(default_factory=dict)
    orders: dict[str, OrderPage] = field(default_factory=dict)
    taken: set[StepKey] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)
    cars: dict[str, str] = field(default_factory=dict)
    cells: Counter[Cell] = field(default_factory=Counter)
    kept_since: datetime | None = None
    """Sessions, steps and checkouts of before may have left; None while none has."""

    def is_late(self, at: datetime) -> bool:
        """Whether what a fact of this moment is about may have been counted and have left.

        Such a fact makes no session, step or checkout, so that nothing counts twice.
        """
        return self.kept_since is not None and at < self.kept_since + LATE

    def count(
        self, metric: Metric, segment: Segment | None, amount: int = 1, /, **labels: str
    ) -> None:
        """Add to a counter; `segment` is None for metrics without segment labels."""
        self.cells[Cell(metric.name, _label_values(metric, segment, labels))] += amount

    def observe(
        self, metric: Metric, segment: Segment | None, value: float, /, **labels: str
    ) -> None:
        """Add one observation, in the metric's unit, to a histogram."""
        values = _label_values(metric, segment, labels)
        edge = next((repr(float(e)) for e in metric.buckets if value <= e), "+Inf")
        self.cells[Cell(metric.name, values, edge)] += 1
        self.cells[Cell(metric.name, values, "sum")] += round(value * MILLIONTHS)

    def once(self, key: StepKey, segment: Segment, at: datetime) -> bool:
        """True the first time that `key` is seen, in this batch or any before."""
        late = self.is_late(at) and key.step not in KEPT_STEPS
        if late or key in self.taken:
            return False
        self.taken.add(key)
        self.steps.append(Step(key, segment, at))
        return True

    def session(self, session_id: str, at: datetime) -> SessionPage:
        """The page of a session, opened when this is the first that we hear of it.

        One that may have left is not opened again: what is written on its page is thrown away.
        """
        page = self.sessions.get(session_id)
        if page is None:
            page = SessionPage(session_id, at, at)
            if not self.is_late(at):
                self.sessions[session_id] = page
        return page


def _label_values(
    metric: Metric, segment: Segment | None, labels: Mapping[str, str]
) -> tuple[str, ...]:
    known = {**(segment._asdict() if segment else {}), **labels}
    return tuple(known[name] for name in metric.label_names)
