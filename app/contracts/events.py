"""The facts that services state.

A fact is a frozen dataclass: something that happened, in the past tense, with units documented.
Durable facts travel through the outbox of the service that states them. Money is integer minor
units of `currency`; times are RFC 3339 UTC strings (they cross process borders as JSON).
No fact carries anything that says who somebody is: no name, e-mail, phone, address, VIN or token.
Pseudonyms (a session, a visitor, a customer) stand for people and are forgotten with them.

A fact's types are its contract: what does not fit cannot be stated (`frame.data.outbox` checks),
and what was stated nevertheless cannot be read (`fact_of`). Consumers' columns are at least as
wide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from app.contracts.labels import LONGEST_LABEL
from app.contracts.wire import CarState
from app.kernel.facts import ContractBroken, Event, Fact, checked, text_of
from telemetry.catalogue.labels import Market

AdviceResult = Literal["completed", "no_match"]
VitalName = Literal["LCP", "INP", "CLS", "FCP", "TTFB"]
DeployOutcome = Literal["succeeded", "failed", "rolled_back"]
DeployKind = Literal["planned", "rework"]

Id = Annotated[str, text_of(80)]
"""An opaque identifier, or a closed name that its consumer may not know yet."""

VisitorId = Annotated[str, text_of(40)]

LONGEST_TITLE: Final = 200
Title = Annotated[str, text_of(LONGEST_TITLE)]
Label = Annotated[str, text_of(LONGEST_LABEL)]
Currency = Annotated[str, text_of(3)]
Rate = Annotated[str, text_of(8)]
"""A decimal fraction."""

Provider = Annotated[str, text_of(20)]
Release = Annotated[str, text_of(60)]
CarIdentity = Annotated[str, text_of(64)]
Moment = Annotated[str, text_of(40)]
"""RFC 3339, UTC."""

Opening = Annotated[str, text_of(4000)]
"""A dealer's calendar (`kernel.opening.Calendar`) as text."""

Amount = Annotated[int, Field(ge=-(2**53), le=2**53)]
"""Minor units, within what JSON numbers hold exactly everywhere (RFC 8259, section 6)."""

Count = Annotated[int, Field(ge=0, lt=2**31)]
Number = Annotated[float, Field(allow_inf_nan=False)]

# --- storefront -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionStarted(Fact):
    TYPE: ClassVar[str] = "storefront.session.started"
    session_id: Id
    landing_page: Title
    """Route template of the first page."""
    channel_group: Id = ""
    """What brought the visit (`kernel.channels`); empty in a fact of before it was told."""
    utm_source: Label = ""
    utm_medium: Label = ""
    """Labels of its first request, as `contracts.labels` leaves them."""
    awaits_proof: bool = False
    """Nothing has shown yet that a browser stands behind it: its first answer carried the cookie.
    It becomes a visit with any later fact of its own, `SessionProven` at the least."""


@dataclass(frozen=True, slots=True)
class SessionProven(Fact):
    """The cookie came back: with a page's own picture, or with a second request."""

    TYPE: ClassVar[str] = "storefront.session.proven"
    session_id: Id


@dataclass(frozen=True, slots=True)
class SessionSuspected(Fact):
    """A program that pretends to be a person: its visit is told apart from the beginning."""

    TYPE: ClassVar[str] = "storefront.session.suspected"
    session_id: Id
    because: Id
    """A closed name of what it did: pace, webdriver, robots_txt, …"""


@dataclass(frozen=True, slots=True)
class VisitorForgotten(Fact):
    """Whoever had this id wants it gone; a later visit of theirs is a stranger's."""

    TYPE: ClassVar[str] = "storefront.visitor.forgotten"
    visitor_id: VisitorId


@dataclass(frozen=True, slots=True)
class PageViewed(Fact):
    TYPE: ClassVar[str] = "storefront.page.viewed"
    page: Id
    """A closed name: home, cars, car, model, advisor, matches, details, order, …"""
    car_id: Id = ""
    model_id: Id = ""
    again: bool = False
    """A form that was on this page led back to it: the shopper is there, and saw no second page."""


