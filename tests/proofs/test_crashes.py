"""`kill -9` of a worker at random moments under load; the shoppers only notice that they wait."""

from __future__ import annotations

import random

import pytest

from tests.proofs.books import assert_nothing_lost_or_doubled
from tests.proofs.conftest import StartStack
from tests.proofs.length import KILLS
from tests.proofs.shopping import NO_ANSWER, OpenDoors

pytestmark = pytest.mark.integration

SHOPPERS = 8
CARS = 4000 if KILLS > 10 else 400


def test_a_worker_killed_at_random_moments_loses_and_doubles_nothing(
    start_stack: StartStack,
) -> None:
    doors = OpenDoors()
    with start_stack(insight=True) as stack:
        stack.list_cars(CARS)
        outbox = stack.outbox()
        with stack.shopping(SHOPPERS, doors.behave) as crowd:
            try:
                for number in range(KILLS):
                    crowd.wait_bought(2)
                    # Where in its work the worker is by then is anybody's guess.
                    crowd.wait_answers(random.randint(1, 20))
                    worker = number % len(stack.checkout.processes)
                    stack.checkout.processes[worker].kill()
                    crowd.wait_met(NO_ANSWER, 1)
                    stack.checkout.processes[worker].start()
                    stack.checkout.wait_ready(worker)
                    outbox.read_on()
                crowd.wait_bought(2)
            finally:
                doors.open = False
        assert len(crowd.diary.seen(NO_ANSWER)) >= KILLS
        assert crowd.diary.improper == []
        assert_nothing_lost_or_doubled(stack.books, outbox, crowd.diary.bought)
        assert stack.books.wait_ledger() == len(crowd.diary.bought)
