"""A life: everything that can happen to cars and orders, in one order, each time on fresh cars.

A step is something that somebody asks for, or background work. It is broken off at the life's
statement and then repeated as its caller would, until its answer is final.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from app.checkout.lines_postgresql import PAUSE_SECONDS
from rigs.neighbours import as_signed
from tests.builders.platform import KEYS
from tests.builders.services import DEALER
from tests.proofs.arena import Arena
from tests.proofs.shopping import CUSTOMER

LOCK_SECONDS = 16
"""A key that was in flight when everything stopped is free again after this."""
TRIES = 3
HOURS = 3600


@dataclass
class Life:
    """One life; each of its steps is broken off at the `statement`-th statement (0: none is)."""

    arena: Arena
    first_car: int
    statement: int = 0
    after: bool = False
    steps: Counter[str] = field(default_factory=Counter)
    """How often each verb was asked for; `broken` says how often it was broken off."""
    broken: Counter[str] = field(default_factory=Counter)
    orders: list[dict[str, Any]] = field(default_factory=list)

    def live(self) -> dict[str, Any]:
        """Live it; what is true afterwards, in words that are the same for each life."""
        self.arena.read_on()
        begun = len(self.arena.events)
        for number, episode in enumerate(EPISODES):
            episode(self, f"car_{self.first_car + number}")
        self.arena.read_on()
        return self._truth(self.arena.events[begun:])

    def _truth(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        cars = {f"car_{self.first_car + n}": f"car {n}" for n in range(len(EPISODES))}
        mine = {order["order_id"]: cars[order["car_id"]] for order in self.orders}
        told: dict[str, list[Any]] = {car: [] for car in cars.values()}
        for event in events:
            data = event["data"]
            car = cars[data["car_id"]] if "car_id" in data else mine[data["order_id"]]
            told[car].append((event["type"], _timeless(data)))
        found, payments = self.arena.orders(), self.arena.payments()
        return {
            "told": told,
            "orders": [_timeless(found[order_id]) for order_id in mine],
            "payments": [_timeless(payments[order_id]) for order_id in mine],
        }

    # --- steps ------------------------------------------------------------------------------

    def hold(self, car: str, verb: str = "place", *, status: int = 201) -> dict[str, Any]:
        return self.post(verb, "/holds", {"car_id": car}, status=status)

    def order(self, hold: dict[str, Any]) -> dict[str, Any]:
        body = {"hold_id": hold["hold_id"], "customer": CUSTOMER}
        order = self.post("submit and open", "/orders", body, status=201)
        self.orders.append(order)
        return order

    def happens_unheard(self, order: dict[str, Any], what: str) -> dict[str, Any]:
        """Something happens at the provider; the message that would tell of it."""
        payment_id = order["payment_url"].rpartition("/")[2]
        status, event, _ = self.arena.provider_answers(
            "POST", f"/stand-in/payments/{payment_id}/{what}"
        )
        assert status == 200, event
        return event

    def happens(self, verb: str, order: dict[str, Any], what: str) -> None:
        """Something happens at the provider, which tells of it."""
        event = self.happens_unheard(order, what)

        def send() -> httpx.Response:
            return self.arena.send(
                "POST",
                "/payment-events/sandbox",
                content=as_signed(event),
                headers={"webhook-signature": self.arena.provider.signed(as_signed(event))},
            )

        self._answered(verb, send, 200)

    def bought(self, car: str) -> dict[str, Any]:
        order = self.order(self.hold(car))
        self.happens("confirm", order, "succeeded")
        return order

    def act(self, verb: str, order: dict[str, Any], what: str, **body: Any) -> None:
        by_dealer = what in ("handover", "return-receipt")
        token = KEYS["dealer_key"] if by_dealer else order["order_token"]
        headers = {"authorization": f"Bearer {token}"}
        self.post(verb, f"/orders/{order['order_id']}/{what}", body, headers=headers)

    def post(
        self, verb: str, path: str, body: Any, *, headers: Any = None, status: int = 200
    ) -> dict[str, Any]:
        key = f'"{self.first_car:06}-{self.steps.total():03}"'
        sent = {"idempotency-key": key, **(headers or {})}

        def send() -> httpx.Response:
            return self.arena.send("POST", path, json=body, headers=sent)

        answer = self._answered(verb, send, status)
        again = send()
        assert (again.status_code, again.content) == (answer.status_code, answer.content)
        found: dict[str, Any] = answer.json()
        return found

    def delete(self, verb: str, path: str, *, headers: Any = None, status: int) -> None:
        self._answered(verb, lambda: self.arena.send("DELETE", path, headers=headers), status)

    def job(self, verb: str, name: str) -> None:
        self._do(verb, lambda: self.arena.run_job(name))

    def feed(self, verb: str, car: str, *, listed: bool) -> None:
        self.arena.feed(car, listed=listed)
        self.job(verb, "consume:catalog")

    def wait(self, seconds: int) -> None:
        self.arena.clock.advance(seconds=seconds)

    # --- breaking off -----------------------------------------------------------------------

    def _answered(
        self, verb: str, send: Callable[[], httpx.Response], status: int
    ) -> httpx.Response:
        answers: list[httpx.Response] = []

        def ask() -> bool:
            answers.append(send())
            answer = answers[-1]
            if answer.status_code == status:
                return True
            again = answer.status_code == 503 or "idempotency-key-in-flight" in answer.text
            assert again, f"{verb}: {answer.status_code} {answer.text}"
            return False

        self._do(verb, ask)
        return answers[-1]

    def _do(self, verb: str, ask: Callable[[], bool]) -> None:
        fuse = self.arena.fuse
        if self.statement:
            fuse.arm(self.statement, after=self.after)
        done = ask()
        fuse.disarm()
        self.steps[verb] += 1
        if self.statement and fuse.blown:
            self.broken[verb] += 1
            assert self.arena.broken(settled=False) == {}, f"{verb}, before it was repeated"
        tries = 0
        while not done:
            tries += 1
            assert tries <= TRIES, f"{verb} was not done"
            self.wait(LOCK_SECONDS)
            if tries > 1:
                time.sleep(PAUSE_SECONDS)  # after nobody answered in time, nobody tries for so long
            done = ask()
        if self.statement == 0 or tries:
            assert self.arena.broken(settled=False) == {}, verb


def _timeless(data: dict[str, Any]) -> dict[str, Any]:
    """Without what is another one each time: ids, addresses and times."""
    other = ("_id", "_at", "_by", "_seconds", "_url", "reference")
    return {name: value for name, value in data.items() if not name.endswith(other)}


# --- what happens to each car -----------------------------------------------------------------


def _given_back_after_handover(life: Life, car: str) -> None:
    order = life.bought(car)
    life.act("hand over", order, "handover")
    life.act("ask to return", order, "return", reason="changed_mind")
    life.act("receive", order, "return-receipt", list_again=True)
    life.job("refund", "refunds")
    life.act("erase", order, "erasure")


def _declined_extended_paid_and_withdrawn(life: Life, car: str) -> None:
    hold = life.hold(car)
    life.happens("decline", life.order(hold), "declined")
    order = life.order(hold)
    life.happens("extend", order, "requires_action")
    life.happens("confirm", order, "succeeded")
    life.act("withdraw", order, "cancellation")
    life.arena.provider.answer("POST", "/stand-in/refusals", orjson.dumps({"refuse": True}))
    life.job("refuse a refund", "refunds")
    life.arena.provider.answer("POST", "/stand-in/refusals", orjson.dumps({"refuse": False}))
    life._do("ask for a refund again", life.arena.ask_again_for_refused)
    life.job("refund", "refunds")


def _lost_by_another_and_released(life: Life, car: str) -> None:
    hold = life.hold(car)
    life.hold(car, "lose", status=409)
    life.delete("release", f"/holds/{hold['hold_id']}", status=204)


def _replaced_cancelled_and_released(life: Life, car: str) -> None:
    hold = life.hold(car)
    life.order(hold)
    order = life.order(hold)
    life.act("withdraw unpaid", order, "cancellation")
    life.delete("release", f"/holds/{hold['hold_id']}", status=204)


def _expired_and_paid_too_late(life: Life, car: str) -> None:
    order = life.order(life.hold(car))
    life.wait(HOURS)
    life.job("sweep", "sweep")
    life.happens("confirm late", order, "succeeded")
    life.act("hand over", order, "handover")


def _expired_taken_by_another_and_paid_in_vain(life: Life, car: str) -> None:
    order = life.order(life.hold(car))
    life.wait(HOURS)
    hold = life.hold(car, "take over")
    life.happens("pay in vain", order, "succeeded")
    life.job("refund", "refunds")
    life.delete("release", f"/holds/{hold['hold_id']}", status=204)


def _paid_and_found_by_asking(life: Life, car: str) -> None:
    order = life.order(life.hold(car))
    life.happens_unheard(order, "succeeded")
    life.wait(120)
    life.job("reconcile", "reconcile")
    life.wait(30 * 24 * HOURS)
    life.job("lapse", "lapse")
    life.job("refund", "refunds")


def _paid_too_late_and_refunded_elsewhere_found_by_asking(life: Life, car: str) -> None:
    order = life.order(life.hold(car))
    life.wait(HOURS)
    life.job("sweep", "sweep")
    life.happens_unheard(order, "succeeded")
    life.job("reconcile what ended", "reconcile-ended")
    life.happens_unheard(order, "refunded")
    life.job("reconcile what we keep", "reconcile-kept")


def _disputed_won_and_refunded_elsewhere(life: Life, car: str) -> None:
    order = life.bought(car)
    life.happens("dispute", order, "disputed")
    life.happens("win a dispute", order, "dispute_won")
    life.happens("give a part back", order, "partly_refunded")
    life.happens("give the rest back", order, "refunded")


def _disputed_and_lost(life: Life, car: str) -> None:
    order = life.bought(car)
    life.act("hand over", order, "handover")
    life.happens("dispute", order, "disputed")
    life.happens("lose a dispute", order, "dispute_lost")


def _sold_at_the_desk(life: Life, car: str) -> None:
    life.hold(car)
    path = f"/cars/{car}/desk-sale"
    life.post("refuse the desk", path, {}, headers=DEALER, status=409)
    life.post("sell at the desk", f"{path}?confirm=true", {}, headers=DEALER)
    life.delete("take back", path, headers=DEALER, status=200)


def _sold_at_the_desk_and_listed_anew(life: Life, car: str) -> None:
    life.post("sell at the desk", f"/cars/{car}/desk-sale", {}, headers=DEALER)
    life.feed("withdraw from the feed", car, listed=False)
    life.feed("list", car, listed=True)
    hold = life.hold(car)
    life.delete("release", f"/holds/{hold['hold_id']}", status=204)


EPISODES: tuple[Callable[[Life, str], None], ...] = (
    _given_back_after_handover,
    _declined_extended_paid_and_withdrawn,
    _lost_by_another_and_released,
    _replaced_cancelled_and_released,
    _expired_and_paid_too_late,
    _expired_taken_by_another_and_paid_in_vain,
    _paid_and_found_by_asking,
    _paid_too_late_and_refunded_elsewhere_found_by_asking,
    _disputed_won_and_refunded_elsewhere,
    _disputed_and_lost,
    _sold_at_the_desk,
    _sold_at_the_desk_and_listed_anew,
)
