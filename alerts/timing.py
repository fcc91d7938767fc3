"""How long windows are: nominal in production, divided by one factor in a drill; and in words."""

import math
from dataclasses import dataclass

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY

# rate() wants samples on both sides of a gap; with four, one failed scrape is survived.
SCRAPES_PER_WINDOW = 4
_COUNTED = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_UNITS = (("w", WEEK), ("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", 1))


@dataclass(frozen=True, slots=True)
class Timing:
    """Turns nominal seconds into Prometheus durations.

    Windows and `for` are divided by `scale`; a window never gets shorter than four scrapes of
    `scrape_seconds`. Thresholds (ratios, counts, ages) are never scaled: a drill proves the same
    rule on less history, not another rule.
    """

    scale: float = 1.0
    scrape_seconds: int = 5

    def __post_init__(self) -> None:
        if self.scale < 1 or self.scrape_seconds < 1:
            raise ValueError("scale and scrape_seconds are at least 1")

    def seconds(self, nominal: int) -> int:
        """Length of a window in whole seconds."""
        if self.scale == 1:
            return nominal
        return max(math.ceil(nominal / self.scale), SCRAPES_PER_WINDOW * self.scrape_seconds)

    def window(self, nominal: int) -> str:
        """A range of that many nominal seconds.

        >>> Timing().window(3600), Timing(scale=60).window(3600), Timing(scale=60).window(300)
        ('1h', '1m', '20s')
        """
        return duration(self.seconds(nominal))

    def hold(self, nominal: int) -> str:
        """A `for` or a notification's waiting time; at least a second unless it is nought."""
        return duration(math.ceil(nominal / self.scale))


def duration(seconds: int) -> str:
    """A Prometheus duration in the largest unit that divides it.

    >>> duration(7200), duration(90), duration(0)
    ('2h', '90s', '0s')
    """
    for unit, size in _UNITS:
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return "0s"


def nominal_seconds(window: str) -> int:
    """The seconds of a catalogued window such as `6h`.

    >>> nominal_seconds("3d")
    259200
    """
    return int(window[:-1]) * dict(_UNITS)[window[-1]]


def counted(number: int) -> str:
    """A number as a sentence says it.

    >>> counted(7), counted(40)
    ('seven', '40')
    """
    return _COUNTED[number] if number < len(_COUNTED) else str(number)


def spoken(seconds: float) -> str:
    """A time as a sentence says it: descriptions are made with it, runbooks held to it.

    >>> spoken(1800), spoken(3600), spoken(120), spoken(0.5), spoken(2.5)
    ('half an hour', 'an hour', 'two minutes', 'half a second', '2.5 s')
    """
    for unit, size in (("an hour", HOUR), ("a minute", MINUTE), ("a second", 1)):
        if seconds in (size, size / 2):
            return unit if seconds == size else f"half {unit}"
        if seconds > size and seconds % size == 0:
            return f"{counted(int(seconds) // size)} {unit.split()[1]}s"
    return f"{seconds:g} s"
