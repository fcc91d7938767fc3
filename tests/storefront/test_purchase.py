"""Buying a car through pages: hold, details, payment, and everything that may come between."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import text

from app.frame.sessions import LABELS
from app.kernel.errors import Unavailable
from tests.builders.services import DEALER
from tests.storefront.conftest import DETAILS, Shopfront, available_car, held, hidden

pytestmark = pytest.mark.asyncio(loop_scope="session")

CARD = {"expiry": "12/30", "cvc": "123", "name": "Anna Ask"}


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def _current_stock(shopfront: Shopfront) -> None:
    """Cars that earlier tests bought have left the list."""
    await shopfront.catch_up()


async def _ordered(visitor: httpx.AsyncClient, address: str, **changes: str) -> httpx.Response:
    details = await visitor.get(address)
    form = {"key": hidden(details.text, "key"), **DETAILS, **changes}
    return await visitor.post(f"{address}/order", data=form)


async def _paid(shopfront: Shopfront, payment_url: str, card: str) -> str:
    """Pay on the provider's page; returns where it sends the shopper."""
    sandbox = shopfront.services["sandbox"].public
    path = urlsplit(payment_url).path
    answer = await sandbox.post(path, data={"card_number": card, **CARD})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def _said(moment: str) -> str:
    """As the shop in Sweden says it in English."""
    utc = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    local = utc.astimezone(ZoneInfo("Europe/Stockholm"))
    return f"{local:%a}, {local.day} {local:%b}, {local:%H:%M}"


