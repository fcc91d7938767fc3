"""What the practice provider tells telemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import trace

from telemetry.catalogue.sandbox import SANDBOX_PAYMENTS, SANDBOX_WEBHOOKS
from telemetry.tracing import KEEP_ATTRIBUTE, link_to

if TYPE_CHECKING:
    from telemetry.bootstrap import Telemetry


class Signals:
    """The provider's instruments and log, bound once."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._log = telemetry.log
        self._payments = telemetry.instruments.counter(SANDBOX_PAYMENTS)
        self._webhooks = telemetry.instruments.counter(SANDBOX_WEBHOOKS)

    def answered(self, payment_id: str, result: str, *, caused_by: str) -> None:
        """The hosted page gave its answer; `caused_by` is the order's span."""
        self._payments.inc(result=result)
        span = trace.get_current_span()
        span.set_attribute("vitrine.payment_id", payment_id)
        span.set_attribute(KEEP_ATTRIBUTE, True)
        for link in link_to(caused_by):
            span.add_link(link.context)
        self._log.info("sandbox.answered", payment_id=payment_id, result=result)

    def delivery(self, event_id: str, result: str) -> None:
        self._webhooks.inc(result=result)
        if result in ("lost", "gave_up", "retried"):
            self._log.warning("sandbox.webhook", event_id=event_id, result=result)
