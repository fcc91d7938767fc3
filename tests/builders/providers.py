"""Each payment provider with a shopper's hands at it, so that one suite of tests runs on all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
import orjson
from stripe import WebhookSignature

from app.checkout.providers.protocol import PaymentOrder, PaymentProvider, ProviderPayment
from app.checkout.providers.sandbox import SandboxProvider
from app.checkout.providers.stripe import StripeProvider
from app.contracts.sandbox import webhook_signature
from app.frame.outbound.connections import KeptConnections
from app.frame.outbound.http import DEADLINE, Carrier, InProcessTransport, NeighbourClient
from app.kernel.clock import SystemClock
from app.kernel.money import Money
from app.sandbox.main import build as build_sandbox
from tests.builders import stripe
from tests.builders.platform import KEYS
from tests.builders.services import Running, running
from tests.builders.shop import CHALLENGE, DECLINED, PAYS
from tests.builders.stripe import LocalStripe

DEPOSIT = Money(500_000, "SEK")
CLOCK = SystemClock()
"""The stand-in for Stripe is a process of its own and knows no other."""


def seconds() -> int:
    """The time as signatures carry it."""
    return int(CLOCK.now().timestamp())


def payment_order(reference: str = "ord_1", **changes: Any) -> PaymentOrder:
    values: dict[str, Any] = {
        "reference": reference,
        "amount": DEPOSIT,
        "description": "Deposit: Norrsken",
        "return_url": "https://shop.example/se/en/orders",
        "cancel_url": "https://shop.example/se/en/checkout",
        "language": "sv",
        "traceparent": "",
        "created_at": CLOCK.now(),
        **changes,
    }
    return PaymentOrder(**values)


@dataclass(frozen=True)
class Told:
    """A webhook before it is signed: its bytes, and what it should be understood as."""

    body: bytes
    event_id: str


class Rig(Protocol):
    """One provider for the suite. `header` carries its signature, `secret` makes it."""

    provider: PaymentProvider
    header: str
    secret: str
    takes_at_once: bool
    """No capture needed: money is taken when the shopper pays."""

    async def pay(self, payment: ProviderPayment) -> None: ...

    async def decline(self, payment: ProviderPayment) -> None: ...

    async def challenge(self, payment: ProviderPayment) -> None: ...

    async def approve(self, payment: ProviderPayment) -> None: ...

    async def refunded(self, payment: ProviderPayment) -> list[int]:
        """Amounts that went back."""
        ...

    async def told(self, payment: ProviderPayment) -> Told:
        """A message about the payment as it is now."""
        ...

    def unrelated(self) -> bytes | None:
        """A message about nothing of ours, if the provider sends such."""
        ...

    def at(self, url: str) -> AbstractAsyncContextManager[PaymentProvider]:
        """The same adapter, talking to whoever is at an address."""
        ...

    def sign(self, body: bytes, secret: str, at: int) -> str:
        """The header's value, made by the provider's own code."""
        ...


@dataclass
class SandboxRig:
    """The practice provider, in this process."""

    sandbox: Running
    header = "webhook-signature"
    secret = KEYS["webhook_secret"]
    takes_at_once = True
    provider: PaymentProvider = field(init=False)

    def __post_init__(self) -> None:
        self.provider = self._provider(InProcessTransport(lambda: self.sandbox.service.api))

    @asynccontextmanager
    async def at(self, url: str) -> AsyncIterator[PaymentProvider]:
        carrier = KeptConnections()
        yield self._provider(carrier, url)
        await carrier.aclose()

    def _provider(self, carrier: Carrier, url: str = "http://sandbox") -> PaymentProvider:
        return SandboxProvider(
            NeighbourClient(url, carrier, timeout=DEADLINE),
            CLOCK,
            api_key=KEYS["payment_key"],
            webhook_secret=self.secret,
            tolerance_seconds=300,
        )

    async def pay(self, payment: ProviderPayment) -> None:
        await self._card(payment, PAYS)

    async def decline(self, payment: ProviderPayment) -> None:
        await self._card(payment, DECLINED)

    async def challenge(self, payment: ProviderPayment) -> None:
        await self._card(payment, CHALLENGE)

    async def approve(self, payment: ProviderPayment) -> None:
        url = f"/sandbox/pay/{payment.payment_id}/challenge"
        await self.sandbox.public.post(url, data={"decision": "approve"})

    async def refunded(self, payment: ProviderPayment) -> list[int]:
        back = (await self._wire(payment))["refunded"]["amount"]
        return [back] if back else []

    async def told(self, payment: ProviderPayment) -> Told:
        types = {"requires_action": "requires_action", "declined": "declined"}
        wire = await self._wire(payment)
        event = {
            "event_id": "wh_1",
            "type": f"payment.{types.get(wire['state'], 'succeeded')}",
            "created_at": "2026-11-27T09:00:00.000Z",
            "payment": wire,
        }
        return Told(orjson.dumps(event), "wh_1")

    def unrelated(self) -> bytes | None:
        return None

    def sign(self, body: bytes, secret: str, at: int) -> str:
        return webhook_signature(body, secret, at)

    async def _card(self, payment: ProviderPayment, number: str) -> None:
        form = {"card_number": number, "expiry": "12/49", "cvc": "123", "name": "Asa Oberg"}
        answer = await self.sandbox.public.post(f"/sandbox/pay/{payment.payment_id}", data=form)
        assert answer.status_code < 500, answer.text

    async def _wire(self, payment: ProviderPayment) -> dict[str, Any]:
        answer = await self.sandbox.public.get(
            f"/sandbox/v1/payments/{payment.payment_id}",
            headers={"authorization": f"Bearer {KEYS['payment_key']}"},
        )
        found: dict[str, Any] = answer.raise_for_status().json()
        return found


@dataclass
class StripeRig:
    """Stripe's client against localstripe; `page` as `StripeProvider` takes it."""

    server: LocalStripe
    http: httpx.AsyncClient
    page: str
    header = "stripe-signature"
    secret = stripe.WEBHOOK_SECRET
    takes_at_once = False
    provider: PaymentProvider = field(init=False)

    def __post_init__(self) -> None:
        self.provider = self.server.provider(self.http, payment_page=self.page)

    @asynccontextmanager
    async def at(self, url: str) -> AsyncIterator[PaymentProvider]:
        async with httpx.AsyncClient(trust_env=False) as http:
            yield StripeProvider(
                http,
                CLOCK,
                secret_key=stripe.SECRET_KEY,
                webhook_secret=self.secret,
                tolerance_seconds=300,
                api_base=url,
                payment_page=self.page,
            )

    async def pay(self, payment: ProviderPayment) -> None:
        await self.server.pay(payment.payment_id, stripe.PAYS)

    async def decline(self, payment: ProviderPayment) -> None:
        await self.server.pay(payment.payment_id, stripe.DECLINED)

    async def challenge(self, payment: ProviderPayment) -> None:
        await self.server.pay(payment.payment_id, stripe.CHALLENGE)

    async def approve(self, payment: ProviderPayment) -> None:
        await self.server.approve(await self._intent_id(payment))

    async def refunded(self, payment: ProviderPayment) -> list[int]:
        return await self.server.refunds(await self._intent_id(payment))

    async def told(self, payment: ProviderPayment) -> Told:
        intent = await self.server.intent(await self._intent_id(payment))
        return Told(stripe_event("evt_1", intent), "evt_1")

    def unrelated(self) -> bytes | None:
        return orjson.dumps(
            {
                "id": "evt_other",
                "type": "customer.created",
                "created": seconds(),
                "data": {"object": {"id": "cus_1"}},
            }
        )

    def sign(self, body: bytes, secret: str, at: int) -> str:
        return str(WebhookSignature.generate_signature_header(body.decode(), secret, at))

    async def _intent_id(self, payment: ProviderPayment) -> str:
        return (await self.provider.find(payment.payment_id)).payment_id


