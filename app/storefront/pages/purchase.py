"""Buying a held car: give details, go to the payment provider, come back."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Final
from uuid import UUID, uuid4

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.contracts.checkout import (
    Attribution,
    Customer,
    Hold,
    Order,
    OrderRequest,
    PaymentChoice,
)
from app.contracts.client import UpstreamProblem
from app.contracts.events import PageViewed
from app.contracts.wire import Identifier
from app.kernel.errors import Unavailable
from app.storefront import cookies
from app.storefront.cards import card_of
from app.storefront.cookies import DAY, Cookie
from app.storefront.details import FIELDS, NOTHING_TYPED, Details, read_details
from app.storefront.errors import PageMissing
from app.storefront.pages.page import UNKEPT, Front, Page
from app.storefront.places import LANGUAGES
from telemetry.catalogue.outcomes import Outcome

OVER: Final = ("hold-ended", "hold-unknown")
"""How checkout says that a hold no longer runs."""

WAITS: Final = (0.2, 0.4, 0.8, 1.6)
"""Seconds that a second click waits, again and again, for what the first one comes to."""


def routes(front: Front) -> APIRouter:
    router = APIRouter(default_response_class=HTMLResponse)

    @router.get("/{market}/{language}/purchases/{hold_id}", summary="Details of an order")
    async def details(
        request: Request, market: str, language: str, hold_id: Identifier
    ) -> Response:
        page = front.open(request, market, language)
        hold = await _hold(page, hold_id)
        if isinstance(hold, Response):
            return hold
        return await _details_page(page, hold, NOTHING_TYPED, str(uuid4()))

    @router.post("/{market}/{language}/purchases/{hold_id}/order", summary="Order the held car")
    async def order(request: Request, market: str, language: str, hold_id: Identifier) -> Response:
        page = front.open(request, market, language)
        form = await form_of(request)
        typed = read_details(form)
        if typed.customer is None:
            hold = await _hold(page, hold_id)
            if isinstance(hold, Response):
                return hold
            return await _details_page(page, hold, typed, key_of(form), status=422)
        return await _submit(page, hold_id, typed, typed.customer, form)

    return router


async def _submit(
    page: Page, hold_id: str, typed: Details, customer: Customer, form: dict[str, str]
) -> Response:
    """Send the order to checkout, remember its token, go on to the provider's page."""
    here = page.url(f"/purchases/{hold_id}/order")
    back = page.back_to(here)
    session = page.visit.session
    request = OrderRequest(
        hold_id=hold_id,
        customer=customer,
        payment=PaymentChoice(provider=page.front.settings.payment_provider or None),
        attribution=Attribution(
            utm_source=session.source,
            utm_medium=session.medium,
            utm_campaign=session.campaign,
            utm_content=session.content,
            utm_term=session.term,
            entry=session.entry,
            advice_id=cookies.read_identifier(page.request.cookies.get(cookies.ADVICE))[:60],
        ),
        return_url=back,
        cancel_url=f"{back}?back=1",
    )
    try:
        order = await _ordered(page, request, _keyed(form, typed))
    except Unavailable:
        return await _provider_away(page, hold_id, typed, form)
    except UpstreamProblem as problem:
        if problem.code in OVER:
            return await hold_over(page, hold_id, problem)
        raise
    page.front.signals.order_opened(order_id=order.order_id, hold_id=hold_id)
    if order.order_token:
        remember_order(page, hold_id, order.order_id, order.order_token)
    return page.redirect(order.payment_url or here)


async def _ordered(page: Page, request: OrderRequest, key: str) -> Order:
    """The order of this form: the one that was kept for it, unless that has come to nothing."""
    order, replayed = await _clicked(page, request, key)
    if replayed and order.order_token:
        now = await page.shop.checkout.read_order(order.order_id, token=order.order_token)
        if now.state in ("declined", "cancelled", "expired"):
            return (await page.shop.checkout.order(request, key=str(uuid4())))[0]
        order = order.model_copy(update={"payment_url": now.payment_url})
    return order


async def _clicked(page: Page, request: OrderRequest, key: str) -> tuple[Order, bool]:
    """Checkout's answer and whether it was kept; a browser shows only the last click's answer."""
    for seconds in WAITS:
        try:
            return await page.shop.checkout.order(request, key=key)
        except UpstreamProblem as problem:
            if problem.code != "idempotency-key-in-flight":
                raise
        await asyncio.sleep(seconds)
    return await page.shop.checkout.order(request, key=key)


