"""How long a shopper thinks between steps.

Log-normal, as reading times on the web are (Liu, White, Dumais 2010 found Weibull and log-normal
fits for dwell time): many short looks and a few long ones. `median_seconds` is stated per step;
`sigma` 0.6 makes the 95th percentile 2.7 times the median. `scale` shortens a day into minutes:
shoppers in a compressed day think in compressed time.
"""

import math
import random
from dataclasses import dataclass

SIGMA = 0.6
LONGEST = 6.0
"""No thought lasts longer than this many medians, so that a run ends."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Think times times `scale`; 0 never waits."""

    scale: float = 1.0

    def seconds(self, median_seconds: float, dice: random.Random) -> float:
        """One think time in seconds."""
        if self.scale <= 0 or median_seconds <= 0:
            return 0.0
        drawn = dice.lognormvariate(math.log(median_seconds), SIGMA)
        return min(drawn, LONGEST * median_seconds) * self.scale
