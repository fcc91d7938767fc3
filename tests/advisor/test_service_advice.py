"""The advisor through its API: languages, callers, freshness, faults, facts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from fastapi import FastAPI
from sqlalchemy.engine import Connection
from starlette.responses import JSONResponse

from app.advisor.main import build
from app.advisor.models import METADATA
from app.catalog.main import build as build_catalog
from app.contracts.advisor import AdvisorClient, MatchRequest, MatchResponse
from app.kernel.clock import ManualClock
from tests.builders.checkout_events import CheckoutEvents
from tests.builders.services import Running, running, synthetic_headers

pytestmark = pytest.mark.asyncio(loop_scope="module")

TUESDAY = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
MATCHES = "/api/advisor/v1/matches"
BOTH = {"catalog": build_catalog, "advisor": build}
FAMILY = {
    "market": "SE",
    "needs": {"seats": 5, "child_seats": 2, "luggage_litres": 500, "max_price": 65_000_000},
    "preferences": {"practical": 0.9, "sporty": 0.2},
    "location": {"lat": 59.33, "lon": 18.06},
    "colours": ["blue"],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Running]]:
    """Catalogue and advisor on the shipped stock."""
    folder = tmp_path_factory.mktemp("advisor")
    async with running(folder, BOTH, clock=ManualClock(TUESDAY)) as services:
        yield services


async def ask(shop: dict[str, Running], body: Any, **headers: str) -> MatchResponse:
    response = await shop["advisor"].public.post(MATCHES, json=body, headers=headers)
    assert response.status_code == 200, response.text
    return MatchResponse.model_validate_json(response.content)


async def test_a_family_gets_models_with_exact_cars_and_reasons(shop: dict[str, Running]) -> None:
    answer = await ask(shop, FAMILY)

    assert answer.result == "completed"
    assert answer.advice_id.startswith("adv_")
    best = answer.matches[0]
    assert best.cars.cheapest is not None
    assert best.cars.nearest is not None
    assert best.cars.nearest.dealer.distance_km is not None
    car = await shop["catalog"].public.get(f"/api/catalog/v1/cars/{best.cars.cheapest.car_id}")
    assert car.json()["price"] == best.cars.cheapest.price.model_dump()


async def test_the_typed_client_reads_the_answer(shop: dict[str, Running]) -> None:
    client = AdvisorClient(shop["advisor"].public)

    answer = await client.match(MatchRequest.model_validate({**FAMILY, "needs": {"seats": 9}}))

    assert (answer.result, answer.matches) == ("no_match", [])
    assert [(way.need, way.from_, way.to) for way in answer.relaxations] == [("seats", 9, 8)]


async def test_a_relaxation_is_written_with_from_and_to(shop: dict[str, Running]) -> None:
    response = await shop["advisor"].public.post(
        MATCHES, json={"market": "SE", "needs": {"seats": 9}}
    )

    (way,) = response.json()["relaxations"]
    assert way == {
        "need": "seats",
        "from": 9,
        "to": 8,
        "also": [],
        "models": way["models"],
        "cars": way["cars"],
    }


@pytest.mark.parametrize(
    ("accepted", "language", "word"),
    [("sv-SE,sv;q=0.9", "sv", "du bad om"), ("en", "en", "you asked for"), ("fi", "en", "you")],
)
async def test_reasons_speak_the_callers_language(
    shop: dict[str, Running], accepted: str, language: str, word: str
) -> None:
    response = await shop["advisor"].public.post(
        MATCHES,
        json={"market": "SE", "preferences": {"practical": 0.9}},
        headers={"accept-language": accepted},
    )

    assert response.headers["content-language"] == language
    assert response.headers["vary"] == "accept-language"
    texts = [reason["text"] for match in response.json()["matches"] for reason in match["because"]]
    assert any(word in text for text in texts)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "market"),
        ({"market": "XX"}, 422, "market"),
        ({"market": "SE", "preferences": {"bold": 1}}, 422, "preferences.bold"),
        ({"market": "SE", "preferences": {"sporty": 1.5}}, 422, "preferences.sporty"),
        ({"market": "SE", "needs": {"seats": 0}}, 422, "needs.seats"),
        ({"market": "SE", "needs": {"seats": "all"}}, 422, "needs.seats"),
        ({"market": "SE", "needs": {"fuels": ["coal"]}}, 422, "needs.fuels.0"),
        ({"market": "SE", "location": {"lat": 91, "lon": 0}}, 422, "location.lat"),
        ({"market": "SE", "colours": ["blue"] * 21}, 422, "colours"),
        ({"market": "SE", "limit": 0}, 422, "limit"),
    ],
)
async def test_a_wrong_value_is_named(
    shop: dict[str, Running], body: dict[str, Any], status: int, field: str
) -> None:
    response = await shop["advisor"].public.post(MATCHES, json=body)

    problem = response.json()
    assert (response.status_code, problem["type"]) == (status, "/problems/invalid-input")
    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"[]", 422),
        (b"null", 422),
        (b'{"market": "SE", "preferences": {"sporty": NaN}}', 422),
        (b'{"market": "SE", "location": {"lat": Infinity, "lon": 0}}', 422),
        (b'{"market": "SE", "needs": {"max_price": 1e400}}', 422),
        (b"\xff\xfe", 400),
    ],
)
async def test_a_body_that_cannot_be_read_is_a_problem(
    shop: dict[str, Running], body: bytes, status: int
) -> None:
    response = await shop["advisor"].public.post(
        MATCHES, content=body, headers={"content-type": "application/json"}
    )

    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"


async def test_no_body_at_all_breaks_the_advice(shop: dict[str, Running]) -> None:
    dice = random.Random(11)
    values: list[Any] = [None, 0, -1, 1, 10**30, 1.5, "", "SE", "blue", [], {}, [None], True]
    fields = ["seats", "child_seats", "max_price", "fuels", "bodies", "all_wheel_drive"]
    for _ in range(150):
        body: dict[str, Any] = {
            "market": dice.choice(["SE", "NO", dice.choice(values)]),
            "needs": {dice.choice(fields): dice.choice(values) for _ in range(2)},
            dice.choice(["preferences", "location", "colours", "limit"]): dice.choice(values),
        }
        response = await shop["advisor"].public.post(MATCHES, json=body)
        assert response.status_code in (200, 422), (body, response.text)


async def test_synthetic_callers_are_advised_rehearsal_cars_and_people_are_not(
    shop: dict[str, Running],
) -> None:
    proof = synthetic_headers(TUESDAY)
    machine = await ask(shop, {"market": "SE"}, **proof)
    person = await ask(shop, {"market": "SE"})

    for answer, headers, status in [
        (machine, proof, 200),
        (machine, {}, 404),
        (person, {}, 200),
        (person, proof, 404),
    ]:
        cheapest = answer.matches[0].cars.cheapest
        assert cheapest is not None
        found = await shop["catalog"].public.get(
            f"/api/catalog/v1/cars/{cheapest.car_id}", headers=headers
        )
        assert found.status_code == status


async def test_advice_is_stated_as_a_fact_and_measured(shop: dict[str, Running]) -> None:
    advisor = shop["advisor"]
    answer = await ask(shop, FAMILY)
    nothing = await ask(shop, {**FAMILY, "needs": {"seats": 9}})
    await advisor.job("write-advice")()

    stated: dict[str, Any] = {}
    after = 0
    while True:
        response = await advisor.internal.get(
            "/internal/advisor/events", params={"consumer": "test", "after": after}
        )
        items = response.json()["items"]
        if not items:
            break
        after = items[-1]["sequence"]
        stated |= {item["data"]["advice_id"]: item for item in items}
    assert stated[answer.advice_id]["type"] == "advisor.advice.given"
    assert stated[answer.advice_id]["market"] == "SE"
    assert stated[answer.advice_id]["data"] == {
        "advice_id": answer.advice_id,
        "result": "completed",
        "matches": len(answer.matches),
        "relaxations": 0,
        "best_model_id": answer.matches[0].model.model_id,
    }
    assert stated[nothing.advice_id]["data"]["result"] == "no_match"
    page = (await advisor.internal.get("/metrics")).text
    counts = {
        line.partition(" ")[0]: float(line.partition(" ")[2])
        for line in page.splitlines()
        if line.startswith(("advisor_matches_total", "advisor_match_duration_seconds_count"))
    }
    assert counts['advisor_matches_total{outcome="ok",service="advisor"}'] > 0
    assert counts['advisor_matches_total{outcome="refused",service="advisor"}'] > 0
    assert counts['advisor_match_duration_seconds_count{service="advisor"}'] == len(stated)


async def test_openapi_has_examples_that_work(shop: dict[str, Running]) -> None:
    document = (await shop["advisor"].public.get("/api/advisor/v1/openapi.json")).json()

    operation = document["paths"][MATCHES]["post"]
    assert set(operation["responses"]) >= {"200", "400", "413", "422", "503"}
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    for example in examples.values():
        assert (await ask(shop, example["value"])).result == "completed"


async def test_a_held_car_leaves_the_advice_and_a_released_one_returns(tmp_path: Path) -> None:
    checkout = CheckoutEvents()
    others = {("checkout", True): checkout.app}
    async with running(tmp_path, BOTH, clock=ManualClock(TUESDAY), others=others) as services:

        async def cheapest() -> str:
            answer = await ask(services, {"market": "DK", "limit": 1})
            car = answer.matches[0].cars.cheapest
            assert car is not None
            return car.car_id

        async def follow() -> None:
            await services["catalog"].job("follow-checkout")()
            await services["advisor"].job("follow-catalog")()

        first = await cheapest()
        checkout.car_is(first, "held")
        await follow()
        second = await cheapest()
        checkout.car_is(first, "available")
        await follow()
        third = await cheapest()

    assert second != first
    assert third == first


async def test_a_held_car_leaves_list_and_advice_by_itself(tmp_path: Path) -> None:
    checkout = CheckoutEvents()
    others = {("checkout", True): checkout.app}
    cars = "/api/catalog/v1/cars"
    async with running(tmp_path, BOTH, others=others, background=True) as services:
        first = (await services["catalog"].public.get(cars, params={"market": "FI"})).json()
        car_id = first["items"][0]["car_id"]
        checkout.car_is(car_id, "held")

        async def seen() -> set[str]:
            listed = await services["catalog"].public.get(cars, params={"market": "FI"})
            answer = await ask(services, {"market": "FI", "limit": 20})
            advised = {m.cars.cheapest.car_id for m in answer.matches if m.cars.cheapest}
            return advised | {item["car_id"] for item in listed.json()["items"]}

        async with asyncio.timeout(120):
            while True:
                if car_id not in await seen():
                    break
                await asyncio.sleep(0.05)  # lets the background jobs run
        state = (await services["catalog"].public.get(f"{cars}/{car_id}")).json()["state"]

    assert state == "held"


async def test_until_the_catalogue_was_read_there_is_no_advice_and_no_readiness(
    tmp_path: Path,
) -> None:
    away = FastAPI()

    @away.get("/{path:path}")
    async def nothing(path: str) -> JSONResponse:
        return JSONResponse({"type": "/problems/overloaded", "detail": "busy"}, status_code=503)

    others = {("catalog", False): away, ("catalog", True): away}
    async with running(tmp_path, {"advisor": build}, others=others) as services:
        advisor = services["advisor"]
        response = await advisor.public.post(MATCHES, json={"market": "SE"})
        ready = await advisor.internal.get("/health/ready")

    assert (response.status_code, response.headers["retry-after"]) == (503, "2")
    assert response.json()["type"] == "/problems/temporarily-unavailable"
    assert ready.status_code == 503


async def test_advice_goes_on_while_its_facts_cannot_be_written(tmp_path: Path) -> None:
    async with running(tmp_path, BOTH, clock=ManualClock(TUESDAY)) as services:
        advisor = services["advisor"]
        async with advisor.service.database.engine.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE outbox RENAME TO elsewhere")
        answer = await ask(services, FAMILY)
        with pytest.raises(Exception, match=r"no such table|does not answer"):
            await advisor.job("write-advice")()
        async with advisor.service.database.engine.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO outbox")
        assert await advisor.job("write-advice")() == 1
        response = await advisor.internal.get(
            "/internal/advisor/events", params={"consumer": "test"}
        )

    assert [item["data"]["advice_id"] for item in response.json()["items"]] == [answer.advice_id]


async def test_migrations_make_exactly_the_tables_of_the_models(
    shop: dict[str, Running],
) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), METADATA))

    async with shop["advisor"].service.database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
