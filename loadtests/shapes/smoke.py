"""The smallest rehearsal worth having."""

from loadtests.shapes.shape import Shape


class Smoke(Shape):
    """Is the rehearsal itself sound? Level arrivals at the base rate, one minute by default.

    Every journey of the mix happens at least once at one shopper per second or more. It proves
    that shoppers, ledger, Prometheus and verdict work together; it proves nothing about peaks.
    """

    name = "smoke"
    peak = 1.0

    def __init__(self, duration_seconds: float = 60.0) -> None:
        super().__init__(duration_seconds)

    def multiple_at(self, seconds: float) -> float:
        return self.peak if 0 <= seconds <= self.duration_seconds else 0.0
