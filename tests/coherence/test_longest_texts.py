"""Of every text that comes from outside: the longest goes all the way, one more is refused.

On PostgreSQL, whose columns are as wide as they say. Which texts there are is read from the
OpenAPI documents; forms, cookies and signed messages are told here.
"""

from __future__ import annotations

import copy
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import httpx
import orjson
import pytest
import pytest_asyncio
from sqlalchemy import text

from app.contracts.sandbox import webhook_signature
from app.embedded import SERVICES
from app.kernel.clock import ManualClock
from rigs.postgres import LocalPostgres
from tests.builders.feeds import car, feed
from tests.builders.platform import KEYS
from tests.builders.purchase import PAYS
from tests.builders.schemas import Place, Schema, texts
from tests.builders.services import DEALER, Running, running
from tests.storefront.conftest import hidden

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

TUESDAY = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
CUSTOMER = {"name": "Anna Ask", "email": "anna@example.se", "phone": "+46701234567"}
MARKS = {"utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term"}
CUT = {*(f"attribution.{mark}" for mark in MARKS), "attribution.advice_id"}
"""What is too long in these is cut or left out: an advertisement's label costs no sale."""

MEANT = {"near", "cursor", "adapter", "by", "steps", "measure"}
"""Long enough or not, a text of our own making says nothing here: 422 for its meaning."""

REPORT: Final = {
    "from": "2026-11-27T00:00:00Z",
    "to": "2026-11-28T00:00:00Z",
    "known_at": "2026-11-28T00:00:00Z",
    "measure": "order",
}
"""What a report is asked with, as far as it takes it."""

ENTITLED = {"/api/insight/v1/feedback"}
"""However long, it is heard only with the token of a bought order."""


def letters(count: int) -> str:
    """Three bytes each in UTF-8, and a letter."""
    return "\u6f22" * count


def email(count: int) -> str:
    rest = count - len("a@.se")
    labels = [min(63, rest - start) for start in range(0, rest, 64)]
    return (
        f"a@{'.'.join('b' * label for label in labels if label > 0)}".ljust(count - 3, "c") + ".se"
    )


FILLED: dict[str, Callable[[int], str]] = {
    "email": email,
    "phone": lambda count: "+" + "4" * (count - 1),
    "return_url": lambda count: "/" + letters(count - 1),
    "cancel_url": lambda count: "/" + letters(count - 1),
}


@dataclass(frozen=True, slots=True)
class Bound:
    """A bounded text of a request: where it stands, and how long it may be."""

    method: str
    path: str
    kind: str
    at: tuple[str, ...]
    most: int
    pattern: str = ""
    beside: frozenset[str] = frozenset()
    """Names of all parameters of its request."""

    @property
    def name(self) -> str:
        return ".".join(self.at)

    def filled(self, count: int) -> str:
        if self.at[-1] in FILLED:
            return FILLED[self.at[-1]](count)
        return "a" * count if self.pattern and "x00" not in self.pattern else letters(count)


def bounds(document: Mapping[str, Any]) -> Iterator[Bound]:
    """Every bounded text of an API's requests; closed lists and fixed lengths are no texts."""
    parts = document.get("components", {}).get("schemas", {})
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            asked: list[tuple[str, Place, Schema]] = [
                ("body", (), content.get("application/json", {}).get("schema", {})),
                *(
                    (one["in"], (one["name"],), one["schema"])
                    for one in operation.get("parameters", ())
                ),
            ]
            beside = frozenset(one["name"] for one in operation.get("parameters", ()))
            for kind, at, schema in asked:
                for place, found in texts(schema, parts, at):
                    most = _longest(found)
                    if most:
                        pattern = found.get("pattern", "")
                        yield Bound(method, path, kind, place, most, pattern, beside)


def _longest(schema: Mapping[str, Any]) -> int:
    """The longest text that a schema takes; 0 when a list or a fixed length says it all."""
    if {"enum", "const", "format"} & set(schema):
        return 0
    classes = re.findall(r"\[[^]]*\](?:\{\d+,?(\d*)\})?", schema.get("pattern", ""))
    fixed = re.search(r"\{\d+\}", schema.get("pattern", ""))
    return 0 if fixed else int(schema.get("maxLength", sum(int(most or 1) for most in classes)))


def put(body: Any, at: tuple[str, ...], value: str) -> Any:
    """The body with the value at a place in it."""
    if not at:
        return value
    if at[0] == "[]":
        return [put(None, at[1:], value)]
    return {**(body or {}), at[0]: put((body or {}).get(at[0]), at[1:], value)}