def remember_order(page: Page, hold_id: str, order_id: str, token: str) -> None:
    """Keep the order's token where only this purchase's pages get it, in every language."""
    for language in LANGUAGES:
        path = f"/{page.place.slug}/{language}/purchases/{hold_id}"
        page.keep(Cookie(cookies.ORDER, f"{order_id}.{token}", 30 * DAY, path))


async def _provider_away(
    page: Page, hold_id: str, typed: Details, form: dict[str, str]
) -> Response:
    """The payment provider does not answer: say so, keep everything, offer another try."""
    hold = await _hold(page, hold_id)
    if isinstance(hold, Response):
        return hold
    return await _details_page(page, hold, typed, key_of(form), status=503, away=True)


async def _hold(page: Page, hold_id: str) -> Hold | Response:
    """The running hold, or the page that says that it is over."""
    if not cookies.read_identifier(hold_id):
        raise PageMissing("There is no such purchase.")
    hold = await hold_or_end(page, hold_id)
    return hold if isinstance(hold, Hold) else await hold_over(page, hold_id, hold)


async def hold_or_end(page: Page, hold_id: str) -> Hold | UpstreamProblem:
    """The running hold, or how checkout says that it is over."""
    try:
        return await page.shop.checkout.read_hold(hold_id)
    except UpstreamProblem as problem:
        if problem.code in OVER:
            return problem
        raise


def was_sold(ended: UpstreamProblem) -> bool:
    """Whether a hold ended because the car's dealer sold it in the showroom."""
    return ended.problem.get("reason") == "sold_at_desk"


async def _details_page(
    page: Page, hold: Hold, typed: Details, key: str, *, status: int = 200, away: bool = False
) -> Response:
    models = await page.part("catalog", page.front.range.models()) or {}
    car = await page.part("catalog", page.shop.catalog.car(hold.car_id))
    dealer = (
        await page.part("catalog", page.front.range.dealer(car.dealer.dealer_id)) if car else None
    )
    seconds, left = page.formats.remaining(hold.expires_at)
    return page.render(
        "details.html",
        view=PageViewed("details", car_id=hold.car_id) if status == 200 else None,
        status=status,
        cache=UNKEPT,
        outcome=Outcome.UNAVAILABLE if away else None,
        hold=hold,
        card=card_of(car, models, page.formats, dealer) if car else None,
        typed=typed,
        key=key,
        seconds=seconds,
        left=left,
        away=away,
    )


async def hold_over(page: Page, hold_id: str, problem: UpstreamProblem) -> Response:
    """The time has run out, the car was given back, or its dealer sold it in the showroom.

    An order may have been placed with it; not with one that was sold.
    """
    sold = was_sold(problem)
    if not sold and cookies.read_order(page.request.cookies.get(cookies.ORDER)) is not None:
        return page.redirect(page.url(f"/purchases/{hold_id}/order"))
    page.forget_hold(hold_id)
    car_id = cookies.read_identifier(problem.problem.get("car_id"))
    models = await page.part("catalog", page.front.range.models()) or {}
    car = await page.part("catalog", page.shop.catalog.car(car_id)) if car_id else None
    return page.render(
        "hold_over.html",
        view=PageViewed("hold_over"),
        status=410,
        outcome=Outcome.CONFLICT,
        cache=UNKEPT,
        sold=sold,
        ordered=problem.code == "payment-under-way" or problem.problem.get("reason") == "ordered",
        car_id=car_id,
        card=card_of(car, models, page.formats) if car else None,
        key=str(uuid4()),
    )


async def form_of(request: Request) -> dict[str, str]:
    """The form's text fields (files are not asked for)."""
    async with request.form(max_files=0, max_fields=40) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


def key_of(form: dict[str, str]) -> str:
    """The form's own idempotency key; a fresh one when it is missing or odd."""
    try:
        return str(UUID(form.get("key", "")))
    except ValueError:
        return str(uuid4())


def _keyed(form: dict[str, str], typed: Details) -> str:
    """The key of this form with these details.

    A second click repeats both; corrected details are another request and need another key.
    """
    text = "\x1f".join(typed.values[name] for name in FIELDS)
    return f"{key_of(form)}.{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"
