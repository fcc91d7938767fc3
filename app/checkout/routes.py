"""Checkout's HTTP API: reads requests, calls one use case, sends its answer."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, FastAPI, Header, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.checkout.change import Changes
from app.checkout.desk import Desk
from app.checkout.errors import CarUnknown, OrderUnknown
from app.checkout.hoarding import StockHeld
from app.checkout.holds import HoldCommand, Holds
from app.checkout.idempotency import (
    EXAMPLE,
    Claim,
    Replay,
    StoredAnswer,
    answer,
    is_kept,
    read_claim,
)
from app.checkout.invariants import check
from app.checkout.order_wire import order_wire
from app.checkout.orders import OrderCommand, Orders
from app.checkout.payments import Payments
from app.checkout.privacy import Privacy
from app.checkout.reconciliation import Reconciliation
from app.checkout.refunds import Refunds
from app.checkout.returns import Returns
from app.checkout.settings import CheckoutSettings
from app.checkout.signals import Signals
from app.checkout.store import Store
from app.checkout.withdrawals import Withdrawals
from app.checkout.work import WORK_KINDS
from app.contracts.checkout import (
    DeskSale,
    Erasure,
    Hold,
    Holdings,
    HoldRequest,
    Order,
    OrderRequest,
    OrderState,
    ReturnReceipt,
    ReturnRequest,
)
from app.contracts.labels import tells_of_a_person
from app.contracts.wire import Identifier, problem_responses
from app.frame.inbound import problems
from app.frame.inbound.callers import Caller, caller_of, passed_on
from app.frame.inbound.dealers import DealerKeys, KeyHolder
from app.frame.inbound.direct import DirectRoute, taking
from app.frame.inbound.origins import is_neighbour, origin_of
from app.frame.platform import Platform
from app.kernel.clock import rfc3339
from app.kernel.errors import InvalidInput, NotAuthorised, VitrineError
from app.kernel.facts import EventContext, text_of

PREFIX: Final = "/api/checkout/v1"
EXPIRES: Final = "idempotency-key-expires"


@dataclass(frozen=True, slots=True)
class UseCases:
    """What the routes call."""

    holds: Holds
    held: StockHeld
    orders: Orders
    withdrawals: Withdrawals
    payments: Payments
    returns: Returns
    desk: Desk
    refunds: Refunds
    reconciliation: Reconciliation
    privacy: Privacy
    dealer_keys: DealerKeys
    changes: Changes
    store: Store
    signals: Signals
    settings: CheckoutSettings
    platform: Platform


KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="A quoted string, best a UUID (IETF draft-07). Required. The first"
        " answer is kept for 24 hours and replayed byte for byte (similar_cars are those of now);"
        " the Idempotency-Key-Expires header says until when. Afterwards the key is"
        " free, and the same request would take effect again.",
        openapi_examples={"uuid": {"value": f'"{EXAMPLE}"'}},
    ),
]


def add_routes(app: FastAPI, use: UseCases) -> tuple[DirectRoute, ...]:
    """Add the public API to the application; returns the routes that make a purchase."""
    router = APIRouter(prefix=PREFIX)
    direct = (
        _add_holds(router, use),
        _add_orders(router, use),
        *_add_webhooks(router, use),
    )
    _add_withdrawals(router, use)
    _add_dealers(router, use)
    _add_erasure(router, use)
    app.include_router(router)
    return direct


def _add_holds(router: APIRouter, use: UseCases) -> DirectRoute:
    @router.post(
        "/holds",
        status_code=201,
        response_model=Hold,
        responses={
            200: {"model": Hold, "description": "This session holds the car already"},
            **problem_responses(400, 404, 409, 422, 429, 503),
        },
        summary="Hold a car for 15 minutes",
    )
    async def place(request: Request, body: HoldRequest, key: KeyHeader = None) -> Response:
        caller = caller_of(request)
        command = HoldCommand(
            car_id=body.car_id,
            claim=_claim(request, body.model_dump(mode="json"), caller),
            session_id=caller.session_id,
            address_hash=caller.address_hash,
            synthetic=caller.synthetic,
            known=caller.has_lasted(use.settings.known_seconds, use.platform.clock.now()),
            context=caller.context(),
            headers=passed_on(request, language=caller.language),
            refusal=lambda error: _kept(request, error),
        )
        return await _once(request, use, command.claim, use.holds.place(command))

    @router.get(
        "/holds",
        response_model=Holdings,
        responses=problem_responses(422, 503),
        summary="This session's running holds",
    )
    async def mine(request: Request) -> Response:
        items = await use.holds.of_session(caller_of(request).session_id)
        return JSONResponse({"items": items, "next_cursor": None})

    @router.get(
        "/holds/{hold_id}",
        response_model=Hold,
        responses=problem_responses(404, 409, 422, 503),
        summary="A hold while it lasts",
    )
    async def read(request: Request, hold_id: Identifier) -> Response:
        return JSONResponse(await use.holds.read(hold_id, caller_of(request).session_id))

    @router.delete(
        "/holds/{hold_id}",
        status_code=204,
        responses=problem_responses(404, 409, 422, 429, 503),
        summary="Give the car back",
    )
    async def release(request: Request, hold_id: Identifier) -> Response:
        await use.holds.release(hold_id, caller_of(request).session_id)
        return Response(status_code=204)

    path = f"{PREFIX}/holds"
    return DirectRoute(path, path, taking(HoldRequest, place))


def _add_orders(router: APIRouter, use: UseCases) -> DirectRoute:
    @router.post(
        "/orders",
        status_code=201,
        response_model=Order,
        responses=problem_responses(400, 404, 409, 422, 429, 503),
        summary="Order a held car",
    )
    async def submit(request: Request, body: OrderRequest, key: KeyHeader = None) -> Response:
        caller = caller_of(request)
        attribution = body.attribution
        command = OrderCommand(
            hold_id=body.hold_id,
            customer=body.customer,
            provider=body.payment.provider or use.payments.offered[0],
            advice_id=attribution.advice_id,
            labels=attribution.model_dump(
                include={"utm_source", "utm_medium", "utm_content", "utm_term"}
            ),
            channel_group=caller.session.channel_group if caller.session else "",
            claim=_claim(request, body.model_dump(mode="json"), caller),
            session_id=caller.session_id,
            context=caller.context(campaign=attribution.utm_campaign, entry=attribution.entry),
            language=caller.language,
            return_url=_own_url(request, use, body.return_url, "return_url"),
            cancel_url=_own_url(request, use, body.cancel_url, "cancel_url"),
        )
        return await _once(request, use, command.claim, use.orders.submit(command))

    @router.get(
        "/orders/{order_id}",
        response_model=Order,
        responses=problem_responses(401, 404, 422, 503),
        summary="An order, for whoever has its token",
    )
    async def read(order_id: Identifier, token: Annotated[str, Depends(_bearer)]) -> Response:
        return JSONResponse(await use.orders.read(order_id, token))

    path = f"{PREFIX}/orders"
    return DirectRoute(path, path, taking(OrderRequest, submit))


def _add_withdrawals(router: APIRouter, use: UseCases) -> None:
    answers = problem_responses(400, 401, 404, 409, 422, 429, 503)

    @router.post(
        "/orders/{order_id}/cancellation",
        response_model=Order,
        responses=answers,
        summary="Withdraw before handover",
    )
    async def cancel(
        request: Request,
        order_id: Identifier,
        token: Annotated[str, Depends(_bearer)],
        key: KeyHeader = None,
    ) -> Response:
        claim = _claim(request, token, caller_of(request))
        return await _once(request, use, claim, use.withdrawals.cancel(order_id, token, claim))

    @router.post(
        "/orders/{order_id}/return",
        response_model=Order,
        responses=answers,
        summary="Ask to return a car within 14 days of handover",
        description="The order is `return_requested` until the dealer has the car; then the money"
        " goes back.",
    )
    async def give_back(
        request: Request,
        order_id: Identifier,
        body: ReturnRequest,
        token: Annotated[str, Depends(_bearer)],
        key: KeyHeader = None,
    ) -> Response:
        claim = _claim(request, [token, body.reason], caller_of(request))
        returned = use.returns.request(order_id, token, claim, body.reason)
        return await _once(request, use, claim, returned)


def _add_dealers(router: APIRouter, use: UseCases) -> None:
    answers = problem_responses(400, 401, 403, 404, 409, 422, 429, 503)

    @router.post(
        "/orders/{order_id}/handover",
        response_model=Order,
        responses=answers,
        summary="The dealer reports that the keys were handed over (dealer key)",
        description="Now: the handover's time is the moment of this report. No body is read.",
    )
    async def hand_over(
        request: Request,
        order_id: Identifier,
        token: Annotated[str, Depends(_bearer)],
        key: KeyHeader = None,
    ) -> Response:
        caller = caller_of(request)
        holder = await _dealer_of(order_id, token, use)
        claim = _claim(request, "handover", caller)
        handed_over = use.orders.hand_over(order_id, claim, reported_by=holder.name)
        return await _once(request, use, claim, handed_over)

    @router.post(
        "/orders/{order_id}/return-receipt",
        response_model=Order,
        responses=answers,
        summary="The dealer has a returned car; the money goes back (dealer key)",
    )
    async def receive(
        request: Request,
        order_id: Identifier,
        token: Annotated[str, Depends(_bearer)],
        body: ReturnReceipt | None = None,
        key: KeyHeader = None,
    ) -> Response:
        caller = caller_of(request)
        await _dealer_of(order_id, token, use)
        list_again = body is not None and body.list_again
        claim = _claim(request, ["return-receipt", list_again], caller)
        received = use.returns.receive(order_id, claim, list_again=list_again)
        return await _once(request, use, claim, received)

    @router.post(
        "/cars/{car_id}/desk-sale",
        response_model=DeskSale,
        responses=answers,
        summary="The dealer sold the car in the showroom: off sale at once (dealer key)",
        description="`409` `car-held` while a shopper holds it (`held_until`): send it again with"
        " `confirm=true` and a new key to end the hold. `409` `car-ordered` once it is ordered"
        " (`order_id`): the order must be cancelled or refunded first. The car stays off sale"
        " though its feed still lists it.",
    )
    async def sell(
        request: Request,
        car_id: Identifier,
        token: Annotated[str, Depends(_bearer)],
        confirm: Annotated[bool, Query(description="end the hold of a shopper")] = False,
        key: KeyHeader = None,
    ) -> Response:
        caller = caller_of(request)
        holder = await _dealer_of_car(car_id, token, use)
        claim = _claim(request, ["desk-sale", confirm], caller)
        sold = use.desk.sell(
            car_id, claim, _at_the_desk(caller), reported_by=holder.name, confirm=confirm
        )
        return await _once(request, use, claim, sold)

    @router.delete(
        "/cars/{car_id}/desk-sale",
        response_model=DeskSale,
        responses=problem_responses(401, 403, 404, 409, 422, 429, 503),
        summary="The car was not sold in the showroom after all (dealer key)",
        description="It is on sale again if its feed lists it. Doing it twice is fine; the answer"
        " says who has the car now.",
    )
    async def take_back(
        request: Request, car_id: Identifier, token: Annotated[str, Depends(_bearer)]
    ) -> Response:
        caller = caller_of(request)
        holder = await _dealer_of_car(car_id, token, use)
        return JSONResponse(
            await use.desk.take_back(car_id, _at_the_desk(caller), reported_by=holder.name)
        )


def _add_erasure(router: APIRouter, use: UseCases) -> None:
    @router.post(
        "/orders/{order_id}/erasure",
        response_model=Erasure,
        responses=problem_responses(400, 401, 404, 409, 422, 429, 503),
        summary="Forget whose order it was",
        description=(
            "Deletes the name, e-mail and phone of an order that is over: handed over, withdrawn"
            " from, or never paid. The order, its money and its token stay. `409` `order-open`"
            " while the order waits for its payment or its handover (`waits_for`)."
        ),
    )
    async def erase(
        request: Request,
        order_id: Identifier,
        token: Annotated[str, Depends(_bearer)],
        key: KeyHeader = None,
    ) -> Response:
        claim = _claim(request, token, caller_of(request))
        return await _once(request, use, claim, use.privacy.erase_own(order_id, token, claim))


def _add_webhooks(router: APIRouter, use: UseCases) -> list[DirectRoute]:
    template = "/payment-events/{provider}"

    @router.post(
        template,
        responses=problem_responses(400, 401, 404, 413, 422, 503),
        summary="A provider's signed webhook",
    )
    async def receive(request: Request, provider: Identifier) -> Response:
        return await heard(request, provider, await request.body())

    async def heard(request: Request, provider: str, body: bytes) -> Response:
        result = await use.payments.receive(provider, body, request.headers)
        return _answer(answer(200, {"result": result}))

    def direct(provider: str) -> DirectRoute:
        return DirectRoute(
            PREFIX + template.format(provider=provider),
            PREFIX + template,
            lambda request, body: heard(request, provider, body),
        )

    return [direct(provider) for provider in use.payments.offered]


def internal_routes(use: UseCases) -> APIRouter:
    """What the internal port offers: the invariants and the orders, for proofs and operators."""
    router = APIRouter()

    @router.get("/invariants")
    async def invariants() -> dict[str, Any]:
        results = await check(use.store, use.platform.clock)
        return {
            "invariants": [
                {"name": invariant.name, "violations": count, "why": invariant.why}
                for invariant, count in results
            ]
        }

    @router.get("/cars/count")
    async def cars() -> dict[str, int]:
        return {"available": await use.store.count_available()}

    @router.get("/orders")
    async def orders(
        state: Annotated[list[OrderState] | None, Query()] = None,
        after: Annotated[str, text_of(80)] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 500,
    ) -> dict[str, Any]:
        found = await use.store.orders_in(state or [], after=after, limit=limit)
        items = [order_wire(each, pick_up_seconds=use.settings.pick_up_seconds) for each in found]
        return {
            "items": items,
            "next_after": items[-1]["order_id"] if len(items) == limit else None,
            "ever_confirmed": await use.store.count_confirmed(),
        }

    return router


async def export_invariants(use: UseCases) -> None:
    """Check every invariant and export what breaks it."""
    for invariant, count in await check(use.store, use.platform.clock):
        use.signals.invariant(invariant.name, count)


async def export_work(use: UseCases) -> None:
    """Export how long the oldest item of each work list waits, and what waits for a person."""
    now = use.platform.clock.now()
    oldest = await use.store.oldest_work(now)
    for kind in WORK_KINDS:
        since = oldest.get(kind)
        use.signals.work_age(kind, 0 if since is None else max(0, (now - since).total_seconds()))
    use.signals.refused_refunds(await use.store.count_refused_refunds())


def _claim(request: Request, body: Any, caller: Caller) -> Claim:
    proof = caller.session_id or _hash(request.headers.get("authorization", ""))
    agent = request.headers.get("user-agent", "")
    return read_claim(
        request.headers.getlist("idempotency-key"),
        method=request.method,
        path=request.scope["path"],
        body=body,
        caller=proof,
        origin=_hash(f"{caller.address_hash} {agent}"),
    )


def _hash(text: str) -> str:
    """Empty for nothing."""
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest() if text else ""


async def _once(
    request: Request,
    use: UseCases,
    claim: Claim,
    effect: Coroutine[Any, Any, StoredAnswer | Replay],
) -> Response:
    """The effect's answer; a final error is stored under the key, as a success is.

    What is kept says until when (IETF draft-07: publish the expiry).
    """
    taken_at = use.platform.clock.now()
    kept_for = timedelta(seconds=use.settings.idempotency_seconds)
    try:
        result = await effect
    except VitrineError as error:
        if not is_kept(error):
            raise
        response = problems.of_error(request, error)
        await use.changes.keep(claim, _stored(response))
        response.headers[EXPIRES] = rfc3339(taken_at + kept_for)
        return response
    if isinstance(result, Replay):
        expires = {EXPIRES: rfc3339(result.taken_at + kept_for)}
        return _answer(result.answer, {**expires, "idempotency-replayed": "true"})
    return _answer(result, {EXPIRES: rfc3339(taken_at + kept_for)})


def _kept(request: Request, error: VitrineError) -> StoredAnswer:
    """An error as the answer of its key; also tells telemetry how bad it is."""
    return _stored(problems.of_error(request, error))


def _stored(problem: Response) -> StoredAnswer:
    return StoredAnswer(problem.status_code, problems.MEDIA_TYPE, bytes(problem.body))


def _answer(stored: StoredAnswer, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        stored.body, status_code=stored.status, media_type=stored.media_type, headers=headers
    )


def _bearer(authorization: Annotated[str, Header()] = "") -> str:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthorised("Send the token as Authorization: Bearer <token>.")
    return token.strip()


async def _dealer_of_car(car_id: str, token: str, use: UseCases) -> KeyHolder:
    """The holder of a dealer key that is for this car.

    Raises `NotAuthorised`, `DealerKeyElsewhere` for another dealer's, `CarUnknown`.
    """
    holder = use.dealer_keys.holder(token)
    car = await use.store.read_car(car_id)
    if car is None:
        raise CarUnknown(f"There is no car {car_id} in our stock.")
    holder.check_dealer(car.dealer_id)
    return holder


def _at_the_desk(caller: Caller) -> EventContext:
    return replace(caller.context(), channel="dealer")


async def _dealer_of(order_id: str, token: str, use: UseCases) -> KeyHolder:
    """The holder of a dealer key that is for this order.

    Raises `NotAuthorised`, `DealerKeyElsewhere` for another dealer's, `OrderUnknown`.
    """
    holder = use.dealer_keys.holder(token)
    purchase = await use.store.read_order(order_id)
    if purchase is None:
        raise OrderUnknown("There is no such order.")
    holder.check_dealer(purchase.car.dealer_id)
    return holder


_OUR_IDS: Final = re.compile(r"\b[a-z]{3}_[0-9a-z]{26}\b")
"""Some look like a number in letters."""


def _own_url(request: Request, use: UseCases, given: str | None, field: str) -> str:
    """An absolute URL of our own origin; raises `InvalidInput` for anybody else's."""
    origin = use.platform.settings.public_url.rstrip("/") or str(request.base_url).rstrip("/")
    if given is None:
        return f"{origin}/"
    parts = urlsplit(given)
    if tells_of_a_person(_OUR_IDS.sub("", f"{parts.path} {parts.query} {parts.fragment}")):
        raise InvalidInput(f"{field}: must not hold anybody's e-mail address or number.")
    if any(ord(character) < 33 for character in given):
        raise InvalidInput(f"{field}: must not contain spaces or control characters.")
    plain_path = not parts.scheme and not parts.netloc and given.startswith("/")
    if plain_path and not given.startswith("//") and "\\" not in given:
        return f"{origin}{given}"
    ours = origin_of(given) == origin_of(origin) or is_neighbour(given, public_url=origin)
    if origin_of(given) is not None and ours and "\\" not in given:
        return given
    raise InvalidInput(f"{field}: must be a path or a URL of {origin}.")
