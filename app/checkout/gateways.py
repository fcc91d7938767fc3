"""The world outside checkout: payment providers and the catalogue's suggestions."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, Protocol

import httpx
import orjson
import stamina

from app.checkout.errors import SignatureRefused
from app.contracts.catalog import CatalogClient
from app.contracts.client import UpstreamProblem
from app.contracts.sandbox import Payment, PaymentRequest, WebhookEvent, webhook_signature
from app.kernel.errors import MalformedRequest, Unavailable, VitrineError
from app.kernel.money import Money
from telemetry.catalogue.outcomes import Outcome

SUGGESTIONS: Final = 3
SUGGESTION_SECONDS: Final = 1.0
"""Similar cars are a kindness: an answer does not wait for them longer than this."""

ATTEMPTS: Final = 3
BUDGET_SECONDS: Final = 4.0
"""All attempts of one call together: less than the shopper's own client waits (5 s)."""

DEADLINE: Final = httpx.Timeout(2.5, connect=1.0)
"""One attempt."""


class ProviderUnavailable(Unavailable):
    """The payment provider does not answer; the hold is kept."""

    code, title = "payment-provider-unavailable", "The payment service does not answer right now"


class ProviderRefused(VitrineError):
    """The provider understood and said no: a defect of ours or of the settings."""

    code, title = "payment-provider-refused", "The payment service refused our request"
    outcome, status = Outcome.FAULT, 500


@dataclass(frozen=True, slots=True)
class PaymentOrder:
    """What a provider is asked to collect. `reference` is our order: the same one, one payment."""

    reference: str
    amount: Money
    description: str
    return_url: str
    cancel_url: str
    language: str
    traceparent: str


@dataclass(frozen=True, slots=True)
class ProviderPayment:
    """A payment as the provider sees it."""

    payment_id: str
    reference: str
    state: Literal["pending", "action_required", "succeeded", "declined", "cancelled"]
    payment_url: str
    accepted_at: datetime | None


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """A verified message of a provider."""

    event_id: str
    type: str
    payment: ProviderPayment


class PaymentProvider(Protocol):
    """One payment provider; every method is bounded in time.

    Raises `ProviderUnavailable` when the provider does not answer.
    """

    name: str

    async def create(self, order: PaymentOrder) -> ProviderPayment: ...

    async def find(self, payment_id: str) -> ProviderPayment: ...

    async def refund(self, payment_id: str, reference: str) -> None:
        """Give all the money back; the same reference refunds once."""
        ...

    def verify(self, body: bytes, headers: Mapping[str, str]) -> ProviderEvent:
        """Check a webhook over its raw bytes.

        Raises `SignatureRefused` for a wrong, missing or old signature, `MalformedRequest` for a
        signed body that cannot be read.
        """
        ...


class _Again(Exception):
    """A call worth repeating: no answer, or an answer that says so."""


_STATES: Final[Mapping[str, Any]] = {
    "requires_payment_method": "pending",
    "processing": "pending",
    "requires_action": "action_required",
    "succeeded": "succeeded",
    "declined": "declined",
    "canceled": "cancelled",
}


class SandboxProvider:
    """The practice provider; its API is Stripe's in miniature."""

    name = "sandbox"

    def __init__(
        self, http: httpx.AsyncClient, *, api_key: str, webhook_secret: str, tolerance_seconds: int
    ) -> None:
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
        return _seen(await self._call("POST", "/sandbox/v1/payments", request.model_dump_json()))

    async def find(self, payment_id: str) -> ProviderPayment:
        return _seen(await self._call("GET", f"/sandbox/v1/payments/{payment_id}", None))

    async def refund(self, payment_id: str, reference: str) -> None:
        body = orjson.dumps({"reference": reference}).decode()
        await self._call("POST", f"/sandbox/v1/payments/{payment_id}/refunds", body)

    def verify(self, body: bytes, headers: Mapping[str, str]) -> ProviderEvent:
        _check_signature(
            body, headers.get("webhook-signature", ""), self._secret, self._tolerance, time.time()
        )
        try:
            event = WebhookEvent.model_validate_json(body)
        except ValueError as error:
            raise MalformedRequest(
                f"the signed webhook cannot be read: {str(error).splitlines()[0]}"
            ) from error
        return ProviderEvent(event.event_id, event.type, _seen(event.payment))

    async def _call(self, method: str, path: str, body: str | None) -> Payment:
        try:
            async with asyncio.timeout(BUDGET_SECONDS):
                return await self._retried(method, path, body)
        except (_Again, TimeoutError) as error:
            raise ProviderUnavailable(
                "The payment service does not answer. Your car is still held: please try again in"
                " a moment.",
                retry_after_seconds=5,
            ) from error

    async def _retried(self, method: str, path: str, body: str | None) -> Payment:
        async for attempt in stamina.retry_context(
            on=_Again, attempts=ATTEMPTS, timeout=BUDGET_SECONDS, wait_initial=0.1, wait_max=1.0
        ):
            with attempt:
                return await self._try(method, path, body)
        raise AssertionError("retry_context always returns or raises")

    async def _try(self, method: str, path: str, body: str | None) -> Payment:
        try:
            response = await self._http.request(
                method, path, content=body, headers=self._headers, timeout=DEADLINE
            )
        except httpx.HTTPError as error:
            raise _Again from error
        if response.status_code >= 500 or response.status_code == 429:
            raise _Again
        if response.is_error:
            raise ProviderRefused(f"The payment service answered {response.status_code} to {path}.")
        return Payment.model_validate_json(response.content)


def _check_signature(body: bytes, header: str, secret: str, tolerance: int, now: float) -> None:
    parts = dict(part.split("=", 1) for part in header.split(",") if "=" in part)
    at = parts.get("t", "")
    if not (at.isascii() and at.isdigit() and len(at) < 13):
        raise SignatureRefused("webhook-signature must be t=<unix time>,v1=<hmac-sha256 hex>.")
    expected = webhook_signature(body, secret, int(at)).encode()
    if not hmac.compare_digest(expected, f"t={at},v1={parts.get('v1', '')}".encode()):
        raise SignatureRefused("The signature does not fit the body.")
    if abs(now - int(at)) > tolerance:
        raise SignatureRefused(f"The signature is more than {tolerance} seconds away from now.")


def _seen(payment: Payment) -> ProviderPayment:
    return ProviderPayment(
        payment_id=payment.payment_id,
        reference=payment.reference,
        state=_STATES[payment.state],
        payment_url=payment.payment_url,
        accepted_at=payment.accepted_at,
    )


class SimilarCars:
    """Asks the catalogue for cars like one that is gone."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def like(
        self, *, car_id: str, model_id: str, market: str, headers: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        """Up to three available cars of the same model, then of the market; empty when unsure."""
        found: dict[str, dict[str, Any]] = {}
        # Without suggestions the answer is still right.
        with suppress(VitrineError, UpstreamProblem, TimeoutError):
            async with asyncio.timeout(SUGGESTION_SECONDS):
                await self._look(found, car_id, model_id, market, headers)
        return list(found.values())[:SUGGESTIONS]

    async def _look(
        self,
        found: dict[str, dict[str, Any]],
        car_id: str,
        model_id: str,
        market: str,
        headers: Mapping[str, str],
    ) -> None:
        catalog = CatalogClient(self._http, headers)
        for query in ({"model": model_id} if model_id else {}, {}):
            page = await catalog.cars(market=market, limit=SUGGESTIONS + 1, **query)
            for car in page.items:
                if car.car_id != car_id:
                    found.setdefault(car.car_id, car.model_dump(mode="json"))
            if len(found) >= SUGGESTIONS:
                return
