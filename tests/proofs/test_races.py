"""Many shoppers, few cars: the database alone decides, and it decides once."""

from __future__ import annotations

import random

import pytest

from tests.proofs.books import assert_nothing_lost_or_doubled
from tests.proofs.conftest import StartStack
from tests.proofs.shopping import Shopper

pytestmark = pytest.mark.integration


def test_of_500_shoppers_who_want_one_car_exactly_one_gets_it(start_stack: StartStack) -> None:
    async def reach(shopper: Shopper) -> None:
        hold = await shopper.try_hold("car_1")
        if hold is not None:
            await shopper.buy(hold, doubled=True)

    with start_stack() as stack:
        stack.list_cars(1)
        with stack.shopping(500, reach) as crowd:
            pass
        assert [bought.car_id for bought in crowd.diary.bought] == ["car_1"]
        assert len(crowd.diary.lost) == 499
        assert {lost.code for lost in crowd.diary.lost} == {"car-not-available"}
        assert crowd.diary.improper == []
        assert_nothing_lost_or_doubled(stack.books, stack.outbox(), crowd.diary.bought)


def test_of_200_shoppers_at_10_cars_exactly_10_get_one(
    start_stack: StartStack,
) -> None:
    cars = [f"car_{number}" for number in range(1, 11)]

    async def try_three(shopper: Shopper) -> None:
        for car_id in random.sample(cars, 3):
            hold = await shopper.try_hold(car_id)
            if hold is not None:
                await shopper.buy(hold, doubled=True)
                return

    with start_stack() as stack:
        stack.list_cars(10)
        with stack.shopping(200, try_three) as crowd:
            pass
        assert sorted(bought.car_id for bought in crowd.diary.bought) == sorted(cars)
        assert len(crowd.diary.lost) >= 190 * 3
        assert {lost.code for lost in crowd.diary.lost} == {"car-not-available"}
        assert crowd.diary.improper == []
        assert_nothing_lost_or_doubled(stack.books, stack.outbox(), crowd.diary.bought)
