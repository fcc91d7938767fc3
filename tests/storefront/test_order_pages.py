"""What an order's page says after its hold: nothing that is no longer true, and one way on."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from itertools import product
from typing import get_args
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import select

from app.checkout.models import HOLDS, ORDERS, PAYMENTS
from app.contracts.checkout import OrderState
from tests.builders.services import DEALER
from tests.storefront.conftest import DETAILS, TUESDAY, Shopfront, available_car, held, hidden

pytestmark = pytest.mark.asyncio(loop_scope="session")

CARD = {"expiry": "12/30", "cvc": "123", "name": "Anna Ask"}
DECLINED, ACCEPTED = "4000 0000 0000 0002", "4242 4242 4242 4242"
ENDS = ("active", "overdue", "ordered", "released", "expired", "sold_at_desk")
UNPAID = ("payment_pending", "declined", "cancelled")
HELD = ("still held", "stays held", "stays so until", "hålls fortfarande", "hålls under tiden")


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def _current_stock(shopfront: Shopfront) -> None:
    await shopfront.catch_up()


async def _bought(shopfront: Shopfront, visitor: httpx.AsyncClient, car_id: str, card: str) -> str:
    """Hold, order and pay with this card ("" leaves before paying); the purchase's address."""
    address = (await held(visitor, car_id)).headers["location"]
    details = await visitor.get(address)
    form = {"key": hidden(details.text, "key"), **DETAILS}
    order = await visitor.post(f"{address}/order", data=form)
    if card:
        path = urlsplit(order.headers["location"]).path
        sandbox = shopfront.services["sandbox"].public
        paid = await sandbox.post(path, data={"card_number": card, **CARD})
        assert paid.status_code == 303, paid.text
    return str(address)


async def _time_passes(shopfront: Shopfront) -> None:
    """The hold's quarter of an hour, and everybody hears that it is over."""
    shopfront.clock.advance(minutes=16)
    await shopfront.services["checkout"].job("sweep")()
    await shopfront.catch_up()


def _main(page: httpx.Response) -> str:
    return page.text.split("<main", 1)[1].split("</main>", 1)[0]


def _ways(page: httpx.Response) -> tuple[list[str], list[str]]:
    """Where the page's own links lead, and its forms."""
    main = _main(page)
    return re.findall(r'<a [^>]*href="(/[^"]+)"', main), re.findall(r'action="(/[^"]+)"', main)


async def _set(
    shopfront: Shopfront,
    hold_id: str,
    order: str,
    hold: str,
    ends: datetime,
    payment: str = "pending",
    dispute: str | None = None,
) -> None:
    its_order = select(ORDERS.c.order_id).where(ORDERS.c.hold_id == hold_id).scalar_subquery()
    async with shopfront.services["checkout"].service.database.transaction() as transaction:
        for table, its, values in (
            (ORDERS, ORDERS.c.hold_id == hold_id, {"state": order}),
            (HOLDS, HOLDS.c.hold_id == hold_id, {"state": hold, "expires_at": ends}),
            (
                PAYMENTS,
                PAYMENTS.c.order_id == its_order,
                {"state": payment, "dispute": dispute},
            ),
        ):
            await transaction.execute(table.update().where(its).values(values))


@pytest.mark.parametrize("language", ["sv", "en"])
async def test_every_order_with_every_hold_says_held_only_while_it_is_and_leads_on(
    shopfront: Shopfront, language: str
) -> None:
    wrong: list[object] = []
    async with shopfront.visitor() as visitor:
        address = await _bought(shopfront, visitor, await available_car(visitor, skip=5), "")
        address, hold_id = address.replace("/en/", f"/{language}/"), address.rsplit("/", 1)[1]
        for order, hold, query in product(get_args(OrderState), ENDS, ("", "?back=1", "?look=20")):
            if query and order != "payment_pending":
                continue
            runs = hold == "active"
            ends = shopfront.clock.now() + timedelta(minutes=10 if runs else -1)
            stored = "active" if hold == "overdue" else hold
            await _set(shopfront, hold_id, order, stored, ends)
            page = await visitor.get(f"{address}/order{query}")
            links, forms = _ways(page)
            says = any(word in _main(page) for word in HELD)
            if page.status_code != 200 or says != (runs and order in UNPAID):
                wrong.append((order, hold, query, page.status_code, f"says held: {says}"))
            refreshes = 'http-equiv="refresh"' in page.text
            if not links and not forms and not refreshes:
                wrong.append((order, hold, query, "leads nowhere"))
            for link in links:
                again = link == f"{address}/order"
                if not again and (await visitor.get(link)).status_code != 200:
                    wrong.append((order, hold, query, f"{link} leads back or nowhere"))

    assert wrong == []


