"""Holding cars through pages: going back, a second tab, several cars at once."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio

from tests.storefront.conftest import DETAILS, Shopfront, available_car, held, hidden

pytestmark = pytest.mark.asyncio(loop_scope="session")

DECLINED = {
    "card_number": "4000 0000 0000 0002",
    "expiry": "12/30",
    "cvc": "123",
    "name": "Anna Ask",
}


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def _current_stock(shopfront: Shopfront) -> None:
    await shopfront.catch_up()


async def _form(visitor: httpx.AsyncClient, car_id: str) -> dict[str, str]:
    page = await visitor.get(f"/se/en/cars/{car_id}")
    return {"car_id": car_id, "key": hidden(page.text, "key")}


async def test_going_back_after_giving_back_holds_the_car_anew(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        form = await _form(visitor, await available_car(visitor))
        first = await visitor.post("/se/en/purchases", data=form)
        await visitor.post(f"{first.headers['location']}/release", data=form)
        again = await visitor.post("/se/en/purchases", data=form)
        details = await visitor.get(again.headers["location"])

    assert again.headers["location"] != first.headers["location"]
    assert (again.status_code, details.status_code) == (303, 200)


async def test_going_back_after_a_lost_race_tries_again(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as fast, shopfront.visitor() as slow:
        car_id = await available_car(fast)
        form = await _form(slow, car_id)
        hold = await held(fast, car_id)
        lost = await slow.post("/se/en/purchases", data=form)
        await fast.post(f"{hold.headers['location']}/release", data=form)
        again = await slow.post("/se/en/purchases", data=form)

    assert (lost.status_code, again.status_code) == (409, 303)


async def test_going_back_after_the_time_ran_out_holds_the_car_anew(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        form = await _form(visitor, await available_car(visitor))
        first = await visitor.post("/se/en/purchases", data=form)
        shopfront.clock.advance(minutes=15)
        again = await visitor.post("/se/en/purchases", data=form)

    assert again.status_code == 303
    assert again.headers["location"] != first.headers["location"]


async def test_a_second_tab_leads_to_one_s_own_hold(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        car_id = await available_car(visitor)
        forms = [await _form(visitor, car_id) for _ in range(2)]
        tabs = [await visitor.post("/se/en/purchases", data=form) for form in forms]

    assert [tab.status_code for tab in tabs] == [303, 303]
    assert tabs[0].headers["location"] == tabs[1].headers["location"]


PAYS = {**DECLINED, "card_number": "4242 4242 4242 4242"}


@pytest.mark.parametrize(
    ("language", "yours", "sold"),
    [
        ("en", "You have bought this car", "This car has been sold"),
        ("sv", "Du har köpt den här bilen", "Den här bilen är såld"),
    ],
)
async def test_a_car_that_is_bought_says_so_to_its_buyer_and_promises_nobody_else_minutes(
    shopfront: Shopfront, language: str, yours: str, sold: str
) -> None:
    async with shopfront.visitor() as buyer, shopfront.visitor() as other:
        car_id = await available_car(buyer)
        forms = [await _form(each, car_id) for each in (buyer, other)]
        address = (await held(buyer, car_id)).headers["location"]
        details = await buyer.get(address)
        form = {"key": hidden(details.text, "key"), **DETAILS}
        ordered = await buyer.post(f"{address}/order", data=form)
        payment = urlsplit(ordered.headers["location"]).path
        await shopfront.services["sandbox"].public.post(payment, data=PAYS)
        pages = [
            await each.post(f"/se/{language}/purchases", data=form)
            for each, form in zip((buyer, other), forms, strict=True)
        ]
        link = f"{address}/order".replace("/en/", f"/{language}/")
        order = await buyer.get(link)

    assert [page.status_code for page in pages] == [409, 409]
    assert yours in pages[0].text
    assert f'href="{link}"' in pages[0].text
    assert 'data-order-state="confirmed"' in order.text
    assert sold in pages[1].text
    assert not re.search("fifteen minutes|femton minuter", pages[0].text + pages[1].text)


async def test_after_a_declined_card_the_same_form_opens_a_new_payment(
    shopfront: Shopfront,
) -> None:
    async with shopfront.visitor() as visitor:
        hold = await held(visitor, await available_car(visitor))
        address = hold.headers["location"]
        details = await visitor.get(address)
        form = {"key": hidden(details.text, "key"), **DETAILS}
        first = await visitor.post(f"{address}/order", data=form)
        payment = urlsplit(first.headers["location"]).path
        await shopfront.services["sandbox"].public.post(payment, data=DECLINED)
        again = await visitor.post(f"{address}/order", data=form)

    assert (first.status_code, again.status_code) == (303, 303)
    assert "/sandbox/pay/" in again.headers["location"]
    assert again.headers["location"] != first.headers["location"]


async def test_three_cars_are_shown_and_each_can_be_given_back(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        cars = [await available_car(visitor, skip=number) for number in range(4)]
        holds = [(await held(visitor, car_id)).headers["location"] for car_id in cars[:3]]
        bar = await visitor.get("/se/en")
        refused = await held(visitor, cars[3])
        given_back = await visitor.post(f"{holds[0]}/release", data={"car_id": cars[0]})
        shown = await visitor.get("/se/en/purchases")
        fourth = await held(visitor, cars[3])

    assert 'class="holdbar" href="/se/en/purchases"' in bar.text
    assert "3 cars are held for you" in bar.text
    assert refused.status_code == 429
    assert "You hold as many cars as one shopper may" in refused.text
    assert set(re.findall(r'action="(/se/en/purchases/[^"/]+)/release"', refused.text)) == set(
        holds
    )
    assert given_back.status_code == 303
    assert set(re.findall(r'href="(/se/en/purchases/[^"/]+)"', shown.text)) == set(holds[1:])
    assert fourth.status_code == 303


async def test_who_holds_nothing_is_told_so(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        visitor.cookies.set(
            "vitrine_hold", "hld_gone.9999999999~x~hld_old.1000000000", "test.local"
        )
        page = await visitor.get("/se/en/purchases")

    assert page.status_code == 200
    assert "You hold no car at the moment." in page.text


@pytest.mark.parametrize("hold_id", ["@", "%00", "x%0d%0aA:b", "%F0%9F%98%80", "..%2f", "a" * 300])
async def test_an_odd_hold_is_a_missing_page_at_every_address(
    shopfront: Shopfront, hold_id: str
) -> None:
    cookie = {"cookie": "vitrine_order=ord_1.0123456789abcdef"}
    async with shopfront.visitor(**cookie) as visitor:
        address = f"/se/en/purchases/{hold_id}"
        answers = [await visitor.get(address), await visitor.get(f"{address}/order")]
        for action in ("order", "release", "feedback", "cancellation"):
            form = {**DETAILS, "csat": "5", "key": "x"}
            answers.append(await visitor.post(f"{address}/{action}", data=form))

    assert {answer.status_code for answer in answers} <= {404, 422}
    assert not [a for a in answers if "feedback" in a.headers.get("set-cookie", "")]


async def test_a_form_may_name_the_default_port(shopfront: Shopfront) -> None:
    async with shopfront.visitor(host="shop.test:443") as visitor:
        car_id = await available_car(visitor)
        form = await _form(visitor, car_id)
        ours = await visitor.post(
            "/se/en/purchases", data=form, headers={"origin": "https://shop.test"}
        )
        foreign = await visitor.post(
            "/se/en/purchases", data=form, headers={"origin": "https://evil.test"}
        )

    assert (ours.status_code, foreign.status_code) == (303, 403)
