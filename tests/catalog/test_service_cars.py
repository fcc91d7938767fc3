"""Finding cars through the catalogue's API: filters, order, paging, freshness, callers."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from app.catalog.main import build
from app.contracts.catalog import Car, CarPage, DealerList, Model, ModelList
from app.kernel.clock import ManualClock
from app.kernel.geo import distance_km
from tests.builders.checkout_events import CheckoutEvents
from tests.builders.services import Running, running, synthetic_headers

pytestmark = pytest.mark.asyncio(loop_scope="module")

TUESDAY = datetime(2026, 11, 24, 9, 0, 20, tzinfo=UTC)
CARS = "/api/catalog/v1/cars"
STOCKHOLM = (59.33, 18.06)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """The shipped stock on a Tuesday morning; tests of this module only read it."""
    folder = tmp_path_factory.mktemp("catalog")
    async with running(folder, {"catalog": build}, clock=ManualClock(TUESDAY)) as services:
        yield services["catalog"]


async def every_car(shop: Running, **query: Any) -> list[Car]:
    """All pages of a query, one after the other."""
    found: list[Car] = []
    cursor: str | None = None
    while True:
        asked = {**query, **({"cursor": cursor} if cursor else {})}
        response = await shop.public.get(CARS, params=asked)
        assert response.status_code == 200, response.text
        page = CarPage.model_validate_json(response.content)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            assert page.total == len(found)
            return found


async def test_the_shipped_stock_is_on_offer_in_four_markets(shop: Running) -> None:
    cars = await every_car(shop, limit=100)

    assert {car.market for car in cars} == {"SE", "NO", "DK", "FI"}
    assert len(cars) == len({car.car_id for car in cars}) == 1040  # as the README says
    assert {car.state for car in cars} == {"available"}


FILTERS: list[tuple[dict[str, Any], Callable[[Car], bool]]] = [
    ({"market": "NO"}, lambda car: car.market == "NO"),
    ({"model": "alken"}, lambda car: car.model_id == "alken"),
    ({"body": ["suv", "estate"]}, lambda car: car.body in ("suv", "estate")),
    ({"fuel": "plugin_hybrid"}, lambda car: car.fuel == "plugin_hybrid"),
    ({"colour": "blue"}, lambda car: car.colour.family == "blue"),
    ({"colour": "djupfjord"}, lambda car: car.colour.name == "Djupfjord"),
    ({"min_seats": 7}, lambda car: (car.seats or 0) >= 7),
    ({"market": "SE", "max_price": 30_000_000}, lambda car: car.price.amount <= 30_000_000),
    ({"dealer": "SE-STO-1"}, lambda car: car.dealer.dealer_id == "SE-STO-1"),
    ({"ready_today": "true"}, lambda car: car.ready_today),
    (
        {"market": "FI", "body": "suv", "fuel": "electric"},
        lambda car: (car.body, car.fuel) == ("suv", "electric"),
    ),
]


@pytest.mark.parametrize(("query", "fits"), FILTERS, ids=[str(query) for query, _ in FILTERS])
async def test_a_filter_finds_exactly_the_cars_that_fit(
    shop: Running, query: dict[str, Any], fits: Callable[[Car], bool]
) -> None:
    market = {"market": query["market"]} if "market" in query else {}
    found = {car.car_id for car in await every_car(shop, limit=100, **query)}

    everything = await every_car(shop, limit=100, **market)
    assert found == {car.car_id for car in everything if fits(car)}
    assert found


ORDERS: list[tuple[dict[str, Any], Callable[[Car], Any]]] = [
    ({"sort": "price", "market": "SE"}, lambda car: car.price.amount),
    (
        {"sort": "distance", "near": "59.33,18.06"},
        lambda car: round(distance_km(*STOCKHOLM, car.dealer.lat or 0, car.dealer.lon or 0), 1),
    ),
    ({"sort": "ready", "market": "DK"}, lambda car: car.ready_for_handover_at),
]


@pytest.mark.parametrize(("query", "key"), ORDERS, ids=["price", "distance", "ready"])
async def test_pages_together_are_the_whole_list_in_order(
    shop: Running, query: dict[str, Any], key: Callable[[Car], Any]
) -> None:
    in_one = await every_car(shop, limit=100, **query)
    in_many = await every_car(shop, limit=37, **query)

    assert in_many == in_one
    assert [key(car) for car in in_one] == sorted(key(car) for car in in_one)
    assert len({car.car_id for car in in_one}) == len(in_one)


async def test_distance_is_told_when_a_place_was_given_and_only_then(shop: Running) -> None:
    near = await every_car(shop, market="SE", near="59.33,18.06", limit=100)
    far = await every_car(shop, market="SE", limit=100)

    assert [car.dealer.distance_km for car in near] == [
        round(distance_km(*STOCKHOLM, car.dealer.lat or 0, car.dealer.lon or 0), 1) for car in near
    ]
    assert {car.dealer.distance_km for car in far} == {None}


async def test_excluded_cars_are_left_out(shop: Running) -> None:
    first, second, third, *_ = await every_car(shop, market="SE", limit=100)

    rest = await every_car(shop, market="SE", limit=100, exclude=[first.car_id, second.car_id])

    assert rest[0] == third
    assert {first.car_id, second.car_id}.isdisjoint(car.car_id for car in rest)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"market": "XX"}, "market"),
        ({"market": "SE", "body": "tank"}, "body.0"),
        ({"fuel": "coal"}, "fuel.0"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"max_price": "5"}, "market"),
        ({"max_price": "-5", "market": "SE"}, "max_price"),
        ({"near": "59.33"}, "near"),
        ({"near": "nan,18"}, "near"),
        ({"near": "91,18"}, "near"),
        ({"near": "a,b"}, "near"),
        ({"sort": "distance"}, "near"),
        ({"sort": "beauty"}, "sort"),
        ({"ready_today": "perhaps"}, "ready_today"),
        ({"cursor": "!!!"}, "cursor"),
        ({"cursor": "bnVsbA"}, "cursor"),
        ({"cursor": "WyJkaXN0YW5jZSIsMSwxLDEsMV0"}, "cursor"),
        ({"min_seats": "many"}, "min_seats"),
    ],
)
async def test_a_wrong_value_is_named(shop: Running, query: dict[str, str], field: str) -> None:
    response = await shop.public.get(CARS, params=query)

    problem = response.json()
    assert (response.status_code, response.headers["content-type"]) == (
        422,
        "application/problem+json",
    )
    assert problem["type"] == "/problems/invalid-input"
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_a_cursor_of_another_order_is_refused(shop: Running) -> None:
    by_price = (await shop.public.get(CARS, params={"market": "SE", "sort": "price"})).json()

    response = await shop.public.get(
        CARS, params={"market": "SE", "sort": "ready", "cursor": by_price["next_cursor"]}
    )

    assert response.status_code == 422


async def test_no_query_at_all_breaks_the_list(shop: Running) -> None:
    dice = random.Random(7)
    names = ["market", "model", "colour", "near", "cursor", "limit", "max_price", "sort", "dealer"]
    values = ["", "SE", "0", "-1", "1e999", "null", "å" * 90, "59,18", "\x00", "💥", "WyI", "true"]
    for _ in range(150):
        query = {dice.choice(names): dice.choice(values) for _ in range(dice.randint(1, 4))}
        response = await shop.public.get(CARS, params=query)
        assert response.status_code in (200, 422), (query, response.text)


async def test_an_unchanged_list_costs_no_body(shop: Running) -> None:
    first = await shop.public.get(CARS, params={"market": "SE"})

    again = await shop.public.get(
        CARS, params={"market": "SE"}, headers={"if-none-match": first.headers["etag"]}
    )

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "private, no-cache"


async def test_synthetic_callers_see_rehearsal_stock_and_nobody_else_does(shop: Running) -> None:
    proof = synthetic_headers(TUESDAY)
    people = await every_car(shop, market="SE", limit=100)
    response = await shop.public.get(CARS, params={"market": "SE", "limit": 100}, headers=proof)
    machines = CarPage.model_validate_json(response.content)

    assert machines.total == 120
    assert {car.car_id for car in machines.items}.isdisjoint(car.car_id for car in people)
    for car, headers, status in [
        (machines.items[0], proof, 200),
        (machines.items[0], {}, 404),
        (people[0], proof, 404),
        (people[0], {}, 200),
    ]:
        answer = await shop.public.get(f"{CARS}/{car.car_id}", headers=headers)
        assert answer.status_code == status


async def test_a_claim_to_be_synthetic_without_proof_is_ignored(shop: Running) -> None:
    response = await shop.public.get(
        CARS,
        params={"market": "SE"},
        headers={"x-vitrine-synthetic": f"{int(TUESDAY.timestamp())}.00"},
    )

    assert response.json()["total"] == 420


async def test_the_range_names_every_model_with_its_personality(shop: Running) -> None:
    models = ModelList.model_validate_json(
        (await shop.public.get("/api/catalog/v1/models")).content
    )
    alken = await shop.public.get("/api/catalog/v1/models/alken")

    assert len(models.items) >= 24
    assert Model.model_validate_json(alken.content) in models.items
    assert all(set(model.personality) == set(models.items[0].personality) for model in models.items)


async def test_dealers_have_place_and_hours(shop: Running) -> None:
    response = await shop.public.get("/api/catalog/v1/dealers", params={"market": "SE"})

    dealers = DealerList.model_validate_json(response.content).items
    assert {dealer.market for dealer in dealers} == {"SE"}
    assert all(dealer.opening_hours and dealer.lat and dealer.lon for dealer in dealers)


async def test_a_car_id_that_cannot_be_one_is_nobody_s(shop: Running) -> None:
    response = await shop.public.get(f"{CARS}/%00")

    assert response.status_code == 404


@pytest.mark.parametrize("path", ["cars/car_unknown", "models/unknown", "nothing"])
async def test_what_is_not_there_is_a_problem(shop: Running, path: str) -> None:
    response = await shop.public.get(f"/api/catalog/v1/{path}")

    assert (response.status_code, response.json()["type"]) == (404, "/problems/not-found")


async def test_openapi_names_every_route_and_its_problems(shop: Running) -> None:
    document = (await shop.public.get("/api/catalog/v1/openapi.json")).json()

    assert set(document["paths"]) == {
        "/api/catalog/v1/cars",
        "/api/catalog/v1/cars/{car_id}",
        "/api/catalog/v1/models",
        "/api/catalog/v1/models/{model_id}",
        "/api/catalog/v1/dealers",
        "/api/catalog/v1/feeds/{source}",
    }
    feeds = document["paths"]["/api/catalog/v1/feeds/{source}"]["post"]["responses"]
    assert set(feeds) >= {"200", "400", "401", "409", "413", "422", "503"}


async def test_a_car_is_ready_today_while_its_dealer_is_open(tmp_path: Path) -> None:
    clock = ManualClock(TUESDAY)
    async with running(tmp_path, {"catalog": build}, clock=clock) as services:
        shop = services["catalog"]
        open_hours = await every_car(shop, market="SE", ready_today="true", limit=100)
        clock.advance(hours=12)  # 22:00 in Stockholm
        evening = await every_car(shop, market="SE", ready_today="true", limit=100)

    assert len(open_hours) > 50
    assert all(
        car.ready_for_handover_at and car.ready_for_handover_at.date() == TUESDAY.date()
        for car in open_hours
    )
    assert evening == []


async def test_a_held_car_leaves_the_answers_and_comes_back(tmp_path: Path) -> None:
    checkout = CheckoutEvents()
    others = {("checkout", True): checkout.app}
    async with running(tmp_path, {"catalog": build}, others=others) as services:
        shop = services["catalog"]
        cars = await every_car(shop, market="SE", limit=100)
        car = cars[0]
        tag = (await shop.public.get(CARS, params={"market": "SE"})).headers["etag"]

        checkout.car_is(car.car_id, "held")
        checkout.car_is("car_of_another_shop", "sold")
        await shop.job("follow-checkout")()
        await shop.job("refresh-shelf")()

        held = (await shop.public.get(f"{CARS}/{car.car_id}")).json()
        rest = await every_car(shop, market="SE", limit=100)
        fresh = await shop.public.get(CARS, params={"market": "SE"}, headers={"if-none-match": tag})
        assert (held["state"], held["ready_today"]) == ("held", False)
        assert [c.car_id for c in rest] == [c.car_id for c in cars[1:]]
        assert fresh.status_code == 200

        checkout.car_is(car.car_id, "available")
        await shop.job("follow-checkout")()
        await shop.job("refresh-shelf")()
        assert [c.car_id for c in await every_car(shop, market="SE", limit=100)] == [
            c.car_id for c in cars
        ]

        checkout.car_is(car.car_id, "sold")
        await shop.job("follow-checkout")()
        await shop.job("refresh-shelf")()
        sold = (await shop.public.get(f"{CARS}/{car.car_id}")).json()
        assert sold["state"] == "sold"
    assert checkout.asked_after == sorted(checkout.asked_after)


async def test_the_next_page_goes_on_where_the_last_ended_although_cars_were_sold(
    tmp_path: Path,
) -> None:
    checkout = CheckoutEvents()
    others = {("checkout", True): checkout.app}
    query: dict[str, Any] = {"market": "SE", "near": "59.33,18.06", "limit": 10}
    async with running(tmp_path, {"catalog": build}, others=others) as services:
        shop = services["catalog"]
        whole = await every_car(shop, **{**query, "limit": 100})
        first = CarPage.model_validate_json((await shop.public.get(CARS, params=query)).content)
        for car in first.items[3:]:  # the last one too, at which the cursor points
            checkout.car_is(car.car_id, "sold")
        await shop.job("follow-checkout")()
        await shop.job("refresh-shelf")()

        response = await shop.public.get(CARS, params={**query, "cursor": first.next_cursor})

    second = CarPage.model_validate_json(response.content)
    assert [c.car_id for c in second.items] == [c.car_id for c in whole[10:20]]


async def test_the_catalogue_serves_while_checkout_is_away(tmp_path: Path) -> None:
    async with running(tmp_path, {"catalog": build}, background=True) as services:
        response = await services["catalog"].public.get(CARS)
        ready = await services["catalog"].internal.get("/health/ready")

    assert (response.status_code, ready.status_code) == (200, 200)


async def test_nothing_is_ready_on_christmas_day_whatever_day_of_the_week_it_is(
    tmp_path: Path,
) -> None:
    a_friday = datetime(2026, 12, 25, 10, 0, tzinfo=UTC)
    async with running(tmp_path, {"catalog": build}, clock=ManualClock(a_friday)) as services:
        shop = services["catalog"]
        found = {
            market: (await every_car(shop, market=market, ready_today="true", limit=100))
            for market in ("SE", "NO", "DK", "FI", "US")
        }
        cars = await every_car(shop, market="SE", limit=100)

    assert {market: len(ready) for market, ready in found.items()} == dict.fromkeys(found, 0)
    assert cars
    assert not any(car.ready_today for car in cars)
