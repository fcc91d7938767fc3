"""One complete purchase over checkout's public API: hold, order, and the webhook that confirms.

Three durable HTTP requests, as a payments client and a provider send them: a fresh Idempotency-Key
each, a shopper's own address, a webhook signed over its raw bytes. `POST /orders` includes
checkout's call to the payment provider, which a stand-in on the other core answers at once.
"""

import hashlib
import hmac
import itertools
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from bench.connection import Answer, Connection, render

PREFIX = "/api/checkout/v1"
CUSTOMER = {"name": "Åsa Öberg", "email": "asa.oberg@example.se", "phone": "+46 70 123 45 67"}


class JourneyFailed(Exception):
    """An answer that no journey should meet: the measurement would mean nothing."""


@dataclass(frozen=True, slots=True)
class Journey:
    """How long each request took, in seconds; `ended_at` is `time.perf_counter()`."""

    hold: float
    order: float
    webhook: float
    ended_at: float

    @property
    def seconds(self) -> float:
        return self.hold + self.order + self.webhook


class Shopper:
    """Buys one car after the other. `cars` are numbers that nobody else buys.

    Each request takes the next one of `connections`, as a gateway takes the next worker.
    """

    def __init__(
        self,
        connections: Sequence[Connection],
        cars: Iterator[int],
        *,
        number: int,
        webhook_secret: str,
    ) -> None:
        self._connections = itertools.cycle(connections)
        self._cars = cars
        self._secret = webhook_secret.encode()
        # Loopback is a trusted proxy: this is the shopper's address for checkout's limits.
        self._address = f"x-forwarded-for: 10.0.{number // 250}.{number % 250 + 1}\r\n"

    async def buy(self) -> Journey:
        """Raises `JourneyFailed` for any other answer than success."""
        started = time.perf_counter()
        held = await self._post("/holds", {"car_id": f"car_{next(self._cars)}"})
        hold = orjson.loads(_good(held, 201))
        holding = time.perf_counter()
        ordered = await self._post("/orders", {"hold_id": hold["hold_id"], "customer": CUSTOMER})
        order = orjson.loads(_good(ordered, 201))
        ordering = time.perf_counter()
        confirmed = await next(self._connections).request(self._webhook(order))
        if orjson.loads(_good(confirmed, 200)) != {"result": "applied"}:
            raise JourneyFailed(confirmed.body.decode())
        ended = time.perf_counter()
        return Journey(holding - started, ordering - holding, ended - ordering, ended)

    async def _post(self, path: str, body: dict[str, object]) -> Answer:
        key = f'idempotency-key: "{uuid.uuid4()}"\r\n'
        return await next(self._connections).request(
            render(PREFIX + path, orjson.dumps(body), key + self._address)
        )

    def _webhook(self, order: dict[str, object]) -> bytes:
        payment_id = str(order["payment_url"]).rpartition("/")[2]
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        body = orjson.dumps(
            {
                "event_id": f"evt_{payment_id}",
                "type": "payment.succeeded",
                "created_at": now,
                "payment": {
                    "payment_id": payment_id,
                    "reference": order["order_id"],
                    "state": "succeeded",
                    "amount": order["deposit"],
                    "refunded": {"amount": 0, "currency": "SEK"},
                    "payment_url": order["payment_url"],
                    "accepted_at": now,
                },
            }
        )
        at = int(time.time())
        digest = hmac.new(self._secret, b"%d." % at + body, hashlib.sha256).hexdigest()
        return render(
            f"{PREFIX}/payment-events/sandbox", body, f"webhook-signature: t={at},v1={digest}\r\n"
        )


def _good(answer: Answer, status: int) -> bytes:
    if answer.status != status:
        raise JourneyFailed(f"{answer.status}: {answer.body.decode()[:400]}")
    return answer.body
