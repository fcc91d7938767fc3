"""Stand-ins for checkout's neighbours, in one small program: a catalogue and a payment provider.

    python -m rigs.neighbours --port 9300 --secret WEBHOOK_SECRET

Proofs and benchmarks run checkout alone. What it needs from others is answered here, from memory,
in a few tens of microseconds:

- the catalogue's outbox, which lists as many equal cars (`car_1`, `car_2`, …) as it is told to
  (`POST /stand-in/cars {"count": 5000}`), and its list of cars for suggestions. Afterwards a car
  leaves its feed and comes back (`POST /stand-in/feed {"car_id": "car_1", "listed": false}`);
- the provider's money API. A shopper pays by `POST /stand-in/payments/{id}/succeeded` (`declined`
  and `requires_action` happen likewise), which answers with the webhook to deliver, signed; the
  caller delivers it, as often as it likes. What happens to the money afterwards is told alike:
  `refunded`, `partly_refunded`, `disputed`, `partly_disputed`, `dispute_won`, `dispute_lost`, and
  disputed once more. While
  `POST /stand-in/refusals {"refuse": true}` stands, it gives nothing back that we ask for;
- the outboxes of all other services, which are empty, so that insight can run beside checkout.

`GET /stand-in/payments` tells which payments were opened, paid and paid back.
"""

import argparse
import asyncio
import hashlib
import hmac
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

from rigs.ports import LOOPBACK

PRICE, CURRENCY, VAT_RATE, MARKET = 48_990_000, "SEK", "0.25", "SE"
"""Of every car, in minor units."""
MOST_EVENTS = 1000
HAPPENING = ("requires_action", "declined", "succeeded")
"""What a shopper can make of a payment."""
MOVING = {
    "refunded": "payment.refunded",
    "partly_refunded": "payment.refunded",
    "disputed": "payment.disputed",
    "partly_disputed": "payment.disputed",
    "dispute_won": "payment.dispute_closed",
    "dispute_lost": "payment.dispute_closed",
}
"""What can become of money that was taken, and which message tells of it."""

Answer = tuple[int, dict[str, object], dict[str, str]]
"""Status, JSON body, further headers."""


