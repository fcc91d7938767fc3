"""The facts that services state.

A fact is a frozen dataclass: something that happened, in the past tense, with units documented.
Durable facts travel through the outbox of the service that states them. Money is integer minor
units of `currency`; times are RFC 3339 UTC strings (they cross process borders as JSON).
No fact carries anything personal: no name, e-mail, phone, address, VIN or token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Final, Literal

from app.kernel.facts import Event, Fact

# --- storefront -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionStarted(Fact):
    TYPE: ClassVar[str] = "storefront.session.started"
    session_id: str
    landing_page: str
    """Route template of the first page."""


@dataclass(frozen=True, slots=True)
class PageViewed(Fact):
    TYPE: ClassVar[str] = "storefront.page.viewed"
    page: str
    """A closed name: home, cars, car, model, advisor, matches, details, order, …"""
    car_id: str = ""
    model_id: str = ""


@dataclass(frozen=True, slots=True)
class AdviceStarted(Fact):
    TYPE: ClassVar[str] = "storefront.advice.started"
    session_id: str


@dataclass(frozen=True, slots=True)
class AdviceStepAnswered(Fact):
    TYPE: ClassVar[str] = "storefront.advice.step_answered"
    step: str
    """Name of the question page that was answered: people, luggage, budget, character, …"""


@dataclass(frozen=True, slots=True)
class MatchViewed(Fact):
    TYPE: ClassVar[str] = "storefront.match.viewed"
    advice_id: str


@dataclass(frozen=True, slots=True)
class FeedbackGiven(Fact):
    TYPE: ClassVar[str] = "storefront.feedback.given"
    touchpoint: str
    csat: int | None = None
    """1 to 5."""
    nps: int | None = None
    """0 to 10."""


# --- advisor --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AdviceGiven(Fact):
    TYPE: ClassVar[str] = "advisor.advice.given"
    advice_id: str
    result: Literal["completed", "no_match"]
    matches: int
    relaxations: int
    best_model_id: str = ""


# --- catalog --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CarListed(Fact):
    """A car is on offer, or its offer changed; carries what checkout needs to sell it."""

    TYPE: ClassVar[str] = "catalog.car.listed"
    car_id: str
    model_id: str
    title: str
    market: str
    dealer_id: str
    source: str
    price: int
    """Minor units, VAT included."""
    currency: str
    vat_rate: str
    """Decimal fraction as text, `0.25`."""
    rehearsal: bool = False
    """Only synthetic callers see and buy it."""
    ready_for_handover_at: str = ""
    """The earliest moment of handover; empty when it is not known or counts from the order."""
    handover_lead_seconds: int | None = None
    """How long after an order the car can be handed over; None when it does not count from it."""


@dataclass(frozen=True, slots=True)
class CarWithdrawn(Fact):
    """The car left its feed."""

    TYPE: ClassVar[str] = "catalog.car.withdrawn"
    car_id: str


@dataclass(frozen=True, slots=True)
class FeedImported(Fact):
    TYPE: ClassVar[str] = "catalog.feed.imported"
    source: str
    accepted: int
    rejected: int
    unchanged: int
    removed: int


# --- checkout -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HoldPlaced(Fact):
    TYPE: ClassVar[str] = "checkout.hold.placed"
    hold_id: str
    car_id: str
    model_id: str
    expires_at: str


@dataclass(frozen=True, slots=True)
class HoldRefused(Fact):
    """Somebody else was first: the shop sold out of this one car."""

    TYPE: ClassVar[str] = "checkout.hold.refused"
    car_id: str
    attempt_id: str


@dataclass(frozen=True, slots=True)
class HoldReleased(Fact):
    """The checkout is over without an order, and the car is free again.

    A confirmed order's hold ends with `OrderConfirmed` instead: each hold ends exactly once.
    """

    TYPE: ClassVar[str] = "checkout.hold.released"
    hold_id: str
    car_id: str
    reason: Literal["released", "expired"]
    """The shopper gave it back, or time ran out."""
    ended_as: Literal["abandoned", "declined", "expired"]
    """`declined`: the last payment was refused; `expired`: an order waited unpaid."""
    order_id: str = ""
    """The unpaid order that went with it, if there was one."""


@dataclass(frozen=True, slots=True)
class OrderSubmitted(Fact):
    TYPE: ClassVar[str] = "checkout.order.submitted"
    order_id: str
    hold_id: str
    car_id: str
    model_id: str
    price: int
    deposit: int
    currency: str
    provider: str


@dataclass(frozen=True, slots=True)
class PaymentAttempted(Fact):
    """The provider told us that the shopper tried to pay (whatever came of it)."""

    TYPE: ClassVar[str] = "checkout.payment.attempted"
    order_id: str
    hold_id: str
    provider: str
    result: Literal["accepted", "declined", "action_required", "failed"]


@dataclass(frozen=True, slots=True)
class OrderConfirmed(Fact):
    TYPE: ClassVar[str] = "checkout.order.confirmed"
    order_id: str
    hold_id: str
    car_id: str
    model_id: str
    price: int
    vat: int
    deposit: int
    currency: str
    provider: str
    order_seconds: float
    """From submission to confirmation: the shopper's own typing included."""
    confirmation_seconds: float
    """From the provider's acceptance to confirmation: the SLO."""
    advice_id: str = ""
    late: bool = False
    """Paid after its hold had ended: that checkout was already counted as ended."""


