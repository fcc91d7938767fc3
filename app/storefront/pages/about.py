"""Pages about the shop itself: how it works, privacy and consent, what a problem means."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.contracts.events import PageViewed
from app.storefront import cookies
from app.storefront.errors import PageMissing
from app.storefront.pages.page import Front
from app.storefront.pages.purchase import form_of
from app.storefront.places import guess, remembered
from app.storefront.problems import PROBLEMS


def routes(front: Front) -> APIRouter:
    router = APIRouter(default_response_class=HTMLResponse)

    @router.get("/{market}/{language}/how-it-works", summary="How buying works")
    async def how(request: Request, market: str, language: str) -> Response:
        page = front.open(request, market, language)
        return page.render("how.html", view=PageViewed("how_it_works"))

    @router.get("/{market}/{language}/privacy", summary="Privacy and consent")
    async def privacy(request: Request, market: str, language: str) -> Response:
        page = front.open(request, market, language)
        return page.render(
            "privacy.html",
            view=PageViewed("privacy"),
            saved="saved" in request.query_params,
            forgotten="forgotten" in request.query_params,
        )

    @router.post("/{market}/{language}/consent", summary="Answer about measurements")
    async def consent(request: Request, market: str, language: str) -> Response:
        page = front.open(request, market, language)
        form = await form_of(request)
        granted = {"granted": True, "refused": False}.get(form.get("analytics", ""))
        if granted is not None:
            page.answer(granted)
        return page.again(_own(form.get("back", ""), page.url()))

    @router.post("/{market}/{language}/forget-me", summary="Forget a visitor")
    async def forget(request: Request, market: str, language: str) -> Response:
        """Whoever agreed to be known again is not any more, and what was kept is nobody's."""
        page = front.open(request, market, language)
        await form_of(request)
        page.forget_visitor()
        return page.again(page.url("/privacy", "forgotten=1"))

    @router.get("/{market}/{language}/problems/{code}", summary="What a problem means")
    async def problem(request: Request, market: str, language: str, code: str) -> Response:
        page = front.open(request, market, language)
        found = PROBLEMS.get(code)
        if found is None:
            raise PageMissing("There is no such problem.")
        return page.render(
            "problem.html", view=PageViewed("problem"), code=code, problem=found, all=PROBLEMS
        )

    return router


def doors(front: Front) -> APIRouter:
    """Addresses without market and language that lead to such pages."""
    router = APIRouter(default_response_class=RedirectResponse)

    @router.get("/problems/{code}", summary="To a problem's page")
    async def problem(request: Request, code: str) -> Response:
        if code not in PROBLEMS:
            raise PageMissing("There is no such problem.")
        market, language = remembered(request.cookies.get(cookies.SHOP)) or guess(
            request.headers.get("accept-language", "")
        )
        return RedirectResponse(f"/{market}/{language}/problems/{code}", status_code=302)

    return router


def _own(address: str, otherwise: str) -> str:
    """A path of ours; anything else (an open redirect) becomes the first page."""
    parts = urlsplit(address)
    safe = address.startswith("/") and not address.startswith("//") and "\\" not in address
    return address if safe and not parts.scheme and not parts.netloc else otherwise
