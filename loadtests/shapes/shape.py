"""What a load shape is: a duration and, at each moment, a multiple of the base arrival rate."""

import random
from abc import ABC, abstractmethod
from typing import ClassVar


class Shape(ABC):
    """A non-homogeneous Poisson process of arrivals, whatever the server does (open model)."""

    name: ClassVar[str]
    peak: ClassVar[float]
    """The highest multiple that `multiple_at` ever returns."""

    def __init__(self, duration_seconds: float) -> None:
        self.duration_seconds = duration_seconds

    @abstractmethod
    def multiple_at(self, seconds: float) -> float:
        """How many times the base rate shoppers arrive, `seconds` after the start."""

    def arrivals(self, base_rate: float, dice: random.Random) -> tuple[float, ...]:
        """Arrival times in seconds after the start, for `base_rate` shoppers per second.

        Thinning (Lewis and Shedler 1979): draw a Poisson process at the peak rate, keep each point
        with probability rate(t) / peak rate.
        """
        ceiling = base_rate * self.peak
        times: list[float] = []
        at = 0.0
        while ceiling > 0:
            at += dice.expovariate(ceiling)
            if at >= self.duration_seconds:
                break
            if dice.random() * self.peak < self.multiple_at(at):
                times.append(at)
        return tuple(times)
