"""One car, one shopper at a time."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from app.kernel.clock import rfc3339
from tests.builders.services import DEALER, synthetic_headers
from tests.builders.shop import ANOTHER, DEPOSIT, PAYS, PRICE, Shop, listed


async def _release(shop: Shop, hold: dict[str, Any], **headers: str) -> httpx.Response:
    return await shop.checkout.public.delete(
        f"/api/checkout/v1/holds/{hold['hold_id']}", headers=headers
    )


async def test_a_hold_promises_car_price_and_time(shop: Shop) -> None:
    hold = await shop.held()

    assert hold == {
        "hold_id": hold["hold_id"],
        "car_id": "car_1",
        "expires_at": "2026-11-27T09:15:00.000Z",
        "price": {"amount": PRICE, "currency": "SEK"},
        "deposit": {"amount": DEPOSIT, "currency": "SEK"},
    }
    assert await shop.car() == "held"
    assert await shop.fact_types() == ["hold.placed", "car.state_changed"]


async def test_of_fifty_shoppers_at_once_exactly_one_holds_the_car(shop: Shop) -> None:
    answers = await asyncio.gather(*[shop.hold() for _ in range(50)])

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 49
    assert await shop.rows("SELECT COUNT(*) FROM holds") == [(1,)]
    assert await shop.broken_invariants() == {}
    assert (await shop.fact_types()).count("hold.refused") == 49


async def test_who_is_too_late_is_told_kindly_and_shown_similar_cars(shop: Shop) -> None:
    await shop.held()

    late = await shop.hold()

    assert late.status_code == 409
    assert late.headers["content-type"] == "application/problem+json"
    problem = late.json()
    assert (problem["type"], problem["instance"]) == (
        "/problems/car-not-available",
        "/api/checkout/v1/holds",
    )
    assert [car["car_id"] for car in problem["similar_cars"]] == ["like_8", "like_9"]


async def test_sold_out_is_counted_as_such_and_not_as_an_error(shop: Shop) -> None:
    await shop.held()
    await shop.hold()

    def attempts(outcome: str) -> float:
        return shop.metric("checkout_hold_attempts_total", service="checkout", outcome=outcome)

    def requests(outcome: str) -> float:
        return shop.metric(
            "http_server_request_duration_seconds_count",
            service="checkout",
            http_request_method="POST",
            http_route="/api/checkout/v1/holds",
            outcome=outcome,
        )

    assert (attempts("ok"), attempts("sold_out"), attempts("fault")) == (1, 1, 0)
    assert (requests("ok"), requests("sold_out"), requests("fault")) == (1, 1, 0)


async def test_a_lost_race_is_one_fact_however_often_it_is_told(shop: Shop) -> None:
    await shop.held()

    first = await shop.hold(key='"the-loser-1"')
    again = await shop.hold(key='"the-loser-1"')

    assert (again.status_code, again.content) == (409, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert (await shop.fact_types()).count("hold.refused") == 1
    assert shop.metric("checkout_hold_attempts_total", service="checkout", outcome="sold_out") == 1


async def test_an_expired_hold_returns_its_car_when_it_is_swept(shop: Shop) -> None:
    hold = await shop.held()
    shop.clock.advance(minutes=15)

    assert await shop.checkout.job("sweep")() == 1
    assert await shop.checkout.job("sweep")() == 0

    assert await shop.car() == "available"
    released = [event for event in await shop.facts() if event.type == "checkout.hold.released"]
    assert [event.data for event in released] == [
        {
            "hold_id": hold["hold_id"],
            "car_id": "car_1",
            "reason": "expired",
            "ended_as": "abandoned",
            "order_id": "",
        }
    ]


async def test_an_expired_hold_gives_way_before_anybody_has_swept(shop: Shop) -> None:
    first = await shop.held()
    shop.clock.advance(minutes=15)

    second = await shop.held(**ANOTHER)

    assert second["hold_id"] != first["hold_id"]
    assert await shop.fact_types() == [
        *("hold.placed", "car.state_changed"),
        *("hold.released", "car.state_changed", "hold.placed", "car.state_changed"),
    ]
    assert await shop.broken_invariants() == {}


async def test_a_hold_is_not_swept_a_second_before_its_time(shop: Shop) -> None:
    await shop.held()
    shop.clock.advance(minutes=14, seconds=59)

    assert await shop.checkout.job("sweep")() == 0
    assert await shop.car() == "held"


async def test_a_hold_can_be_given_back_twice(shop: Shop) -> None:
    hold = await shop.held()

    assert [(await _release(shop, hold)).status_code for _ in range(2)] == [204, 204]
    assert await shop.car() == "available"
    assert (await shop.fact_types()).count("hold.released") == 1


async def test_a_hold_that_became_an_order_is_not_given_back(shop: Shop) -> None:
    order = await shop.ordered()
    await shop.pay(order, PAYS)

    answer = await _release(shop, order)

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/payment-under-way")
    assert await shop.car() == "reserved"


async def test_a_session_s_hold_is_nobody_else_s(sqlite_shop: Shop) -> None:
    mine, yours = (sqlite_shop.cookie(who) for who in ("ses_mine", "ses_yours"))
    hold = (await sqlite_shop.hold(**mine)).json()
    address = f"/api/checkout/v1/holds/{hold['hold_id']}"

    seen = [
        (await sqlite_shop.checkout.public.get(address, headers=headers)).status_code
        for headers in (mine, yours, {})
    ]

    assert seen == [200, 404, 404]
    assert (await _release(sqlite_shop, hold, **yours)).status_code == 404
    assert (await sqlite_shop.order(hold["hold_id"], headers=yours)).status_code == 404
    assert (await sqlite_shop.order(hold["hold_id"], headers=mine)).status_code == 201


async def test_one_s_own_hold_is_no_lost_race(shop: Shop) -> None:
    mine = shop.cookie("ses_1")
    first = await shop.hold(**mine)
    second = await shop.hold(key='"second-tab"', **mine)
    order = await shop.order(first.json()["hold_id"], headers=mine)
    while_paying = await shop.hold(**mine)
    again = await shop.hold(key='"second-tab"', **mine)
    stranger = await shop.hold(**shop.cookie("ses_2"))

    assert order.status_code == 201
    assert [each.status_code for each in (first, second, while_paying, again)] == [
        201,
        200,
        200,
        200,
    ]
    assert {each.content for each in (second, while_paying, again)} == {first.content}
    assert stranger.status_code == 409
    facts = await shop.fact_types()
    assert (facts.count("hold.placed"), facts.count("hold.refused")) == (1, 1)


async def test_who_has_bought_a_car_and_reaches_for_it_again_is_told_so(shop: Shop) -> None:
    mine = shop.cookie("ses_1")
    hold = (await shop.hold(**mine)).json()
    order = (await shop.order(hold["hold_id"], headers=mine)).json()
    await shop.pay(order, PAYS)

    again = (await shop.hold(**mine)).json()
    stranger = (await shop.hold(**shop.cookie("ses_2"))).json()
    nobody = (await shop.hold()).json()

    assert again["type"] == "/problems/car-not-available"
    assert (again["title"], again["reason"]) == ("You have bought this car", "yours")
    assert (again["order_id"], again["hold_id"]) == (order["order_id"], hold["hold_id"])
    assert (
        stranger["detail"] == nobody["detail"] == "This car has been sold. Here are cars like it."
    )
    assert "order_id" not in stranger | nobody
    assert (await shop.fact_types()).count("hold.refused") == 2


@pytest.mark.parametrize("gone", ["held", "sold", "not_on_offer"])
async def test_a_lost_race_says_what_became_of_the_car(shop: Shop, gone: str) -> None:
    if gone == "held":
        await shop.held()
    elif gone == "sold":
        await shop.checkout.public.post(
            "/api/checkout/v1/cars/car_1/desk-sale",
            headers={**DEALER, "idempotency-key": shop.key()},
        )
    else:
        await shop.withdraw_car("car_1")

    assert (await shop.hold()).json()["reason"] == gone


async def test_one_s_own_hold_pressed_often_at_once_is_one_hold(shop: Shop) -> None:
    mine = shop.cookie("ses_1")

    answers = await asyncio.gather(*[shop.hold(**mine) for _ in range(12)])

    assert sorted(answer.status_code for answer in answers) == [200] * 11 + [201]
    assert {answer.json()["hold_id"] for answer in answers} == {answers[0].json()["hold_id"]}
    assert (await shop.fact_types()).count("hold.refused") == 0


async def test_a_session_lists_its_own_running_holds(shop: Shop) -> None:
    mine = shop.cookie("ses_1")
    holds = []
    for number in (1, 2, 3):
        holds.append((await shop.hold(f"car_{number}", **mine)).json())
        shop.clock.advance(seconds=1)
    await shop.hold("car_4", **shop.cookie("ses_2"))
    await _release(shop, holds[1], **mine)

    async def listed(**headers: str) -> Any:
        return (await shop.checkout.public.get("/api/checkout/v1/holds", headers=headers)).json()

    assert await listed(**mine) == {"items": [holds[0], holds[2]], "next_cursor": None}
    assert await listed() == {"items": [], "next_cursor": None}
    shop.clock.advance(minutes=15)
    assert (await listed(**mine))["items"] == []


@pytest.mark.parametrize(
    "odd",
    [
        {b"cookie": "city=Malmö; plan=“år”".encode()},
        {b"accept-language": b"sv-\xe5, en"},
        {b"x-vitrine-synthetic": b"1.\xff"},
    ],
)
async def test_who_is_too_late_is_answered_whatever_headers_they_bring(
    shop: Shop, odd: dict[bytes, bytes]
) -> None:
    await shop.held()

    late = await shop.checkout.public.post(
        "/api/checkout/v1/holds",
        json={"car_id": "car_1"},
        headers={b"idempotency-key": b'"odd headers"', **odd},
    )

    assert late.status_code == 409
    assert [car["car_id"] for car in late.json()["similar_cars"]] == ["like_8", "like_9"]


async def test_a_session_holds_at_most_three_cars(shop: Shop) -> None:
    mine = shop.cookie("ses_1")
    answers = [await shop.hold(f"car_{number}", **mine) for number in (1, 2, 3, 4)]

    assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
    assert answers[3].headers["retry-after"] == "60"
    await _release(shop, answers[0].json(), **mine)
    assert (await shop.hold("car_4", **mine)).status_code == 201


async def test_an_address_cannot_freeze_the_stock_even_all_at_once(shop: Shop) -> None:
    await shop.state(*(listed(f"car_{number}") for number in range(5, 211)))

    def hold(number: int, address: str) -> Any:
        return shop.hold(f"car_{number}", **{"x-forwarded-for": address})

    answers = await asyncio.gather(*[hold(number, "203.0.113.7") for number in range(1, 207)])
    others = await asyncio.gather(*[hold(number, "203.0.113.8") for number in range(207, 211)])

    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(201), statuses.count(429)) == (200, 6)
    assert [answer.status_code for answer in others] == [201] * 4


async def test_a_limit_never_answers_for_a_car_that_is_gone(shop: Shop) -> None:
    mine = shop.cookie("ses_1")
    for number in (1, 2, 3):
        await shop.hold(f"car_{number}", **mine)
    await shop.hold("car_4")

    assert (await shop.hold("car_4", **mine)).status_code == 409


async def test_synthetic_shoppers_and_people_never_meet_at_a_car(shop: Shop) -> None:
    synthetic = synthetic_headers(shop.clock.now())

    answers = [
        await shop.hold("rehearsal_1"),
        await shop.hold("car_1", **synthetic),
        await shop.hold("rehearsal_1", **synthetic),
        await shop.hold("car_1", **{"x-vitrine-synthetic": "1.deadbeef"}),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 201, 201]
    traffic = [event.context.traffic for event in await shop.facts()]
    assert traffic == ["synthetic", "synthetic", "human", "human"]


async def test_a_car_that_left_its_feed_is_sold_out(shop: Shop) -> None:
    await shop.withdraw_car("car_1")

    assert (await shop.hold()).status_code == 409


async def test_a_car_that_left_its_feed_while_held_is_not_held_again(shop: Shop) -> None:
    await shop.held()
    await shop.withdraw_car("car_1")
    shop.clock.advance(minutes=16)

    assert (await shop.hold()).status_code == 409
    assert await shop.checkout.job("sweep")() == 1
    assert (await shop.hold()).status_code == 409


async def test_a_new_price_is_for_the_next_hold(shop: Shop) -> None:
    await shop.held("car_1")
    await shop.list_car("car_1", price=45_000_000)
    await shop.list_car("car_2", price=45_000_000)

    order = (await shop.order((await shop.held("car_2"))["hold_id"])).json()

    assert order["price"]["amount"] == 45_000_000
    prices = await shop.rows("SELECT car_id, price FROM holds ORDER BY car_id")
    assert prices == [("car_1", PRICE), ("car_2", 45_000_000)]


async def test_without_the_catalogue_the_loser_still_gets_an_answer(shop: Shop) -> None:
    await shop.held()
    shop.checkout.service.platform.resolve = lambda service, internal: None

    late = await shop.hold()

    assert (late.status_code, late.json()["similar_cars"]) == (409, [])


@pytest.mark.parametrize(
    ("car_id", "status"), [("car_99", 404), ("", 422), ("a b", 422), ("x" * 81, 422)]
)
async def test_a_car_that_cannot_be_is_refused(sqlite_shop: Shop, car_id: str, status: int) -> None:
    assert (await sqlite_shop.hold(car_id)).status_code == status


async def test_a_hold_reads_until_it_ends(shop: Shop) -> None:
    hold = await shop.held()
    address = f"/api/checkout/v1/holds/{hold['hold_id']}"

    assert (await shop.checkout.public.get(address)).json() == hold
    shop.clock.advance(minutes=15)
    ended = await shop.checkout.public.get(address)
    assert (ended.status_code, ended.json()["type"]) == (409, "/problems/hold-ended")
    assert hold["expires_at"] == rfc3339(shop.clock.now())


@pytest.mark.parametrize("car_id", ["car_listed_only", "car_nobody_says"])
async def test_a_car_that_is_listed_but_not_read_yet_is_try_again_and_the_same_key_sells_it(
    shop: Shop, car_id: str
) -> None:
    key = '"one-press-of-the-button"'
    early = await shop.hold(car_id, key=key)
    again = await shop.hold(car_id, key=key)
    await shop.list_car(car_id)
    sold = await shop.hold(car_id, key=key)

    for answer in (early, again):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["type"] == "/problems/temporarily-unavailable"
        assert "idempotency-replayed" not in answer.headers
    assert (sold.status_code, sold.json()["car_id"]) == (201, car_id)


async def test_only_a_car_that_the_catalogue_does_not_know_either_is_unknown(shop: Shop) -> None:
    answer = await shop.hold("car_nobody_lists")

    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/car-unknown")
