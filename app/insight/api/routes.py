"""Insight's API: beacons, feedback, deployments, reports; and its internal port."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field, ValidationError, model_validator
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from app.contracts.events import DeployKind, DeployOutcome, FeedbackGiven, SoftwareDeployed
from app.contracts.wire import Moment, Wire, problem_responses
from app.frame.data.database import Database
from app.frame.data.outbox import Outbox
from app.frame.inbound.bodies import FORM_BYTES
from app.frame.inbound.callers import caller_of
from app.insight.api.alerts import Notification, receive
from app.insight.api.beacons import Envelope, heard
from app.insight.api.reports import funnel
from app.insight.ledger.invariants import INVARIANTS, violations
from app.insight.ledger.readings import Readings
from app.insight.ledger.store import Store
from app.insight.signals import Signals
from app.kernel.clock import Clock
from app.kernel.errors import InvalidInput, MalformedRequest, NotAuthorised
from app.kernel.facts import EventContext
from telemetry.catalogue.labels import SERVICES, Market, Traffic

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
    clock: Clock
    logged_in: Callable[[Mapping[str, str]], bool]
    """Whether a request with these cookies is the console's."""
    delivery_key: str
    report_key: str


class Feedback(Wire):
    """Answers of one questionnaire; `market` is needed only without a session."""

    touchpoint: Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]
    csat: Annotated[int, Field(ge=1, le=5)] | None = None
    nps: Annotated[int, Field(ge=0, le=10)] | None = None
    market: Market | None = None

    @model_validator(mode="after")
    def _answers_something(self) -> Feedback:
        if self.csat is None and self.nps is None:
            raise ValueError("csat or nps must be answered")
        return self


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
            **problem_responses(400, 413, 422),
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
        """Beacons of a browser. Without the shopper's consent they are dropped: 204."""
        envelope = await _envelope(request)
        caller = caller_of(request)
        session = caller.session
        if session is None or session.analytics is not True:
            api.signals.beacons("no_consent", len(envelope.events))
            return Response(status_code=204)
        found = heard(envelope.events, session_id=session.session_id, release=caller.release)
        if found.facts:
            async with api.database.transaction() as transaction:
                await api.outbox.add(transaction, found.facts, caller.context())
        api.signals.beacons("accepted", found.accepted)
        api.signals.beacons("rejected", found.rejected)
        return JSONResponse({"accepted": found.accepted, "rejected": found.rejected}, 202)

    @router.post("/feedback", status_code=204, responses=problem_responses(400, 422))
    async def feedback(request: Request, answer: Feedback) -> None:
        """One shopper's answers. They are counted, never stored with who gave them."""
        context = caller_of(request).context(market=answer.market or "")
        if not context.market:
            raise InvalidInput("market: is needed from a caller without a session")
        fact = FeedbackGiven(answer.touchpoint, answer.csat, answer.nps)
        async with api.database.transaction() as transaction:
            await api.outbox.add(transaction, [fact], context)

    @router.post("/deployments", status_code=204, responses=problem_responses(400, 401, 422))
    async def deployments(
        deployment: Deployment, authorization: Annotated[str, Header()] = ""
    ) -> None:
        """A roll-out that ended, told by whoever rolls out (delivery key)."""
        if not _bears(authorization, api.delivery_key):
            raise NotAuthorised("deployments are told with the delivery key")
        fact = SoftwareDeployed(**deployment.model_dump())
        async with api.database.transaction() as transaction:
            await api.outbox.add(transaction, [fact], EventContext())

    return router


def report_routes(api: Api) -> APIRouter:
    """Marketing's numbers, for whoever is logged in to the console or has the report key."""
    router = APIRouter(prefix=PREFIX)

    @router.get("/reports/funnel", responses=problem_responses(401, 422))
    async def report(
        request: Request,
        since: Annotated[Moment, Query(alias="from")],
        until: Annotated[Moment, Query(alias="to")],
        traffic: Traffic | Literal["all"] = "human",
        market: Market | None = None,
        format: Literal["json", "csv"] = "json",  # noqa: A002 - the contract's name
        authorization: Annotated[str, Header()] = "",
    ) -> Response:
        """The funnel of exactly [from, to), from the ledger's rows."""
        if not api.logged_in(request.cookies) and not _bears(authorization, api.report_key):
            raise NotAuthorised("reports need the console's login or the report key")
        made = await funnel(
            api.readings,
            since=since,
            until=until,
            traffic=None if traffic == "all" else traffic,
            market=market,
        )
        if format == "csv":
            return PlainTextResponse(made.as_csv(), media_type="text/csv")
        return JSONResponse(made.as_json())

    return router


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


def _bears(authorization: str, key: str) -> bool:
    scheme, _, token = authorization.partition(" ")
    sent = token.strip().encode()
    return bool(key) and scheme.lower() == "bearer" and hmac.compare_digest(sent, key.encode())
