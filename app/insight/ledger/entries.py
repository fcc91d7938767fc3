"""What a page adds to the numbers: its entries, as a function of the page alone.

The definitions in words are in docs/ledger.md. Because nothing here remembers what was counted
before, no order and no lateness of facts can make two ledgers differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from app.insight.ledger.accounts import ADVICE_STEP, MILLIONTHS, STEP, Entry, Segment
from app.insight.ledger.books import CheckoutPage, OrderPage, Page, SessionPage
from app.insight.ledger.campaigns import campaign_label
from app.kernel.channels import UNASSIGNED
from telemetry.catalogue.insight import ADVICE_STEPS, FUNNEL_STEPS, LOSSES

ENGAGED_SECONDS: Final = 10.0
ENGAGED_VIEWS: Final = 2
"""GA4's definition: over ten seconds, or two views, or one key event."""

UNMATCHED: Final = "unmatched"
"""Reached by a visit that asked when nothing met its needs; it may loosen one until it closes."""

FUNNEL: Final = tuple(f"{STEP}{step}" for step in FUNNEL_STEPS)
ADVICE: Final = tuple(f"{ADVICE_STEP}{step}" for step in ADVICE_STEPS)


def entries_of(page: Page) -> dict[str, Entry]:
    """The entries of a page by measure; none while what they need is not known."""
    match page:
        case SessionPage():
            found = _of_session(page)
        case CheckoutPage():
            found = _of_checkout(page)
        case OrderPage():
            found = _of_order(page)
    return {entry.measure: entry for entry in found}


# --- sessions -------------------------------------------------------------------------------


def _of_session(page: SessionPage) -> Iterator[Entry]:
    at, segment = page.started_at, counted_segment(page)
    if at is None or segment is None:
        return
    group, campaign = page.channel_group or UNASSIGNED, campaign_label(page.campaign)

    def entry(
        measure: str, moment: datetime = at, label: tuple[str, ...] = (), amount: int = 1
    ) -> Entry:
        return Entry(measure, at, moment, segment, label, amount, group, campaign)

    yield entry("session")
    # Told once and settled when the visit closes: an entry for every view would be a row for each.
    yield entry("views", amount=max(1, page.views) if page.closed_at is not None else 1)
    if is_engaged(page):
        yield entry("engaged")
    if page.ordered:
        yield entry("converted")
    for step, moment in _steps(FUNNEL, {FUNNEL[0]: at, **page.reached}):
        yield entry(step, moment, (step.removeprefix(STEP),))
    for step, moment in _steps(ADVICE, page.reached):
        yield entry(step, moment, (step.removeprefix(ADVICE_STEP),))
    if (ended := _advice(page)) is not None:
        yield entry("advice", ended[1], (ended[0],))
    if page.visitor_id:
        yield entry("visitor", at, (page.visitor_id,))
    if page.crashed is not None:
        yield entry("crash", at, (page.crashed,))


def counted_segment(page: SessionPage) -> Segment | None:
    """In which segment a visit counts: the one that it started with; None while it does not.

    One that awaits proof counts once something proves a browser, or, when it has closed without,
    among the suspects, as all of whoever was seen to pretend.
    """
    if page.segment is None:
        return None
    unproven = page.awaits_proof and not page.proven
    if unproven and page.closed_at is None and page.suspected is None:
        return None
    if page.segment.traffic == "human" and (unproven or page.suspected is not None):
        return page.segment._replace(traffic="suspect")
    return page.segment


def is_engaged(page: SessionPage) -> bool:
    """Whether a visit is more than a glance, by GA4's definition."""
    return page.key_event or page.views >= ENGAGED_VIEWS or page.active_seconds > ENGAGED_SECONDS


def _steps(
    steps: tuple[str, ...], reached: Mapping[str, datetime]
) -> Iterator[tuple[str, datetime]]:
    """Every step up to the furthest, each with its moment.

    Whoever reached a step has passed those before it, whatever was lost of that or happened
    elsewhere: a step without a moment of its own has that of the step after it.
    """
    moment: datetime | None = None
    passed: list[tuple[str, datetime]] = []
    for step in reversed(steps):
        own = reached.get(step)
        moment = own or moment
        if moment is not None:
            passed.append((step, moment))
    return reversed(passed)


