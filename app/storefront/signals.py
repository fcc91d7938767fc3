"""What the storefront tells telemetry beyond its edge."""

from __future__ import annotations

from opentelemetry import trace

from app.kernel.ids import shown
from telemetry.bootstrap import Telemetry
from telemetry.catalogue.storefront import STOREFRONT_PAGES_DEGRADED
from telemetry.tracing import KEEP_ATTRIBUTE


class Signals:
    """The storefront's instruments and log, bound once."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._degraded = telemetry.instruments.counter(STOREFRONT_PAGES_DEGRADED)
        self._log = telemetry.log

    def page_degraded(self, peer: str, *, detail: str) -> None:
        """A page goes out without what `peer` should have added."""
        self._degraded.inc(peer_service=peer)
        self._log.warning("page.degraded", peer_service=peer, detail=detail)

    def order_opened(self, *, order_id: str, hold_id: str) -> None:
        """The shopper goes on to the payment provider: this trace is worth keeping."""
        span = trace.get_current_span()
        if span.is_recording():
            span.set_attributes(
                {
                    "vitrine.order_id": order_id,
                    "vitrine.hold_id": shown(hold_id),
                    KEEP_ATTRIBUTE: True,
                }
            )
