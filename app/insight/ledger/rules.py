"""What each fact adds to the books. The definitions in words are in docs/ledger.md.

A rule is a pure function of one fact, its line and the books; it returns False when the fact was
booked before. Rules may see facts of different services in any order (an order before its
session's start), so nothing here assumes that one service's facts come before another's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from app.contracts import events as facts
from app.insight.ledger.books import (
    LOST,
    ONCE,
    Books,
    CheckoutPage,
    OrderPage,
    Segment,
    SessionPage,
    StepKey,
)
from app.insight.ledger.campaigns import campaign_label
from app.kernel.channels import known_group
from app.kernel.facts import EventContext, Fact
from telemetry.catalogue import insight as metrics

ENGAGED_SECONDS: Final = 10.0
ENGAGED_VIEWS: Final = 2
"""GA4's definition: over ten seconds, or two views, or one key event."""

ACTS: Final[frozenset[type[Fact]]] = frozenset(
    {
        facts.SessionStarted,
        facts.PageViewed,
        facts.AdviceStarted,
        facts.AdviceStepAnswered,
        facts.AdviceGiven,
        facts.MatchViewed,
        facts.FeedbackGiven,
        facts.HoldPlaced,
        facts.HoldRefused,
        facts.OrderSubmitted,
        facts.PaymentAttempted,
        facts.OrderConfirmed,
    }
)
"""Facts that show the shopper at work; a hold that runs out does not."""

KEY_EVENTS: Final[frozenset[type[Fact]]] = frozenset(
    {
        facts.AdviceGiven,
        facts.FeedbackGiven,
        facts.HoldPlaced,
        facts.HoldRefused,
        facts.OrderSubmitted,
        facts.OrderConfirmed,
    }
)


UNMATCHED: Final = "unmatched"
"""Step of a visit that asked when nothing met its needs; until it is closed it may loosen one."""


@dataclass(frozen=True, slots=True)
class Line:
    """One fact's envelope: `segment` is None where the market is unknown."""

    event_id: str
    source: str
    at: datetime
    context: EventContext
    segment: Segment | None

    @property
    def trace_id(self) -> str:
        """32 hex digits, or empty when the fact was stated outside a span."""
        parts = self.context.traceparent.split("-")
        return parts[1] if len(parts) >= 4 else ""


Rule = Callable[[Any, Line, Segment, Books], bool]
PlainRule = Callable[[Any, Line, Books], bool]


def _step(
    books: Books, line: Line, segment: Segment, step: str, subject: str, *, funnel: str = "shop"
) -> bool:
    """Count a step once for the session, or for `subject` when the caller has none."""
    who = line.context.session_id or subject
    if not who or not books.once(StepKey(who, funnel, step), segment, line.at):
        return False
    metric = metrics.SHOP_FUNNEL_STEPS if funnel == "shop" else metrics.SHOP_ADVICE_STEPS
    books.count(metric, segment, step=step)
    return True


# --- storefront and advisor -----------------------------------------------------------------


def _session_started(
    fact: facts.SessionStarted, line: Line, segment: Segment, books: Books
) -> bool:
    page = books.session(fact.session_id, line.at)
    if page.started_at is not None or books.is_late(line.at):
        return False
    page.started_at, page.segment = line.at, segment
    _brought(page, fact)
    books.count(metrics.SHOP_SESSIONS, segment)
    if books.once(StepKey(fact.session_id, "shop", "session"), segment, line.at):
        books.count(metrics.SHOP_FUNNEL_STEPS, segment, step="session")
    return True


def _brought(
    page: SessionPage | OrderPage, fact: facts.SessionStarted | facts.OrderSubmitted
) -> None:
    page.channel_group = known_group(fact.channel_group)
    page.utm_source, page.utm_medium = fact.utm_source, fact.utm_medium


def _page_viewed(fact: facts.PageViewed, line: Line, segment: Segment, books: Books) -> bool:
    # A browser's beacon repeats what the storefront has stated, and so does the answer to a form
    # on the page: they show presence, not a view.
    if line.source == "storefront" and line.context.session_id and not fact.again:
        books.session(line.context.session_id, line.at).views += 1
    if fact.page == "car":
        _step(books, line, segment, "car_view", "")
    return True


def _advice_started(fact: facts.AdviceStarted, line: Line, segment: Segment, books: Books) -> bool:
    books.session(fact.session_id, line.at).advised = True
    return _step(books, line, segment, "advice_start", fact.session_id, funnel="advice")


def _match_viewed(fact: facts.MatchViewed, line: Line, segment: Segment, books: Books) -> bool:
    _step(books, line, segment, "match_view", fact.advice_id, funnel="advice")
    return True