async def test_a_car_is_bought_from_list_to_confirmation(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        hold = await held(visitor, await available_car(visitor))
        details = await visitor.get(hold.headers["location"])
        submitted = await _ordered(visitor, hold.headers["location"])
        back = await _paid(shopfront, submitted.headers["location"], "4242 4242 4242 4242")
        order = await visitor.get(urlsplit(back).path)
    async with shopfront.services["checkout"].service.database.read() as connection:
        kept_until = await connection.scalar(
            text("SELECT pick_up_by FROM orders WHERE hold_id = :hold_id"),
            {"hold_id": hold.headers["location"].rsplit("/", 1)[1]},
        )

    assert re.search(r'data-countdown="\d+"', details.text)
    assert details.headers["cache-control"] == "no-store"
    assert 'data-order-state="confirmed"' in order.text
    assert "yours to collect" in order.text
    assert "until the closing time that the order names" in details.text
    assert f"Collect by</dt><dd>{_said(kept_until)}</dd>" in order.text


async def test_every_click_on_the_order_button_leads_to_the_one_payment(
    shopfront: Shopfront,
) -> None:
    async with shopfront.visitor() as visitor:
        address = (await held(visitor, await available_car(visitor))).headers["location"]
        details = await visitor.get(address)
        form = {"key": hidden(details.text, "key"), **DETAILS}
        clicks = await asyncio.gather(
            *(visitor.post(f"{address}/order", data=form) for _ in range(5))
        )

    assert [click.status_code for click in clicks] == [303] * 5
    assert len({click.headers["location"] for click in clicks}) == 1
    assert "/sandbox/pay/" in clicks[0].headers["location"]


async def test_an_order_carries_every_label_of_the_click_that_brought_its_shopper(
    shopfront: Shopfront,
) -> None:
    labels = {f"utm_{name}": f"label {name}" for name in LABELS}
    async with shopfront.visitor() as visitor:
        await visitor.get("/se/en", params=labels)
        hold = await held(visitor, await available_car(visitor))
        await _ordered(visitor, hold.headers["location"])
    checkout = shopfront.services["checkout"]
    async with checkout.service.database.read() as connection:
        facts = await connection.execute(
            text("SELECT data, context FROM outbox WHERE type = 'checkout.order.submitted'")
        )
        stated = [json.loads(fact.data) | json.loads(fact.context) for fact in facts]

    (fact,) = [fact for fact in stated if fact.get("campaign") == "label campaign"]
    assert {name: fact.get(name) for name in labels if name != "utm_campaign"} == {
        name: label for name, label in labels.items() if name != "utm_campaign"
    }
    assert fact["channel_group"] == "unassigned"


async def test_the_order_token_is_in_no_address_and_only_this_purchase_gets_it(
    shopfront: Shopfront,
) -> None:
    async with shopfront.visitor() as visitor, shopfront.visitor() as stranger:
        hold = await held(visitor, await available_car(visitor))
        address = hold.headers["location"]
        submitted = await _ordered(visitor, address)
        token = [
            each
            for each in submitted.headers.get_list("set-cookie")
            if each.startswith("vitrine_order=")
        ]
        order = await visitor.get(f"{address}/order")
        strange = await stranger.get(f"{address}/order")

    assert len(token) == 2
    assert all("HttpOnly" in each for each in token)
    assert {re.search(r"Path=(\S+);", each).group(1) for each in token} == {  # type: ignore[union-attr]
        address.replace("/se/en/", "/se/sv/"),
        address,
    }
    assert 'data-order-state="payment_pending"' in order.text
    assert 'http-equiv="refresh"' in order.text
    assert strange.status_code == 404


async def test_details_that_do_not_fit_are_answered_beside_the_field(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        hold = await held(visitor, await available_car(visitor))
        answer = await _ordered(visitor, hold.headers["location"], name=" ", phone="<b>abc")

    assert answer.status_code == 422
    notes = re.findall(r'class="field-note" id="(\w+)-note">([^<]*)<', answer.text)
    assert [name for name, note in notes if "does not look" in note or "Please" in note] == [
        "name",
        "phone",
    ]
    assert 'value="anna@example.se"' in answer.text
    assert "&lt;b&gt;abc" in answer.text


async def test_a_second_click_is_the_first_order_and_corrected_details_a_new_one(
    shopfront: Shopfront,
) -> None:
    async with shopfront.visitor() as visitor:
        hold = await held(visitor, await available_car(visitor))
        address = hold.headers["location"]
        details = await visitor.get(address)
        form = {"key": hidden(details.text, "key"), **DETAILS}
        answers = [
            await visitor.post(f"{address}/order", data=data)
            for data in (form, form, {**form, "phone": "+46 70 000 00 00"})
        ]

    payments = [answer.headers["location"] for answer in answers]
    assert payments[0] == payments[1]
    assert payments[1] != payments[2]


async def test_a_second_click_on_hold_is_the_same_hold(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        page = await visitor.get(f"/se/en/cars/{await available_car(visitor)}")
        form = {"car_id": hidden(page.text, "car_id"), "key": hidden(page.text, "key")}
        clicks = [await visitor.post("/se/en/purchases", data=form) for _ in range(2)]

    assert clicks[0].headers["location"] == clicks[1].headers["location"]


async def test_the_slower_shopper_is_told_kindly_and_shown_similar_cars(
    shopfront: Shopfront,
) -> None:
    async with shopfront.visitor() as fast, shopfront.visitor() as slow:
        car_id = await available_car(fast)
        page = await slow.get(f"/se/en/cars/{car_id}")
        await held(fast, car_id)
        late = {"car_id": car_id, "key": hidden(page.text, "key")}
        lost = await slow.post("/se/en/purchases", data=late)
        await shopfront.catch_up()
        later = await slow.get(f"/se/en/cars/{car_id}")

    assert lost.status_code == 409
    assert "Somebody was a moment faster" in lost.text
    assert lost.text.count('class="card"') == 3
    assert "Sometimes a car becomes free again within fifteen minutes." in lost.text
    assert "Somebody is looking at this car right now." in later.text
    assert "Hold this car" not in later.text


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "While you held it, its dealer sold the car to a customer there"),
        ("sv", "Medan du höll bilen sålde återförsäljaren den till en kund på plats"),
    ],
)
@pytest.mark.parametrize("declined", [False, True], ids=["nothing tried", "a card declined"])
async def test_a_shopper_is_told_that_the_car_was_sold_in_the_showroom(
    shopfront: Shopfront, language: str, said: str, declined: bool
) -> None:
    async with shopfront.visitor() as visitor:
        car_id = await available_car(visitor)
        address = (await held(visitor, car_id)).headers["location"]
        details = await visitor.get(address)
        if declined:
            order = await _ordered(visitor, address)
            await _paid(shopfront, order.headers["location"], "4000 0000 0000 0002")
        sold = await shopfront.services["checkout"].public.post(
            f"/api/checkout/v1/cars/{car_id}/desk-sale?confirm=true",
            headers={**DEALER, "idempotency-key": f'"sold {car_id}"'},
        )
        await shopfront.catch_up()
        address = address.replace("/en/", f"/{language}/")
        form = {"key": hidden(details.text, "key"), **DETAILS, "name": "Anna Asp"}
        pages = [await visitor.get(address), await visitor.post(f"{address}/order", data=form)]
        listed = await visitor.get("/se/en/cars")
        car = await visitor.get(f"/se/en/cars/{car_id}")

    assert sold.status_code == 200
    assert [(page.status_code, said in page.text) for page in pages] == [(410, True)] * 2
    assert car_id not in listed.text
    assert "This car has found its owner." in car.text


