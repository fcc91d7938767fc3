"""Pages for when something is not as wished: missing, refused, away, broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.contracts.client import UpstreamProblem
from app.frame.inbound import problems
from app.kernel.errors import VitrineError
from app.storefront import cookies
from app.storefront.pages.page import UNKEPT, Front
from app.storefront.places import LANGUAGES, PLACES, guess, remembered
from app.storefront.texts import msg
from telemetry.catalogue.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a shopper reads; message ids."""

    title: str
    text: str


MISSING: Final = Explanation(
    msg("This page has driven off"),
    msg("The address leads nowhere, or the car behind it is no longer with us."),
)
AWAY: Final = Explanation(
    msg("One moment, please"),
    msg("A part of the shop does not answer just now. Nothing is lost; please try again shortly."),
)
BROKEN: Final = Explanation(
    msg("That was our mistake"),
    msg("Something went wrong on our side. We have been told, and nothing was charged."),
)
UNFIT: Final = Explanation(
    msg("We could not read that"),
    msg("Something in the request does not fit. Please go back and try once more."),
)
BY_CODE: Final = {
    "too-many-holds": Explanation(
        msg("You hold as many cars as one shopper may"),
        msg("Give one of your cars back first, or wait until its fifteen minutes are over."),
    ),
    "stock-crowded": Explanation(
        msg("Many cars are held at this moment"),
        msg("Please look around for a minute; then you can hold this car."),
    ),
    "car-resting": Explanation(
        msg("You have just let this car go"),
        msg("For a moment it is for others. Please try again in two minutes if it is still free."),
    ),
    "too-many-orders": Explanation(
        msg("That was one try too many"),
        msg("Give the car back on the page of your held cars and hold it again, then try anew."),
    ),
    "too-many-requests": Explanation(
        msg("That was a lot at once"),
        msg("Please wait a minute and try again. A car that you hold stays held."),
    ),
    "foreign-form": Explanation(
        msg("This form did not come from our pages"),
        msg("To protect you we only take forms from our own pages. Please open the shop again."),
    ),
    "payment-under-way": Explanation(
        msg("This car is being paid for"),
        msg("An order for this car is already with the payment service."),
    ),
    "idempotency-key-in-flight": Explanation(
        msg("We are on it"),
        msg("Your first click is still being worked on. Please look again in a moment."),
    ),
    "car-unknown": MISSING,
}


def install(app: FastAPI, front: Front) -> None:
    """Answer every error with a page in the house style instead of a problem document."""
    fallen = partial(_fallen, front)

    @app.exception_handler(VitrineError)
    async def business(request: Request, error: VitrineError) -> Response:
        return _later(fallen(request, error.status, error.code, error.outcome), error.extensions)

    @app.exception_handler(UpstreamProblem)
    async def upstream(request: Request, error: UpstreamProblem) -> Response:
        status = error.status if error.status < 500 else 503
        outcome = Outcome.UNAVAILABLE if error.status >= 500 else Outcome.from_status(status)
        return _later(fallen(request, status, error.code, outcome), error.problem)

    @app.exception_handler(RequestValidationError)
    async def validation(request: Request, error: RequestValidationError) -> Response:
        if problems.leads_nowhere(request, error):
            return fallen(request, 404, "not-found", Outcome.INVALID)
        return fallen(request, 422, "invalid-input", Outcome.INVALID)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        if (answer := problems.of_address(request, error)) is not None:
            return answer
        response = fallen(
            request, error.status_code, "http-error", Outcome.from_status(error.status_code)
        )
        if error.status_code == 405:
            response.headers["allow"] = problems.allowed(request)
        return response

    @app.exception_handler(Exception)
    async def fault(request: Request, _: Exception) -> Response:
        return fallen(request, 500, "fault", Outcome.FAULT)


def _fallen(front: Front, request: Request, status: int, code: str, outcome: Outcome) -> Response:
    """The page; or the way to the right address when only its capital letters are wrong."""
    right = _lower_case(request) if status == 404 else None
    if right is not None:
        return RedirectResponse(right, 302, headers={"cache-control": UNKEPT})
    market, language = _whose(request)
    page = front.open_quietly(request, market, language)
    return page.render(
        "fallen.html",
        status=status,
        outcome=outcome,
        cache=UNKEPT,
        explanation=BY_CODE.get(code) or _by_status(status),
        code=code,
        retry=status == 503 and request.method == "GET",
    )


def _later(response: Response, problem: Mapping[str, Any]) -> Response:
    """The page with when to come back, when a problem says so."""
    seconds = problem.get("retry_after_seconds")
    if isinstance(seconds, int):
        response.headers["retry-after"] = str(seconds)
    return response


def _lower_case(request: Request) -> str | None:
    """The same address with market and language as we write them, when only that was wrong."""
    parts = request.scope["raw_path"].decode("latin-1").split("/")
    wanted = [part.lower() for part in parts[1:3]]
    if request.method != "GET" or wanted == parts[1:3] or len(wanted) < 2:
        return None
    if wanted[0] not in PLACES or wanted[1] not in LANGUAGES:
        return None
    query = f"?{request.url.query}" if request.url.query else ""
    return "/".join(["", *wanted, *parts[3:]]) + query


def _by_status(status: int) -> Explanation:
    if status in (404, 405, 410):
        return MISSING
    if status in (502, 503, 504):
        return AWAY
    return BROKEN if status >= 500 else UNFIT


def _whose(request: Request) -> tuple[str, str]:
    """Market and language of the address, else of the cookie, else of the browser."""
    parts = [*request.url.path.split("/"), "", ""]
    market, language = parts[1].lower(), parts[2].lower()
    if market in PLACES and language in LANGUAGES:
        return market, language
    return remembered(request.cookies.get(cookies.SHOP)) or guess(
        request.headers.get("accept-language", "")
    )