@dataclass(slots=True)
class World:
    """All six services on PostgreSQL, with a hold that can be ordered again and again."""

    services: dict[str, Running]
    clock: ManualClock
    hold: dict[str, Any] = field(default_factory=dict)
    car_id: str = ""

    def bodies(self) -> dict[str, Any]:
        """What each route takes, without its longest texts."""
        payment = {
            "reference": f"ord_{uuid4().hex}",
            "amount": {"amount": 500_000, "currency": "SEK"},
            **dict.fromkeys(("return_url", "cancel_url"), "http://test/"),
            "description": "Deposit",
        }
        return {
            "/api/checkout/v1/holds": {"car_id": self.car_id},
            "/api/checkout/v1/orders": {
                "hold_id": self.hold["hold_id"],
                "customer": CUSTOMER,
                "payment": {"provider": "sandbox"},
            },
            "/api/advisor/v1/matches": {"market": "SE"},
            "/api/insight/v1/feedback": {
                "order_id": "ord_1",
                "touchpoint": "order",
                "csat": 4,
                "market": "SE",
            },
            "/api/insight/v1/deployments": {
                "service": "checkout",
                "revision": "1",
                "outcome": "succeeded",
            },
            "/api/checkout/v1/orders/{order_id}/return": {"reason": "other"},
            "/sandbox/v1/payments": payment,
            "/sandbox/v1/payments/{payment_id}/refunds": {"reference": "ord_1"},
        }

    async def ask(self, service: str, bound: Bound, value: str) -> httpx.Response:
        """A request that is right but for this text."""
        body: Any = copy.deepcopy(self.bodies().get(bound.path))
        path, query = bound.path, {}
        headers = {"idempotency-key": f'"{uuid4()}"', "authorization": _key(bound.path)}
        if "/reports/" in bound.path:
            query = {name: value for name, value in REPORT.items() if name in bound.beside}
        if bound.at == ("advice_id",):
            del body["order_id"]
        if bound.kind == "body":
            body = put(body, bound.at, value)
        elif bound.kind == "query":
            query |= {bound.at[0]: value}
        else:
            path = path.replace(f"{{{bound.at[0]}}}", value)
        path = re.sub(r"\{\w+\}", "unknown", path)
        if bound.path == "/api/catalog/v1/feeds/{source}":
            return await self.services[service].public.post(
                path, params={"market": "SE", **query}, content=feed([car("A1")]), headers=headers
            )
        return await self.services[service].public.request(
            bound.method.upper(), path, params=query, json=body, headers=headers
        )

    async def cars(self) -> list[str]:
        """Cars that can be held."""
        await self.services["catalog"].job("refresh-shelf")()
        found = await self.services["catalog"].public.get("/api/catalog/v1/cars?market=SE")
        return [each["car_id"] for each in found.json()["items"] if each["state"] == "available"]

    def visitor(self) -> httpx.AsyncClient:
        """A browser: its own cookies."""
        transport = httpx.ASGITransport(self.services["storefront"].service.api)
        return httpx.AsyncClient(transport=transport, base_url="http://test")

    async def rows(self, service: str, query: str, **values: Any) -> list[tuple[Any, ...]]:
        async with self.services[service].service.database.read() as connection:
            return [tuple(row) for row in await connection.execute(text(query), values)]

    async def digested(self) -> dict[str, int]:
        """Let every consumer read everything; how many facts each has set aside."""
        for name in ("storefront", "insight"):
            for job in self.services[name].service.jobs:
                if job.name.startswith(("write-behaviour", "consume-")):
                    await job.run()
        await self.services["catalog"].job("follow-checkout")()
        await self.services["checkout"].job("consume:catalog")()
        return {
            name: (await self.rows(name, "SELECT COUNT(*) FROM undigested"))[0][0]
            for name in ("catalog", "checkout", "insight")
        }


