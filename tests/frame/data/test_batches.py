"""What waits at the same time is run together, and nobody suffers from the company."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from app.frame.data.batches import MOST, Batches, BatchFailed, LineDown


class Press:
    """Doubles numbers, in batches that are remembered; a 13 breaks its batch."""

    def __init__(self) -> None:
        self.runs: list[list[int]] = []

    async def run(self, numbers: Sequence[int]) -> Sequence[int]:
        self.runs.append(list(numbers))
        await asyncio.sleep(0)
        if 13 in numbers:
            raise ValueError("thirteen")
        return [number * 2 for number in numbers]


async def test_what_waits_together_runs_together_and_everybody_gets_their_own() -> None:
    press = Press()
    batches = Batches(press.run)

    results = await asyncio.gather(*[batches.do(number) for number in range(20, 24 + MOST)])

    assert results == [number * 2 for number in range(20, 24 + MOST)]
    assert [len(run) for run in press.runs] == [MOST, 4]


async def test_one_alone_does_not_wait_for_company() -> None:
    press = Press()
    batches = Batches(press.run)

    assert [await batches.do(1), await batches.do(2)] == [2, 4]
    assert press.runs == [[1], [2]]


async def test_two_that_share_something_never_meet_and_keep_their_order() -> None:
    press = Press()
    batches = Batches(press.run, apart=lambda number: [number % 2])

    await asyncio.gather(*[batches.do(number) for number in (1, 3, 2, 5, 4)])

    assert press.runs == [[1, 2], [3, 4], [5]]


async def test_a_batch_that_fails_tells_each_of_its_own_and_the_next_one_runs() -> None:
    press = Press()
    batches = Batches(press.run)

    first = await asyncio.gather(*[batches.do(n) for n in (12, 13)], return_exceptions=True)

    assert [type(result) for result in first] == [BatchFailed, BatchFailed]
    assert await batches.do(14) == 28


async def test_a_request_that_is_given_up_takes_nobody_with_it() -> None:
    press = Press()
    batches = Batches(press.run)
    given_up, other = (asyncio.ensure_future(batches.do(number)) for number in (1, 2))
    await asyncio.sleep(0)

    given_up.cancel()

    assert await other == 4
    with pytest.raises(asyncio.CancelledError):
        await given_up


async def test_a_line_that_is_down_is_not_tried_by_everybody_who_waits_for_it() -> None:
    tried: list[int] = []

    async def run(numbers: Sequence[int]) -> Sequence[int]:
        tried.append(len(numbers))
        await asyncio.sleep(0)
        raise LineDown("no connection")

    batches = Batches(run)
    waiting = [batches.do(number) for number in range(10 * MOST)]
    results = await asyncio.gather(*waiting, return_exceptions=True)

    assert {type(result) for result in results} == {BatchFailed}
    assert tried == [MOST]


@pytest.mark.parametrize("wrong", ["cancelled", "one result too few"])
async def test_whatever_goes_wrong_nobody_waits_for_ever(wrong: str) -> None:
    first = True

    async def run(numbers: Sequence[int]) -> Sequence[int]:
        nonlocal first
        if first:
            first = False
            if wrong == "cancelled":
                raise asyncio.CancelledError
            return []
        return [number * 2 for number in numbers]

    batches = Batches(run)

    with pytest.raises(BatchFailed):
        await batches.do(1)
    assert await batches.do(2) == 4


async def test_who_has_gone_before_the_turn_came_is_not_written() -> None:
    press = Press()
    batches = Batches(press.run, apart=lambda _: ["the same car"])
    first, gone, last = (asyncio.ensure_future(batches.do(number)) for number in (1, 2, 3))
    await asyncio.sleep(0)

    gone.cancel()

    assert [await first, await last] == [2, 6]
    assert press.runs == [[1], [3]]