def _advice_given(fact: facts.AdviceGiven, line: Line, segment: Segment, books: Books) -> bool:
    session_id = line.context.session_id
    who = session_id or fact.advice_id
    if fact.result == "completed":
        _step(books, line, segment, "advice_complete", fact.advice_id, funnel="advice")
        _end_advice(who, "completed", line.at, segment, books)
        return True
    books.once(StepKey(who, "advice", UNMATCHED), segment, line.at)
    session = books.sessions.get(session_id)
    if not session_id or (session is not None and session.closed_at is not None):
        _end_advice(who, "no_match", line.at, segment, books)
    return True


def _end_advice(who: str, result: str, at: datetime, segment: Segment, books: Books) -> None:
    if books.once(StepKey(who, "advice", "ended"), segment, at):
        books.count(metrics.SHOP_ADVICE, segment, result=result)


def _feedback(fact: facts.FeedbackGiven, line: Line, segment: Segment, books: Books) -> bool:
    subject = fact.order_id or line.event_id  # a version before did not say whose it is
    if not books.once(StepKey(subject, ONCE, "feedback"), segment, line.at):
        return False
    if fact.csat is not None and 1 <= fact.csat <= 5:
        books.count(metrics.SHOP_CSAT_RESPONSES, segment, score=str(fact.csat))
    if fact.nps is not None and 0 <= fact.nps <= 10:
        group = "promoter" if fact.nps >= 9 else "passive" if fact.nps >= 7 else "detractor"
        books.count(metrics.SHOP_NPS_RESPONSES, segment, group=group)
    return True


# --- checkout -------------------------------------------------------------------------------


def _start_checkout(
    checkout_id: str, line: Line, segment: Segment, books: Books
) -> CheckoutPage | None:
    if checkout_id in books.checkouts or books.is_late(line.at):
        return None
    page = CheckoutPage(checkout_id, segment, line.at, line.trace_id)
    books.checkouts[checkout_id] = page
    books.count(metrics.SHOP_CHECKOUTS_STARTED, segment)
    return page


def _end_checkout(page: CheckoutPage | None, line: Line, result: str, books: Books) -> bool:
    """Count the end of a checkout once. A payment after the end corrects the row alone.

    Counters cannot go down, so the first end stays counted; `result` says what became of it.
    """
    if page is None:
        return False
    page.result = result
    if page.counted_as is not None:
        return False
    page.counted_as, page.ended_at = result, line.at
    books.count(metrics.SHOP_CHECKOUTS_ENDED, page.segment, result=result)
    return True


def _hold_placed(fact: facts.HoldPlaced, line: Line, segment: Segment, books: Books) -> bool:
    if _start_checkout(fact.hold_id, line, segment, books) is None:
        return False
    _step(books, line, segment, "hold", fact.hold_id)
    if segment.entry == "advisor":
        _step(books, line, segment, "hold", fact.hold_id, funnel="advice")
    return True


def _hold_refused(fact: facts.HoldRefused, line: Line, segment: Segment, books: Books) -> bool:
    page = _start_checkout(fact.attempt_id, line, segment, books)
    return _end_checkout(page, line, "sold_out", books)


def _hold_released(fact: facts.HoldReleased, line: Line, _: Segment, books: Books) -> bool:
    page = books.checkouts.get(fact.hold_id)
    if page is not None and page.counted_as is not None:
        return False
    _end_checkout(page, line, fact.ended_as, books)
    return True


def _order_page(
    fact: facts.OrderSubmitted | facts.OrderConfirmed, line: Line, segment: Segment, books: Books
) -> OrderPage:
    page = books.orders.get(fact.order_id)
    if page is None:
        page = OrderPage(fact.order_id, fact.hold_id, fact.car_id, segment)
        books.orders[fact.order_id] = page
    page.model_id, page.provider = fact.model_id, fact.provider
    page.price, page.currency = fact.price, fact.currency
    page.campaign, page.release = line.context.campaign[:100], line.context.release[:60]
    return page


def _order_submitted(
    fact: facts.OrderSubmitted, line: Line, segment: Segment, books: Books
) -> bool:
    page = _order_page(fact, line, segment, books)
    if page.submitted_at is not None:
        return False
    page.submitted_at, page.submitted_trace = line.at, line.trace_id
    _brought(page, fact)
    _step(books, line, segment, "details", fact.hold_id)
    return True


def _payment_attempted(
    fact: facts.PaymentAttempted, line: Line, segment: Segment, books: Books
) -> bool:
    page = books.orders.get(fact.order_id)
    if page is not None:
        page.payment_trace = line.trace_id
    _step(books, line, segment, "payment", fact.hold_id)
    return True