SAID = {
    "nothing": ("othing was charged", "ngenting har debiterats"),
    "waits": ("We are waiting for the payment service", "Vi väntar på betaltjänsten"),
    "kept": ("The deposit has arrived", "Handpenningen har kommit fram"),
    "at the bank": ("Your bank has asked for this payment back", "Din bank har begärt tillbaka"),
    "once it is there": ("back in full once the car is", "i sin helhet när bilen är där"),
    "on its way": ("goes back in full, usually within", "tillbaka i sin helhet, oftast inom"),
    "back": ("What you paid has been returned", "Det du betalade är återbetalt"),
    "failed": ("The payment back was refused", "Återbetalningen gick inte igenom"),
}
"""What a page can say of the money, in each language: exactly one of these is true."""

UNTOUCHED = {
    "payment_pending": "waits",
    "confirmed": "kept",
    "declined": "nothing",
    "expired": "nothing",
    "cancelled": "nothing",
    "disputed": "at the bank",
    "return_requested": "once it is there",
    "returned": "on its way",
    "refunded": "back",
}
"""Of an order by its state, when its payment says nothing of a refund."""

REFUNDS = {"refund_due": "on its way", "refunded": "back", "refund_refused": "failed"}
"""Of a payment that goes back, whatever became of its order."""


@pytest.mark.parametrize("language", ["en", "sv"])
async def test_every_order_with_every_refund_says_where_the_money_is(
    shopfront: Shopfront, language: str
) -> None:
    wrong: list[object] = []
    async with shopfront.visitor() as visitor:
        address = await _bought(shopfront, visitor, await available_car(visitor, skip=6), "")
        address, hold_id = address.replace("/en/", f"/{language}/"), address.rsplit("/", 1)[1]
        ends = shopfront.clock.now() + timedelta(minutes=10)
        for order, payment, dispute, hold in product(
            UNTOUCHED, ("captured", *REFUNDS), (None, "open", "won", "lost"), ("active", "ordered")
        ):
            await _set(shopfront, hold_id, order, hold, ends, payment, dispute)
            main = _main(await visitor.get(f"{address}/order"))
            says = [key for key, said in SAID.items() if said[language == "sv"] in main]
            if says != [REFUNDS.get(payment) or UNTOUCHED[order]]:
                wrong.append((order, payment, dispute, hold, says))

    assert wrong == []


@pytest.mark.parametrize(
    ("language", "free"), [("en", "but it is free"), ("sv", "men den är ledig")]
)
@pytest.mark.parametrize("card", [DECLINED, ""], ids=["a declined card", "nothing paid"])
async def test_when_the_time_is_over_and_the_car_is_free_it_is_held_again_from_the_page(
    shopfront: Shopfront, language: str, free: str, card: str
) -> None:
    async with shopfront.visitor() as visitor:
        car_id = await available_car(visitor)
        address = await _bought(shopfront, visitor, car_id, card)
        await _time_passes(shopfront)
        address = address.replace("/en/", f"/{language}/")
        order = await visitor.get(f"{address}/order")
        back = await visitor.get(address)
        form = {name: hidden(_main(order), name) for name in ("car_id", "key")}
        (action,) = _ways(order)[1]
        again = await visitor.post(action, data=form)
        details = await visitor.get(again.headers["location"])

    assert free in _main(order)
    assert (back.status_code, back.headers["location"]) == (303, f"{address}/order")
    assert (form["car_id"], again.status_code, details.status_code) == (car_id, 303, 200)
    assert "data-countdown" in details.text


