"""The list of available cars, and one car's page."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.contracts.catalog import Car, CarPage, Model
from app.contracts.client import UpstreamProblem
from app.contracts.events import PageViewed
from app.contracts.wire import Identifier
from app.storefront.cards import Card, card_of, cards_of, features_of, most_alike
from app.storefront.filters import (
    City,
    Wishes,
    api_query,
    cities_of,
    fewer_wishes,
    point_of,
    read_wishes,
)
from app.storefront.pages.page import Front, Page
from app.storefront.places import PLACES
from app.storefront.vocabulary import BODIES, COLOURS, FUELS
from telemetry.catalogue.outcomes import Outcome

SIMILAR = 3
SIMILAR_ASKED = 24


def routes(front: Front) -> APIRouter:
    router = APIRouter(default_response_class=HTMLResponse)

    @router.get("/{market}/{language}/cars", summary="Available cars")
    async def cars(request: Request, market: str, language: str) -> Response:
        page = front.open(request, market, language)
        models = await front.range.models()
        cities = cities_of(await page.part("catalog", front.range.dealers(page.place.market)) or [])
        wishes = read_wishes(request.query_params.multi_items())
        found = await _found(page, wishes, cities)
        return page.render(
            "cars.html",
            view=PageViewed("cars"),
            wishes=wishes,
            found=found,
            cards=cards_of(found.items, models, page.formats),
            cities=list(cities.values()),
            placed=point_of(wishes.near, cities) is not None,
            models=models,
            chips=_chips(page, wishes, models),
            ways_out=[] if found.items else await _ways_out(page, wishes, cities),
        )

    @router.get("/{market}/{language}/cars/{car_id}", summary="One car")
    async def car(request: Request, market: str, language: str, car_id: Identifier) -> Response:
        page = front.open(request, market, language)
        models, found = await asyncio.gather(front.range.models(), page.shop.catalog.car(car_id))
        if found.market != page.place.market:
            right = [p.slug for p in PLACES.values() if p.market == found.market]
            if right:
                return page.redirect(page.elsewhere(right[0]) + f"/cars/{found.car_id}")
        model = models.get(found.model_id or "")
        dealer = await page.part("catalog", front.range.dealer(found.dealer.dealer_id))
        similar = await similar_to(page, found, models)
        return page.render(
            "car.html",
            view=PageViewed("car", car_id=found.car_id, model_id=found.model_id or ""),
            car=found,
            card=card_of(found, models, page.formats),
            model=model,
            dealer=dealer,
            hours=page.formats.opening_hours(dealer.opening_hours) if dealer else [],
            features=features_of(found, page.texts),
            similar=similar,
            key=str(uuid4()),
            outcome=Outcome.OK,
        )

    return router


async def _found(page: Page, wishes: Wishes, cities: Mapping[str, City]) -> CarPage:
    """The list; a cursor that no longer fits begins again instead of failing."""
    query = api_query(wishes, page.place, cities)
    try:
        return await page.shop.catalog.cars(**query)
    except UpstreamProblem as problem:
        if problem.status != 422 or not wishes.cursor:
            raise
    return await page.shop.catalog.cars(**{**query, "cursor": None})


def _chips(page: Page, wishes: Wishes, models: Mapping[str, Model]) -> list[tuple[str, str]]:
    """(words, address without that wish) for everything that narrows the list."""
    gettext, chips = page.texts.gettext, []
    words: dict[str, Any] = {
        "model": lambda v: models[v].name if v in models else v,
        "body": lambda v: gettext(BODIES[v]),
        "fuel": lambda v: gettext(FUELS[v]),
        "colour": lambda v: gettext(COLOURS[v][0]),
    }
    for name, word in words.items():
        chips += [
            (word(v), page.url("/cars", wishes.without(name, v))) for v in getattr(wishes, name)
        ]
    if wishes.seats:
        text = gettext("At least %(seats)s seats") % {"seats": wishes.seats}
        chips.append((text, page.url("/cars", wishes.without("seats"))))
    if wishes.max_price:
        amount = page.formats.number(wishes.max_price, 0)
        text = gettext("Up to %(amount)s") % {"amount": f"{amount} {page.place.currency}"}
        chips.append((text, page.url("/cars", wishes.without("max_price"))))
    if wishes.today:
        chips.append((gettext("Ready today"), page.url("/cars", wishes.without("today"))))
    return chips


async def _ways_out(
    page: Page, wishes: Wishes, cities: Mapping[str, City]
) -> list[tuple[str, str, int]]:
    """(what to give up, address, cars then): each wish dropped on its own, the best first."""
    drops = fewer_wishes(wishes)
    asked = [
        page.part(
            "catalog",
            page.shop.catalog.cars(**{**api_query(fewer, page.place, cities), "limit": 1}),
        )
        for _, fewer in drops
    ]
    answers = await asyncio.gather(*asked)
    found = [
        (name, page.url("/cars", fewer.query()), answer.total)
        for (name, fewer), answer in zip(drops, answers, strict=True)
        if answer is not None and answer.total
    ]
    return sorted(found, key=lambda way: -way[2])


async def similar_to(page: Page, car: Car, models: Mapping[str, Model]) -> list[Card]:
    """Cars like this one: the same model in other paints first, then the same body style."""
    queries: list[dict[str, Any]] = []
    if car.model_id:
        queries.append({"model": car.model_id})
    if car.body in BODIES:
        queries.append({"body": car.body})
    found: dict[str, Car] = {}
    for query in queries:
        answer = await page.part(
            "catalog", page.shop.catalog.cars(market=car.market, limit=SIMILAR_ASKED, **query)
        )
        for other in answer.items if answer else ():
            found.setdefault(other.car_id, other)
        if len(found) > SIMILAR:
            break
    return cards_of(most_alike(car, list(found.values()), SIMILAR), models, page.formats)