def _key(path: str) -> str:
    if path.startswith("/sandbox"):
        return f"Bearer {KEYS['payment_key']}"
    if "/reports/" in path:
        return f"Bearer {KEYS['report_key']}"
    return f"Bearer {KEYS['delivery_key']}" if "insight" in path else DEALER["authorization"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    tmp_path_factory: pytest.TempPathFactory, postgres: LocalPostgres
) -> AsyncIterator[World]:
    databases = {}
    for name in SERVICES:
        postgres.query(f'CREATE DATABASE "longest_{name}"')
        databases[name] = postgres.url(f"longest_{name}")
    clock = ManualClock(TUESDAY)
    builds = {name: build for name, (build, _) in SERVICES.items()}
    folder = tmp_path_factory.mktemp("longest")
    async with running(folder, builds, clock=clock, databases=databases) as services:
        for _ in range(8):  # the shipped stock is several pages of events
            await services["checkout"].job("consume:catalog")()
        made = World(services, clock)
        first, made.car_id = (await made.cars())[:2]
        held = await services["checkout"].public.post(
            "/api/checkout/v1/holds",
            json={"car_id": first},
            headers={"idempotency-key": f'"{uuid4()}"'},
        )
        made.hold = held.json()
        yield made


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "storefront"])
async def test_the_longest_text_is_taken_and_one_more_is_not(world: World, service: str) -> None:
    prefix = "/sandbox" if service == "sandbox" else f"/api/{service}/v1"
    document = (await world.services[service].public.get(f"{prefix}/openapi.json")).json()
    found = list(bounds(document))
    wrong = []
    for bound in found:
        longest = await world.ask(service, bound, bound.filled(bound.most))
        longer = await world.ask(service, bound, bound.filled(bound.most + 1))
        taken = longest.status_code < 500 and longest.status_code not in (400, 401, 422)
        meant = bound.name in MEANT and longest.status_code == 422
        meant |= bound.path in ENTITLED and longest.status_code == 401
        unnamed = longer.status_code == 404 and "no identifier looks like it" in longer.text
        refused = longer.status_code == (201 if bound.name in CUT else 422) or unnamed
        if not ((taken or meant) and refused):
            wrong.append((bound, longest.text, longer.text))
    assert found
    assert wrong == []
    assert await world.digested() == {"catalog": 0, "checkout": 0, "insight": 0}


async def test_an_order_of_only_the_longest_texts_is_paid_and_booked(world: World) -> None:
    visitor = world.visitor()
    landing = await visitor.get("/se/sv", params=dict.fromkeys(MARKS, letters(101)))
    session = {"cookie": f"vitrine_session={landing.cookies['vitrine_session']}"}
    checkout = world.services["checkout"].public
    held = await checkout.post(
        "/api/checkout/v1/holds",
        json={"car_id": world.car_id},
        headers={"idempotency-key": f'"{"k" * 5_000}"', **session},
    )
    order = await checkout.post(
        "/api/checkout/v1/orders",
        json={
            "hold_id": held.json()["hold_id"],
            "customer": {"name": letters(120), "email": email(254), "phone": FILLED["phone"](16)},
            "payment": {"provider": "sandbox"},
            "attribution": {
                **{mark: letters(101) for mark in MARKS - {"utm_campaign"}},
                "advice_id": "a" * 60,
            },
            **{name: FILLED[name](500) for name in ("return_url", "cancel_url")},
        },
        headers={"idempotency-key": f'"{"k" * 5_001}"', **session},
    )
    paid = await world.services["sandbox"].public.post(
        order.json()["payment_url"],
        data={"card_number": PAYS, "expiry": "12/49", "cvc": "123", "name": letters(200)},
    )

    assert [held.status_code, order.status_code, paid.status_code] == [201, 201, 303]
    assert await world.digested() == {"catalog": 0, "checkout": 0, "insight": 0}
    order_id = order.json()["order_id"]
    (submitted,) = await world.rows(
        "checkout",
        "SELECT data FROM outbox WHERE type = 'checkout.order.submitted'"
        " AND data->>'order_id' = :order_id",
        order_id=order_id,
    )
    assert {mark: submitted[0].get(mark) for mark in sorted(MARKS)} == {
        **dict.fromkeys(sorted(MARKS), letters(100)),
        "utm_campaign": None,  # the context's
    }
    assert await world.rows(
        "insight",
        "SELECT state, campaign FROM orders WHERE order_id = :order_id",
        order_id=order_id,
    ) == [("confirmed", letters(100))]


@pytest.mark.parametrize("count", [128, 129])
async def test_a_key_of_any_length_brings_its_first_answer_again(world: World, count: int) -> None:
    asked: dict[str, Any] = {"json": {"car_id": (await world.cars())[0]}}
    asked["headers"] = {"idempotency-key": f'"{uuid4().hex}{"k" * (count - 32)}"'}
    checkout = world.services["checkout"].public
    first, second = [await checkout.post("/api/checkout/v1/holds", **asked) for _ in range(2)]

    assert (first.status_code, second.content) == (201, first.content)
    assert second.headers["idempotency-replayed"] == "true"
    await world.digested()


