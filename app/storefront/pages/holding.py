"""Holding cars: take one, see all that one holds, give one back."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.contracts.catalog import Car
from app.contracts.checkout import Hold
from app.contracts.client import UpstreamProblem
from app.contracts.events import PageViewed
from app.contracts.wire import Identifier
from app.storefront import cookies
from app.storefront.cards import card_of, cards_of
from app.storefront.pages.page import UNKEPT, Front, Page
from app.storefront.pages.purchase import OVER, form_of, hold_over, key_of
from telemetry.catalogue.outcomes import Outcome


def routes(front: Front) -> APIRouter:
    router = APIRouter(default_response_class=HTMLResponse)

    @router.post("/{market}/{language}/purchases", summary="Hold a car")
    async def place(request: Request, market: str, language: str) -> Response:
        page = front.open(request, market, language)
        form = await form_of(request)
        car_id = form.get("car_id", "")
        try:
            hold = await _held(page, car_id, key_of(form))
        except UpstreamProblem as problem:
            if problem.code == "car-not-available":
                return await lost_race(page, car_id, problem)
            if problem.code == "too-many-holds":
                return await _holds_page(page, full=True)
            raise
        page.remember_hold(hold)
        return page.redirect(page.url(f"/purchases/{hold.hold_id}"))

    @router.get("/{market}/{language}/purchases", summary="The cars that the shopper holds")
    async def held(request: Request, market: str, language: str) -> Response:
        return await _holds_page(front.open(request, market, language))

    @router.post("/{market}/{language}/purchases/{hold_id}/release", summary="Give the car back")
    async def release(
        request: Request, market: str, language: str, hold_id: Identifier
    ) -> Response:
        page = front.open(request, market, language)
        form = await form_of(request)
        try:
            await page.shop.checkout.release(hold_id)
        except UpstreamProblem as problem:
            if problem.code != "payment-under-way":
                raise
            return await hold_over(page, hold_id, problem)  # its order says what became of it
        page.forget_hold(hold_id)
        car_id = cookies.read_identifier(form.get("car_id"))
        return page.redirect(page.url(f"/cars/{car_id}" if car_id else "/cars"))

    return router


async def _held(page: Page, car_id: str, key: str) -> Hold:
    """The shopper's hold of a car.

    A browser that goes back shows the form that was sent before. The answer that was kept for it
    counts while it is true: a hold that has ended, or a race that was lost, is tried anew.
    """
    kept: Hold | None = None
    try:
        kept, replayed = await page.shop.checkout.hold(car_id, key=key)
        return await page.shop.checkout.read_hold(kept.hold_id) if replayed else kept
    except UpstreamProblem as problem:
        if problem.code not in OVER and not (
            problem.replayed and problem.code == "car-not-available"
        ):
            raise
    try:
        return (await page.shop.checkout.hold(car_id, key=str(uuid4())))[0]
    except UpstreamProblem as problem:
        if kept is not None and problem.code == "car-not-available":
            return kept  # perhaps it was bought with it: its own page says what became of it
        raise


async def _holds_page(page: Page, *, full: bool = False) -> Response:
    """Every car that the shopper holds, to go on with or to give back; `full`: one more was asked.

    Checkout knows them; the cookie is set right on the way.
    """
    holds = await page.shop.checkout.holds()
    for hold in holds:
        page.remember_hold(hold)
    for note in page.holds:
        if note.hold_id not in {hold.hold_id for hold in holds}:
            page.forget_hold(note.hold_id)
    models = await page.part("catalog", page.front.range.models()) or {}
    cars = await asyncio.gather(
        *(page.part("catalog", page.shop.catalog.car(hold.car_id)) for hold in holds)
    )
    return page.render(
        "holds.html",
        status=429 if full else 200,
        cache=UNKEPT,
        outcome=Outcome.REFUSED if full else None,
        full=full,
        holds=[
            (hold, card_of(car, models, page.formats) if car else None)
            for hold, car in zip(holds, cars, strict=True)
        ],
    )


async def lost_race(page: Page, car_id: str, problem: UpstreamProblem) -> Response:
    """Somebody was faster, or the shopper has bought it: say it kindly, show cars like it."""
    models = await page.part("catalog", page.front.range.models()) or {}
    car = await page.part("catalog", page.shop.catalog.car(car_id))
    reason = problem.problem.get("reason", "held")
    yours = reason == "yours"
    similar = [Car.model_validate(each) for each in problem.problem.get("similar_cars", [])]
    return page.render(
        "lost.html",
        view=None if yours else PageViewed("sold_out", car_id=car_id),
        status=409,
        outcome=Outcome.CONFLICT if yours else Outcome.SOLD_OUT,
        reason=reason,
        order=page.url(f"/purchases/{problem.problem['hold_id']}/order") if yours else "",
        card=card_of(car, models, page.formats) if car else None,
        similar=cards_of(similar, models, page.formats),
    )
