"""Checkout in this process, with a clock, a provider and a database that a proof moves at will."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
from sqlalchemy.engine import make_url
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.checkout.invariants import INVARIANTS
from app.checkout.main import build as build_checkout
from app.frame.settings import Pooler
from app.kernel.clock import ManualClock
from app.kernel.errors import Unavailable
from rigs.neighbours import Neighbours
from tests.builders.platform import KEYS
from tests.builders.services import Running, refunds_of, running
from tests.proofs.interruptions import CuttingProxy, Fuse, counting_sqlite

CARS = 3
JOBS = (
    *("consume:catalog", "sweep", "refunds", "reconcile", "reconcile-ended", "reconcile-kept"),
    *("retention", "lapse"),
)
DEADLINES = (":overdue", ":refunds_owed_since")
UNTIMED = frozenset(
    each.name for each in INVARIANTS if not any(moment in each.query for moment in DEADLINES)
)
"""Invariants that hold at every moment; the others say that background work has not run yet."""


@dataclass
class Arena:
    """One checkout with its cars. `runner` runs its coroutines, one at a time."""

    runner: asyncio.Runner
    clock: ManualClock
    fuse: Fuse
    provider: Neighbours
    checkout: Running
    events: list[dict[str, Any]] = field(default_factory=list)
    """Checkout's outbox as a consumer has read it so far."""

    def send(self, method: str, path: str, **parts: Any) -> httpx.Response:
        """One request to the public API."""
        return self.runner.run(
            self.checkout.public.request(method, f"/api/checkout/v1{path}", **parts)
        )

    def run_job(self, name: str) -> bool:
        """One turn of a background job; False when the database went away under it."""
        try:
            self.runner.run(self.checkout.job(name)())
        except Unavailable:
            return False
        return True

    def ask_again_for_refused(self) -> bool:
        """A person has every refund that was refused asked for again; False as in `run_job`."""
        refunds = refunds_of(self.checkout)

        async def ask() -> None:
            for owed in await refunds._store.refunds_owed():
                if owed.payment.state == "refund_refused":
                    await refunds.decide(owed.order.order_id, "retry")

        try:
            self.runner.run(ask())
        except Unavailable:
            return False
        return True

    def feed(self, car_id: str, *, listed: bool) -> None:
        """The catalogue says that a car is on offer, or no longer; its consumer may read it."""
        told = {"car_id": car_id, "listed": listed}
        self.provider.answer("POST", "/stand-in/feed", orjson.dumps(told))

    def provider_answers(self, method: str, target: str) -> tuple[int, dict[str, Any], str]:
        """What the provider's stand-in says: status, body, signature."""
        status, body, headers = self.provider.answer(method, target, b"")
        return status, body, headers.get("webhook-signature", "")

    def payments(self) -> dict[str, dict[str, Any]]:
        """The provider's payments by order."""
        _, body, _ = self.provider_answers("GET", "/stand-in/payments")
        return {each["reference"]: each for each in body["items"]}

    def internal(self, path: str, **query: Any) -> Any:
        answer = self.runner.run(self.checkout.internal.get(path, params=query))
        assert answer.status_code == 200, answer.text
        return orjson.loads(answer.content)

    def broken(self, *, settled: bool) -> dict[str, int]:
        """Invariants that do not hold; all of them are looked at when nothing is left to do."""
        found = self.internal("/internal/checkout/invariants")["invariants"]
        return {
            each["name"]: each["violations"]
            for each in found
            if each["violations"] and (settled or each["name"] in UNTIMED)
        }

    def orders(self) -> dict[str, dict[str, Any]]:
        """All orders by id."""
        found = self.internal("/internal/checkout/orders", limit=1000)["items"]
        return {each["order_id"]: each for each in found}

    def read_on(self) -> None:
        """Read what is new in the outbox."""
        after = self.events[-1]["sequence"] if self.events else 0
        self.events += self.internal(
            "/internal/checkout/events", consumer="proof", after=after, limit=1000
        )["items"]


@contextmanager
def open_arena(
    folder: Path, database_url: str, *, pooler: Pooler = "", cars: int = CARS, twins: bool = False
) -> Iterator[Arena]:
    """A fresh checkout on an empty database, with `cars` cars; `pooler` stands before that.

    With `twins` the first two cars are one physical car.
    """
    clock = ManualClock(datetime(2026, 11, 27, 9, 0, tzinfo=UTC))
    fuse, provider = Fuse(), Neighbours(KEYS["webhook_secret"])
    provider.now = lambda: clock.now().timestamp()
    provider.answer("POST", "/stand-in/cars", orjson.dumps({"count": cars, "twins": twins}))
    stand_in = _as_asgi(provider)
    others: dict[tuple[str, bool], ASGIApp] = {
        ("catalog", False): stand_in,
        ("catalog", True): stand_in,
        ("sandbox", False): stand_in,
    }
    with ExitStack() as held:
        held.enter_context(counting_sqlite(fuse))
        runner = held.enter_context(asyncio.Runner())
        opened = AsyncExitStack()
        held.callback(lambda: runner.run(opened.aclose()))

        async def start() -> Running:
            services = await opened.enter_async_context(
                running(
                    folder,
                    {"checkout": build_checkout},
                    clock=clock,
                    others=others,
                    databases={"checkout": await _through_proxy(database_url, fuse, opened)},
                    pooler=pooler,
                )
            )
            await services["checkout"].job("consume:catalog")()
            return services["checkout"]

        yield Arena(runner, clock, fuse, provider, runner.run(start()))


async def _through_proxy(url: str, fuse: Fuse, opened: AsyncExitStack) -> str:
    """The address of a proxy before a PostgreSQL; SQLite is counted where its driver connects."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return url
    assert parsed.port is not None
    proxy = CuttingProxy(fuse, parsed.port)
    opened.push_async_callback(proxy.stop)
    return parsed.set(port=await proxy.start()).render_as_string(hide_password=False)


def _as_asgi(neighbours: Neighbours) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        target = f"{request.url.path}?{request.url.query}"
        status, body, headers = neighbours.answer(request.method, target, await request.body())
        await Response(orjson.dumps(body), status, headers, media_type="application/json")(
            scope, receive, send
        )

    return answer
