"""Insight's API: beacons, feedback, deployments; and its internal port."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Header, Query
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from app.contracts.checkout import CheckoutClient
from app.contracts.events import DeployKind, DeployOutcome, SoftwareDeployed
from app.contracts.wire import Wire, problem_responses
from app.frame.data.database import Database
from app.frame.data.outbox import Outbox
from app.frame.inbound.bodies import FORM_BYTES
from app.frame.inbound.callers import caller_of, passed_on
from app.frame.inbound.limits import Counters, Limits
from app.insight.api.alerts import Notification, receive
from app.insight.api.beacons import Envelope, heard
from app.insight.api.feedback import Feedback, fact_of_advice, fact_of_order
from app.insight.ledger.invariants import INVARIANTS, violations
from app.insight.ledger.readings import Readings
from app.insight.ledger.store import Store
from app.insight.settings import InsightSettings
from app.insight.signals import Signals
from app.kernel.clock import Clock
from app.kernel.errors import InvalidInput, MalformedRequest, NotAuthorised
from app.kernel.facts import EventContext
from telemetry.catalogue.labels import SERVICES

PREFIX = "/api/insight/v1"
BEACON_TYPES = ("application/json", "text/plain", "application/x-www-form-urlencoded")
"""What `sendBeacon` says of a Blob, of a string, and of a form; the bytes are JSON in each."""


@dataclass(frozen=True, slots=True)
class Api:
    """What the routes use."""

    database: Database
    outbox: Outbox
    store: Store
    readings: Readings
    signals: Signals
    limits: Limits
    measured: Counters
    """Measurements of page views in this minute: each is taken once."""
    checkout: httpx.AsyncClient
    settings: InsightSettings
    clock: Clock
    logged_in: Callable[[Mapping[str, str]], Awaitable[bool]]
    """Whether a request with these cookies is the console's."""
    delivery_key: str
    report_key: str


class Deployment(Wire):
    service: Annotated[str, Field(pattern=f"^({'|'.join(SERVICES)})$")]
    revision: Annotated[str, Field(pattern=r"^[A-Za-z0-9._+-]{1,60}$")]
    outcome: DeployOutcome
    kind: DeployKind = "planned"


def public_routes(api: Api) -> APIRouter:
    """What browsers and pipelines tell us."""
    router = APIRouter(prefix=PREFIX)

    @router.post(
        "/events",
        status_code=202,
        responses={
            **problem_responses(400, 413, 422, 429),
            204: {"description": "Dropped: the shopper has not agreed to be measured"},
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": Envelope.model_json_schema()},
                    "text/plain": {"schema": {"type": "string", "maxLength": FORM_BYTES}},
                },
            }
        },
    )
    async def events(request: Request) -> Response:
        """Beacons of a browser. Without the shopper's consent they are dropped: 204.

        Of a page view (a session, a path and a minute) each measurement counts once.
        """
        envelope = await _envelope(request)
        caller = caller_of(request)
        session, told = caller.session, len(envelope.events)
        own = api.settings
        api.limits.require("beacons", "session", caller, own.beacons_per_session, told)
        api.limits.require("beacons", "address", caller, own.beacons_per_address, told)
        if session is None or session.analytics is not True:
            api.signals.beacons("no_consent", len(envelope.events))
            return Response(status_code=204)
        if not session.counted:
            api.signals.beacons("uncounted", told)
            return Response(status_code=204)

        def first(what: str) -> bool:
            return api.measured.wait(f"{session.session_id} {what}", 1) == 0

        found = heard(
            envelope.events, session_id=session.session_id, release=caller.release, first=first
        )
        if found.facts:
            async with api.database.transaction() as transaction:
                await api.outbox.add(transaction, found.facts, caller.context())
        api.signals.beacons("accepted", found.accepted - found.repeated)
        api.signals.beacons("rejected", found.rejected)
        api.signals.beacons("uncounted", found.repeated)
        return JSONResponse({"accepted": found.accepted, "rejected": found.rejected}, 202)

    _add_feedback(router, api)
    _add_deployments(router, api)
    return router


def _add_feedback(router: APIRouter, api: Api) -> None:
    @router.post("/feedback", status_code=204, responses=problem_responses(400, 401, 422, 429, 503))
    async def feedback(
        request: Request, answer: Feedback, authorization: Annotated[str, Header()] = ""
    ) -> None:
        """A shopper's answers: about an order, or about the advice that the shopper was given last.

        An order's come with its token (`Authorization: Bearer`), advice's with the cookie of the
        session. They count once per order or session, and are never stored with who gave them.
        """
        caller = caller_of(request)
        context = caller.context(market=answer.market or "")
        if not context.market:
            raise InvalidInput("market: is needed from a caller without a session")
        if answer.advice_id is not None:
            fact = fact_of_advice(answer, caller.session)
        else:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() != "bearer" or not token.strip():
                raise NotAuthorised("Send the order's token as Authorization: Bearer <token>.")
            checkout = CheckoutClient(api.checkout, passed_on(request, language=caller.language))
            fact = await fact_of_order(answer, token.strip(), checkout)
        async with api.database.transaction() as transaction:
            await api.outbox.add(transaction, [fact], context)


def _add_deployments(router: APIRouter, api: Api) -> None:
    @router.post("/deployments", status_code=204, responses=problem_responses(400, 401, 422, 429))
    async def deployments(
        deployment: Deployment, authorization: Annotated[str, Header()] = ""
    ) -> None:
        """A roll-out that ended, told by whoever rolls out (delivery key)."""
        if not bears(authorization, api.delivery_key):
            raise NotAuthorised("deployments are told with the delivery key")
        fact = SoftwareDeployed(**deployment.model_dump())
        async with api.database.transaction() as transaction:
            await api.outbox.add(transaction, [fact], EventContext())


def internal_routes(api: Api) -> APIRouter:
    """What the internal port offers beside metrics, health and the outbox."""
    router = APIRouter()

    @router.get("/invariants")
    async def invariants() -> JSONResponse:
        """200 when the ledger balances, 500 with what does not hold."""
        found = violations(await api.readings.totals())
        body: dict[str, Any] = {
            "checked": [check.__name__ for check in INVARIANTS],
            "violations": [asdict(one) for one in found],
        }
        return JSONResponse(body, status_code=500 if found else 200)

    @router.get("/orders")
    async def orders(
        after: Annotated[str, Query(max_length=80)] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 500,
    ) -> dict[str, Any]:
        """The confirmed orders that are booked, to be compared with checkout's after a restore."""
        found = await api.readings.confirmed_orders(after=after, limit=limit)
        return {
            "items": found,
            "next_after": found[-1]["order_id"] if len(found) == limit else None,
        }

    @router.post("/alerts")
    async def alerts(notification: Notification) -> dict[str, int]:
        """Alertmanager's webhook: the alerts' history."""
        now = api.clock.now()
        stored = await receive(notification, store=api.store, signals=api.signals, now=now)
        return {"stored": stored}

    return router


async def _envelope(request: Request) -> Envelope:
    """JSON, whatever the browser calls it: `sendBeacon` names the type by what it was handed."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and kind not in BEACON_TYPES:
        raise MalformedRequest(f"body: is {', '.join(BEACON_TYPES)}; not {kind[:100]!r}.")
    try:
        return Envelope.model_validate_json(await request.body())
    except ValidationError as error:
        found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(found) from None


def bears(authorization: str, key: str) -> bool:
    """Whether a request was sent with this key."""
    scheme, _, token = authorization.partition(" ")
    sent = token.strip().encode()
    return bool(key) and scheme.lower() == "bearer" and hmac.compare_digest(sent, key.encode())