def _order_confirmed(
    fact: facts.OrderConfirmed, line: Line, segment: Segment, books: Books
) -> bool:
    page = _order_page(fact, line, segment, books)
    if page.confirmed_at is not None:
        return False
    page.state, page.confirmed_at, page.confirmed_trace = "confirmed", line.at, line.trace_id
    page.order_seconds, page.confirmation_seconds = fact.order_seconds, fact.confirmation_seconds
    books.count(metrics.SHOP_ORDERS, segment)
    books.count(metrics.SHOP_ORDER_VALUE, segment, fact.price, currency=fact.currency)
    books.observe(metrics.SHOP_ORDER_DURATION, segment, fact.order_seconds)
    books.observe(metrics.SHOP_CONFIRMATION_DURATION, segment, fact.confirmation_seconds)
    campaign = campaign_label(line.context.campaign)
    if campaign:
        books.count(metrics.SHOP_CAMPAIGN_ORDERS, segment, campaign=campaign)
    _end_checkout(books.checkouts.get(fact.hold_id), line, "ordered", books)
    _step(books, line, segment, "order", fact.hold_id)
    if segment.entry == "advisor" or fact.advice_id:
        _step(books, line, segment, "order", fact.hold_id, funnel="advice")
    if line.context.session_id:
        books.session(line.context.session_id, line.at).ordered = True
    return True


def _order_ended(fact: facts.OrderEnded, line: Line, _: Segment, books: Books) -> bool:
    page = books.orders.get(fact.order_id)
    if page is not None and page.confirmed_at is None:
        page.state, page.ended_at = fact.result, line.at
    return True


def _order_cancelled(
    fact: facts.OrderCancelled, line: Line, segment: Segment, books: Books
) -> bool:
    if not books.once(StepKey(fact.order_id, ONCE, "cancelled"), segment, line.at):
        return False
    page = books.orders.get(fact.order_id)
    if page is not None:
        page.state, page.ended_at = "cancelled", line.at
    books.count(metrics.SHOP_ORDERS_CANCELLED, segment)
    _lose(page, "cancelled", line, books)
    return True


def _order_returned(fact: facts.OrderReturned, line: Line, segment: Segment, books: Books) -> bool:
    if not books.once(StepKey(fact.order_id, ONCE, "returned"), segment, line.at):
        return False
    page = books.orders.get(fact.order_id)
    if page is not None:
        page.state, page.ended_at = "returned", line.at
    reason = fact.reason if fact.reason in metrics.RETURN_REASONS else "other"
    books.count(metrics.SHOP_ORDERS_RETURNED, segment, reason=reason)
    _lose(page, "returned", line, books)
    return True


def _lose(page: OrderPage | None, loss: str, line: Line, books: Books) -> None:
    """Take a confirmed order's price from what the shop keeps, once, by what happened first.

    In the order's own segment: so in every segment no more is lost than was sold.
    """
    if page is None or page.confirmed_at is None:
        return
    if books.once(StepKey(page.order_id, ONCE, LOST), page.segment, line.at):
        labels = {"currency": page.currency, "loss": loss}
        books.count(metrics.SHOP_ORDER_VALUE_LOST, page.segment, page.price, **labels)


def _order_refunded(fact: facts.OrderRefunded, line: Line, _: Segment, books: Books) -> bool:
    _lose(books.orders.get(fact.order_id), "refunded", line, books)
    return _order_is(fact.order_id, "refunded", line, books)


def _return_requested(fact: facts.ReturnRequested, line: Line, _: Segment, books: Books) -> bool:
    page = books.orders.get(fact.order_id)
    if page is None or page.state != "confirmed":
        return True
    return _order_is(fact.order_id, "return_requested", line, books)


def _order_disputed(fact: facts.OrderDisputed, line: Line, _: Segment, books: Books) -> bool:
    page = books.orders.get(fact.order_id)
    if page is None or page.state != "confirmed":
        return True  # it was over before: the dispute changes nothing of that
    return _order_is(fact.order_id, "disputed", line, books)


def _dispute_decided(fact: facts.DisputeDecided, line: Line, _: Segment, books: Books) -> bool:
    page = books.orders.get(fact.order_id)
    if page is not None and page.state == "disputed" and not fact.others_open:
        page.state, page.ended_at = "confirmed", None
    return True  # one that lost it all is refunded: its own facts follow


def _customer_erased(fact: facts.CustomerErased, line: Line, _: Segment, books: Books) -> bool:
    """Its words go; what it was counted under are registered names."""
    page = books.orders.get(fact.order_id)
    if page is not None:
        page.campaign = page.utm_source = page.utm_medium = ""
    session = books.sessions.get(line.context.session_id)
    if session is not None:
        session.utm_source = session.utm_medium = ""
    return True


