"""Shoppers who buy cars from running checkouts and never give up: the load under every proof.

They know nothing of what is done to the servers. A connection that is refused or cut, a 503, a 429,
a key that is still in flight: they wait a moment and send the same request with the same key again.
They run in a thread of their own, so that a proof can stop and start processes meanwhile.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

from rigs.processes import wait_until

PREFIX = "/api/checkout/v1"
CUSTOMER = {"name": "Åsa Öberg", "email": "asa.oberg@example.se", "phone": "+46 70 123 45 67"}
PATIENCE_SECONDS = 120.0
"""How long a shopper repeats one request before the proof has failed."""
PAUSE_SECONDS = 0.2
NO_ANSWER = 0


@dataclass(frozen=True, slots=True)
class Met:
    """One answer that a shopper met; status 0 when there was none. `at` is `time.monotonic()`."""

    path: str
    status: int
    code: str
    problem: dict[str, Any]
    seconds: float
    at: float

    @property
    def final(self) -> bool:
        return self.status not in (NO_ANSWER, 429, 503) and self.code != "idempotency-key-in-flight"

    @property
    def improper(self) -> str:
        """What is wrong with this answer as an answer; empty when nothing is."""
        if self.status in (NO_ANSWER, 200, 201):
            return ""
        if self.status not in (409, 429, 503):
            return f"{self.path} was answered with {self.status} {self.problem}"
        if self.status in (429, 503) and "retry_after_seconds" not in self.problem:
            return f"{self.path}: {self.status} does not say when to try again: {self.problem}"
        if self.code == "car-not-available" and "similar_cars" not in self.problem:
            return f"{self.path}: a lost race without similar cars: {self.problem}"
        return ""


class GaveUp(Exception):
    """A shopper got no final answer in `PATIENCE_SECONDS`."""


@dataclass(frozen=True, slots=True)
class Bought:
    """An order that its shopper saw confirmed."""

    order_id: str
    car_id: str


@dataclass
class Diary:
    """What all shoppers together met and bought."""

    met: list[Met] = field(default_factory=list)
    bought: list[Bought] = field(default_factory=list)
    lost: list[Met] = field(default_factory=list)
    """The final answers of shoppers who came too late."""

    @property
    def improper(self) -> list[str]:
        return [each.improper for each in self.met if each.improper]

    def seen(self, status: int) -> list[Met]:
        return [each for each in self.met if each.status == status]


class Shopper:
    """One shopper with an address of its own. Each request goes to the next worker in turn."""

    def __init__(
        self, http: httpx.AsyncClient, workers: Sequence[str], neighbours: str, diary: Diary
    ) -> None:
        self._http = http
        self._workers = itertools.cycle(random.sample(list(workers), len(workers)))
        self._neighbours = neighbours
        self._diary = diary
        self._address = "10." + ".".join(str(random.randrange(256)) for _ in range(3))

    async def try_hold(self, car_id: str) -> dict[str, Any] | None:
        """A hold, or None when somebody else was faster."""
        met, answer = await self.insist("/holds", {"car_id": car_id})
        if met.status == 201:
            return answer
        self._diary.lost.append(met)
        return None

    async def buy(self, hold: dict[str, Any], *, doubled: bool = False) -> Bought:
        """Order and pay a held car. `doubled` sends order and webhook twice at the same time."""
        body = {"hold_id": hold["hold_id"], "customer": CUSTOMER}
        key = new_key()
        times = 2 if doubled else 1
        orders = await asyncio.gather(
            *(self.insist("/orders", body, key=key) for _ in range(times))
        )
        order = orders[0][1]
        if any(answer != order for _, answer in orders):
            raise AssertionError(f"one key, two answers: {orders}")
        payment_id = str(order["payment_url"]).rpartition("/")[2]
        paid = await self._http.post(f"{self._neighbours}/stand-in/payments/{payment_id}/succeeded")
        headers = {"webhook-signature": paid.headers["webhook-signature"]}
        await asyncio.gather(
            *(
                self.insist("/payment-events/sandbox", paid.content, headers=headers)
                for _ in range(times)
            )
        )
        seen = await self.read(order)
        if seen["state"] != "confirmed":
            raise AssertionError(f"paid, and {seen}")
        bought = Bought(order["order_id"], order["car_id"])
        self._diary.bought.append(bought)
        return bought

    async def read(self, order: dict[str, Any]) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {order['order_token']}"}
        _, answer = await self.insist(f"/orders/{order['order_id']}", None, headers=headers)
        return answer

    async def insist(
        self,
        path: str,
        body: dict[str, Any] | bytes | None,
        *,
        key: str = "",
        headers: dict[str, str] | None = None,
    ) -> tuple[Met, dict[str, Any]]:
        """Send one request until its answer is final; always the same body and key."""
        content: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
        sent = {
            "x-forwarded-for": self._address,
            "idempotency-key": key or new_key(),
            **(headers or {}),
        }
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            met, answer = await self._once(path, content if body is not None else {}, sent)
            self._diary.met.append(met)
            if met.final:
                return met, answer
            if time.monotonic() > deadline:
                raise GaveUp(f"{path}: {met}")
            await asyncio.sleep(random.uniform(0.5, 1.5) * PAUSE_SECONDS)

    async def _once(
        self, path: str, content: dict[str, Any], headers: dict[str, str]
    ) -> tuple[Met, dict[str, Any]]:
        url, started = next(self._workers) + PREFIX + path, time.monotonic()
        try:
            response = await self._http.request(
                "POST" if content else "GET", url, headers=headers, **content
            )
        except httpx.HTTPError as error:
            met = Met(path, NO_ANSWER, type(error).__name__, {}, _since(started), time.monotonic())
            return met, {}
        answer = response.json()
        code = str(answer.get("type", "")).rpartition("/")[2] if response.is_error else ""
        problem = answer if response.is_error else {}
        met = Met(path, response.status_code, code, problem, _since(started), time.monotonic())
        return met, answer


def new_key() -> str:
    return f'"{uuid.uuid4()}"'


def _since(started: float) -> float:
    return time.monotonic() - started


Behaviour = Callable[[Shopper], Coroutine[Any, Any, None]]


class Shopping:
    """A crowd in a thread: each shopper does `behaviour` once. A context; leaving it waits for all.

    Raises on leaving what the first shopper who failed raised.
    """

    def __init__(
        self, workers: Sequence[str], neighbours: str, *, shoppers: int, behaviour: Behaviour
    ) -> None:
        self.diary = Diary()
        self._workers = workers
        self._neighbours = neighbours
        self._shoppers = shoppers
        self._behaviour = behaviour
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="shoppers")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def wait_bought(self, more: int) -> None:
        """Return once `more` further orders were seen confirmed."""
        self._wait(lambda: len(self.diary.bought), more, "orders confirmed")

    def wait_answers(self, more: int) -> None:
        """Return once `more` further answers of any kind were met."""
        self._wait(lambda: len(self.diary.met), more, "answers")

    def wait_met(self, status: int, more: int) -> None:
        """Return once `more` further answers with a status were met."""
        self._wait(lambda: len(self.diary.seen(status)), more, f"answers {status}")

    def _wait(self, counted: Callable[[], int], more: int, what: str) -> None:
        wanted = counted() + more

        def there() -> bool:
            if self._failure is not None:
                raise self._failure
            return counted() >= wanted

        wait_until(there, timeout_seconds=PATIENCE_SECONDS, what=f"{more} more {what}")

    def _run(self) -> None:
        try:
            asyncio.run(self._all())
        except BaseException as error:  # noqa: BLE001 - raised again in the proof's thread
            self._failure = error

    async def _all(self) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        async with httpx.AsyncClient(limits=limits, timeout=40.0, trust_env=False) as http:
            await asyncio.gather(
                *(
                    self._behaviour(Shopper(http, self._workers, self._neighbours, self.diary))
                    for _ in range(self._shoppers)
                )
            )


@dataclass
class OpenDoors:
    """Shoppers who buy one car after the other until the doors close; no car is wanted twice."""

    open: bool = True
    _cars: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def behave(self, shopper: Shopper) -> None:
        while self.open:
            hold = await shopper.try_hold(f"car_{next(self._cars)}")
            if hold is None:
                raise AssertionError("a car that only one shopper wants was refused")
            await shopper.buy(hold, doubled=random.random() < 0.2)
