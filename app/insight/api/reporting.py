"""Marketing's reports over HTTP, for whoever is logged in to the console or has the report key."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Final, Protocol

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from app.contracts.wire import Identifier, problem_responses
from app.insight.api.asking import (
    Asked,
    CohortsAsked,
    EntriesAsked,
    FunnelAsked,
    RestatementsAsked,
    SubjectAsked,
)
from app.insight.api.routes import PREFIX, Api, bears
from app.insight.reports.advice import advice
from app.insight.reports.cohorts import cohorts
from app.insight.reports.customers import customers
from app.insight.reports.drill import Cell, entries, subject
from app.insight.reports.experience import experience
from app.insight.reports.questions import answer
from app.insight.reports.restatements import restatements
from app.insight.reports.satisfaction import satisfaction
from app.insight.reports.shopping import FLAT, channels, funnel, markets
from app.insight.reports.steps import steps_of
from app.kernel.errors import NotAuthorised
from telemetry.catalogue.definitions import DEFINITIONS

ANSWERS: Final = problem_responses(401, 422)


class _Written(Protocol):
    def as_json(self) -> dict[str, Any]: ...

    def as_csv(self) -> str: ...


def report_routes(api: Api) -> APIRouter:
    """Every report, what is behind each cell, and what the numbers mean."""

    async def allowed(request: Request, authorization: Annotated[str, Header()] = "") -> None:
        if not bears(authorization, api.report_key) and not await api.logged_in(request.cookies):
            raise NotAuthorised("reports need the console's login or the report key")

    router = APIRouter(prefix=f"{PREFIX}/reports", dependencies=[Depends(allowed)])
    _add_shopping(router, api)
    _add_others(router, api)
    _add_drill(router, api)
    return router


def _add_shopping(router: APIRouter, api: Api) -> None:
    @router.get("/funnel", responses=ANSWERS)
    async def of_funnel(asked: Annotated[FunnelAsked, Query()]) -> Response:
        """The purchase from visit to order, by any segments and with any steps in order."""
        steps = () if asked.steps is None else steps_of(asked.steps)
        found = await answer(api.store, asked.question(), funnel(steps), flat=FLAT)
        return _made(found, asked.format)

    @router.get("/markets", responses=ANSWERS)
    async def of_markets(asked: Annotated[Asked, Query()]) -> Response:
        """The funnel's numbers for each market."""
        return _made(await answer(api.store, asked.question(), markets), asked.format)

    @router.get("/channels", responses=ANSWERS)
    async def of_channels(asked: Annotated[Asked, Query()]) -> Response:
        """What each channel group brought in exactly [from, to); the sums are the funnel's.

        A session counts where it began, an order where its session's last click that was not
        direct led from. Money is in minor units of its currency.
        """
        found = await answer(api.store, asked.question(), channels, rows="channels")
        return _made(found, asked.format)


def _add_others(router: APIRouter, api: Api) -> None:
    @router.get("/cohorts", responses=ANSWERS)
    async def of_cohorts(asked: Annotated[CohortsAsked, Query()]) -> Response:
        """Which new visitors came back, and which of a cohort's cars did."""
        return _made(await answer(api.store, asked.question(), cohorts(asked.cohort)), asked.format)

    @router.get("/customers", responses=ANSWERS)
    async def of_customers(asked: Annotated[Asked, Query()]) -> Response:
        """Who bought again, and what a customer has brought."""
        make = customers(api.settings.margin_rate)
        return _made(await answer(api.store, asked.question(), make), asked.format)

    @router.get("/experience", responses=ANSWERS)
    async def of_experience(asked: Annotated[Asked, Query()]) -> Response:
        """How fast and how whole pages were, by kind of page and device, from every value."""
        return _made(await answer(api.store, asked.question(), experience), asked.format)

    @router.get("/satisfaction", responses=ANSWERS)
    async def of_satisfaction(asked: Annotated[Asked, Query()]) -> Response:
        """CSAT and NPS with the number of answers and 95 % intervals."""
        return _made(await answer(api.store, asked.question(), satisfaction), asked.format)

    @router.get("/advice", responses=ANSWERS)
    async def of_advice(asked: Annotated[Asked, Query()]) -> Response:
        """Who asked the advisor, how that ended, and what became of it."""
        return _made(await answer(api.store, asked.question(), advice), asked.format)

    @router.get("/restatements", responses=ANSWERS)
    async def of_restatements(asked: Annotated[RestatementsAsked, Query()]) -> Response:
        """Every number of [from, to) that changed after `known_at`, what it was, and why."""
        found = await restatements(api.store, asked.period(), known_at=asked.known_at)
        return _made(found, asked.format)


def _add_drill(router: APIRouter, api: Api) -> None:
    @router.get("/entries", responses=ANSWERS)
    async def of_entries(asked: Annotated[EntriesAsked, Query()]) -> Response:
        """The subjects behind one cell: as many as it counts. Under five are withheld."""
        cell = Cell(asked.measure, asked.label, asked.day)
        found = await entries(
            api.store, asked.period(), cell, cursor=asked.cursor, limit=asked.limit
        )
        return _made(found, asked.format)

    @router.get("/subjects/{subject_id}", responses=problem_responses(401, 404, 422))
    async def of_subject(
        subject_id: Identifier, asked: Annotated[SubjectAsked, Query()]
    ) -> Response:
        """What was told of one visit, checkout or order, in the order of its moments."""
        return JSONResponse(await subject(api.store, subject_id, as_of=asked.as_of))

    @router.get("/definitions", responses=problem_responses(401))
    async def definitions() -> Response:
        """What each number of a report means, in words."""
        return JSONResponse({"items": [asdict(each) for each in DEFINITIONS]})


def _made(found: _Written, form: str) -> Response:
    if form == "csv":
        return PlainTextResponse(found.as_csv(), media_type="text/csv")
    return JSONResponse(found.as_json())
