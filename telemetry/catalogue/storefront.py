"""What the storefront measures beyond its HTTP edge: pages that went out incomplete."""

from telemetry.catalogue.labels import PEER, SERVICE
from telemetry.catalogue.spec import Metric

STOREFRONT_PAGES_DEGRADED = Metric(
    name="storefront_pages_degraded_total",
    kind="counter",
    description="Pages served without what a service behind them should have added.",
    labels=(SERVICE, PEER),
    unit="pages",
    owner="storefront",
    shown_on="shop",
)

METRICS = (STOREFRONT_PAGES_DEGRADED,)
