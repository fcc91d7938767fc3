"""What each problem type of the APIs means: the pages behind `/problems/<code>` (RFC 9457).

A test compares this table with the errors that the services declare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.storefront.texts import msg


@dataclass(frozen=True, slots=True)
class ProblemPage:
    """`meaning` for anybody, `remedy` for whoever wrote the calling program; message ids."""

    title: str
    meaning: str
    remedy: str


_RETRY = msg("Wait for Retry-After, then send the same request with the same Idempotency-Key.")
_FIX = msg("Correct the named field; the same request will not succeed later.")

PROBLEMS: Final[Mapping[str, ProblemPage]] = {
    "invalid-input": ProblemPage(
        msg("A value is not valid"),
        msg("The request could be read, but a value in it cannot be right. The answer names it."),
        _FIX,
    ),
    "malformed-request": ProblemPage(
        msg("The request could not be read"),
        msg("The JSON is broken or a header is missing."),
        _FIX,
    ),
    "too-large": ProblemPage(
        msg("The request is too large"),
        msg("The body or its headers are longer than the service takes."),
        msg("Send less or compress it; a stock feed always whole."),
    ),
    "not-found": ProblemPage(
        msg("There is nothing at this address"),
        msg("The thing never existed, is gone, or is not yours to see."),
        msg("Look it up again; do not repeat the request as it is."),
    ),
    "method-not-allowed": ProblemPage(
        msg("This method is not offered here"),
        msg("The address exists but not for this HTTP method."),
        msg("The OpenAPI description lists what each address offers."),
    ),
    "http-error": ProblemPage(
        msg("The request could not be answered"),
        msg("A general refusal without a type of its own; the status says which."),
        msg("Read the status and the detail."),
    ),
    "dealer-key-elsewhere": ProblemPage(
        msg("The dealer key is for something else"),
        msg("Each dealer's key opens its own sources and its own dealers' cars and orders only."),
        msg("Use the key of that source or dealer; the answer says what this one is for."),
    ),
    "history-differs": ProblemPage(
        msg("This is not the history that you have read"),
        msg("One of two services was restored from a backup, and they no longer agree."),
        msg("Nothing to do for a shopper: our staff is told."),
    ),
    "not-authorised": ProblemPage(
        msg("The credentials are missing or do not fit"),
        msg("This needs a key or a token in the Authorization header."),
        msg("Send Authorization: Bearer with a valid token."),
    ),
    "foreign-form": ProblemPage(
        msg("This form did not come from our pages"),
        msg("To protect shoppers, forms are taken from our own pages only."),
        msg("Use the API instead of posting to a page."),
    ),
    "temporarily-unavailable": ProblemPage(
        msg("Not available for the moment"),
        msg("A part that this answer needs is away. Nothing was changed."),
        _RETRY,
    ),
    "overloaded": ProblemPage(
        msg("Too many requests at this moment"),
        msg("The shop sheds less important requests so that purchases get through."),
        _RETRY,
    ),
    "fault": ProblemPage(
        msg("Something went wrong on our side"),
        msg("A mistake of ours. It is recorded with the trace that the answer names."),
        _RETRY,
    ),
    "payment-provider-unavailable": ProblemPage(
        msg("The payment service does not answer"),
        msg("The order waits and the car stays held; nothing was charged."),
        _RETRY,
    ),
    "payment-provider-refused": ProblemPage(
        msg("The payment service refused the request"),
        msg("It answered, but would not open a payment; nothing was charged."),
        msg("Trying again will not help; the shop's operators have been told."),
    ),
    "car-not-available": ProblemPage(
        msg("Somebody else was faster"),
        msg("Every car is one of a kind; reason says whether this one is held, sold or yours."),
        msg("Offer the cars in similar_cars."),
    ),
    "car-unknown": ProblemPage(
        msg("There is no such car"),
        msg("The car never was in this stock, or it has left it."),
        msg("Search the catalogue again."),
    ),
    "too-many-holds": ProblemPage(
        msg("As many cars are held as one shopper may"),
        msg("A hold takes a car from everybody else, so they are limited."),
        msg("Give one back, or wait until it ends."),
    ),
    "stock-crowded": ProblemPage(
        msg("Many cars are held at this moment"),
        msg("So much is held that the rest is for shoppers whose visit has lasted a minute."),
        msg("Send a session cookie that the shop gave out a minute ago, or try again later."),
    ),
    "car-resting": ProblemPage(
        msg("You have just let this car go"),
        msg("Who held a car without buying it leaves it to others for a moment."),
        msg("Wait for Retry-After, or take another car."),
    ),
    "too-many-orders": ProblemPage(
        msg("This hold takes no more orders"),
        msg("A hold is for one purchase: it takes so many orders and no more."),
        msg("Give the car back and hold it again, or let the hold end."),
    ),
    "hold-unknown": ProblemPage(
        msg("There is no such hold"),
        msg("It never existed or belongs to another session."),
        msg("Send the session cookie with which the car was held."),
    ),
    "hold-ended": ProblemPage(
        msg("The car is no longer held"),
        msg("The time is over, the car was given back, or its dealer sold it in the showroom."),
        msg("Hold the car again if it is still free."),
    ),
    "car-held": ProblemPage(
        msg("A shopper holds this car"),
        msg("The car was promised to a shopper for some minutes; held_until says until when."),
        msg("Wait until then, or confirm that it was sold in the showroom; the hold ends."),
    ),
    "car-ordered": ProblemPage(
        msg("This car is ordered online"),
        msg("A shopper is paying for the car or has bought it, so it cannot be sold twice."),
        msg("Have the order cancelled or refunded first; order_id names it."),
    ),
    "order-unknown": ProblemPage(
        msg("There is no such order"),
        msg("Or the token does not fit it."),
        msg("Send the order_token that came with the order."),
    ),
    "order-state": ProblemPage(
        msg("The order's state does not allow this"),
        msg("A finished order cannot be changed in this way."),
        msg("Read the order and decide by its state."),
    ),
    "order-open": ProblemPage(
        msg("The order is not over"),
        msg("Until it is paid and handed over, or withdrawn from, it must be known whose it is."),
        msg("Cancel the order first, or ask again when it is over."),
    ),
    "too-many-requests": ProblemPage(
        msg("Too many requests from one caller"),
        msg("Far more than a person sends in a minute came from one session or address."),
        _RETRY,
    ),
    "payment-under-way": ProblemPage(
        msg("This car is being paid for"),
        msg("An order for this hold is already with the payment service."),
        msg("Cancel the order instead of the hold."),
    ),
    "idempotency-key-missing": ProblemPage(
        msg("The Idempotency-Key is missing"),
        msg("Requests that change something carry a key, so that a repeat is harmless."),
        msg("Send Idempotency-Key with a quoted string, a UUID for example."),
    ),
    "idempotency-key-reused": ProblemPage(
        msg("The Idempotency-Key was used before"),
        msg("The same key came with a different request."),
        msg("Use a fresh key for every new request."),
    ),
    "idempotency-key-in-flight": ProblemPage(
        msg("The first request is under way"),
        msg("A request with this key has not been answered yet."),
        msg("Wait a moment and ask again with the same key."),
    ),
    "webhook-signature": ProblemPage(
        msg("The webhook's signature does not fit"),
        msg("It is missing, wrong or too old, so the message was not believed."),
        msg("Sign the raw body with the shared secret and a current time."),
    ),
    "provider-unknown": ProblemPage(
        msg("There is no such payment provider"),
        msg("The name is not one of the configured providers."),
        msg("Use a provider that the order API lists."),
    ),
    "provider-not-offered": ProblemPage(
        msg("Nothing is paid through this provider here"),
        msg("The order names a payment provider that this shop does not offer."),
        msg("Leave the provider out: the shop then takes the one that it offers."),
    ),
    "feed-unreadable": ProblemPage(
        msg("The feed could not be read"),
        msg("Not one row of it could be understood; nothing was changed."),
        msg("Check the format against the description of the source."),
    ),
    "feed-guarded": ProblemPage(
        msg("The feed would remove too many cars"),
        msg(
            "A feed that lost more than its allowed share of cars is more likely broken than true."
        ),
        msg("Check the feed; nothing was changed."),
    ),
    "stock-too-large": ProblemPage(
        msg("The feed has more cars than fit"),
        msg("The shop keeps its stock in memory, which was laid out for fewer cars."),
        msg("Send fewer cars; whoever runs the shop can raise CATALOG_MOST_CARS."),
    ),
    "prices-guarded": ProblemPage(
        msg("The feed would change prices too much"),
        msg(
            "Prices that collapse or change in many rows at once are more likely broken than true."
        ),
        msg("Check the feed, or confirm its prices; nothing was changed."),
    ),
    "feed-outdated": ProblemPage(
        msg("The feed is older than the stock"),
        msg("A newer export was imported before; this one would bring sold cars back."),
        msg("Send the newest export; nothing was changed."),
    ),
    "too-many-logins": ProblemPage(
        msg("Too many wrong passwords"),
        msg("The console waits before it takes another one."),
        msg("Wait for Retry-After."),
    ),
    "foreign-expression": ProblemPage(
        msg("This query is on none of the boards"),
        msg("The console only asks Prometheus what its boards show."),
        msg("Use Prometheus itself for other queries."),
    ),
    "payment-unknown": ProblemPage(
        msg("There is no such payment"),
        msg("The practice provider does not know it."),
        msg("Create a payment first."),
    ),
    "payment-closed": ProblemPage(
        msg("This payment is already decided"),
        msg("It was paid, declined or cancelled and cannot be tried again."),
        msg("Submit a new order for the same hold."),
    ),
    "sandbox-brown-out": ProblemPage(
        msg("The practice provider is failing on purpose"),
        msg("A drill is running; real shoppers never meet it."),
        _RETRY,
    ),
    "assets-missing": ProblemPage(
        msg("The front-end assets are not built"),
        msg("The storefront does not start without its style sheets and scripts."),
        msg("Run make setup."),
    ),
}
