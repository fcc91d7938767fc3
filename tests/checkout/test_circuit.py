"""The circuit breaker and the retry budget, without a provider."""

from __future__ import annotations

import asyncio

import pytest

from app.checkout.providers.circuit import (
    FAILURES_TO_OPEN,
    LONGEST_OPEN_SECONDS,
    OPEN_SECONDS,
    Circuit,
    CircuitOpen,
    CircuitState,
    RetryBudget,
)
from app.checkout.providers.protocol import NoAnswer, ProviderRefused


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """A circuit, its clock, and the states it told of."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.told: list[CircuitState] = []
        self.circuit = Circuit(self.clock, self.told.append)

    def attempt(self, error: BaseException | None = None) -> None:
        with self.circuit.attempt():
            if error is not None:
                raise error

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            with pytest.raises(NoAnswer):
                self.attempt(NoAnswer())

    def refused_for(self) -> float:
        """Seconds for which an attempt is told to wait."""
        with pytest.raises(CircuitOpen) as raised:
            self.attempt()
        return raised.value.seconds


def test_failures_in_a_row_open_the_circuit() -> None:
    watched = Watched()

    watched.fail(FAILURES_TO_OPEN - 1)
    before = watched.circuit.state
    watched.fail()

    assert (before, watched.told) == ("closed", ["open"])
    assert watched.refused_for() == OPEN_SECONDS


def test_an_answer_in_between_starts_the_count_again() -> None:
    watched = Watched()

    for _ in range(5):
        watched.fail(FAILURES_TO_OPEN - 1)
        watched.attempt()

    assert watched.told == []


def test_a_refusal_is_an_answer() -> None:
    watched = Watched()
    watched.fail(FAILURES_TO_OPEN - 1)

    with pytest.raises(ProviderRefused):
        watched.attempt(ProviderRefused("no"))
    watched.fail(FAILURES_TO_OPEN - 1)

    assert watched.told == []


def test_after_a_pause_one_attempt_passes_and_the_others_wait_for_it() -> None:
    watched = Watched()
    watched.fail(FAILURES_TO_OPEN)
    watched.clock.now += OPEN_SECONDS

    with watched.circuit.attempt():
        waiting = watched.refused_for()

    assert waiting == 1.0
    assert watched.told == ["open", "half_open", "closed"]
    watched.attempt()


def test_a_probe_that_fails_doubles_the_pause_up_to_a_limit() -> None:
    watched = Watched()
    watched.fail(FAILURES_TO_OPEN)

    pauses = []
    for _ in range(5):
        pause = watched.refused_for()
        pauses.append(pause)
        watched.clock.now += pause
        watched.fail()

    assert pauses == [5.0, 10.0, 20.0, LONGEST_OPEN_SECONDS, LONGEST_OPEN_SECONDS]


def test_a_recovery_forgets_the_long_pauses() -> None:
    watched = Watched()
    watched.fail(FAILURES_TO_OPEN)
    for _ in range(3):
        watched.clock.now += LONGEST_OPEN_SECONDS
        watched.fail()
    watched.clock.now += LONGEST_OPEN_SECONDS
    watched.attempt()

    watched.fail(FAILURES_TO_OPEN)

    assert watched.refused_for() == OPEN_SECONDS


def test_a_cancelled_probe_lets_the_next_one_look() -> None:
    watched = Watched()
    watched.fail(FAILURES_TO_OPEN)
    watched.clock.now += OPEN_SECONDS

    with pytest.raises(asyncio.CancelledError):
        watched.attempt(asyncio.CancelledError())
    watched.attempt()

    assert watched.told == ["open", "half_open", "closed"]


def test_an_attempt_from_before_neither_closes_nor_prolongs_an_open_circuit() -> None:
    watched = Watched()
    slow, late = watched.circuit.attempt(), watched.circuit.attempt()
    slow.__enter__()
    late.__enter__()
    watched.fail(FAILURES_TO_OPEN)
    watched.clock.now += 2

    slow.__exit__(None, None, None)
    swallowed = late.__exit__(NoAnswer, NoAnswer(), None)

    assert not swallowed
    assert (watched.told, watched.refused_for()) == (["open"], OPEN_SECONDS - 2)


def test_repeats_stay_at_a_tenth_of_calls_once_the_reserve_is_spent() -> None:
    budget = RetryBudget()
    reserve = sum(budget.spend() for _ in range(100))

    repeats = 0
    for _ in range(1000):
        budget.earn()
        repeats += budget.spend()

    assert (reserve, repeats) == (10, 100)


def test_a_quiet_time_does_not_save_up_a_storm() -> None:
    budget = RetryBudget()
    for _ in range(10_000):
        budget.earn()

    assert sum(budget.spend() for _ in range(100)) == 10
