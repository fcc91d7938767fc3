"""What can go wrong in checkout, and how bad it is."""

from __future__ import annotations

from typing import Final, Self

from app.kernel.errors import (
    InvalidInput,
    MalformedRequest,
    NotAuthorised,
    NotFound,
    Unavailable,
    VitrineError,
)
from telemetry.catalogue.outcomes import Outcome


class CarNotAvailable(VitrineError):
    """Somebody else was faster: for the shop a success, for this shopper a pity.

    `reason`: `held` may pass within minutes; `sold`, `not_on_offer` and `yours` do not.
    """

    code, title = "car-not-available", "This car has just found somebody else"
    outcome, status = Outcome.SOLD_OUT, 409


class CarIsYours(CarNotAvailable):
    """Who asks has bought it: nobody lost a race."""

    title = "You have bought this car"
    outcome = Outcome.CONFLICT


class CarNotReadYet(Unavailable):
    """The catalogue has a car on offer that we have not read of yet, or cannot be asked."""


class CarUnknown(NotFound):
    code, title = "car-unknown", "There is no such car"


class TooManyHolds(VitrineError):
    """Nobody can freeze the stock."""

    code, title = "too-many-holds", "You hold as many cars as one shopper may"
    outcome, status = Outcome.REFUSED, 429


class StockCrowded(VitrineError):
    """So much is held that the rest is for shoppers whose visit has lasted a moment."""

    code, title = "stock-crowded", "Many cars are held at this moment"
    outcome, status = Outcome.REFUSED, 429


class CarResting(VitrineError):
    """Who let a car go does not hold it again at once: others may want it."""

    code, title = "car-resting", "You have just let this car go"
    outcome, status = Outcome.REFUSED, 429


class HoldUnknown(NotFound):
    code, title = "hold-unknown", "There is no such hold"


_ENDED: Final = {
    "sold_at_desk": "The dealer has sold this car in the showroom. Nothing was charged.",
    "ordered": "The car was ordered with this hold: its order says what became of it.",
}


class HoldEnded(VitrineError):
    """`reason` says how it ended when it was neither the time nor the shopper; `car_id` of what."""

    code, title = "hold-ended", "The car is no longer held for you"
    outcome, status = Outcome.CONFLICT, 409

    @classmethod
    def after(cls, state: str, *, car_id: str) -> Self:
        """The error for a hold that is in this state now."""
        why = _ENDED.get(state)
        if why is not None:
            return cls(why, reason=state, car_id=car_id)
        return cls("The time to buy this car has run out, or it was given back.", car_id=car_id)


class CarHeld(VitrineError):
    """A dealer sold it in the showroom, and a shopper was promised some minutes."""

    code, title = "car-held", "A shopper holds this car"
    outcome, status = Outcome.CONFLICT, 409


class CarOrdered(VitrineError):
    """A dealer sold it in the showroom, and it is ordered or bought online."""

    code, title = "car-ordered", "This car is ordered online"
    outcome, status = Outcome.CONFLICT, 409


class TooManyOrders(VitrineError):
    """A hold is for one purchase: it takes so many tries, and no more."""

    code, title = "too-many-orders", "This hold has taken as many orders as it takes"
    outcome, status = Outcome.CONFLICT, 409


class OrderUnknown(NotFound):
    code, title = "order-unknown", "There is no such order, or the token does not fit"


class OrderOpen(VitrineError):
    code, title = "order-open", "The order is not over: it needs to know whose it is"
    outcome, status = Outcome.CONFLICT, 409


class TransitionRefused(VitrineError):
    code, title = "order-state", "The order's state does not allow this"
    outcome, status = Outcome.CONFLICT, 409


class PaymentUnderWay(VitrineError):
    code, title = "payment-under-way", "An order for this hold is being paid"
    outcome, status = Outcome.CONFLICT, 409


class KeyMissing(MalformedRequest):
    code, title = "idempotency-key-missing", "The Idempotency-Key header is missing or malformed"


class KeyReused(VitrineError):
    code, title = "idempotency-key-reused", "This Idempotency-Key was used for another request"
    outcome, status = Outcome.INVALID, 422


class KeyInFlight(VitrineError):
    code, title = "idempotency-key-in-flight", "The first request with this key is under way"
    outcome, status = Outcome.CONFLICT, 409


class SignatureRefused(NotAuthorised):
    code, title = "webhook-signature", "The webhook's signature is missing, wrong or too old"
    outcome, status = Outcome.REFUSED, 401


class WebhookTooLarge(VitrineError):
    code, title = "too-large", "The request is too large"
    outcome, status = Outcome.INVALID, 413


class ProviderNotOffered(InvalidInput):
    code, title = "provider-not-offered", "Nothing is paid through this provider here"


class ProviderUnknown(NotFound):
    code, title = "provider-unknown", "There is no such payment provider here"
