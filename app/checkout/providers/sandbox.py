"""The practice provider; its API is Stripe's in miniature, and it takes money at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
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
from app.kernel.clock import Clock
from app.kernel.errors import MalformedRequest

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
        http: httpx.AsyncClient,
        clock: Clock,
        *,
        api_key: str,
        webhook_secret: str,
        tolerance_seconds: int,
    ) -> None:
        self._clock = clock
        self._http = http
        self._headers = {"authorization": f"Bearer {api_key}", "content-type": "application/json"}
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
        return await self._ask("POST", "/sandbox/v1/payments", request.model_dump_json())

    async def find(self, payment_id: str) -> ProviderPayment:
        return await self._ask("GET", f"/sandbox/v1/payments/{segment(payment_id)}", None)

    async def capture(self, payment_id: str, reference: str) -> ProviderPayment:
        return await self.find(payment_id)  # it has no authorised state: money is taken at once

    async def void(self, payment_id: str, reference: str) -> ProviderPayment:
        return await self._ask(
            "POST", f"/sandbox/v1/payments/{segment(payment_id)}/cancellation", None
        )

    async def refund(self, payment_id: str, reference: str) -> None:
        body = orjson.dumps({"reference": reference}).decode()
        await self._ask("POST", f"/sandbox/v1/payments/{segment(payment_id)}/refunds", body)

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

    async def _ask(self, method: str, path: str, body: str | None) -> ProviderPayment:
        request = httpx.Request(
            method,
            _url(self._http.base_url, path),
            content=body,
            headers=self._headers,
            extensions={"timeout": DEADLINE.as_dict()},
        )
        try:
            response = await self._http.send(request)
        except httpx.HTTPError as error:
            raise NoAnswer(type(error).__name__) from error
        if response.status_code >= 500 or response.status_code == 429:
            raise NoAnswer(f"status {response.status_code}")
        if response.is_error:
            raise ProviderRefused(f"The payment service answered {response.status_code} to {path}.")
        try:
            return _seen(Payment.model_validate_json(response.content))
        except ValueError as error:
            raise NoAnswer("an answer that cannot be read") from error


@lru_cache(maxsize=256)
def _url(base: httpx.URL, path: str) -> httpx.URL:
    """Payments are opened at one address: parsing it costs more than the rest of the request."""
    return httpx.URL(str(base).rstrip("/") + path)


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
