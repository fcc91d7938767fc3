"""What the ledger counts: measures, the exported metric of each, and one entry of one.

An entry says that a subject (a visit, a checkout, an order, one answer) adds an amount to a measure
at a moment, in a segment. Each subject has at most one entry of a measure that counts. Every
number, exported or reported, is a sum over entries; nothing else is a definition of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from app.kernel.channels import UNASSIGNED, ChannelGroup
from app.kernel.facts import EventContext
from telemetry.catalogue import Metric
from telemetry.catalogue import insight as metrics
from telemetry.catalogue.labels import (
    CHANNELS,
    CURRENCY_OF_MARKET,
    DEVICES,
    ENTRIES,
    MARKETS,
    TRAFFIC,
)

MILLIONTHS: Final = 1_000_000
"""Observations are kept as integers: adding them in another order gives the same sum."""

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


NOWHERE: Final = Segment("", "", "", "", "")
"""Of entries that belong to no shop segment."""

STEP: Final = "step."
ADVICE_STEP: Final = "advice."

MEASURES: Final[Mapping[str, Metric | None]] = {
    "session": metrics.SHOP_SESSIONS,
    "engaged": metrics.SHOP_SESSIONS_ENGAGED,
    "converted": metrics.SHOP_SESSIONS_CONVERTED,
    "views": None,
    "visitor": None,
    "crash": metrics.CLIENT_SESSIONS_CRASHED,
    **{f"{STEP}{step}": metrics.SHOP_FUNNEL_STEPS for step in metrics.FUNNEL_STEPS},
    "advice": metrics.SHOP_ADVICE,
    **{f"{ADVICE_STEP}{step}": metrics.SHOP_ADVICE_STEPS for step in metrics.ADVICE_STEPS},
    "checkout": metrics.SHOP_CHECKOUTS_STARTED,
    "checkout_end": metrics.SHOP_CHECKOUTS_ENDED,
    "order": metrics.SHOP_ORDERS,
    "order_value": metrics.SHOP_ORDER_VALUE,
    "order_value_lost": metrics.SHOP_ORDER_VALUE_LOST,
    "order_seconds": metrics.SHOP_ORDER_DURATION,
    "confirmation_seconds": metrics.SHOP_CONFIRMATION_DURATION,
    "campaign_order": metrics.SHOP_CAMPAIGN_ORDERS,
    "cancelled": metrics.SHOP_ORDERS_CANCELLED,
    "returned": metrics.SHOP_ORDERS_RETURNED,
    "delivered": None,
    "buyer": None,
    "customer": None,
    "csat": metrics.SHOP_CSAT_RESPONSES,
    "nps": metrics.SHOP_NPS_RESPONSES,
    "LCP": metrics.BROWSER_LCP,
    "INP": metrics.BROWSER_INP,
    "CLS": metrics.BROWSER_CLS,
    "FCP": metrics.BROWSER_FCP,
    "TTFB": metrics.BROWSER_TTFB,
    "deployment": metrics.DELIVERY_DEPLOYMENTS,
}
"""Every measure by its name, and what it is exported as; None: it is only in reports."""

SINGLE: Final = frozenset({"csat", "nps", "LCP", "INP", "CLS", "FCP", "TTFB", "deployment"})
"""Measures of facts that have no page."""

OF_ORDERS: Final = frozenset(
    {
        "order",
        "order_value",
        "order_value_lost",
        "order_seconds",
        "confirmation_seconds",
        "campaign_order",
        "cancelled",
        "returned",
        "delivered",
        "buyer",
        "customer",
        "csat",
        "nps",
    }
)
"""Measures whose entries never leave, as orders do not."""


class Entry(NamedTuple):
    """One subject's part of one measure.

    `at` is the moment by which a period has it: a visit's start for all that the visit did, an
    order's confirmation for all that became of the order. So a step is within the step before it
    in every period. `moment` is when it happened itself. `label` has the values of the labels that
    the metric has beside the segment; `amount` is 1, minor units, or millionths of a second.
    """

    measure: str
    at: datetime
    moment: datetime
    segment: Segment
    label: tuple[str, ...] = ()
    amount: int = 1
    channel_group: ChannelGroup = UNASSIGNED
    campaign: str = ""


class Cell(NamedTuple):
    """One exported number. `labels` are values in the metric's own order.

    `part` is empty for a counter; a histogram has its bucket edges (not cumulated) and `sum`.
    """

    metric: str
    labels: tuple[str, ...]
    part: str = ""


class _Shape(NamedTuple):
    """What of an entry is in its metric's labels, and the edges of its buckets."""

    metric: str
    segment: bool
    device: bool
    edges: tuple[float, ...]


_SHAPES: Final = {
    measure: _Shape(
        metric.name,
        "traffic" in metric.label_names,
        "device" in metric.label_names,
        tuple(map(float, metric.buckets)),
    )
    for measure, metric in MEASURES.items()
    if metric is not None
}


def cells_of(entry: Entry) -> Iterator[tuple[Cell, int]]:
    """The exported numbers to which an entry adds, and what.

    A metric without the label `traffic` is of people.
    """
    shape = _SHAPES.get(entry.measure)
    if shape is None or not (shape.segment or entry.segment.traffic in ("human", "")):
        return
    if shape.segment:
        labels = (*entry.segment, *entry.label)
    elif shape.device:
        labels = (entry.segment.device, *entry.label)
    else:
        labels = entry.label
    if shape.edges:
        value = entry.amount / MILLIONTHS
        edge = next((repr(each) for each in shape.edges if value <= each), "+Inf")
        yield Cell(shape.metric, labels, edge), 1
        yield Cell(shape.metric, labels, "sum"), entry.amount
    else:
        yield Cell(shape.metric, labels), entry.amount
