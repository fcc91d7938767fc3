"""The range: all models, and one model's page."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.contracts.events import PageViewed
from app.contracts.wire import Identifier
from app.storefront.cards import cards_of
from app.storefront.errors import PageMissing
from app.storefront.pages.page import Front
from app.storefront.pictures import subject_of_model
from app.storefront.vocabulary import BODIES

SHOWN = 3


def routes(front: Front) -> APIRouter:
    router = APIRouter(default_response_class=HTMLResponse)

    @router.get("/{market}/{language}/models", summary="The range")
    async def models(request: Request, market: str, language: str) -> Response:
        page = front.open(request, market, language)
        known = await front.range.models()
        sold = [model for model in known.values() if page.place.market in model.prices]
        groups = [
            (body, sorted(of_body, key=lambda m: m.prices[page.place.market].amount))
            for body in BODIES
            if (of_body := [model for model in sold if model.body == body])
        ]
        return page.render(
            "models.html", view=PageViewed("models"), groups=groups, subject=subject_of_model
        )

    @router.get("/{market}/{language}/models/{model_id}", summary="One model")
    async def model(request: Request, market: str, language: str, model_id: Identifier) -> Response:
        page = front.open(request, market, language)
        known = await front.range.models()
        found = known.get(model_id)
        if found is None:
            raise PageMissing("There is no such model.")
        stock = await page.part(
            "catalog",
            page.shop.catalog.cars(market=page.place.market, model=model_id, limit=SHOWN),
        )
        return page.render(
            "model.html",
            view=PageViewed("model", model_id=model_id),
            model=found,
            subject=subject_of_model(found),
            cards=cards_of(stock.items if stock else [], known, page.formats),
            total=stock.total if stock else None,
        )

    return router