def _order_is(order_id: str, state: str, line: Line, books: Books) -> bool:
    page = books.orders.get(order_id)
    if page is None or page.state == state:
        return page is None
    page.state, page.ended_at = state, line.at
    return True


# --- facts without a segment ----------------------------------------------------------------


def _car_listed(fact: facts.CarListed, _: Line, books: Books) -> bool:
    books.cars[fact.car_id] = fact.title[:200]
    return True


VITALS: Final = {
    "LCP": metrics.BROWSER_LCP,
    "INP": metrics.BROWSER_INP,
    "CLS": metrics.BROWSER_CLS,
    "FCP": metrics.BROWSER_FCP,
    "TTFB": metrics.BROWSER_TTFB,
}


def _web_vital(fact: facts.WebVitalMeasured, line: Line, books: Books) -> bool:
    metric = VITALS.get(fact.name)
    if metric is not None and line.context.traffic == "human":
        device = line.context.device if metric.accepts("device", line.context.device) else "unknown"
        page = fact.page if metric.accepts("page", fact.page) else "other"
        books.observe(metric, None, fact.value, device=device, page=page)
    return True


NOWHERE: Final = Segment("", "", "", "", "")
"""Of steps that belong to no shop segment."""


def _browser_crashed(fact: facts.BrowserCrashed, line: Line, books: Books) -> bool:
    if not books.once(StepKey(fact.session_id, ONCE, "crash"), NOWHERE, line.at):
        return False
    books.count(metrics.CLIENT_SESSIONS_CRASHED, None, release=fact.release or "unknown")
    return True


def _deployed(fact: facts.SoftwareDeployed, line: Line, books: Books) -> bool:
    if not books.once(StepKey(line.event_id, ONCE, "deployment"), NOWHERE, line.at):
        return False
    labels = {"service": fact.service, "outcome": fact.outcome, "kind": fact.kind}
    books.count(metrics.DELIVERY_DEPLOYMENTS, None, **labels)
    return True


RULES: Final[Mapping[type[Fact], Rule]] = {
    facts.SessionStarted: _session_started,
    facts.PageViewed: _page_viewed,
    facts.AdviceStarted: _advice_started,
    facts.AdviceGiven: _advice_given,
    facts.MatchViewed: _match_viewed,
    facts.FeedbackGiven: _feedback,
    facts.HoldPlaced: _hold_placed,
    facts.HoldRefused: _hold_refused,
    facts.HoldReleased: _hold_released,
    facts.OrderSubmitted: _order_submitted,
    facts.PaymentAttempted: _payment_attempted,
    facts.OrderConfirmed: _order_confirmed,
    facts.OrderEnded: _order_ended,
    facts.OrderCancelled: _order_cancelled,
    facts.ReturnRequested: _return_requested,
    facts.OrderReturned: _order_returned,
    facts.OrderRefunded: _order_refunded,
    facts.OrderDisputed: _order_disputed,
    facts.DisputeDecided: _dispute_decided,
    facts.CustomerErased: _customer_erased,
}
"""Facts that are counted by segment; a fact in neither table moves no number."""

PLAIN_RULES: Final[Mapping[type[Fact], PlainRule]] = {
    facts.CarListed: _car_listed,
    facts.WebVitalMeasured: _web_vital,
    facts.BrowserCrashed: _browser_crashed,
    facts.SoftwareDeployed: _deployed,
}


# --- sessions -------------------------------------------------------------------------------


def settle(session: SessionPage, books: Books) -> None:
    """Count what has become true of a session, in whatever order its facts came.

    Both counters carry the segment with which the session started, and wait for that start: so
    in every segment the converted sessions are among the sessions.
    """
    if session.segment is None:
        return
    engaged = (
        session.key_event
        or session.views >= ENGAGED_VIEWS
        or session.active_seconds > ENGAGED_SECONDS
    )
    if engaged and not session.engaged:
        session.engaged = True
        books.count(metrics.SHOP_SESSIONS_ENGAGED, session.segment)
    if session.ordered and not session.converted:
        session.converted = True
        books.count(metrics.SHOP_SESSIONS_CONVERTED, session.segment)


def close(session: SessionPage, at: datetime, books: Books) -> None:
    """Close an idle session: advice that found no car by now found none; else it is abandoned."""
    session.closed_at = at
    if session.segment is None or books.is_late(session.last_seen):
        return
    if StepKey(session.session_id, "advice", UNMATCHED) in books.taken:
        _end_advice(session.session_id, "no_match", at, session.segment, books)
    elif session.advised:
        _end_advice(session.session_id, "abandoned", at, session.segment, books)