_TYPES = {
    "requires_capture": "amount_capturable_updated",
    "requires_payment_method": "payment_failed",
    "canceled": "canceled",
}


def stripe_event(event_id: str, intent: dict[str, Any]) -> bytes:
    """The message that Stripe sends when an intent has come to its present state."""
    kind = _TYPES.get(intent["status"], intent["status"])
    return orjson.dumps(
        {
            "id": event_id,
            "object": "event",
            "type": f"payment_intent.{kind}",
            "created": seconds(),
            "data": {"object": intent},
        }
    )


@asynccontextmanager
async def sandbox_rig(folder: Path) -> AsyncIterator[SandboxRig]:
    async with running(folder, {"sandbox": build_sandbox}) as services:
        yield SandboxRig(services["sandbox"])


@asynccontextmanager
async def stripe_rig(server: LocalStripe, page: str) -> AsyncIterator[StripeRig]:
    async with httpx.AsyncClient(trust_env=False) as http:
        yield StripeRig(server, http, page)


@dataclass
class BadServer:
    """A server that answers every request with the same bytes, or takes it and stays silent."""

    base_url: str
    answer: bytes | None
    requests: int = 0


@asynccontextmanager
async def bad_server(answer: bytes | None) -> AsyncIterator[BadServer]:
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            # A caller that gives up cuts its connection.
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                server.requests += 1
                if server.answer is None:
                    await reader.read()
                else:
                    writer.write(server.answer)
                    await writer.drain()
        finally:
            writer.close()
            serving.discard(task)

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    server = BadServer(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}", answer)
    try:
        yield server
    finally:
        listener.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0)  # closed connections say goodbye in the loop's next turn


def http_answer(status: str, body: bytes, media_type: str = "application/json") -> bytes:
    """One HTTP/1.1 answer, after which the connection ends."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {len(body)}"
    return f"{head}\r\nconnection: close\r\n\r\n".encode() + body
