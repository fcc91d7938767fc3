"""Series that Prometheus records from others: rules write them, boards and alerts read them.

A window in a name is the nominal one. A drill renders the same rules with shorter windows and keeps
the names, so that boards and alerts read the same series at any speed.
"""

from dataclasses import dataclass

from telemetry.catalogue.spec import CatalogueError


@dataclass(frozen=True, slots=True)
class RecordedSeries:
    """One recorded series: `level:what:operation`, its labels, and what it means."""

    name: str
    labels: tuple[str, ...]
    description: str

    def __post_init__(self) -> None:
        if self.name.count(":") != 2 or not self.description.endswith("."):
            raise CatalogueError(f"{self.name}: level:what:operation, described by a sentence")

    def series(self, **labels: str) -> str:
        """The selector of the recorded series with these label values.

        >>> ORDERS_1H.series(traffic="human")
        'shop:orders:increase1h{traffic="human"}'
        """
        for label in labels:
            if label not in self.labels:
                raise CatalogueError(f"{self.name}: no label {label!r}")
        inside = ",".join(f'{label}="{value}"' for label, value in labels.items())
        return f"{self.name}{{{inside}}}" if inside else self.name


ERROR_WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d")
COUNT_WINDOWS = ("1h", "6h", "1d", "3d")

ERROR_RATIO = {
    window: RecordedSeries(
        f"slo:error_ratio:rate{window}", ("slo",), f"Fraction of bad events over {window}."
    )
    for window in ERROR_WINDOWS
}
BAD_EVENTS = {
    window: RecordedSeries(
        f"slo:bad_events:increase{window}", ("slo",), f"Number of bad events over {window}."
    )
    for window in COUNT_WINDOWS
}
EVENT_RATE = RecordedSeries("slo:events:rate5m", ("slo",), "Events per second.")
BAD_EVENT_RATE = RecordedSeries("slo:bad_events:rate5m", ("slo",), "Bad events per second.")
BUDGET_LEFT = RecordedSeries(
    "slo:error_budget:left30d", ("slo",), "Fraction of the 30 days' error budget that is left."
)
SESSIONS_1H = RecordedSeries("shop:sessions:increase1h", ("traffic",), "Visits of an hour.")
SESSIONS_1D = RecordedSeries("shop:sessions:increase1d", ("traffic",), "Visits of a day.")
ORDERS_1H = RecordedSeries("shop:orders:increase1h", ("traffic",), "Orders of an hour.")
ORDERS_1D = RecordedSeries("shop:orders:increase1d", ("traffic",), "Orders of a day.")
CONVERSION_1H = RecordedSeries(
    "shop:orders_per_session:ratio1h", ("traffic",), "Orders per visit over an hour."
)
CONVERSION_BASELINE = RecordedSeries(
    "shop:orders_per_session:baseline", ("traffic",), "Orders per visit that are usual now."
)
ORDERS_EXPECTED = RecordedSeries(
    "shop:orders_expected:increase1h", ("traffic",), "Orders that an hour's visits should bring."
)

RECORDED: tuple[RecordedSeries, ...] = (
    *ERROR_RATIO.values(),
    *BAD_EVENTS.values(),
    EVENT_RATE,
    BAD_EVENT_RATE,
    BUDGET_LEFT,
    SESSIONS_1H,
    SESSIONS_1D,
    ORDERS_1H,
    ORDERS_1D,
    CONVERSION_1H,
    CONVERSION_BASELINE,
    ORDERS_EXPECTED,
)
