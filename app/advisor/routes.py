"""The advisor's public API."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body
from starlette.requests import Request
from starlette.responses import Response

from app.advisor.errors import ShowroomEmpty
from app.advisor.matching import advise
from app.advisor.showroom import Showroom
from app.advisor.signals import Signals
from app.contracts.advisor import MatchRequest, MatchResponse
from app.contracts.events import AdviceGiven
from app.contracts.wire import problem_responses
from app.frame.data.behaviour import Behaviour
from app.frame.inbound.callers import caller_of
from app.kernel.clock import Clock
from app.kernel.ids import new_id

PREFIX: Final = "/api/advisor/v1"

EXAMPLES: Final[dict[str, Any]] = {
    "family": {
        "summary": "A family that wants something calm and practical",
        "value": {
            "market": "SE",
            "needs": {
                "seats": 5,
                "child_seats": 2,
                "luggage_litres": 500,
                "max_price": 65_000_000,
                "fuels": ["electric", "plugin_hybrid"],
            },
            "preferences": {"practical": 0.9, "comfort": 0.7, "sporty": 0.2},
            "location": {"lat": 59.33, "lon": 18.06},
            "colours": ["blue", "green"],
        },
    },
    "driver": {
        "summary": "Somebody who drives for pleasure",
        "value": {"market": "NO", "preferences": {"sporty": 0.95, "expressive": 0.8}},
    },
}


def public_routes(showroom: Showroom, log: Behaviour, signals: Signals, clock: Clock) -> APIRouter:
    router = APIRouter(prefix=PREFIX)

    @router.post(
        "/matches",
        summary="Ranked models for needs and preferences, with exact cars",
        response_model=MatchResponse,
        responses=problem_responses(400, 413, 422, 429, 503),
    )
    async def matches(
        request: Request, wanted: Annotated[MatchRequest, Body(openapi_examples=EXAMPLES)]
    ) -> Response:
        """Best first; every match meets every need.

        `score` is the share of the weighted wishes that a model meets, not a probability. When
        nothing meets the needs, `relaxations` say which of them would have to give way: fewest
        changes first, child seats last.
        """
        if not showroom.open:
            raise ShowroomEmpty("The advisor is still reading the catalogue; try again shortly.")
        caller = caller_of(request)
        began, now = time.perf_counter(), clock.now()
        advice = advise(
            showroom,
            wanted,
            now=now,
            language=caller.language,
            rehearsal=caller.synthetic,
        )
        signals.advice_given(seconds=time.perf_counter() - began, matches=len(advice.matches))
        answer = MatchResponse(
            advice_id=new_id("adv", now),
            result="completed" if advice.matches else "no_match",
            matches=list(advice.matches),
            relaxations=list(advice.relaxations),
        )
        if caller.counted:
            log.record(_fact(answer), caller.context(market=wanted.market, entry="advisor"))
        return Response(
            answer.model_dump_json(by_alias=True),
            media_type="application/json",
            headers={"content-language": caller.language, "vary": "accept-language"},
        )

    return router


def _fact(answer: MatchResponse) -> AdviceGiven:
    return AdviceGiven(
        advice_id=answer.advice_id,
        result=answer.result,
        matches=len(answer.matches),
        relaxations=len(answer.relaxations),
        best_model_id=answer.matches[0].model.model_id if answer.matches else "",
    )
