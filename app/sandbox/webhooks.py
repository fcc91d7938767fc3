"""Telling the shop what happened: signed, retried with growing pauses, badly when asked to."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import httpx
from opentelemetry import trace
from opentelemetry.trace import Link, SpanKind

from app.contracts.sandbox import webhook_signature
from app.kernel.clock import Clock
from app.sandbox.signals import Signals
from app.sandbox.store import Store
from telemetry.tracing import KEEP_ATTRIBUTE, context_from

if TYPE_CHECKING:
    from telemetry.bootstrap import Telemetry

PATH: Final = "/api/checkout/v1/payment-events/sandbox"
BACKOFF_SECONDS: Final = (1, 2, 5, 15, 60, 300, 1800, 3600, 6 * 3600, 12 * 3600, 24 * 3600)
"""Pauses between attempts; after the last one the provider gives up, about two days later."""


class Webhooks:
    """Delivers webhooks to checkout. `secret` signs them."""

    def __init__(
        self,
        store: Store,
        http: httpx.AsyncClient,
        signals: Signals,
        clock: Clock,
        telemetry: Telemetry,
        *,
        secret: str,
    ) -> None:
        self._store = store
        self._http = http
        self._signals = signals
        self._clock = clock
        self._tracer = telemetry.tracer
        self._secret = secret

    async def deliver_due(self, *, payment_id: str = "") -> int:
        """Send what is due (of one payment, or of all); returns how many arrived."""
        arrived = 0
        due = await self._store.due_deliveries(
            now=self._clock.now(), limit=50, payment_id=payment_id
        )
        for delivery in due:
            arrived += await self._deliver(delivery)
        return arrived

    async def _deliver(self, delivery: dict[str, Any]) -> bool:
        """One attempt, in the order's trace and linked to the request that paid."""
        here = trace.get_current_span().get_span_context()
        with self._tracer.start_as_current_span(
            "deliver webhook",
            context=context_from(delivery["traceparent"]),
            kind=SpanKind.PRODUCER,
            links=[Link(here)] if here.is_valid else [],
            attributes={"vitrine.event_id": delivery["event_id"], KEEP_ATTRIBUTE: True},
        ):
            delivered = await self._send(delivery["body"])
        attempts = delivery["attempts"] + 1
        copies = delivery["copies"] - (1 if delivered else 0)
        pause: float | None = None
        if not delivered:
            pause = BACKOFF_SECONDS[attempts - 1] if attempts <= len(BACKOFF_SECONDS) else None
        elif copies:
            pause = 0.0
        async with self._store.begin() as transaction:
            await transaction.set_delivery(
                delivery["event_id"],
                attempts=attempts,
                copies=copies,
                due_at=None if pause is None else self._clock.now() + timedelta(seconds=pause),
            )
        gave_up = "gave_up" if pause is None else "retried"
        self._signals.delivery(delivery["event_id"], "delivered" if delivered else gave_up)
        return delivered

    async def _send(self, body: bytes) -> bool:
        signed_at = int(self._clock.now().timestamp())
        headers = {
            "content-type": "application/json",
            "webhook-signature": webhook_signature(body, self._secret, signed_at),
        }
        try:
            response = await self._http.post(PATH, content=body, headers=headers)
        except httpx.HTTPError:
            return False
        return response.is_success