async def test_forms_beacons_and_notifications_have_their_longest_too(world: World) -> None:
    visitor = world.visitor()
    page = f"/se/en/cars/{(await world.cars())[0]}"
    form = {name: hidden((await visitor.get(page)).text, name) for name in ("car_id", "key")}
    purchase = (await visitor.post("/se/en/purchases", data=form)).headers["location"]
    await visitor.post("/se/en/consent", data={"analytics": "granted"})

    async def order(**typed: str) -> httpx.Response:
        return await visitor.post(
            f"{purchase}/order", data={"key": str(uuid4()), **CUSTOMER, **typed}
        )

    async def hold(car_id: str) -> httpx.Response:
        return await visitor.post("/se/en/purchases", data={"car_id": car_id})

    async def beacon(path: str) -> int:
        answer = await world.services["insight"].public.post(
            "/api/insight/v1/events",
            json={"events": [{"type": "page_view", "path": path}]},
            headers={"cookie": f"vitrine_session={visitor.cookies['vitrine_session']}"},
        )
        return int(answer.json()["accepted"])

    async def alert(fingerprint: str) -> httpx.Response:
        told = {
            "status": "firing",
            "labels": {"alertname": letters(500), "severity": letters(500)},
            "annotations": {"summary": letters(5_000)},
            "startsAt": "2026-11-24T09:00:00Z",
            "fingerprint": fingerprint,
        }
        return await world.services["insight"].internal.post(
            "/internal/insight/alerts", json={"alerts": [told]}
        )

    answers = {
        "name": [await order(name=letters(count)) for count in (120, 121)],
        "email": [await order(email=email(count)) for count in (254, 255)],
        "phone": [await order(phone=FILLED["phone"](count)) for count in (16, 17)],
        "car_id": [await hold("a" * count) for count in (80, 81)],
        "fingerprint": [await alert(letters(count)) for count in (40, 41)],
    }
    assert {name: [one.status_code for one in both] for name, both in answers.items()} == {
        "name": [303, 422],
        "email": [303, 422],
        "phone": [303, 422],
        "car_id": [404, 422],
        "fingerprint": [200, 422],
    }
    assert [await beacon(letters(count)) for count in (500, 501)] == [1, 0]
    assert await world.digested() == {"catalog": 0, "checkout": 0, "insight": 0}


async def test_a_signed_message_has_its_longest_too(world: World) -> None:
    """Last: the longest of them all pays the order."""
    order = await world.ask(
        "checkout", Bound("post", "/api/checkout/v1/orders", "body", ("return_url",), 500), "/"
    )
    payment = {
        "payment_id": "a" * 80,
        "reference": order.json()["order_id"],
        "state": "succeeded",
        "amount": order.json()["deposit"],
        "refunded": {**order.json()["deposit"], "amount": 0},
        "payment_url": f"http://test/{'p' * 1_988}",
    }
    event = {
        "event_id": "e" * 80,
        "type": "payment.succeeded",
        "created_at": "2026-11-24T09:00:00Z",
        "payment": payment,
    }

    async def told(body: dict[str, Any]) -> int:
        content = orjson.dumps(body)
        at = int(world.clock.now().timestamp())
        signature = webhook_signature(content, KEYS["webhook_secret"], at)
        answer = await world.services["checkout"].public.post(
            "/api/checkout/v1/payment-events/sandbox",
            content=content,
            headers={"webhook-signature": signature},
        )
        return answer.status_code

    longer = [
        {**event, "event_id": "e" * 81},
        *(
            {**event, "payment": {**payment, name: f"{payment[name]}{'a' * 81}"}}
            for name in payment
            if isinstance(payment[name], str) and name != "state"
        ),
        {**event, "payment": {**payment, "amount": {"amount": 1, "currency": "SEKK"}}},
        {**event, "event_id": "e\x00"},
    ]
    assert [await told(body) for body in longer] == [400] * 6
    assert await told(event) == 200
    assert await world.rows(
        "checkout",
        "SELECT payment_id, state FROM payments WHERE order_id = :order_id",
        order_id=payment["reference"],
    ) == [("a" * 80, "captured")]
    assert await world.digested() == {"catalog": 0, "checkout": 0, "insight": 0}