@dataclass
class Payment:
    """One payment; amounts in minor units."""

    payment_id: str
    reference: str
    amount: dict[str, object]
    state: str = "requires_payment_method"
    accepted_at: str | None = None
    happened: int = 0
    """How often its state has changed: events are numbered."""
    refunded: int = 0
    dispute: str = ""
    """The latest one of `disputes`, over `disputed`; `lost` is what all of them cost."""
    disputes: int = 0
    disputed: int = 0
    lost: int = 0

    @property
    def price(self) -> int:
        return int(str(self.amount["amount"]))

    @property
    def can_go_back(self) -> bool:
        """Whether the money is ours still, and nobody disputes it."""
        return self.state == "succeeded" and self.dispute != "open" and self.lost < self.price

    @property
    def left(self) -> int:
        """What is ours still."""
        return self.price - self.refunded - self.lost

    def move(self, how: str) -> bool:
        """Money moves after it was taken; False when it cannot."""
        left = self.left if self.can_go_back else 0
        match how:
            case "refunded" if left:
                self.refunded += left
            case "partly_refunded" if left > 1:
                self.refunded += left // 2
            case "disputed" if left:
                self._open_dispute(left)
            case "partly_disputed" if left > 1:
                self._open_dispute(left // 2)
            case "dispute_won" | "dispute_lost" if self.dispute == "open":
                self.dispute = how.removeprefix("dispute_")
                self.lost += self.disputed if self.dispute == "lost" else 0
            case _:
                return False
        return True

    def _open_dispute(self, amount: int) -> None:
        self.dispute, self.disputed = "open", amount
        self.disputes += 1

    def wire(self) -> dict[str, object]:
        return {
            "payment_id": self.payment_id,
            "reference": self.reference,
            "state": self.state,
            "amount": self.amount,
            "refunded": {"amount": self.refunded, "currency": self.amount["currency"]},
            "dispute": self.dispute,
            "dispute_id": f"dp_{self.disputes}_{self.payment_id}" if self.disputes else "",
            "disputed": {**self.amount, "amount": self.disputed},
            "payment_url": f"http://{LOOPBACK}/pay/{self.payment_id}",
            "accepted_at": self.accepted_at,
        }


class Neighbours:
    """What the stand-ins know. `secret` signs webhooks."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self.now: Callable[[], float] = time.time
        self._cars = 0
        self._fed: list[tuple[int, bool, str]] = []
        """What the feed said later: a car's number, whether it has it, and when."""
        self._twins = False
        self._refusing = False
        self._payments: dict[str, Payment] = {}
        self._offered_at = ""

    def answer(self, method: str, target: str, body: bytes) -> Answer:
        """The answer to one request."""
        parts = urlsplit(target)
        names = parts.path.strip("/").split("/")
        if names[:3] == ["sandbox", "v1", "payments"]:
            return self._provider(method, names[3:], body)
        match (method, *names):
            case ("GET", "internal", "catalog", "events"):
                query = parse_qs(parts.query)
                after, limit = int(query["after"][0]), int(query.get("limit", ["500"])[0])
                return 200, {"items": self._listed(after, min(limit, MOST_EVENTS))}, {}
            case ("GET", "internal", _, "events"):
                return 200, {"items": []}, {}
            case ("GET", "api", "catalog", "v1", "cars"):
                return 200, {"items": [_similar(1), _similar(2)], "total": 2}, {}
            case ("POST", "stand-in", "cars" | "feed" as what):
                return self._told_of_cars(what, json.loads(body))
            case ("POST", "stand-in", "payments", payment_id, state) if state in HAPPENING:
                return self._happened(payment_id, state)
            case ("POST", "stand-in", "payments", payment_id, how) if how in MOVING:
                return self._moved(payment_id, how)
            case ("POST", "stand-in", "refusals"):
                self._refusing = bool(json.loads(body)["refuse"])
                return 200, {"refuse": self._refusing}, {}
            case ("GET", "stand-in", "payments"):
                payments = self._payments.values()
                listed = [{**payment.wire(), "left": payment.left} for payment in payments]
                return 200, {"items": listed}, {}
        return _nothing(method, parts.path)

    def _told_of_cars(self, what: str, told: dict[str, object]) -> Answer:
        if what == "cars":
            self._cars, self._twins = int(str(told["count"])), bool(told.get("twins"))
            self._offered_at = self._now()
            return 200, {"count": self._cars}, {}
        number = int(str(told["car_id"]).removeprefix("car_"))
        self._fed.append((number, bool(told["listed"]), self._now()))
        return 200, {"sequence": self._cars + len(self._fed)}, {}

    def _provider(self, method: str, names: list[str], body: bytes) -> Answer:
        match (method, *names):
            case ("POST",):
                return 200, self._opened(json.loads(body)).wire(), {}
            case ("GET", payment_id):
                return self._found(payment_id)
            case ("POST", payment_id, "refunds"):
                return self._refunded(payment_id)
            case ("POST", payment_id, "cancellation"):
                return self._cancelled(payment_id)
        return _nothing(method, "/".join(names))

    def _opened(self, request: dict[str, object]) -> Payment:
        reference = str(request["reference"])
        payment_id = f"pay_{reference.removeprefix('ord_')}"
        amount = request["amount"]
        assert isinstance(amount, dict)  # noqa: S101 - the contract's shape, for the type checker
        return self._payments.setdefault(payment_id, Payment(payment_id, reference, amount))

    def _found(self, payment_id: str) -> Answer:
        payment = self._payments.get(payment_id)
        return (404, {}, {}) if payment is None else (200, payment.wire(), {})

    def _refunded(self, payment_id: str) -> Answer:
        """Our own wish: everything goes back, once however often it is asked for."""
        payment = self._payments.get(payment_id)
        if payment is None or not payment.can_go_back or self._refusing:
            return 409, {"detail": "there is nothing to give back"}, {}
        payment.refunded += payment.left
        return 200, payment.wire(), {}

    def _cancelled(self, payment_id: str) -> Answer:
        payment = self._payments.get(payment_id)
        if payment is None:
            return 404, {}, {}
        if payment.state != "succeeded":
            payment.state = "canceled"
        return 200, payment.wire(), {}

    def _happened(self, payment_id: str, state: str) -> Answer:
        """What a shopper did on the hosted page; what is final stays, and is told again."""
        payment = self._payments.get(payment_id)
        if payment is None or payment.state == "canceled":
            return 404, {"detail": "there is no such open payment"}, {}
        if state not in (payment.state, "succeeded") and payment.state == "succeeded":
            return 409, {"detail": "it has been paid"}, {}
        if state != payment.state:
            payment.state = state
            payment.happened += 1
        if state == "succeeded":
            payment.accepted_at = payment.accepted_at or self._now()
        return self._told(payment, f"payment.{state}")

    def _moved(self, payment_id: str, how: str) -> Answer:
        """What happened at the provider to money that was taken."""
        payment = self._payments.get(payment_id)
        if payment is None or not payment.move(how):
            return 409, {"detail": f"it cannot be {how} now"}, {}
        payment.happened += 1
        return self._told(payment, MOVING[how])

    def _told(self, payment: Payment, type_: str) -> Answer:
        """The webhook to deliver."""
        event: dict[str, object] = {
            "event_id": f"evt_{payment.payment_id}_{payment.happened}",
            "type": type_,
            "created_at": self._now(),
            "payment": payment.wire(),
        }
        return 200, event, {"webhook-signature": self.signed(as_signed(event))}

    def _now(self) -> str:
        at = datetime.fromtimestamp(self.now(), UTC)
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def signed(self, body: bytes) -> str:
        """The signature of a webhook that is sent now."""
        at = int(self.now())
        digest = hmac.new(self._secret, b"%d." % at + body, hashlib.sha256).hexdigest()
        return f"t={at},v1={digest}"

    def _listed(self, after: int, limit: int) -> list[dict[str, object]]:
        last = min(after + limit, self._cars + len(self._fed))
        return [self._event(sequence) for sequence in range(after + 1, last + 1)]

    def _event(self, sequence: int) -> dict[str, object]:
        if sequence <= self._cars:
            return self._listing(sequence, sequence, self._offered_at)
        number, listed, at = self._fed[sequence - self._cars - 1]
        event = self._listing(number, sequence, at)
        if not listed:
            event |= {"type": "catalog.car.withdrawn", "data": {"car_id": f"car_{number}"}}
        return event

    def _listing(self, number: int, sequence: int, at: str) -> dict[str, object]:
        return {
            "specversion": "1.0",
            "id": f"evt_car_{sequence}",
            "source": "/catalog",
            "type": "catalog.car.listed",
            "time": at,
            "subject": f"car_{number}",
            "datacontenttype": "application/json",
            "sequence": sequence,
            "data": {
                "car_id": f"car_{number}",
                "model_id": "norrsken",
                "title": "Norrsken",
                "market": MARKET,
                "dealer_id": "umea",
                "source": "stand-in",
                "price": PRICE,
                "currency": CURRENCY,
                "vat_rate": VAT_RATE,
                "rehearsal": False,
                # The first two may be one physical car that two dealers offer.
                "identity": "f" * 64 if self._twins and number <= 2 else "",
            },
        }


def _nothing(method: str, path: str) -> Answer:
    return 404, {"detail": f"no stand-in for {method} {path}"}, {}


def _similar(number: int) -> dict[str, object]:
    """A car as the catalogue's list shows it; none of those that are sold here."""
    return {
        "car_id": f"like_{number}",
        "model_id": "norrsken",
        "title": "Norrsken",
        "make": "Vitrine",
        "model_name": "Norrsken",
        "condition": "new",
        "wltp": {},
        "colour": {"family": "blue", "name": "Blue"},
        "price": {"amount": PRICE, "currency": CURRENCY},
        "market": MARKET,
        "dealer": {"dealer_id": "umea", "name": "Umeå", "city": "Umeå"},
        "state": "available",
    }


def as_signed(value: object) -> bytes:
    """The bytes that are sent, and over which a webhook is signed."""
    return json.dumps(value, separators=(",", ":")).encode()


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive and Content-Length, which is all that checkout's clients send."""

    def __init__(self, neighbours: Neighbours) -> None:
        self._neighbours = neighbours
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].decode("latin-1")
            length = _content_length(head)
            if len(self._received) < end + 4 + length:
                return
            body = self._received[end + 4 : end + 4 + length]
            self._received = self._received[end + 4 + length :]
            method, target, _ = head.split("\r\n", 1)[0].split(" ", 2)
            self._send(self._neighbours.answer(method, target, body))

    def _send(self, answer: Answer) -> None:
        status, value, headers = answer
        body = as_signed(value)
        lines = [
            f"HTTP/1.1 {status} -",
            "content-type: application/json",
            f"content-length: {len(body)}",
            *(f"{name}: {text}" for name, text in headers.items()),
        ]
        if self._transport is not None:
            self._transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)


def _content_length(head: str) -> int:
    for line in head.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            return int(value)
    return 0


async def serve(port: int, secret: str) -> None:
    """Answer until told to stop."""
    neighbours = Neighbours(secret)
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(lambda: Connection(neighbours), LOOPBACK, port)
    try:
        await stop.wait()
    finally:
        server.close()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m rigs.neighbours", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secret", required=True, help="signs webhooks")
    chosen = parser.parse_args(arguments)
    asyncio.run(serve(chosen.port, chosen.secret))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
