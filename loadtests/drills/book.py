"""The drills by name."""

from collections.abc import Mapping
from typing import Final

from loadtests.drills.drill import Drill
from loadtests.drills.payment_brownout import PAYMENT_BROWNOUT

DRILLS: Final[Mapping[str, Drill]] = {drill.name: drill for drill in (PAYMENT_BROWNOUT,)}