@dataclass(frozen=True, slots=True)
class OrderEnded(Fact):
    """An order ended unconfirmed; its hold may live on for another attempt.

    Says nothing about the checkout as a whole: `HoldReleased.ended_as` does.
    """

    TYPE: ClassVar[str] = "checkout.order.ended"
    order_id: str
    hold_id: str
    car_id: str
    result: Literal["declined", "expired", "cancelled"]


@dataclass(frozen=True, slots=True)
class OrderCancelled(Fact):
    """A confirmed order was withdrawn before handover."""

    TYPE: ClassVar[str] = "checkout.order.cancelled"
    order_id: str
    car_id: str
    reason: Literal["shopper", "lapsed"]


@dataclass(frozen=True, slots=True)
class OrderReturned(Fact):
    """A car was given back within the 14-day right of withdrawal after handover."""

    TYPE: ClassVar[str] = "checkout.order.returned"
    order_id: str
    car_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class OrderRefunded(Fact):
    TYPE: ClassVar[str] = "checkout.order.refunded"
    order_id: str
    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class CarHandedOver(Fact):
    TYPE: ClassVar[str] = "checkout.car.handed_over"
    order_id: str
    car_id: str


@dataclass(frozen=True, slots=True)
class CarStateChanged(Fact):
    """What everybody else needs to know about a car: may it be shown as available?"""

    TYPE: ClassVar[str] = "checkout.car.state_changed"
    car_id: str
    state: Literal["available", "held", "reserved", "sold"]


# --- insight --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WebVitalMeasured(Fact):
    TYPE: ClassVar[str] = "browser.web_vital"
    name: Literal["LCP", "INP", "CLS"]
    value: float
    """Seconds for LCP and INP, a plain score for CLS."""
    page: str


@dataclass(frozen=True, slots=True)
class BrowserCrashed(Fact):
    TYPE: ClassVar[str] = "browser.crash"
    release: str
    session_id: str


@dataclass(frozen=True, slots=True)
class SoftwareDeployed(Fact):
    TYPE: ClassVar[str] = "delivery.deployment"
    service: str
    revision: str
    outcome: Literal["succeeded", "failed"]
    kind: Literal["planned", "rework"]


FACT_TYPES: Final[Mapping[str, type[Fact]]] = {
    cls.TYPE: cls for cls in Fact.__subclasses__() if cls.TYPE
}
"""Every fact by its CloudEvents type."""


class UnknownFact(Exception):
    """An event type of a later version: a consumer skips it and counts it."""


def fact_of(event: Event) -> Fact:
    """The typed fact of an event; members that this version does not know are left out.

    Raises `UnknownFact` for a type that this version does not know at all.
    """
    cls = FACT_TYPES.get(event.type)
    if cls is None:
        raise UnknownFact(event.type)
    known = {f.name for f in fields(cls)}
    return cls(**{key: value for key, value in event.data.items() if key in known})
