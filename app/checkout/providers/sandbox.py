"""The practice provider; its API is Stripe's in miniature, and it takes money at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import httpx
import orjson

from app.checkout.providers.protocol import (
    MoneyMove,
    MoneyMoved,
    NoAnswer,
    PaymentOrder,
    PaymentState,
    ProviderEvent,
    ProviderPayment,
    ProviderRefused,
)
from app.checkout.providers.signatures import check_signature
from app.contracts.client import segment
from app.contracts.sandbox import Payment, PaymentRequest, WebhookEvent
from app.frame.outbound.http import NeighbourClient
from app.kernel.clock import Clock
from app.kernel.errors import MalformedRequest
from telemetry.outbound import Destination

DEADLINE: Final = httpx.Timeout(2.5, connect=1.0)
"""One attempt."""

_STATES: Final[Mapping[str, PaymentState]] = {
    "requires_payment_method": "pending",
    "processing": "pending",
    "requires_action": "action_required",
    "succeeded": "succeeded",
    "declined": "declined",
    "canceled": "cancelled",
}


class SandboxProvider:
    """One attempt per call at the practice provider."""

    name = "sandbox"

    def __init__(
        self,
        http: NeighbourClient,
        clock: Clock,
        *,
        api_key: str,
        webhook_secret: str,
        tolerance_seconds: int,
    ) -> None:
        self._clock = clock
        self._http = http
        self._create = http.to("POST", "/sandbox/v1/payments")
        self._headers = (
            (b"host", http.base_url.netloc),
            (b"authorization", b"Bearer " + api_key.encode()),
            (b"content-type", b"application/json"),
        )
        self._secret = webhook_secret
        self._tolerance = tolerance_seconds

    async def create(self, order: PaymentOrder) -> ProviderPayment:
        request = PaymentRequest.model_validate(
            {
                "reference": order.reference,
                "amount": {"amount": order.amount.amount, "currency": order.amount.currency},
                "description": order.description,
                "return_url": order.return_url,
                "cancel_url": order.cancel_url,
                "language": order.language,
                "traceparent": order.traceparent,
            }
        )
        return await self._ask(self._create, request.model_dump_json().encode())

    async def find(self, payment_id: str) -> ProviderPayment:
        return await self._ask(self._payment("GET", payment_id))

    async def capture(self, payment_id: str, reference: str) -> ProviderPayment:
        return await self.find(payment_id)  # it has no authorised state: money is taken at once

    async def void(self, payment_id: str, reference: str) -> ProviderPayment:
        return await self._ask(self._payment("POST", payment_id, "/cancellation"))

    async def refund(self, payment_id: str, reference: str) -> None:
        body = orjson.dumps({"reference": reference})
        await self._ask(self._payment("POST", payment_id, "/refunds"), body)

    def verify(self, body: bytes, headers: Mapping[str, str]) -> ProviderEvent:
        check_signature(
            body,
            headers.get("webhook-signature", ""),
            self._secret,
            tolerance_seconds=self._tolerance,
            now=self._clock.now().timestamp(),
            name="webhook-signature",
        )
        try:
            event = WebhookEvent.model_validate_json(body)
        except ValueError as error:
            raise MalformedRequest(
                f"the signed webhook cannot be read: {str(error).splitlines()[0]}"
            ) from error
        moved = _moved(event)
        payment = None if moved else _seen(event.payment)
        return ProviderEvent(event.event_id, event.type, payment, moved)

    def _payment(self, method: str, payment_id: str, verb: str = "") -> Destination:
        return self._http.to(method, f"/sandbox/v1/payments/{segment(payment_id)}{verb}")

    async def _ask(self, to: Destination, body: bytes = b"") -> ProviderPayment:
        headers = (*self._headers, (b"content-length", b"%d" % len(body)))
        try:
            answer = await self._http.ask(to, headers, body, DEADLINE.as_dict())
        except httpx.HTTPError as error:
            raise NoAnswer(type(error).__name__) from error
        if answer.status >= 500 or answer.status == 429:
            raise NoAnswer(f"status {answer.status}")
        if answer.status >= 400:
            raise ProviderRefused(f"The payment service answered {answer.status} to {to.url.path}.")
        try:
            return _seen(Payment.model_validate_json(answer.body))
        except ValueError as error:
            raise NoAnswer("an answer that cannot be read") from error


def _moved(event: WebhookEvent) -> MoneyMoved | None:
    """How money moved after it was taken; None when the message is about the payment itself."""
    payment = event.payment
    disputed = (payment.disputed or payment.amount).amount
    decided: MoneyMove = "dispute_won" if payment.dispute == "won" else "dispute_lost"
    moves: Mapping[str, tuple[MoneyMove, int, str]] = {
        "payment.refunded": ("refunded", payment.refunded.amount, ""),
        "payment.disputed": ("disputed", disputed, payment.dispute_id),
        "payment.dispute_closed": (decided, disputed, payment.dispute_id),
    }
    if event.type not in moves:
        return None
    return MoneyMoved(payment.payment_id, payment.reference, *moves[event.type])


def _seen(payment: Payment) -> ProviderPayment:
    return ProviderPayment(
        payment_id=payment.payment_id,
        reference=payment.reference,
        state=_STATES[payment.state],
        amount=payment.amount.amount,
        currency=payment.amount.currency,
        payment_url=payment.payment_url,
        accepted_at=payment.accepted_at,
        refunded=payment.refunded.amount,
        disputed=payment.dispute != "",
    )