@dataclass(frozen=True, slots=True)
class AdviceStarted(Fact):
    TYPE: ClassVar[str] = "storefront.advice.started"
    session_id: Id


@dataclass(frozen=True, slots=True)
class AdviceStepAnswered(Fact):
    TYPE: ClassVar[str] = "storefront.advice.step_answered"
    step: Id
    """Name of the question page that was answered: people, luggage, budget, character, …"""


@dataclass(frozen=True, slots=True)
class MatchViewed(Fact):
    TYPE: ClassVar[str] = "storefront.match.viewed"
    advice_id: Id


@dataclass(frozen=True, slots=True)
class FeedbackGiven(Fact):
    TYPE: ClassVar[str] = "storefront.feedback.given"
    touchpoint: Id
    csat: Count | None = None
    """1 to 5."""
    nps: Count | None = None
    """0 to 10."""
    order_id: Id = ""
    """Of the order that its giver has bought with; counted once."""
    advice_id: Id = ""
    """Of the advice that its giver was given, when it is about that; counted once."""


# --- advisor --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AdviceGiven(Fact):
    TYPE: ClassVar[str] = "advisor.advice.given"
    advice_id: Id
    result: AdviceResult
    matches: Count
    relaxations: Count
    best_model_id: Id = ""


# --- catalog --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CarListed(Fact):
    """A car is on offer, or its offer changed; carries what checkout needs to sell it."""

    TYPE: ClassVar[str] = "catalog.car.listed"
    car_id: Id
    model_id: Id
    title: Title
    market: Market
    dealer_id: Id
    source: Id
    price: Amount
    """Minor units, VAT included."""
    currency: Currency
    vat_rate: Rate
    """Decimal fraction as text, `0.25`."""
    rehearsal: bool = False
    """Only synthetic callers see and buy it."""
    ready_for_handover_at: Moment = ""
    """The earliest moment of handover; empty when it is not known or counts from the order."""
    handover_lead_seconds: Count | None = None
    """How long after an order the car can be handed over; None when it does not count from it."""
    dealer_calendar: Opening = ""
    """When its dealer is open (`kernel.opening.Calendar.text`); empty when it was not told."""
    identity: CarIdentity = ""
    """The same for one physical car in whatever feed (a keyed hash); empty when it is not known."""


@dataclass(frozen=True, slots=True)
class CarWithdrawn(Fact):
    """The car is no longer on offer."""

    TYPE: ClassVar[str] = "catalog.car.withdrawn"
    car_id: Id
    in_feed: bool = False
    """Its feed still has it, in a row that was refused or by another stock id; else it left."""


@dataclass(frozen=True, slots=True)
class FeedImported(Fact):
    TYPE: ClassVar[str] = "catalog.feed.imported"
    source: Id
    accepted: Count
    rejected: Count
    unchanged: Count
    removed: Count
    sent_by: Id = ""
    """Name of the dealer key that it came with; empty in a fact of before there were several."""


# --- checkout -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HoldPlaced(Fact):
    TYPE: ClassVar[str] = "checkout.hold.placed"
    hold_id: Id
    car_id: Id
    model_id: Id
    expires_at: Moment


@dataclass(frozen=True, slots=True)
class HoldRefused(Fact):
    """Somebody else was first: the shop sold out of this one car."""

    TYPE: ClassVar[str] = "checkout.hold.refused"
    car_id: Id
    attempt_id: Id


