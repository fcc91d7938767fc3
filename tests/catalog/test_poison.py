"""A fact of checkout that the catalogue cannot digest hides no other car's state."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.catalog.main import build
from app.kernel.clock import ManualClock
from app.kernel.facts import Event
from tests.builders.checkout_events import CheckoutEvents
from tests.builders.services import Running, running

CARS = "/api/catalog/v1/cars"
POISON: dict[str, dict[str, Any]] = {
    "too long": {"car_id": "x" * 81},
    "NUL": {"car_id": "x\x00y"},
    "of another type": {"state": 5},
    "an unknown state": {"state": "melted"},
    "missing": {"state": None},
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
async def test_the_other_cars_states_are_shown_and_the_one_after_the_fix(
    tmp_path: Path,
    clock: ManualClock,
    new_database: Callable[[str], str],
    poison: dict[str, Any],
) -> None:
    checkout = CheckoutEvents()
    async with running(
        tmp_path,
        {"catalog": build},
        clock=clock,
        others={("checkout", True): checkout.app},
        databases={"catalog": new_database("catalog")},
    ) as services:
        catalog = services["catalog"]
        first, second = (await catalog.public.get(CARS, params={"limit": 2})).json()["items"]
        checkout.car_is(first["car_id"], "held")
        good = checkout.events[0]
        checkout.events[0] = replace(good, data={**good.data, **poison})
        checkout.car_is(second["car_id"], "sold")

        assert await _states(catalog, first, second) == ["available", "sold"]
        assert await _aside(catalog) == 1

        # The fix: a version comes that can read it. A corrected copy stands for it.
        await _mend(catalog, good)
        clock.advance(seconds=31)
        assert await _states(catalog, first, second) == ["held", "sold"]
        assert await _aside(catalog) == 0


async def test_a_later_state_of_the_car_says_it_all(tmp_path: Path, clock: ManualClock) -> None:
    checkout = CheckoutEvents()
    others = {("checkout", True): checkout.app}
    async with running(tmp_path, {"catalog": build}, clock=clock, others=others) as services:
        catalog = services["catalog"]
        (car,) = (await catalog.public.get(CARS, params={"limit": 1})).json()["items"]
        checkout.car_is(car["car_id"], "melted")
        assert await _states(catalog, car) == ["available"]
        checkout.car_is(car["car_id"], "reserved")

        assert await _states(catalog, car) == ["reserved"]
        assert await _aside(catalog) == 0


async def _states(catalog: Running, *cars: dict[str, Any]) -> list[str]:
    """What the catalogue says of the cars once it has heard all."""
    await catalog.job("follow-checkout")()
    await catalog.job("refresh-shelf")()
    found = [await catalog.public.get(f"{CARS}/{car['car_id']}") for car in cars]
    return [answer.json()["state"] for answer in found]


async def _aside(catalog: Running) -> int:
    async with catalog.service.database.read() as connection:
        return int(await connection.scalar(text("SELECT COUNT(*) FROM undigested")) or 0)


async def _mend(catalog: Running, good: Event) -> None:
    async with catalog.service.database.transaction() as transaction:
        await transaction.execute(
            text("UPDATE undigested SET payload = :wire"), {"wire": json.dumps(good.to_wire())}
        )
