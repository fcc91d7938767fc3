"""What the catalogue service measures: how fresh and how clean its stock feeds are."""

from telemetry.catalogue.labels import SERVICE, STOCK_SOURCE
from telemetry.catalogue.spec import Label, Metric

IMPORT_RESULT = Label(
    "result", ("accepted", "rejected", "unchanged", "removed"), "What became of one row of a feed."
)

STOCK_IMPORT_ROWS = Metric(
    name="stock_import_rows_total",
    kind="counter",
    description="Rows of stock feeds by what became of them.",
    labels=(SERVICE, STOCK_SOURCE, IMPORT_RESULT),
    unit="rows",
    owner="catalog",
    shown_on="services",
)
STOCK_IMPORT_LAST_SUCCESS = Metric(
    name="stock_import_last_success_timestamp_seconds",
    kind="gauge",
    description="When a feed was last imported without being stopped by the guard (Unix time).",
    labels=(SERVICE, STOCK_SOURCE),
    unit="timestamp_seconds",
    owner="catalog",
    shown_on="services",
)

METRICS = (STOCK_IMPORT_ROWS, STOCK_IMPORT_LAST_SUCCESS)
