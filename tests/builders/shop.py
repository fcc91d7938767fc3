"""Checkout and the practice provider, running in this process, as a shopper's client sees them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import orjson
from fastapi import FastAPI
from sqlalchemy import text
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from app.checkout.main import build as build_checkout
from app.contracts.events import CarListed, CarWithdrawn
from app.contracts.sandbox import webhook_signature
from app.frame.flags import resting_state
from app.frame.inbound.internal import internal_app
from app.frame.sessions import COOKIE, Session
from app.kernel.clock import ManualClock
from app.kernel.facts import Event, EventContext, Fact
from app.sandbox.main import build as build_sandbox
from rigs.processes import wait_until
from tests.builders.platform import KEYS, make_platform
from tests.builders.services import DEALER, Running, running
from tests.builders.sources import Source

CUSTOMER = {"name": "Åsa Öberg", "email": "asa.oberg@example.se", "phone": "+46 70 123 45 67"}
PAYS, DECLINED, CHALLENGE, LOST = (
    "4242 4242 4242 4242",
    "4000 0000 0000 0002",
    "4000 0000 0000 3220",
    "4000 0000 0000 7700",
)
ANOTHER = {"x-forwarded-for": "203.0.113.9"}
"""Somebody else, by the network that they ask from."""

PRICE, DEPOSIT, VAT = 48_990_000, 500_000, 9_798_000
"""In öre: what each listed car costs, what is paid online, and the VAT in the price."""


@dataclass(slots=True)
class Shop:
    """The running services and a shopper's ways to use them."""

    clock: ManualClock
    catalog: Source
    checkout: Running
    sandbox: Running
    _numbers: Any = field(default_factory=lambda: count(1))

    # --- stock ------------------------------------------------------------------------------

    async def list_car(self, car_id: str, **changes: Any) -> None:
        """Put a car on offer and let checkout read it."""
        await self.state(listed(car_id, **changes))

    async def withdraw_car(self, car_id: str) -> None:
        await self.state(CarWithdrawn(car_id))

    async def state(self, *facts: Fact) -> None:
        """State the catalogue's facts and let checkout read them."""
        await self.catalog.state([(fact, EventContext()) for fact in facts])
        await self.checkout.job("consume:catalog")()

    # --- a shopper --------------------------------------------------------------------------

    def key(self) -> str:
        return f'"key-{next(self._numbers):08}"'

    def cookie(self, session_id: str) -> dict[str, str]:
        """The header of a browser with a session."""
        now = int(self.clock.now().timestamp())
        session = Session(
            session_id=session_id, started_at=now, seen_at=now, market="SE", language="sv"
        )
        return {"cookie": f"{COOKIE}={self.checkout.service.platform.sessions.encode(session)}"}

    async def hold(
        self, car_id: str = "car_1", *, key: str | None = None, **headers: str
    ) -> httpx.Response:
        sent = {"idempotency-key": key or self.key(), **headers}
        return await self.checkout.public.post(
            "/api/checkout/v1/holds", json={"car_id": car_id}, headers=sent
        )

    async def order(
        self, hold_id: str, *, key: str | None = None, headers: Any = None, **changes: Any
    ) -> httpx.Response:
        body = {"hold_id": hold_id, "customer": CUSTOMER, **changes}
        return await self.checkout.public.post(
            "/api/checkout/v1/orders",
            json=body,
            headers={"idempotency-key": key or self.key(), **(headers or {})},
        )

    async def held(self, car_id: str = "car_1", **headers: str) -> dict[str, Any]:
        """A hold that was placed."""
        return _json(await self.hold(car_id, **headers), 201)

    async def ordered(self, car_id: str = "car_1") -> dict[str, Any]:
        """An order that waits for its payment."""
        return _json(await self.order((await self.held(car_id))["hold_id"]), 201)

    async def confirmed(self, car_id: str = "car_1") -> dict[str, Any]:
        """A paid order, as it reads afterwards, with its token."""
        order = await self.ordered(car_id)
        await self.pay(order, PAYS)
        return {**await self.read(order), "order_token": order["order_token"]}

    async def pay(self, order: Mapping[str, Any], card: str) -> httpx.Response:
        """Send the hosted page's form; the webhook has been delivered when it answers."""
        return await self.sandbox.public.post(
            order["payment_url"],
            data={"card_number": card, "expiry": "12/49", "cvc": "123", "name": "Åsa Öberg"},
        )

    async def challenge(self, order: Mapping[str, Any], decision: str) -> httpx.Response:
        """Answer the 3-D Secure step."""
        return await self.sandbox.public.post(
            f"{order['payment_url']}/challenge", data={"decision": decision}
        )

    async def read(self, order: Mapping[str, Any]) -> dict[str, Any]:
        return _json(
            await self.checkout.public.get(
                f"/api/checkout/v1/orders/{order['order_id']}", headers=bearer(order)
            ),
            200,
        )

    async def act(
        self, order: Mapping[str, Any], action: str, body: Any = None, *, key: str | None = None
    ) -> httpx.Response:
        """Cancel, return or (as the dealer) hand over and receive back."""
        headers = DEALER if action in ("handover", "return-receipt") else bearer(order)
        return await self.checkout.public.post(
            f"/api/checkout/v1/orders/{order['order_id']}/{action}",
            json=body,
            headers={**headers, "idempotency-key": key or self.key()},
        )

    # --- the provider -----------------------------------------------------------------------

    async def webhook(
        self, body: bytes, *, at: float | None = None, secret: str = KEYS["webhook_secret"]
    ) -> httpx.Response:
        """Deliver a webhook by hand, signed at `at` (now) with `secret`."""
        signed_at = int(self.clock.now().timestamp() if at is None else at)
        return await self.checkout.public.post(
            "/api/checkout/v1/payment-events/sandbox",
            content=body,
            headers={"webhook-signature": webhook_signature(body, secret, signed_at)},
        )

    async def sent_webhooks(self) -> list[bytes]:
        """The bodies of all webhooks that the provider ever made, in order."""
        async with self.sandbox.service.database.read() as connection:
            rows = await connection.execute(text("SELECT body FROM deliveries ORDER BY event_id"))
            return [bytes(row.body) for row in rows]

    # --- what happened ----------------------------------------------------------------------

    async def facts(self) -> list[Event]:
        """Everything that checkout has stated, in order."""
        answer = await self.checkout.internal.get(
            "/internal/checkout/events", params={"consumer": "test", "limit": 1000}
        )
        return [Event.from_wire(item) for item in answer.json()["items"]]

    async def fact_types(self) -> list[str]:
        """Their types without the prefix."""
        return [event.type.removeprefix("checkout.") for event in await self.facts()]

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of checkout's database."""
        async with self.checkout.service.database.read() as connection:
            return [tuple(row) for row in await connection.execute(text(query))]

    async def damage(self, *statements: str) -> None:
        """Change checkout's database behind its back."""
        async with self.checkout.service.database.transaction() as transaction:
            for statement in statements:
                await transaction.execute(text(statement))

    async def car(self, car_id: str = "car_1") -> str:
        """Who has a car, by checkout's own table."""
        return str((await self.rows(f"SELECT state FROM cars WHERE car_id = '{car_id}'"))[0][0])  # noqa: S608

    def metric(self, name: str, **labels: str) -> float:
        """A metric's present value; 0 when there is no such series."""
        registry = self.checkout.service.platform.registry.collector_registry
        return registry.get_sample_value(name, labels) or 0.0

    async def broken_invariants(self) -> dict[str, int]:
        """The invariants that do not hold, with the rows that break them."""
        answer = await self.checkout.internal.get("/internal/checkout/invariants")
        return {
            item["name"]: item["violations"]
            for item in answer.json()["invariants"]
            if item["violations"]
        }


