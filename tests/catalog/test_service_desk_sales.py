"""A car that was sold at the desk, from the feed to the list and back, through both services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from app.catalog.documents import car_id_of
from app.catalog.main import build as build_catalog
from app.checkout.main import build as build_checkout
from app.kernel.clock import ManualClock
from tests.builders.feeds import car, feed
from tests.builders.services import DEALER, Running, running

VIN = "1M8GDM9AXKP042788"
ROWS = [car("A1", vin=VIN), car("A2"), car("A3")]


@pytest.fixture
async def services(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[dict[str, Running]]:
    monkeypatch.setenv("CATALOG_REHEARSAL", "false")
    builds = {"catalog": build_catalog, "checkout": build_checkout}
    async with running(tmp_path, builds, clock=clock) as started:
        yield started


async def send(
    services: dict[str, Running], rows: list[dict[str, str]], source: str = "acme"
) -> dict[str, object]:
    answer = await services["catalog"].public.post(
        f"/api/catalog/v1/feeds/{source}?market=SE", content=feed(rows), headers=DEALER
    )
    assert answer.status_code == 200, answer.text
    for _ in range(8):  # the shipped stock is several pages of events
        await services["checkout"].job("consume:catalog")()
    await follow(services)
    report: dict[str, object] = answer.json()
    return report


async def follow(services: dict[str, Running]) -> None:
    for job in ("follow-checkout", "refresh-shelf"):
        await services["catalog"].job(job)()


async def shown(services: dict[str, Running], stock_id: str = "A1", source: str = "acme") -> str:
    """What the catalogue says of a car."""
    car_id = car_id_of(source, "SE", stock_id)
    answer = await services["catalog"].public.get(f"/api/catalog/v1/cars/{car_id}")
    return str(answer.json()["state"]) if answer.status_code == 200 else "gone"


async def desk(services: dict[str, Running], method: str, key: str = "k1") -> httpx.Response:
    path = f"/api/checkout/v1/cars/{car_id_of('acme', 'SE', 'A1')}/desk-sale"
    headers = {**DEALER, "idempotency-key": f'"{key}"'}
    answer = await services["checkout"].public.request(method, path, headers=headers)
    await follow(services)
    return answer


async def test_a_desk_sale_stands_until_the_feed_has_left_the_car_out(
    services: dict[str, Running],
) -> None:
    await send(services, ROWS)
    sold = await desk(services, "POST")
    states = [await shown(services)]
    for rows in (
        ROWS,
        [car("A1", vin=VIN, price="651900.00 SEK"), *ROWS[1:]],
        ROWS[1:],
        ROWS,
    ):
        await send(services, rows)
        states.append(await shown(services))

    assert sold.status_code == 200
    assert states == ["sold", "sold", "sold", "sold", "available"]


async def test_nobody_else_lists_a_car_that_was_sold_at_the_desk(
    services: dict[str, Running],
) -> None:
    await send(services, ROWS)
    await desk(services, "POST")
    await send(services, ROWS[1:])

    report = await send(services, [car("B1", vin=VIN)], source="agency")
    taken_back = await desk(services, "DELETE")
    again = await send(services, ROWS)

    assert (report["accepted"], report["rejected"]) == (0, 1)
    assert taken_back.json() == {
        "car_id": car_id_of("acme", "SE", "A1"),
        "state": "available",
        "sold_at": None,
        "in_feed": False,
    }
    assert (again["accepted"], await shown(services)) == (1, "available")


async def test_a_dealer_hears_which_cars_of_theirs_a_shopper_was_promised(
    services: dict[str, Running],
) -> None:
    await send(services, ROWS)
    for stock_id in ("A1", "A3"):
        held = await services["checkout"].public.post(
            "/api/checkout/v1/holds",
            json={"car_id": car_id_of("acme", "SE", stock_id)},
            headers={"idempotency-key": f'"hold of {stock_id}"'},
        )
        assert held.status_code == 201
    await follow(services)

    report = await send(services, [ROWS[1]])

    assert (report["removed"], report["promised"]) == (0, ["A1", "A3"])
    assert (await send(services, [ROWS[1]]))["promised"] == []
