"""The rule that notices an empty till: no orders although the visits should have brought some.

Orders of cars are rare, so a rate says little; a count says a lot. With `expected` orders from the
visits of an hour, the chance of none at all is e^-expected (Poisson): under 0.1 % from 7 on.
"""

from alerts.rules import Alert, Group, Recording, RuleFile
from alerts.timing import DAY, HOUR, MINUTE, WEEK, Timing, counted
from telemetry.catalogue import promql
from telemetry.catalogue.insight import SHOP_ORDERS, SHOP_SESSIONS
from telemetry.catalogue.labels import BUYERS
from telemetry.catalogue.recorded import (
    CONVERSION_1H,
    CONVERSION_BASELINE,
    ORDERS_1D,
    ORDERS_1H,
    ORDERS_EXPECTED,
    SESSIONS_1D,
    SESSIONS_1H,
    RecordedSeries,
)
from telemetry.catalogue.spec import Metric

EXPECTED_ORDERS = 7
WEEKS = (1, 2, 3, 4)
# Orders per visit that we trust before there is any history: a third of the low end of what
# brands that sell directly publish (1.5 %), since a car is thought about longer than a jumper.
FLOOR_CONVERSION = 0.005


def rule_files(timing: Timing) -> tuple[RuleFile, ...]:
    hour, day = timing.window(HOUR), timing.window(DAY)
    return (
        RuleFile(
            "business",
            (
                Group(
                    "orders",
                    (
                        _counted(SESSIONS_1H, SHOP_SESSIONS, hour),
                        _counted(SESSIONS_1D, SHOP_SESSIONS, day),
                        _counted(ORDERS_1H, SHOP_ORDERS, hour),
                        _counted(ORDERS_1D, SHOP_ORDERS, day),
                        Recording(
                            CONVERSION_1H, promql.ratio(ORDERS_1H.series(), SESSIONS_1H.series())
                        ),
                        Recording(CONVERSION_BASELINE, _baseline(timing)),
                        Recording(
                            ORDERS_EXPECTED,
                            f"{SESSIONS_1H.series()} * {CONVERSION_BASELINE.series()}",
                        ),
                        NO_ORDERS,
                    ),
                ),
            ),
        ),
    )


def _counted(series: RecordedSeries, metric: Metric, window: str) -> Recording:
    events = promql.increase(metric, window=window, by=("traffic",), traffic=BUYERS)
    visits = promql.increase(SHOP_SESSIONS, window=window, by=("traffic",), traffic=BUYERS)
    # A shop that never sold anything has no series of orders, which must count as none.
    return Recording(series, events if metric is SHOP_SESSIONS else f"{events} or 0 * {visits}")


def _baseline(timing: Timing) -> str:
    """Usual conversion: this hour of the week, else the last day, else the floor."""
    weeks = "\n    or ".join(
        f'label_replace({CONVERSION_1H.series()} offset {timing.window(n * WEEK)}, "week", "{n}",'
        ' "", "")'
        for n in WEEKS
    )
    earlier = f"offset {timing.window(HOUR)}"
    yesterday = promql.ratio(f"{ORDERS_1D.series()} {earlier}", f"{SESSIONS_1D.series()} {earlier}")
    return (
        f"(\n  quantile by (traffic) (0.5,\n    {weeks}\n  ) > 0\n)\n"
        f"or\n({yesterday} > 0)\n"
        f"or\n(0 * {SESSIONS_1H.series()} + {FLOOR_CONVERSION:g})"
    )


NO_ORDERS = Alert(
    name="NoOrders",
    expr=(
        f"{ORDERS_1H.series()} == 0\n"
        f"and on (traffic)\n{ORDERS_EXPECTED.series()} >= {EXPECTED_ORDERS}"
    ),
    severity="page",
    service="checkout",
    board="storefront",
    hold_seconds=2 * MINUTE,
    summary="Nobody ({{ $labels.traffic }} traffic) has ordered a car for an hour.",
    description=(
        f"The last hour's visits should have brought {counted(EXPECTED_ORDERS)} orders or more and"
        " brought none. By"
        " chance that happens less than once in a thousand hours."
    ),
)