async def test_a_car_given_back_is_free_again(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        car_id = await available_car(visitor)
        hold = await held(visitor, car_id)
        address = hold.headers["location"]
        bar = await visitor.get("/se/en/how-it-works")
        given_back = await visitor.post(f"{address}/release", data={"car_id": car_id})
        gone = await visitor.get(address)
        again = await held(visitor, car_id)

    assert f'class="holdbar" href="{address}"' in bar.text
    assert given_back.headers["location"] == f"/se/en/cars/{car_id}"
    assert gone.status_code == 410
    assert again.status_code == 303


async def test_a_declined_card_may_be_followed_by_another(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        hold = await held(visitor, await available_car(visitor))
        address = hold.headers["location"]
        first = await _ordered(visitor, address)
        await _paid(shopfront, first.headers["location"], "4000 0000 0000 0002")
        declined = await visitor.get(f"{address}/order")
        second = await _ordered(visitor, address)
        await _paid(shopfront, second.headers["location"], "4242 4242 4242 4242")
        confirmed = await visitor.get(f"{address}/order")

    assert 'data-order-state="declined"' in declined.text
    assert f'href="{address}"' in declined.text
    assert 'data-order-state="confirmed"' in confirmed.text


async def test_a_provider_that_is_away_loses_nothing(
    shopfront: Shopfront, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise Unavailable("The payment service does not answer.")

    async with shopfront.visitor() as visitor:
        hold = await held(visitor, await available_car(visitor))
        address = hold.headers["location"]
        with monkeypatch.context() as patched:
            patched.setattr("app.contracts.checkout.CheckoutClient.order", away)
            answer = await _ordered(visitor, address)
        form = {name: hidden(answer.text, name) for name in ("key",)}
        retried = await visitor.post(f"{address}/order", data={**form, **DETAILS})

    assert answer.status_code == 503
    assert "The payment service does not answer right now." in answer.text
    assert 'value="Anna Ask"' in answer.text
    assert retried.status_code == 303


async def test_leaving_the_payment_page_leads_back_to_it(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        hold = await held(visitor, await available_car(visitor))
        address = hold.headers["location"]
        submitted = await _ordered(visitor, address)
        back = await visitor.get(f"{address}/order?back=1")

    assert "You have not paid yet" in back.text
    assert f'href="{submitted.headers["location"]}"' in back.text
    assert "refresh" not in back.text


async def test_a_waiting_page_does_not_look_again_for_ever(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        hold = await held(visitor, await available_car(visitor))
        address = hold.headers["location"]
        await _ordered(visitor, address)
        looks = [await visitor.get(f"{address}/order?look={n}") for n in (0, 19, 20)]

    assert ["http-equiv" in page.text for page in looks] == [True, True, False]
    assert "Look again" in looks[2].text


async def test_feedback_is_asked_for_once_and_counted_once(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        await visitor.get("/se/en?utm_campaign=feedback")
        hold = await held(visitor, await available_car(visitor))
        address = hold.headers["location"]
        submitted = await _ordered(visitor, address)
        await visitor.post(f"{address}/feedback", data={"csat": "2"})  # nothing is bought yet
        await _paid(shopfront, submitted.headers["location"], "4242 4242 4242 4242")
        for scores in ({"csat": "5", "nps": "9"}, {"csat": "1"}):
            await visitor.post(f"{address}/feedback", data=scores)
        orders = {c.value for c in visitor.cookies.jar if c.name == "vitrine_order" and c.value}
        order_id, _, _ = orders.pop().partition(".")
        thanked = await visitor.get(f"{address}/order")

    given = [
        fact["data"]
        for fact in await shopfront.facts()
        if fact["type"] == "storefront.feedback.given" and fact.get("campaign") == "feedback"
    ]
    assert given == [
        {"touchpoint": "order", "csat": 5, "nps": 9, "order_id": order_id, "advice_id": ""}
    ]
    assert "Thank you for telling us" in thanked.text


async def test_who_changes_their_mind_gets_the_deposit_back(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        hold = await held(visitor, await available_car(visitor))
        address = hold.headers["location"]
        submitted = await _ordered(visitor, address)
        await _paid(shopfront, submitted.headers["location"], "4242 4242 4242 4242")
        confirmed = await visitor.get(f"{address}/order")
        form = {"key": hidden(confirmed.text, "key")}
        clicks = [await visitor.post(f"{address}/cancellation", data=form) for _ in range(2)]
        cancelled = await visitor.get(f"{address}/order")

    assert [click.status_code for click in clicks] == [303, 303]
    assert 'data-order-state="cancelled"' in cancelled.text
    assert "goes back in full" in cancelled.text


async def test_a_forms_answer_leads_back_to_the_page_of_the_form(shopfront: Shopfront) -> None:
    async with shopfront.visitor() as visitor:
        hold = await held(visitor, await available_car(visitor))
        address = hold.headers["location"]
        wrong = await _ordered(visitor, address, email="nonsense")

    assert f'href="{address.replace("/en/", "/sv/")}"' in wrong.text


async def test_who_has_tried_as_often_as_a_hold_takes_is_told_what_to_do(
    shopfront: Shopfront,
) -> None:
    async with shopfront.visitor() as visitor:
        hold = await held(visitor, await available_car(visitor))
        address = hold.headers["location"]
        tries = [await _ordered(visitor, address) for _ in range(20)]
        refused = await _ordered(visitor, address)

    assert {each.status_code for each in tries} == {303}
    assert refused.status_code == 409
    assert "That was one try too many" in refused.text
    assert "hold it again, then try anew" in refused.text
