"""What each fact changes on the pages. What a page adds to the numbers is in `entries.py`.

A rule is a pure function of one fact, its line and the books. Facts come in any order (an order
before its session's start, a refund before the payment), so a rule writes down what its fact says
and nothing that depends on what came before: first moments, flags, sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from app.contracts import events as facts
from app.insight.ledger.accounts import ADVICE_STEP, MILLIONTHS, NOWHERE, STEP, Entry, Segment
from app.insight.ledger.books import Books, CheckoutPage, OrderPage, SessionPage
from app.insight.ledger.campaigns import campaign_label
from app.insight.ledger.entries import UNMATCHED, state_of
from app.kernel.channels import UNASSIGNED, known_group
from app.kernel.facts import EventContext, Fact
from telemetry.catalogue import insight as metrics

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

PROOFS: Final[frozenset[type[Fact]]] = (ACTS - {facts.SessionStarted, facts.PageViewed}) | {
    facts.WebVitalMeasured,
    facts.BrowserCrashed,
}
"""Facts that only who has the visit's cookie can bring about, beside a proof itself; a first view
needs none."""


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


Rule = Callable[[Any, Line, Segment, Books], None]
PlainRule = Callable[[Any, Line, Books], None]


def _reach(books: Books, line: Line, step: str) -> None:
    """The first moment of a step of a visit; a caller without one has no place in a funnel."""
    if line.context.session_id:
        books.session(line.context.session_id, line.at).reach(step, line.at)


def _single(measure: str, line: Line, segment: Segment, *label: str, amount: int = 1) -> Entry:
    """The entry of a fact that no page stands for."""
    campaign = campaign_label(line.context.campaign)
    return Entry(measure, line.at, line.at, segment, label, amount, UNASSIGNED, campaign)


# --- storefront and advisor -----------------------------------------------------------------


def _session_started(
    fact: facts.SessionStarted, line: Line, segment: Segment, books: Books
) -> None:
    page = books.session(fact.session_id, line.at)
    if page.started_at is not None and page.started_at <= line.at:
        return  # told again: the first start counts
    page.started_at, page.segment = line.at, segment
    page.awaits_proof, page.campaign = fact.awaits_proof, line.context.campaign[:100]
    _brought(page, fact)


def _brought(
    page: SessionPage | OrderPage, fact: facts.SessionStarted | facts.OrderSubmitted
) -> None:
    page.channel_group = known_group(fact.channel_group)
    page.utm_source, page.utm_medium = fact.utm_source, fact.utm_medium


def _session_proven(fact: facts.SessionProven, line: Line, _: Segment, books: Books) -> None:
    books.session(fact.session_id, line.at).proven = True


def _session_suspected(fact: facts.SessionSuspected, line: Line, _: Segment, books: Books) -> None:
    page = books.session(fact.session_id, line.at)
    page.suspected = _least(page.suspected, fact.because)
    books.why[fact.session_id] = "suspect"
    for checkout in books.checkouts.values():
        if checkout.session_id == fact.session_id:
            checkout.suspected = True
            books.why[checkout.checkout_id] = "suspect"


def _page_viewed(fact: facts.PageViewed, line: Line, _: Segment, books: Books) -> None:
    # A browser's beacon repeats what the storefront has stated, and so does the answer to a form
    # on the page: they show presence, not a view.
    if line.source == "storefront" and line.context.session_id and not fact.again:
        page = books.session(line.context.session_id, line.at)
        page.views += 1
        page.proven = page.proven or page.views > 1
    if fact.page == "car":
        _reach(books, line, f"{STEP}car_view")


def _advice_started(fact: facts.AdviceStarted, line: Line, _: Segment, books: Books) -> None:
    books.session(fact.session_id, line.at).reach(f"{ADVICE_STEP}advice_start", line.at)


def _match_viewed(_: facts.MatchViewed, line: Line, __: Segment, books: Books) -> None:
    _reach(books, line, f"{ADVICE_STEP}match_view")


def _advice_given(fact: facts.AdviceGiven, line: Line, segment: Segment, books: Books) -> None:
    completed = fact.result == "completed"
    if line.context.session_id:
        _reach(books, line, f"{ADVICE_STEP}advice_complete" if completed else UNMATCHED)
        return
    # Of a caller without a session this is all that there will be to tell of its advice.
    for step in ("advice_start", "advice_complete") if completed else ():
        books.once(fact.advice_id, _single(f"{ADVICE_STEP}{step}", line, segment, step))
    books.once(fact.advice_id, _single("advice", line, segment, fact.result))


def _feedback(fact: facts.FeedbackGiven, line: Line, segment: Segment, books: Books) -> None:
    about_advice = line.context.session_id if fact.advice_id else ""
    subject = fact.order_id or about_advice or line.event_id
    if fact.csat is not None and 1 <= fact.csat <= 5:
        books.once(subject, _single("csat", line, segment, str(fact.csat)))
    if fact.nps is not None and 0 <= fact.nps <= 10:
        group = "promoter" if fact.nps >= 9 else "passive" if fact.nps >= 7 else "detractor"
        books.once(subject, _single("nps", line, segment, group))


# --- checkout -------------------------------------------------------------------------------


def _start_checkout(checkout_id: str, line: Line, segment: Segment, books: Books) -> CheckoutPage:
    page = books.checkout(checkout_id, line.at)
    if page.started_at is None:
        page.started_at, page.segment, page.trace_id = line.at, segment, line.trace_id
        page.session_id, page.campaign = line.context.session_id, line.context.campaign[:100]
        session = books.sessions.get(page.session_id)
        page.suspected = session is not None and session.suspected is not None
    return page


def _hold_placed(fact: facts.HoldPlaced, line: Line, segment: Segment, books: Books) -> None:
    _start_checkout(fact.hold_id, line, segment, books)
    _reach(books, line, f"{STEP}hold")
    if segment.entry == "advisor":
        _reach(books, line, f"{ADVICE_STEP}hold")


def _hold_refused(fact: facts.HoldRefused, line: Line, segment: Segment, books: Books) -> None:
    _end_checkout(_start_checkout(fact.attempt_id, line, segment, books), "sold_out", line)


def _end_checkout(page: CheckoutPage, result: str, line: Line) -> None:
    """Note how it ended. The car was bought, whatever was said before or is said after."""
    if page.result is None or (result == "ordered" and page.result != "ordered"):
        page.result, page.ended_at = result, line.at


def _hold_released(fact: facts.HoldReleased, line: Line, _: Segment, books: Books) -> None:
    _end_checkout(books.checkout(fact.hold_id, line.at), fact.ended_as, line)


def _order(
    fact: facts.OrderSubmitted | facts.OrderConfirmed, line: Line, segment: Segment, books: Books
) -> OrderPage:
    page = _page_of(fact.order_id, books)
    page.hold_id, page.car_id = fact.hold_id, fact.car_id
    page.model_id, page.provider = fact.model_id, fact.provider
    page.price, page.currency = fact.price, fact.currency
    if page.segment is None:
        page.segment, page.session_id = segment, line.context.session_id
        page.campaign, page.release = line.context.campaign[:100], line.context.release[:60]
    page.visitor_id = _least(page.visitor_id, line.context.visitor_id)
    return page


def _least(known: str | None, told: str) -> str | None:
    """One of two, whichever came first; None of nothing."""
    return min(filter(None, (known, told)), default=None)


def _page_of(order_id: str, books: Books) -> OrderPage:
    page = books.orders.get(order_id)
    if page is None:
        page = books.orders[order_id] = OrderPage(order_id, "", "")
    return page


def _happened(order_id: str, what: str, line: Line, books: Books) -> OrderPage:
    """Note when something became of an order: the first time, but of what may come again."""
    page = _page_of(order_id, books)
    known = page.happened.get(what, line.at)
    later = what in ("disputed", "decided")
    page.happened[what] = max(known, line.at) if later else min(known, line.at)
    page.state, page.ended_at = state_of(page)
    return page


def _order_submitted(
    fact: facts.OrderSubmitted, line: Line, segment: Segment, books: Books
) -> None:
    page = _order(fact, line, segment, books)
    if page.submitted_at is None:
        page.submitted_at, page.submitted_trace = line.at, line.trace_id
        _brought(page, fact)
    _reach(books, line, f"{STEP}details")


def _payment_attempted(fact: facts.PaymentAttempted, line: Line, _: Segment, books: Books) -> None:
    _page_of(fact.order_id, books).payment_trace = line.trace_id
    _reach(books, line, f"{STEP}payment")


def _order_confirmed(
    fact: facts.OrderConfirmed, line: Line, segment: Segment, books: Books
) -> None:
    page = _order(fact, line, segment, books)
    page.customer_id = _least(page.customer_id, fact.customer_id)
    if page.confirmed_at is None:
        page.confirmed_at, page.confirmed_trace = line.at, line.trace_id
        page.order_seconds = fact.order_seconds
        page.confirmation_seconds = fact.confirmation_seconds
        page.state, page.ended_at = state_of(page)
    books.why[fact.hold_id] = "late_payment"
    _end_checkout(books.checkout(fact.hold_id, line.at), "ordered", line)
    _reach(books, line, f"{STEP}order")
    if segment.entry == "advisor" or fact.advice_id:
        _reach(books, line, f"{ADVICE_STEP}order")
    if line.context.session_id:
        books.session(line.context.session_id, line.at).ordered = True
    elif fact.advice_id:
        for step in metrics.ADVICE_STEPS:
            books.once(fact.advice_id, _single(f"{ADVICE_STEP}{step}", line, segment, step))


def _order_ended(fact: facts.OrderEnded, line: Line, _: Segment, books: Books) -> None:
    _happened(fact.order_id, f"ended.{fact.result}", line, books)


def _order_cancelled(fact: facts.OrderCancelled, line: Line, _: Segment, books: Books) -> None:
    _happened(fact.order_id, "cancelled", line, books)
    books.why[fact.order_id] = "return"


def _order_returned(fact: facts.OrderReturned, line: Line, _: Segment, books: Books) -> None:
    page = _happened(fact.order_id, "returned", line, books)
    reason = fact.reason if fact.reason in metrics.RETURN_REASONS else "other"
    page.return_reason = page.return_reason or reason
    books.why[fact.order_id] = "return"


def _order_refunded(fact: facts.OrderRefunded, line: Line, _: Segment, books: Books) -> None:
    _happened(fact.order_id, "refunded", line, books)
    books.why[fact.order_id] = "return"


def _return_requested(fact: facts.ReturnRequested, line: Line, _: Segment, books: Books) -> None:
    _happened(fact.order_id, "return_requested", line, books)


def _order_disputed(fact: facts.OrderDisputed, line: Line, _: Segment, books: Books) -> None:
    _happened(fact.order_id, "disputed", line, books)


def _dispute_decided(fact: facts.DisputeDecided, line: Line, _: Segment, books: Books) -> None:
    if not fact.others_open:  # one that lost it all is refunded: its own facts follow
        _happened(fact.order_id, "decided", line, books)


def _handed_over(fact: facts.CarHandedOver, line: Line, books: Books) -> None:
    _happened(fact.order_id, "delivered", line, books)


def _customer_erased(fact: facts.CustomerErased, line: Line, _: Segment, books: Books) -> None:
    """Its words go; what it was counted under is a registered name, and stays."""
    pages: list[OrderPage | SessionPage] = [_page_of(fact.order_id, books)]
    session = books.sessions.get(line.context.session_id)
    for page in pages if session is None else [*pages, session]:
        page.campaign = campaign_label(page.campaign)
        page.utm_source = page.utm_medium = ""
    books.erased.add(fact.order_id)


def _visitor_forgotten(fact: facts.VisitorForgotten, _: Line, books: Books) -> None:
    if fact.visitor_id:  # empty in what is told again: it was forgotten there too
        books.forgotten.add(fact.visitor_id)


# --- facts without a segment ----------------------------------------------------------------


def _car_listed(fact: facts.CarListed, _: Line, books: Books) -> None:
    books.cars[fact.car_id] = fact.title[:200]


VITALS: Final = ("LCP", "INP", "CLS", "FCP", "TTFB")


def _web_vital(fact: facts.WebVitalMeasured, line: Line, books: Books) -> None:
    if fact.name not in VITALS:
        return
    page = fact.page if metrics.BROWSER_LCP.accepts("page", fact.page) else "other"
    measured = _single(
        fact.name, line, _anywhere(line), page, amount=round(fact.value * MILLIONTHS)
    )
    if not books.is_late(line.at):
        books.once(line.event_id, measured)


def _anywhere(line: Line) -> Segment:
    """The segment of what counts in whatever market, or none."""
    context = line.context
    return line.segment or Segment(
        "", context.channel, context.device, context.entry, context.traffic
    )


def _browser_crashed(fact: facts.BrowserCrashed, line: Line, books: Books) -> None:
    page = books.session(fact.session_id, line.at)
    page.crashed = _least(page.crashed, fact.release or "unknown")


def _deployed(fact: facts.SoftwareDeployed, line: Line, books: Books) -> None:
    label = (fact.service, fact.outcome, fact.kind)
    if not books.is_late(line.at):
        books.once(line.event_id, _single("deployment", line, NOWHERE, *label))


RULES: Final[Mapping[type[Fact], Rule]] = {
    facts.SessionStarted: _session_started,
    facts.SessionProven: _session_proven,
    facts.SessionSuspected: _session_suspected,
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
    facts.VisitorForgotten: _visitor_forgotten,
    facts.CarHandedOver: _handed_over,
    facts.WebVitalMeasured: _web_vital,
    facts.BrowserCrashed: _browser_crashed,
    facts.SoftwareDeployed: _deployed,
}


def visited(kind: type[Fact], line: Line, books: Books) -> None:
    """What any fact of a visit says about it: when it was there, and that a browser was."""
    session_id = line.context.session_id
    if not session_id:
        return
    if kind in ACTS:
        session = books.session(session_id, line.at)
        session.seen(line.at)
        session.key_event = session.key_event or kind in KEY_EVENTS
    if kind in PROOFS:  # told before the visit itself, it proves it all the same
        books.session(session_id, line.at).proven = True
    known = books.sessions.get(session_id)
    if known is not None:
        known.visitor_id = _least(known.visitor_id, line.context.visitor_id)