@dataclass(frozen=True, slots=True)
class HoldReleased(Fact):
    """The checkout is over without an order, and the car is free again.

    A confirmed order's hold ends with `OrderConfirmed` instead: each hold ends exactly once.
    """

    TYPE: ClassVar[str] = "checkout.hold.released"
    hold_id: Id
    car_id: Id
    reason: Literal["released", "expired", "sold_at_desk"]
    """The shopper gave it back, time ran out, or the dealer sold the car in the showroom."""
    ended_as: Literal["abandoned", "declined", "expired", "sold_out"]
    """`declined`: the last payment was refused; `expired`: an order waited unpaid; `sold_out`:
    somebody else got the car."""
    order_id: Id = ""
    """The unpaid order that went with it, if there was one."""


@dataclass(frozen=True, slots=True)
class OrderSubmitted(Fact):
    TYPE: ClassVar[str] = "checkout.order.submitted"
    order_id: Id
    hold_id: Id
    car_id: Id
    model_id: Id
    price: Amount
    deposit: Amount
    currency: Currency
    provider: Provider
    utm_source: Label = ""
    utm_medium: Label = ""
    utm_content: Label = ""
    utm_term: Label = ""
    """Labels as `contracts.labels` leaves them; utm_campaign is the context's."""
    channel_group: Id = ""
    """Of the session's last click that was not direct; empty for an order without a session."""


@dataclass(frozen=True, slots=True)
class PaymentAttempted(Fact):
    """The provider told us that the shopper tried to pay (whatever came of it)."""

    TYPE: ClassVar[str] = "checkout.payment.attempted"
    order_id: Id
    hold_id: Id
    provider: Provider
    result: Literal["accepted", "declined", "action_required", "failed"]


@dataclass(frozen=True, slots=True)
class OrderConfirmed(Fact):
    TYPE: ClassVar[str] = "checkout.order.confirmed"
    order_id: Id
    hold_id: Id
    car_id: Id
    model_id: Id
    price: Amount
    vat: Amount
    deposit: Amount
    currency: Currency
    provider: Provider
    order_seconds: Number
    """From submission to confirmation: the shopper's own typing included."""
    confirmation_seconds: Number
    """From the provider's acceptance to confirmation: the SLO."""
    advice_id: Id = ""
    late: bool = False
    """Paid after its hold had ended: that checkout was already counted as ended."""
    customer_id: Id = ""
    """A pseudonym of who bought, the same in all their orders; `CustomerErased` takes it back.
    Empty when it is not known: of a version before, or while the index key changes."""


@dataclass(frozen=True, slots=True)
class OrderEnded(Fact):
    """An order ended unconfirmed; its hold may live on for another attempt.

    Says nothing about the checkout as a whole: `HoldReleased.ended_as` does.
    """

    TYPE: ClassVar[str] = "checkout.order.ended"
    order_id: Id
    hold_id: Id
    car_id: Id
    result: Literal["declined", "expired", "cancelled"]


@dataclass(frozen=True, slots=True)
class OrderCancelled(Fact):
    """A confirmed order was given up before handover."""

    TYPE: ClassVar[str] = "checkout.order.cancelled"
    order_id: Id
    car_id: Id
    reason: Literal["shopper", "lapsed", "refunded"]
    """`refunded`: its money went back at the provider, by somebody's hand or a lost dispute."""


@dataclass(frozen=True, slots=True)
class ReturnRequested(Fact):
    """The owner gives a car back; it is still with them."""

    TYPE: ClassVar[str] = "checkout.order.return_requested"
    order_id: Id
    car_id: Id
    reason: Id


@dataclass(frozen=True, slots=True)
class OrderReturned(Fact):
    """A car was given back within the 14-day right of withdrawal after handover."""

    TYPE: ClassVar[str] = "checkout.order.returned"
    order_id: Id
    car_id: Id
    reason: Id


@dataclass(frozen=True, slots=True)
class OrderRefunded(Fact):
    TYPE: ClassVar[str] = "checkout.order.refunded"
    order_id: Id
    amount: Amount
    currency: Currency
    by: Literal["us", "provider"] = "us"
    """`provider`: the money moved there without us, by somebody's hand or a lost dispute."""


