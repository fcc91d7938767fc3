"""The shapes are what their docstrings say."""

import itertools
import random

import pytest

from loadtests.arrivals import planned
from loadtests.journeys.mix import MIX
from loadtests.pace import LONGEST, Pace
from loadtests.shapes.book import SHAPES, shape_called
from loadtests.shapes.holiday_day import HOURS, HolidayDay
from loadtests.shapes.shape import Shape


def _mean(shape: Shape, steps: int = 24_000) -> float:
    width = shape.duration_seconds / steps
    return sum(shape.multiple_at((n + 0.5) * width) for n in range(steps)) / steps


def test_a_holiday_day_has_the_published_mean_and_evening() -> None:
    day = HolidayDay(300.0)
    evening = [day.multiple_at(300.0 * hour / 24) for hour in (20.0, 21.0, 22.0)]
    assert (round(_mean(day), 3), evening) == (3.4, [5.8, 5.8, 5.8])
    assert max(multiple for _, multiple in HOURS) == HolidayDay.peak


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_a_shape_never_exceeds_its_peak_and_states_its_intent(name: str) -> None:
    shape = shape_called(name)
    multiples = [shape.multiple_at(shape.duration_seconds * n / 1000) for n in range(1001)]
    assert 0 < max(multiples) <= shape.peak
    assert (shape.__doc__ or "").partition("?")[1] == "?"  # the question that it answers


def test_arrivals_follow_the_rate_and_are_spread_as_a_poisson_process_is() -> None:
    day = HolidayDay(2000.0)
    times = day.arrivals(1.0, random.Random(7))
    expected = 3.4 * 2000.0
    assert abs(len(times) - expected) < 4 * expected**0.5
    evening = sum(20 <= day.hour_at(at) <= 22 for at in times)
    of_evening = 5.8 * 2000.0 * 2 / 24
    assert abs(evening - of_evening) < 4 * of_evening**0.5
    gaps = [b - a for a, b in itertools.pairwise(times)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    # Gaps of arrivals at a fixed pace would have a coefficient of variation near 0, not over 1.
    assert variance**0.5 / mean > 0.9


def test_the_same_seed_gives_the_same_day_and_another_seed_another() -> None:
    days = [planned(HolidayDay(60.0), 1.0, MIX, seed) for seed in (1, 1, 2)]
    assert days[0] == days[1] != days[2]


def test_no_base_rate_no_arrivals() -> None:
    assert HolidayDay(60.0).arrivals(0.0, random.Random(1)) == ()


def test_think_times_are_log_normal_around_their_median_and_bounded() -> None:
    dice = random.Random(3)
    drawn = sorted(Pace(0.5).seconds(10.0, dice) for _ in range(4001))
    assert 4.6 < drawn[2000] < 5.4
    assert drawn[-1] <= 10.0 * LONGEST * 0.5
    assert Pace(0.0).seconds(10.0, dice) == 0.0
