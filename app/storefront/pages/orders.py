"""An order as its shopper sees it: waiting, confirmed, or why not; and what they thought of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import uuid4

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.contracts.checkout import Hold, Order
from app.contracts.client import UpstreamProblem
from app.contracts.events import FeedbackGiven, PageViewed
from app.contracts.wire import Identifier
from app.storefront import cookies
from app.storefront.cards import card_of
from app.storefront.cookies import DAY, Cookie
from app.storefront.errors import PageMissing
from app.storefront.pages.page import UNKEPT, Front, Page
from app.storefront.pages.purchase import form_of, hold_or_end, key_of, was_sold
from app.storefront.pages.scores import score
from app.storefront.places import LANGUAGES

LOOKS: Final = 20
"""How often a waiting page looks again by itself; then the shopper decides."""

LOOK_SECONDS: Final = 2
UNPAID: Final = ("declined", "cancelled")
"""States after which the hold may live on: the shopper may order again within its time."""

FEEDBACK: Final = "vitrine_feedback"
"""Set on the purchase's pages once feedback was given: asked once, counted once."""


def routes(front: Front) -> APIRouter:
    router = APIRouter(default_response_class=HTMLResponse)

    @router.get("/{market}/{language}/purchases/{hold_id}/order", summary="An order's state")
    async def order(request: Request, market: str, language: str, hold_id: Identifier) -> Response:
        page = front.open(request, market, language)
        found = await _order(page)
        return await _order_page(page, hold_id, found)

    @router.post(
        "/{market}/{language}/purchases/{hold_id}/cancellation", summary="Withdraw from an order"
    )
    async def cancel(request: Request, market: str, language: str, hold_id: Identifier) -> Response:
        page = front.open(request, market, language)
        order_id, token = _known(page)
        key = key_of(await form_of(request))
        try:
            await page.shop.checkout.cancel(order_id, token=token, key=key)
        except UpstreamProblem as problem:
            if problem.code != "order-state":  # its page says what became of it
                raise
        return page.again(page.url(f"/purchases/{hold_id}/order"))

    @router.post(
        "/{market}/{language}/purchases/{hold_id}/feedback", summary="What the shopper thought"
    )
    async def feedback(
        request: Request, market: str, language: str, hold_id: Identifier
    ) -> Response:
        page = front.open(request, market, language)
        order = await _order(page)  # only who has bought may speak about it
        form = await form_of(request)
        csat, nps = score(form.get("csat"), 1, 5), score(form.get("nps"), 0, 10)
        told = csat is not None or nps is not None
        if FEEDBACK not in request.cookies and order.confirmed_at is not None and told:
            page.record(FeedbackGiven("order", csat=csat, nps=nps, order_id=order.order_id))
            for each in LANGUAGES:
                path = f"/{market}/{each}/purchases/{hold_id}"
                page.keep(Cookie(FEEDBACK, "given", 30 * DAY, path))
        return page.again(page.url(f"/purchases/{hold_id}/order") + "#feedback")

    return router


def _known(page: Page) -> tuple[str, str]:
    """Order id and token of this purchase's cookie; raises `PageMissing` without one."""
    known = cookies.read_order(page.request.cookies.get(cookies.ORDER))
    if known is None:
        raise PageMissing("This browser does not know the order.")
    return known


async def _order(page: Page) -> Order:
    """The order of this purchase's cookie; raises `PageMissing` without one that fits."""
    order_id, token = _known(page)
    try:
        return await page.shop.checkout.read_order(order_id, token=token)
    except UpstreamProblem as problem:
        if problem.status == 404:
            raise PageMissing("There is no such order.") from problem
        raise


async def _order_page(page: Page, hold_id: str, order: Order) -> Response:
    models = await page.part("catalog", page.front.range.models()) or {}
    car = await page.part("catalog", page.shop.catalog.car(order.car_id))
    dealer = (
        await page.part("catalog", page.front.range.dealer(car.dealer.dealer_id)) if car else None
    )
    query = page.request.query_params
    looked = score(query.get("look"), 0, LOOKS) or 0
    back = query.get("back") == "1"
    held_until, sold = await _held_until(page, hold_id, order)
    if held_until is None:
        page.forget_hold(hold_id)
    waiting = order.state == "payment_pending"
    card = card_of(car, models, page.formats) if car else None
    return page.render(
        "order.html",
        view=PageViewed("order", car_id=order.car_id) if looked == 0 else None,
        cache=UNKEPT,
        order=order,
        hold_id=hold_id,
        card=replace(card, ready=_ready(page, order)) if card else None,
        dealer=dealer,
        hours=page.formats.opening_hours(dealer.opening_hours) if dealer else [],
        back=back,
        held_until=held_until,
        sold=sold,
        refresh=(
            page.url(f"/purchases/{hold_id}/order", {"look": looked + 1})
            if waiting and not back and looked < LOOKS
            else ""
        ),
        refresh_seconds=LOOK_SECONDS,
        feedback_given=FEEDBACK in page.request.cookies,
        key=str(uuid4()),
    )


def _ready(page: Page, order: Order) -> str:
    """When the car can be collected, as the order promises it; nothing once that is over.

    The catalogue says when it could be collected if somebody ordered it now, which moves on daily.
    """
    if order.handed_over_at or order.state not in ("payment_pending", "confirmed", "disputed"):
        return ""
    return page.formats.collect(order.ready_for_handover_at)


async def _held_until(page: Page, hold_id: str, order: Order) -> tuple[datetime | None, bool]:
    """Until when the car of an unpaid order is held, and whether its dealer sold it meanwhile.

    None when the hold is over, or has become an order.
    """
    if order.state == "payment_pending":
        until = order.expires_at
        return (until if until and until > page.front.platform.clock.now() else None), False
    if order.state in UNPAID:
        hold = await hold_or_end(page, hold_id)
        if isinstance(hold, Hold):
            return hold.expires_at, False
        return None, was_sold(hold)
    return None, False
