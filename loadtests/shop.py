"""The shop as a client sees it: searching, holding, ordering, paying, waiting for the car.

`ShopClient` is what carries a request (over Locust's fast client under load, over httpx in the
trickle); `Shop` knows the contract. Requests are grouped by route template, never by raw path.
"""

import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode, urljoin

from loadtests.answers import Answer
from loadtests.forms import Form, forms_of
from loadtests.orders import OrderBook, Seen
from loadtests.signing import Signature, idempotency_key
from telemetry.catalogue import slos
from telemetry.catalogue.outcomes import Outcome

HOLDS, ORDERS, CARS = slos.HOLD_ROUTE, slos.ORDER_ROUTE, slos.SEARCH_ROUTE
PAYMENT_PAGE = "/sandbox/pay/{payment_id}"
CHALLENGE_PAGE = f"{PAYMENT_PAGE}/challenge"

MOST_REDIRECTS = 6
POLL_SECONDS = 0.4


class ShopClient(Protocol):
    """One shopper's browser: its own cookies and connection. Never follows redirects by itself."""

    def send(
        self, method: str, url: str, *, name: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        """Send one request and record it under `name`; transport failures are status 0."""

    def close(self) -> None:
        """Give the connection back."""


class ShopFailed(Exception):
    """The shop let this shopper down: the journey ends here. `step` is the request's name."""

    def __init__(self, step: str, answer: Answer) -> None:
        super().__init__(f"{step}: {answer.status} {answer.problem or answer.error}".strip())
        self.step = step
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Hold:
    """A car that is ours until it expires."""

    hold_id: str
    car_id: str


@dataclass(frozen=True, slots=True)
class Order:
    """An order that we placed; `price` in minor units of `currency`."""

    order_id: str
    order_token: str
    car_id: str
    payment_url: str
    price: int
    currency: str


@dataclass(frozen=True, slots=True)
class Card:
    """A card that the sandbox knows; `pays` says whether its bank accepts."""

    number: str
    pays: bool = True


PAYING_CARD = Card("4242 4242 4242 4242")
DECLINED_CARD = Card("4000 0000 0000 0002", pays=False)
CHALLENGED_CARD = Card("4000 0000 0000 3220")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a shopper tries. All in seconds.

    `repeat` is how long a request with an idempotency key is repeated when no clear answer came,
    `confirmation` how long the shopper waits for the car after paying. `reads_too` also repeats
    plain reads, which a shopper does who knows that the shop is just restarting.
    """

    repeat: float = 10.0
    confirmation: float = 60.0
    reads_too: bool = False


@dataclass
class Shop:
    """The shop for one shopper."""

    client: ShopClient
    base_url: str
    signature: Signature
    book: OrderBook
    dice: random.Random
    patience: Patience = field(default_factory=Patience)
    user_agent: str = "VitrineRehearsal/1 (phone; synthetic)"

    # Reading -------------------------------------------------------------------------------

    def page(self, path: str, *, name: str) -> Answer:
        """An HTML page, following its redirects, each counted as the request that it is."""
        return self._good(f"GET {name}", self._follow(path, name=name))

    def cars(self, market: str, **filters: str | int) -> list[dict[str, Any]]:
        """Available cars of a market."""
        query = urlencode({"market": market, **filters})
        answer = self._good(f"GET {CARS}", self._get(f"{CARS}?{query}", name=CARS))
        return list(answer.fields().get("items", []))

    def car(self, car_id: str) -> dict[str, Any]:
        name = f"{CARS}/{{car_id}}"
        return self._good(f"GET {name}", self._get(f"{CARS}/{car_id}", name=name)).fields()

    def press(self, path: str, *, name: str) -> Answer:
        """A page's form without fields, and the page that its answer leads to."""
        answer = self._submit(path, Form(""), {}, name=name)
        return self._good(f"POST {name}", self._redirected(answer, path, name=name))

    # Buying --------------------------------------------------------------------------------

    def hold(self, car_id: str) -> Hold | None:
        """Hold a car; None when somebody else was faster."""
        answer = self._write("POST", HOLDS, name=HOLDS, body={"car_id": car_id}, keyed=True)
        if answer.outcome is Outcome.SOLD_OUT:
            return None
        found = self._good(f"POST {HOLDS}", answer).fields()
        return Hold(found["hold_id"], found["car_id"])

    def release(self, hold: Hold) -> None:
        """Give the car back."""
        name = f"{HOLDS}/{{hold_id}}"
        answer = self._send("DELETE", f"{HOLDS}/{hold.hold_id}", name=name)
        self._good(f"DELETE {name}", answer)

    def order(self, hold: Hold, *, entry: str, advice_id: str = "") -> Order:
        """Order the held car; the answer says where to pay."""
        number = self.dice.randrange(10**6)
        attribution = {"entry": entry, "utm_source": "rehearsal"}
        body = {
            "hold_id": hold.hold_id,
            "customer": {
                "name": f"Rehearsal Shopper {number}",
                "email": f"shopper{number}@rehearsal.example",
                "phone": f"+46 70 {number:06d}",
            },
            "payment": {"provider": "sandbox"},
            "attribution": {**attribution, "advice_id": advice_id} if advice_id else attribution,
        }
        answer = self._write("POST", ORDERS, name=ORDERS, body=body, keyed=True)
        found = self._good(f"POST {ORDERS}", answer).fields()
        price = found["price"]
        order = Order(
            order_id=found["order_id"],
            order_token=found["order_token"],
            car_id=found.get("car_id", hold.car_id),
            payment_url=found["payment_url"],
            price=price["amount"],
            currency=price["currency"],
        )
        self._note("submitted", order)
        return order

    def pay(self, order: Order, card: Card) -> None:
        """Pay on the provider's hosted page, the 3-D Secure form included.

        The provider sends the shopper back to the shop whatever the bank said; what became of the
        order is the shop's to say (`await_decision`). A shopper whose click got no answer loads
        the page again: it shows the form that is still to be filled in, or that all is done.

        Raises:
            ShopFailed: the provider gave no answer that a shopper could act on.
        """
        url = urljoin(self.base_url, order.payment_url)
        deadline = time.monotonic() + self.patience.repeat
        while True:
            page = self._good(f"GET {PAYMENT_PAGE}", self._get(url, name=PAYMENT_PAGE))
            answer = self._fill_in(url, page, card)
            if answer is None:
                return
            back = urljoin(url, answer.headers.get("location", ""))
            if answer.status == 303 and back != url:
                if card.pays:
                    self._note("paid", order)
                return
            again = answer.status == 303 or answer.worth_repeating
            if not again or time.monotonic() > deadline:
                raise ShopFailed(f"POST {PAYMENT_PAGE}", answer)

    def _fill_in(self, url: str, page: Answer, card: Card) -> Answer | None:
        """Submit the card form or the bank's form; None when the page has neither any more."""
        forms = [form for form in forms_of(page.text()) if form.method == "POST"]
        if not forms:
            return None
        asks_for_card = [form for form in forms if "card_number" in form.fields]
        if asks_for_card:
            typed = asks_for_card[0].filled(
                card_number=card.number, expiry="12/34", cvc="123", name="Rehearsal Shopper"
            )
            return self._submit(url, asks_for_card[0], typed, name=PAYMENT_PAGE)
        return self._submit(url, forms[0], forms[0].fields, name=CHALLENGE_PAGE)

    def await_decision(self, order: Order) -> str:
        """The order's state once it is decided; `payment_pending` when patience ran out."""
        name = f"{ORDERS}/{{order_id}}"
        token = {"authorization": f"Bearer {order.order_token}"}
        deadline = time.monotonic() + self.patience.confirmation
        while True:
            answer = self._send("GET", f"{ORDERS}/{order.order_id}", name=name, headers=token)
            state = str(answer.fields().get("state", "")) if answer.status == 200 else ""
            if state == "confirmed":
                self._note("confirmed", order)
            if state not in ("", "payment_pending"):
                return state
            if time.monotonic() > deadline:
                return "payment_pending"
            time.sleep(POLL_SECONDS)

    # Sending -------------------------------------------------------------------------------

    def _get(self, url: str, *, name: str) -> Answer:
        deadline = time.monotonic() + (self.patience.repeat if self.patience.reads_too else 0.0)
        while True:
            answer = self._send("GET", url, name=name)
            if not answer.worth_repeating or time.monotonic() > deadline:
                return answer
            time.sleep(min(answer.retry_after_seconds, 1.0))

    def _follow(self, path: str, *, name: str) -> Answer:
        return self._redirected(self._get(path, name=name), path, name=name)

    def _redirected(self, answer: Answer, url: str, *, name: str) -> Answer:
        for _ in range(MOST_REDIRECTS):
            location = answer.headers.get("location")
            if not (300 <= answer.status < 400 and location):
                break
            url = urljoin(url, location)
            answer = self._get(url, name=name)
        return answer

    def _write(
        self, method: str, path: str, *, name: str, body: Mapping[str, Any], keyed: bool = False
    ) -> Answer:
        """A JSON request; with a key it is repeated, same key, until a clear answer comes."""
        headers = {"content-type": "application/json", "accept": "application/json"}
        if keyed:
            headers["idempotency-key"] = idempotency_key()
        data = json.dumps(body).encode()
        deadline = time.monotonic() + (self.patience.repeat if keyed else 0.0)
        while True:
            answer = self._send(method, path, name=name, headers=headers, body=data)
            if not (keyed and answer.worth_repeating) or time.monotonic() > deadline:
                return answer
            time.sleep(min(answer.retry_after_seconds, 2.0))

    def _submit(self, url: str, form: Form, values: Mapping[str, str], *, name: str) -> Answer:
        return self._send(
            "POST",
            urljoin(url, form.action) if form.action else url,
            name=name,
            headers={"content-type": "application/x-www-form-urlencoded"},
            body=urlencode(values).encode(),
        )

    def _send(
        self,
        method: str,
        url: str,
        *,
        name: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        given = {**self.signature.headers(), "user-agent": self.user_agent, **(headers or {})}
        return self.client.send(
            method, urljoin(self.base_url, url), name=name, headers=given, body=body
        )

    def _good(self, step: str, answer: Answer) -> Answer:
        if answer.status == 0 or answer.status >= 400:
            raise ShopFailed(step, answer)
        return answer

    def _note(self, seen: Seen, order: Order) -> None:
        self.book.note(
            seen,
            order_id=order.order_id,
            car_id=order.car_id,
            price=order.price,
            currency=order.currency,
        )
