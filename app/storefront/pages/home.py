"""The first page, and the way to it."""

from __future__ import annotations

from collections import Counter

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.contracts.catalog import Car, Model
from app.contracts.events import PageViewed
from app.contracts.wire import Identifier
from app.storefront import cookies
from app.storefront.cards import cards_of, one_per_model, spread
from app.storefront.errors import PageMissing
from app.storefront.pages.page import Front, Page
from app.storefront.pictures import subject_of_model
from app.storefront.places import LANGUAGES, PLACES, guess, remembered
from app.storefront.vocabulary import BODIES

SHOWN = 6
ASKED = 80
"""Asked for more than shown: the shown ones are of different models."""

HEROES = ("norrsken", "solvind", "granvik")
"""Models that may stand on the first page, the first known one is taken."""


def routes(front: Front) -> APIRouter:
    router = APIRouter(default_response_class=HTMLResponse)

    @router.get("/", response_class=RedirectResponse, summary="To the shopper's market")
    async def entrance(request: Request) -> Response:
        return _to(request, *_wanted(request))

    @router.get("/cars", response_class=RedirectResponse, summary="To the cars of the market")
    async def cars(request: Request) -> Response:
        return _to(request, *_wanted(request), "/cars")

    @router.get("/cars/{car_id}", response_class=RedirectResponse, summary="To a car's page")
    async def car(request: Request, car_id: Identifier) -> Response:
        """Feeds link here; a car's market is asked for only when the link does not say it."""
        market, language = _wanted(request)
        page = front.open_quietly(request, market, language)  # the visit begins where it leads
        found = await page.shop.catalog.car(car_id)
        slugs = {place.market: place.slug for place in PLACES.values()}
        return _to(request, slugs.get(found.market, market), language, f"/cars/{found.car_id}")

    @router.get("/advisor", response_class=RedirectResponse, summary="To the advisor")
    async def advisor(request: Request) -> Response:
        return _to(request, *_wanted(request), "/advisor")

    @router.get("/{market}", response_class=RedirectResponse, summary="To a market's first page")
    async def market_only(request: Request, market: str) -> Response:
        if market.lower() not in PLACES:
            raise PageMissing("There is no such page.")
        return _to(request, market.lower(), _wanted(request)[1])

    @router.get("/{market}/{language}", summary="First page")
    async def home(request: Request, market: str, language: str) -> Response:
        page = front.open(request, market, language)
        models = await page.part("catalog", front.range.models()) or {}
        stock = await page.part(
            "catalog", page.shop.catalog.cars(market=page.place.market, sort="ready", limit=ASKED)
        )
        ready = _ready(stock.items if stock else [])
        return page.render(
            "home.html",
            view=PageViewed("home"),
            hero=_hero(models),
            hero_car=subject_of_model,
            ready=cards_of(ready, models, page.formats),
            available=stock.total if stock else None,
            bodies=_bodies(page, models),
        )

    return router


def _ready(cars: list[Car]) -> list[Car]:
    today = [car for car in cars if car.ready_today]
    models = one_per_model(today if len(today) >= SHOWN // 2 else cars)
    return spread(sorted(models, key=lambda car: car.price.amount), SHOWN)


def _hero(models: dict[str, Model] | object) -> Model | None:
    known = models if isinstance(models, dict) else {}
    return next((known[name] for name in HEROES if name in known), None)


def _bodies(page: Page, models: object) -> list[tuple[str, str, int]]:
    """(body, picture, how many models) in the vocabulary's order."""
    known = list(models.values()) if isinstance(models, dict) else []
    counts = Counter(model.body for model in known)
    strip = []
    for body in BODIES:
        of_body = [model for model in known if model.body == body]
        if of_body:
            face = max(of_body, key=lambda model: model.personality.get("expressive", 0))
            paint = face.paints[len(body) % len(face.paints)].hex if face.paints else None
            picture = subject_of_model(face).url(paint, to_scale=True)
            strip.append((body, picture, counts[body]))
    return strip


def _wanted(request: Request) -> tuple[str, str]:
    return remembered(request.cookies.get(cookies.SHOP)) or guess(
        request.headers.get("accept-language", "")
    )


def _to(request: Request, market: str, language: str, path: str = "") -> Response:
    if language not in LANGUAGES:
        raise PageMissing("There is no such language.")
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(
        f"/{market}/{language}{path}{query}",
        status_code=302,
        headers={"cache-control": "private, no-cache", "vary": "accept-language, cookie"},
    )