@dataclass(frozen=True, slots=True)
class OrderPartlyRefunded(Fact):
    """Some of the deposit went back at the provider; the order stands."""

    TYPE: ClassVar[str] = "checkout.order.partly_refunded"
    order_id: Id
    amount: Amount
    """All that went back so far."""
    currency: Currency


@dataclass(frozen=True, slots=True)
class CustomerErased(Fact):
    """Whose order it was is forgotten: its `customer_id`, and by what words they were brought."""

    TYPE: ClassVar[str] = "checkout.customer.erased"
    order_id: Id


@dataclass(frozen=True, slots=True)
class OrderDisputed(Fact):
    """The shopper's bank wants the money back; until that is decided the car is kept."""

    TYPE: ClassVar[str] = "checkout.order.disputed"
    order_id: Id
    amount: Amount
    currency: Currency


@dataclass(frozen=True, slots=True)
class DisputeDecided(Fact):
    """`lost`: the shopper has that money.

    When it is all of the deposit the order is refunded, as its own fact tells; else it stands.
    """

    TYPE: ClassVar[str] = "checkout.order.dispute_decided"
    order_id: Id
    result: Literal["won", "lost"]
    others_open: bool = False
    """Another dispute of this order is not decided yet."""


@dataclass(frozen=True, slots=True)
class CarHandedOver(Fact):
    TYPE: ClassVar[str] = "checkout.car.handed_over"
    order_id: Id
    car_id: Id
    reported_by: Id = ""
    """Name of the dealer key; empty in a fact of before there were several."""


@dataclass(frozen=True, slots=True)
class CarSoldAtDesk(Fact):
    """Its dealer sold the car in the showroom: no order of ours, and off sale."""

    TYPE: ClassVar[str] = "checkout.car.sold_at_desk"
    car_id: Id
    dealer_id: Id
    reported_by: Id
    """Name of the dealer key."""
    hold_ended: bool = False
    """A shopper held it, and lost it."""


@dataclass(frozen=True, slots=True)
class DeskSaleUndone(Fact):
    """The dealer took the sale back, or the car's feed left it out and lists it anew."""

    TYPE: ClassVar[str] = "checkout.car.desk_sale_undone"
    car_id: Id
    by: Literal["dealer", "feed"]
    reported_by: Id = ""
    """Name of the dealer key; empty for a feed."""


@dataclass(frozen=True, slots=True)
class CarStateChanged(Fact):
    """What everybody else needs to know about a car: may it be shown as available?"""

    TYPE: ClassVar[str] = "checkout.car.state_changed"
    car_id: Id
    state: CarState


# --- insight --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WebVitalMeasured(Fact):
    TYPE: ClassVar[str] = "browser.web_vital"
    name: VitalName
    value: Number
    """Seconds, but for CLS, which is a plain score."""
    page: Id


@dataclass(frozen=True, slots=True)
class BrowserCrashed(Fact):
    TYPE: ClassVar[str] = "browser.crash"
    release: Release
    session_id: Id


@dataclass(frozen=True, slots=True)
class SoftwareDeployed(Fact):
    TYPE: ClassVar[str] = "delivery.deployment"
    service: Id
    revision: Id
    outcome: DeployOutcome
    kind: DeployKind


FACT_TYPES: Final[Mapping[str, type[Fact]]] = {
    cls.TYPE: cls for cls in Fact.__subclasses__() if cls.TYPE
}
"""Every fact by its CloudEvents type."""


class UnknownFact(ContractBroken):
    """An event type of a later version."""


def fact_of(event: Event) -> Fact:
    """The typed fact of an event; members that this version does not know are left out.

    Raises `UnknownFact` for a type that this version does not know at all, and
    `kernel.facts.ContractBroken` for a fact that is not what its type declares.
    """
    cls = FACT_TYPES.get(event.type)
    if cls is None:
        raise UnknownFact("type: is of a later version")
    return cls(**checked(cls, event.data))
