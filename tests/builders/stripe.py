"""A Stripe for tests: the localstripe server, and the hands of a shopper at it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from app.checkout.providers.stripe import StripeProvider
from app.checkout.providers.stripe_messages import ORDER_KEY
from app.kernel.clock import SystemClock
from rigs.ports import LOOPBACK, free_ports
from rigs.processes import ManagedProcess

ROOT = Path(__file__).resolve().parents[2]
SECRET_KEY, WEBHOOK_SECRET = "sk_test_vitrine", "whsec_a_secret_for_tests"
PAGE = "https://shop.example/pay"
PAYS, DECLINED, CHALLENGE = "4242424242424242", "4000000000000341", "4000000000003220"


@dataclass(frozen=True)
class LocalStripe:
    """A running localstripe; `process` may be paused, or stopped and started again."""

    base_url: str
    process: ManagedProcess

    def ready(self) -> None:
        self.process.wait_ready(f"{self.base_url}/js.stripe.com/v3/")

    def provider(self, http: httpx.AsyncClient, *, payment_page: str = PAGE) -> StripeProvider:
        """A bare adapter; without `payment_page` it redirects to hosted pages."""
        return StripeProvider(
            http,
            SystemClock(),
            secret_key=SECRET_KEY,
            webhook_secret=WEBHOOK_SECRET,
            tolerance_seconds=300,
            api_base=self.base_url,
            payment_page=payment_page,
        )

    async def pay(self, payment_id: str, card: str) -> None:
        """Enter a card into Stripe's form, or into the hosted page of a session."""
        method = await self.ask(
            "POST",
            "/v1/payment_methods",
            {
                "type": "card",
                "card": {"number": card, "exp_month": 12, "exp_year": 2030, "cvc": "123"},
            },
        )
        chosen = {"payment_method": method["id"]}
        if payment_id.startswith("cs_"):
            await self.ask("POST", f"/_config/sessions/{payment_id}/pay", chosen, refusal=402)
            return
        await self.ask("POST", f"/v1/payment_intents/{payment_id}", chosen)
        # A further card after a refused one: localstripe keeps the refused charge otherwise.
        await self.ask("POST", f"/v1/payment_intents/{payment_id}", {"latest_charge": None})
        await self.ask("POST", f"/v1/payment_intents/{payment_id}/confirm", {}, refusal=402)

    async def approve(self, payment_id: str) -> None:
        """Pass the 3-D Secure step."""
        intent = await self.ask("GET", f"/v1/payment_intents/{payment_id}")
        await self.ask(
            "POST",
            f"/v1/payment_intents/{payment_id}/_authenticate",
            {"client_secret": intent["client_secret"], "success": True},
        )

    async def intent(self, payment_id: str) -> dict[str, Any]:
        return await self.ask("GET", f"/v1/payment_intents/{payment_id}")

    async def intents_of(self, reference: str) -> list[dict[str, Any]]:
        """Every payment intent with our order's id."""
        listed = await self.ask("GET", "/v1/payment_intents?limit=100")
        return [item for item in listed["data"] if item["metadata"].get(ORDER_KEY) == reference]

    async def refunds(self, payment_id: str) -> list[int]:
        """The amounts that went back."""
        listed = await self.ask("GET", f"/v1/refunds?payment_intent={payment_id}")
        return [item["amount"] for item in listed["data"]]

    async def send_webhooks_to(self, url: str) -> None:
        await self.ask("POST", "/_config/webhooks/vitrine", {"url": url, "secret": WEBHOOK_SECRET})

    async def ask(
        self, method: str, path: str, body: Any = None, *, refusal: int = 0
    ) -> dict[str, Any]:
        async with httpx.AsyncClient(base_url=self.base_url, trust_env=False) as http:
            answer = await http.request(
                method, path, json=body, headers={"authorization": f"Bearer {SECRET_KEY}"}
            )
        if answer.status_code != refusal:
            answer.raise_for_status()
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found


@contextmanager
def local_stripe(folder: Path) -> Iterator[LocalStripe]:
    """Start localstripe on a free port; stopped at the end of the block."""
    (port,) = free_ports(1)
    process = ManagedProcess(
        "localstripe",
        [sys.executable, "-m", "tests.builders.localstripe_server", str(port)],
        log_path=folder / "localstripe.log",
        folder=ROOT,
    )
    with process:
        server = LocalStripe(f"http://{LOOPBACK}:{port}", process)
        server.ready()
        yield server