def listed(car_id: str, **changes: Any) -> CarListed:
    """A car on offer, as the catalogue states it."""
    values = {
        "model_id": "norrsken",
        "title": "Norrsken Lång räckvidd",
        "market": "SE",
        "dealer_id": "umea",
        "source": "SE",
        "price": PRICE,
        "currency": "SEK",
        "vat_rate": "0.25",
        **changes,
    }
    return CarListed(car_id=car_id, **values)


def bearer(order: Mapping[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {order['order_token']}"}


def _json(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = orjson.loads(answer.content)
    return found


@asynccontextmanager
async def open_shop(
    folder: Path,
    clock: ManualClock,
    databases: Mapping[str, str],
    *,
    cars: int = 4,
    practice: bool = True,
    beside: Source | None = None,
    **settings: Any,
) -> AsyncIterator[Shop]:
    """A shop with `cars` cars (`car_1`, …) for humans and one (`rehearsal_1`) for rehearsals.

    Without `practice` there is no practice provider; `sandbox` is then checkout again. `beside` is
    the catalogue that the databases know already.
    """
    catalog = beside or Source("catalog", folder, clock)
    await catalog.create()
    bystander = make_platform(folder, clock=clock)
    others: dict[tuple[str, bool], ASGIApp] = {
        ("catalog", False): _catalogue(),
        ("catalog", True): internal_app(
            "catalog", bystander, outbox=catalog.outbox, router=None, ready=[]
        ),
    }
    builds = {"checkout": build_checkout} | ({"sandbox": build_sandbox} if practice else {})
    try:
        async with running(
            folder, builds, clock=clock, others=others, databases=databases, **settings
        ) as services:
            checkout = services["checkout"]
            shop = Shop(clock, catalog, checkout, services.get("sandbox", checkout))
            stock = [listed(f"car_{number}") for number in range(1, cars + 1)]
            await shop.state(*stock, listed("rehearsal_1", rehearsal=True))
            yield shop
    finally:
        bystander.flags.close()
        if beside is None:
            await catalog.database.close()


def _catalogue() -> FastAPI:
    """The catalogue's list of cars: two others like any car."""
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})

    @app.get("/api/catalog/v1/cars")
    async def cars(market: str, model: str = "") -> dict[str, Any]:
        return {"items": [_car(number, market) for number in (8, 9)], "total": 2}

    @app.get("/api/catalog/v1/cars/{car_id}")
    async def car(car_id: str) -> Response:
        listed = {"car_listed_only": 200, "car_nobody_says": 503}
        return JSONResponse({"car_id": car_id}, status_code=listed.get(car_id, 404))

    return app


def _car(number: int, market: str) -> dict[str, Any]:
    return {
        "car_id": f"like_{number}",
        "model_id": "norrsken",
        "title": "Norrsken",
        "make": "Vitrine",
        "model_name": "Norrsken",
        "condition": "new",
        "wltp": {},
        "colour": {"family": "blue", "name": "Blue"},
        "price": {"amount": PRICE, "currency": "SEK"},
        "market": market,
        "dealer": {"dealer_id": "umea", "name": "Umeå", "city": "Umeå"},
        "state": "available",
    }


async def set_flag(of: Running, key: str, value: float | bool) -> None:
    """Change a flag in its file and wait until the service sees it."""
    flags = of.service.platform.flags
    document: Any = resting_state()
    document["flags"][key] |= {"variants": {"rest": value}}
    flags.path.write_bytes(orjson.dumps(document))
    stamp = flags.path.stat().st_mtime + next(_STAMPS)  # two writes within a clock tick differ
    os.utime(flags.path, (stamp, stamp))
    read = flags.enabled if isinstance(value, bool) else flags.number
    await asyncio.to_thread(
        wait_until, lambda: read(key) == value, timeout_seconds=10, what=f"flag {key}"
    )


_STAMPS = count(1)