@pytest.mark.parametrize("card", [DECLINED, ""], ids=["a declined card", "nothing paid"])
async def test_when_somebody_else_has_the_car_the_page_leads_to_cars_like_it(
    shopfront: Shopfront, card: str
) -> None:
    async with shopfront.visitor() as visitor, shopfront.visitor() as other:
        car_id = await available_car(visitor)
        address = await _bought(shopfront, visitor, car_id, card)
        await _time_passes(shopfront)
        theirs = await _bought(shopfront, other, car_id, "")
        await shopfront.catch_up()
        perhaps = await visitor.get(f"{address}/order")
        form = {name: hidden(_main(perhaps), name) for name in ("car_id", "key")}
        lost = await visitor.post("/se/en/purchases", data=form)
        details = await other.get(theirs)
        order = {"key": hidden(details.text, "key"), **DETAILS}
        payment = await other.post(f"{theirs}/order", data=order)
        await shopfront.services["sandbox"].public.post(
            urlsplit(payment.headers["location"]).path, data={"card_number": ACCEPTED, **CARD}
        )
        await shopfront.catch_up()
        gone = await visitor.get(f"{address}/order")

    assert "Perhaps it is still free" in _main(perhaps)
    assert (lost.status_code, lost.text.count('class="card"')) == (409, 3)
    assert "The car has found its owner meanwhile." in _main(gone)
    assert _ways(gone) == ([f"/se/en/cars/{car_id}"], [])


async def test_a_declined_order_says_that_the_car_was_sold_in_the_showroom(
    shopfront: Shopfront,
) -> None:
    async with shopfront.visitor() as visitor:
        car_id = await available_car(visitor)
        address = await _bought(shopfront, visitor, car_id, DECLINED)
        await shopfront.services["checkout"].public.post(
            f"/api/checkout/v1/cars/{car_id}/desk-sale?confirm=true",
            headers={**DEALER, "idempotency-key": f'"sold {car_id}"'},
        )
        await shopfront.catch_up()
        order = await visitor.get(f"{address}/order")
        elsewhere = await visitor.get("/se/en/how-it-works")

    assert "Meanwhile its dealer sold the car" in _main(order)
    assert not [word for word in HELD if word in _main(order)]
    assert _ways(order) == ([f"/se/en/cars/{car_id}"], [])
    assert "holdbar" not in elsewhere.text


async def test_a_hold_that_ran_out_without_an_order_is_taken_again_from_its_page(
    shopfront: Shopfront,
) -> None:
    async with shopfront.visitor() as visitor:
        address = (await held(visitor, await available_car(visitor))).headers["location"]
        await _time_passes(shopfront)
        over = await visitor.get(address)
        form = {name: hidden(_main(over), name) for name in ("car_id", "key")}
        again = await visitor.post("/se/en/purchases", data=form)

    assert (over.status_code, again.status_code) == (410, 303)


async def test_who_gives_an_ordered_car_back_from_an_old_tab_sees_the_order(
    shopfront: Shopfront,
) -> None:
    async with shopfront.visitor() as visitor:
        car_id = await available_car(visitor)
        address = await _bought(shopfront, visitor, car_id, ACCEPTED)
        answer = await visitor.post(f"{address}/release", data={"car_id": car_id})
        visitor.cookies.delete("vitrine_order")
        without = await visitor.post(f"{address}/release", data={"car_id": car_id})

    assert (answer.status_code, answer.headers["location"]) == (303, f"{address}/order")
    assert "You ordered this car" in without.text


@pytest.mark.parametrize(
    ("order", "days", "says"),
    [
        ("confirmed", -2, "Ready to collect"),
        ("confirmed", 1, "Ready tomorrow"),
        ("confirmed", 8, "Ready Wed, 2 Dec"),
        ("disputed", 8, "Ready Wed, 2 Dec"),
        ("payment_pending", 8, "Ready Wed, 2 Dec"),
        ("return_requested", -2, ""),
        ("returned", -2, ""),
        ("refunded", 8, ""),
        ("cancelled", 8, ""),
    ],
)
async def test_an_order_says_when_its_car_was_promised_not_when_it_could_be_ordered_now(
    shopfront: Shopfront, order: str, days: int, says: str
) -> None:
    async with shopfront.visitor() as visitor:
        address = await _bought(shopfront, visitor, await available_car(visitor), ACCEPTED)
        async with shopfront.services["checkout"].service.database.transaction() as transaction:
            values = {"state": order, "ready_for_handover_at": TUESDAY + timedelta(days=days)}
            hold_id = address.rsplit("/", 1)[1]
            await transaction.execute(
                ORDERS.update().where(ORDERS.c.hold_id == hold_id).values(values)
            )
        main = _main(await visitor.get(f"{address}/order"))

    assert set(re.findall(r"Ready [^<]*?(?= ·|<)", main)) == ({says} if says else set())
    assert ("Collect by</dt>" in main) == (order == "confirmed")
