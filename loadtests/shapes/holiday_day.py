"""A holiday day, compressed."""

import itertools

from loadtests.shapes.shape import Shape

HOURS = (
    (0.0, 1.6),
    (3.0, 0.95),
    (6.0, 1.4),
    (9.0, 3.2),
    (11.0, 4.6),
    (14.0, 4.6),
    (17.0, 3.9),
    (19.0, 4.8),
    (20.0, 5.8),
    (22.0, 5.8),
    (24.0, 1.6),
)
"""Hour of the day and multiple of an ordinary day's rate; straight lines between. The mean is 3.4
(Cyber Monday over a season's day, Adobe 2024: 3.37), the evening 5.8 (its top two hours over the
season's mean), the plateau before it the late morning of Black Friday."""


class HolidayDay(Shape):
    """Does the shop keep its promises on the busiest day of the year?

    24 hours in `duration_seconds` (five minutes by default): a quiet night, a morning ramp, a noon
    plateau and an evening peak of 5.8 times the base rate from 20 to 22 o'clock. Shoppers' thinking
    is compressed too, so that as many are in the shop at once as the rate implies (Little's law).
    """

    name = "holiday-day"
    peak = 5.8

    def __init__(self, duration_seconds: float = 300.0) -> None:
        super().__init__(duration_seconds)

    def hour_at(self, seconds: float) -> float:
        """The hour of the compressed day, 0 to 24."""
        return 24.0 * seconds / self.duration_seconds

    def multiple_at(self, seconds: float) -> float:
        hour = self.hour_at(seconds)
        for (start, low), (end, high) in itertools.pairwise(HOURS):
            if start <= hour <= end:
                return low + (high - low) * (hour - start) / (end - start)
        return 0.0