def _advice(page: SessionPage) -> tuple[str, datetime] | None:
    """How a visit's advice ended, and when. Until the visit closes, nothing has ended badly."""
    completed = page.reached.get("advice.advice_complete")
    if completed is not None:
        return "completed", completed
    if page.closed_at is None:
        return None
    if UNMATCHED in page.reached:
        return "no_match", page.reached[UNMATCHED]
    if "advice.advice_start" in page.reached:
        return "abandoned", page.closed_at
    return None


# --- checkouts ------------------------------------------------------------------------------


def _of_checkout(page: CheckoutPage) -> Iterator[Entry]:
    at, segment = page.started_at, page.segment
    if at is None or segment is None:
        return
    if page.suspected and segment.traffic == "human" and page.result != "ordered":
        segment = segment._replace(traffic="suspect")
    brought = (page.channel_group or UNASSIGNED, campaign_label(page.campaign))
    yield Entry("checkout", at, at, segment, (), 1, *brought)
    if page.result is not None:
        ended = page.ended_at or at
        yield Entry("checkout_end", at, ended, segment, (page.result,), 1, *brought)


# --- orders ---------------------------------------------------------------------------------


def _of_order(page: OrderPage) -> Iterator[Entry]:
    at, segment = page.confirmed_at, page.segment
    if at is None or segment is None:
        return
    group, campaign = page.channel_group or UNASSIGNED, campaign_label(page.campaign)

    def entry(
        measure: str, moment: datetime = at, label: tuple[str, ...] = (), amount: int = 1
    ) -> Entry:
        return Entry(measure, at, moment, segment, label, amount, group, campaign)

    yield entry("order")
    yield entry("order_value", at, (page.currency,), page.price)
    for measure, seconds in (
        ("order_seconds", page.order_seconds),
        ("confirmation_seconds", page.confirmation_seconds),
    ):
        yield entry(measure, at, (), round((seconds or 0.0) * MILLIONTHS))
    if campaign:
        yield entry("campaign_order", at, (campaign,))
    if page.visitor_id:
        yield entry("buyer", at, (page.visitor_id,))
    if page.customer_id:
        yield entry("customer", at, (page.customer_id,))
    labels = {"cancelled": (), "delivered": (), "returned": (page.return_reason,)}
    for measure, label in labels.items():
        if measure in page.happened:
            yield entry(measure, page.happened[measure], label)
    if (lost := _loss(page)) is not None:
        yield entry("order_value_lost", lost[0], (page.currency, lost[1]), page.price)


def _loss(page: OrderPage) -> tuple[datetime, str] | None:
    """When and by what the shop lost an order's price: by what happened first."""
    found = [(page.happened[loss], loss) for loss in LOSSES if loss in page.happened]
    return min(found, key=lambda each: (each[0], LOSSES.index(each[1])), default=None)


ORDER_MOMENTS: Final = (
    "cancelled",
    "returned",
    "refunded",
    "return_requested",
    "disputed",
    "decided",
    "delivered",
    "ended.declined",
    "ended.expired",
    "ended.cancelled",
)
"""What can become of an order, each with one moment in `OrderPage.happened`."""


def state_of(page: OrderPage) -> tuple[str, datetime | None]:
    """An order's state, and when it came into it where that ended something."""
    happened = page.happened
    for state in ("refunded", "returned", "cancelled"):
        if state in happened:
            return state, happened[state]
    if page.confirmed_at is not None:
        disputed, decided = happened.get("disputed"), happened.get("decided")
        if disputed is not None and (decided is None or decided < disputed):
            return "disputed", disputed
        if "return_requested" in happened:
            return "return_requested", happened["return_requested"]
        return "confirmed", None
    ends = [(at, name) for name, at in happened.items() if name.startswith("ended.")]
    if ends:
        at, name = max(ends)
        return name.removeprefix("ended."), at
    return "payment_pending", None
