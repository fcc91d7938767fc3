"""Everything that can happen to checkout, in any order, again and again, and broken off anywhere.

A hypothesis state machine. After every step all invariants hold, the outbox only grows and has no
gap, every order has moved along the table of transitions, and a key's answer is the first one byte
for byte. In the end, when all messages have arrived and background work is done, every payment
that the provider took has a confirmed order or was given back, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, get_args

import httpx
import orjson
import stamina
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.checkout.states import TRANSITIONS
from app.contracts.checkout import OrderState
from rigs.neighbours import MOVING, as_signed
from tests.builders.platform import KEYS
from tests.builders.services import DEALER
from tests.proofs.arena import CARS, JOBS, Arena, open_arena
from tests.proofs.conftest import Place
from tests.proofs.length import EXAMPLES, STEPS
from tests.proofs.shopping import CUSTOMER

BREAKS = st.one_of(st.none(), st.tuples(st.integers(min_value=1, max_value=24), st.booleans()))
"""Where the database goes away: not at all, or at the n-th statement (True: just after it)."""
WHICH = st.integers(min_value=0, max_value=999)
PAUSES = st.sampled_from([1, 30, 14 * 60, 16 * 60, 26 * 60, 5 * 3600, 25 * 3600, 73 * 3600])
KEEPING = ("confirmed", "return_requested")
"""States in which we keep the deposit, when no dispute is open."""
KEPT_SECONDS = 24 * 3600
TRIES = 5
ALL_CARS = frozenset(f"car_{number}" for number in range(1, CARS + 1))
TWINS = frozenset({"car_1", "car_2"})
"""One physical car: what it becomes in a feed depends on who has it by the other name."""
Break = tuple[int, bool] | None


@dataclass(frozen=True)
class Sent:
    """A request with a key, and its final answer once it is known."""

    path: str
    body: dict[str, Any]
    key: str
    at: datetime
    headers: tuple[tuple[str, str], ...] = ()
    answer: tuple[int, bytes] | None = None


def is_final(answer: httpx.Response) -> bool:
    """Whether this answer is stored under its key."""
    if answer.status_code in (200, 201):
        return True
    return answer.status_code == 409 and not code_of(answer).startswith("idempotency-key")


def code_of(answer: httpx.Response) -> str:
    return str(answer.json().get("type", "")).rpartition("/")[2]


def reachable() -> dict[OrderState, set[OrderState]]:
    """From each state, itself and every state that the table of transitions leads to."""
    found: dict[OrderState, set[OrderState]] = {}
    for state in get_args(OrderState):
        seen, ahead = {state}, [state]
        while ahead:
            fresh = set(TRANSITIONS[ahead.pop()]) - seen
            seen |= fresh
            ahead += fresh
        found[state] = seen
    return found


REACHABLE = reachable()


def _gone(payment: dict[str, Any]) -> bool:
    """Whether none of a payment's money is ours any more."""
    return bool(payment["left"] == 0)


class AnyOrder(RuleBasedStateMachine):
    """Shoppers, a dealer, a provider, time and a database that goes away."""

    folder: ClassVar[Path]
    place: ClassVar[Place]
    numbers: ClassVar[Iterator[int]] = count(1)

    def __init__(self) -> None:
        super().__init__()
        self._held = ExitStack()
        name = f"checkout_{next(self.numbers)}"
        folder = self.folder / name
        folder.mkdir()
        self.arena: Arena = self._held.enter_context(
            open_arena(folder, self.place.new(name), pooler=self.place.pooler, twins=True)
        )
        self.keys = count(1)
        self.sent: dict[str, Sent] = {}
        self.holds: list[str] = []
        self.tokens: dict[str, str] = {}
        self.webhooks: list[tuple[dict[str, Any], str]] = []
        self.delivered: set[str] = set()
        self.states: dict[str, OrderState] = {}
        self.confirmed: set[str] = set()
        self.asked_to_erase: set[str] = set()
        self.erased: dict[str, str] = {}
        """When each order was erased, as its shopper was told."""
        self.fed: dict[str, bool] = {}
        """What the feed said last of cars, as long as checkout has not surely read it."""
        self.withdrawn: set[str] = set()
        """Cars of which checkout surely knows that they are not on offer."""
        self.told_anew: set[str] = set()
        """Cars of which the feed has spoken since the beginning."""

    # --- shoppers ---------------------------------------------------------------------------

    @rule(car=st.integers(min_value=1, max_value=CARS), breaks=BREAKS)
    def hold(self, car: int, breaks: Break) -> None:
        self._post("/holds", {"car_id": f"car_{car}"}, breaks)

    @precondition(lambda self: self.holds)
    @rule(which=WHICH, breaks=BREAKS)
    def order(self, which: int, breaks: Break) -> None:
        hold_id = self.holds[which % len(self.holds)]
        self._post("/orders", {"hold_id": hold_id, "customer": CUSTOMER}, breaks)

    @precondition(lambda self: self.holds)
    @rule(which=WHICH, breaks=BREAKS)
    def release(self, which: int, breaks: Break) -> None:
        hold_id = self.holds[which % len(self.holds)]
        with self._broken_off(breaks):
            answer = self.arena.send("DELETE", f"/holds/{hold_id}")
        assert answer.status_code in (204, 409, 503), answer.text

    @precondition(lambda self: self.sent)
    @rule(which=WHICH, breaks=BREAKS)
    def send_again(self, which: int, breaks: Break) -> None:
        """The same request with the same key: byte for byte the same answer, once it is final."""
        self._send(list(self.sent.values())[which % len(self.sent)], breaks)

    @precondition(lambda self: self.sent)
    @rule(which=WHICH)
    def reuse_a_key(self, which: int) -> None:
        """The same key with another body changes nothing."""
        sent = list(self.sent.values())[which % len(self.sent)]
        if not sent.path.endswith(("/holds", "/orders")) or sent.answer is None:
            return
        another = "car_2" if sent.body.get("car_id") == "car_1" else "car_1"
        changed = {"customer": {**CUSTOMER, "name": "Somebody Else"}, "car_id": another}
        other = {name: changed.get(name, value) for name, value in sent.body.items()}
        answer = self._answer(replace(sent, body=other), None)
        assert (answer.status_code, code_of(answer)) == (422, "idempotency-key-reused")

    @precondition(lambda self: self.tokens)
    @rule(
        which=WHICH,
        action=st.sampled_from(["cancellation", "return", "handover", "return-receipt", "erasure"]),
        breaks=BREAKS,
    )
    def act_on_order(self, which: int, action: str, breaks: Break) -> None:
        self._act(list(self.tokens)[which % len(self.tokens)], action, breaks)

    def _act(self, order_id: str, action: str, breaks: Break) -> None:
        token = self.tokens[order_id]
        if action == "erasure":
            self.asked_to_erase.add(order_id)
        bearer = KEYS["dealer_key"] if action in ("handover", "return-receipt") else token
        bodies: dict[str, dict[str, Any]] = {
            "return": {"reason": "changed_mind"},
            "return-receipt": {"list_again": True},
        }
        body = bodies.get(action, {})
        headers = (("authorization", f"Bearer {bearer}"),)
        self._post(f"/orders/{order_id}/{action}", body, breaks, headers)

    # --- a dealer ---------------------------------------------------------------------------

    @rule(car=st.integers(min_value=1, max_value=CARS), confirm=st.booleans(), breaks=BREAKS)
    def sell_at_the_desk(self, car: int, confirm: bool, breaks: Break) -> None:
        path = f"/cars/car_{car}/desk-sale?confirm={str(confirm).lower()}"
        self._post(path, {}, breaks, tuple(DEALER.items()))

    @rule(car=st.integers(min_value=1, max_value=CARS), breaks=BREAKS)
    def take_back(self, car: int, breaks: Break) -> None:
        with self._broken_off(breaks):
            answer = self.arena.send("DELETE", f"/cars/car_{car}/desk-sale", headers=DEALER)
        assert answer.status_code in (200, 503), answer.text

    # --- the catalogue ----------------------------------------------------------------------

    @rule(car=st.integers(min_value=1, max_value=CARS), listed=st.booleans(), breaks=BREAKS)
    def the_feed_says(self, car: int, listed: bool, breaks: Break) -> None:
        """Of a car that anybody may hold or have ordered; broken off, its job reads it later."""
        car_id = f"car_{car}"
        self.arena.feed(car_id, listed=listed)
        self.fed[car_id] = listed
        self.told_anew.add(car_id)
        self.withdrawn.discard(car_id)
        self.background_work("consume:catalog", breaks)

    def _feed_was_read(self) -> None:
        self.withdrawn |= {car_id for car_id, listed in self.fed.items() if not listed}
        self.fed.clear()

    # --- the provider -----------------------------------------------------------------------

    @precondition(lambda self: self.tokens)
    @rule(which=WHICH, state=st.sampled_from(["succeeded", "declined", "requires_action"]))
    def pay(self, which: int, state: str) -> None:
        """The shopper acts on the hosted page; the provider has a webhook to deliver."""
        payments = [each["payment_id"] for each in self.arena.payments().values()]
        self._happens(payments[which % len(payments)], state)

    @precondition(lambda self: self._taken())
    @rule(which=WHICH, how=st.sampled_from(sorted(MOVING)))
    def money_moves(self, which: int, how: str) -> None:
        """Somebody at the provider gives money back, or the shopper's bank asks for it."""
        taken = self._taken()
        self._happens(taken[which % len(taken)], how)

    @rule(refuse=st.booleans())
    def the_provider_refuses_refunds(self, refuse: bool) -> None:
        self.arena.provider.answer("POST", "/stand-in/refusals", orjson.dumps({"refuse": refuse}))

    @precondition(lambda self: self._taken())
    @rule(breaks=BREAKS)
    def a_person_asks_again_for_refused_refunds(self, breaks: Break) -> None:
        with self._broken_off(breaks):
            self.arena.ask_again_for_refused()

    def _taken(self) -> list[str]:
        """Payments whose money the provider took, in the order of their making: ids are drawn."""
        payments = self.arena.payments().values()
        return [each["payment_id"] for each in payments if each["state"] == "succeeded"]

    def _happens(self, payment_id: str, what: str) -> None:
        status, event, signature = self.arena.provider_answers(
            "POST", f"/stand-in/payments/{payment_id}/{what}"
        )
        if status == 200:
            self.webhooks.append((event, signature))

    @precondition(lambda self: self.webhooks)
    @rule(which=WHICH, breaks=BREAKS)
    def deliver(self, which: int, breaks: Break) -> None:
        """Any webhook, in any order, as often as it likes."""
        self._deliver(self.webhooks[which % len(self.webhooks)][0], breaks)

    @precondition(lambda self: self.webhooks)
    @rule(which=WHICH)
    def forge(self, which: int) -> None:
        event, signature = self.webhooks[which % len(self.webhooks)]
        forged = {**event, "type": "payment.succeeded", "event_id": "evt_forged"}
        assert self._webhook(forged, signature).status_code == 401

    # --- time and background work -----------------------------------------------------------

    @rule(seconds=PAUSES)
    def time_passes(self, seconds: int) -> None:
        self.arena.clock.advance(seconds=seconds)

    @rule(job=st.sampled_from(JOBS), breaks=BREAKS)
    def background_work(self, job: str, breaks: Break) -> None:
        with self._broken_off(breaks):
            done = self.arena.run_job(job)
        if job == "consume:catalog" and done:
            self._feed_was_read()
        if job == "retention":
            alive = self.arena.clock.now() - timedelta(seconds=KEPT_SECONDS)
            self.sent = {key: sent for key, sent in self.sent.items() if sent.at >= alive}

    # --- what always holds ------------------------------------------------------------------

    @invariant()
    def everything_holds(self) -> None:
        assert self.arena.broken(settled=False) == {}
        known = len(self.arena.events)
        self.arena.read_on()
        self.the_outbox_only_grows_without_gaps()
        self.orders_move_as_the_table_says_and_facts_say_so_once()
        self.a_car_is_as_its_last_fact_says()
        self.what_is_withdrawn_is_sold_to_nobody_new(self.arena.events[known:])

    def the_outbox_only_grows_without_gaps(self) -> None:
        events = self.arena.events
        assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
        assert len({event["id"] for event in events}) == len(events)

    def orders_move_as_the_table_says_and_facts_say_so_once(self) -> None:
        orders = self.arena.orders()
        for order_id, order in orders.items():
            before = self.states.get(order_id, "payment_pending")
            assert order["state"] in REACHABLE[before], (before, order)
            self.states[order_id] = order["state"]
        confirmed = {each for each, order in orders.items() if order["confirmed_at"]}
        assert confirmed >= self.confirmed
        assert not (confirmed - self.confirmed) & self.erased.keys()
        self.confirmed = confirmed
        assert sorted(self._facts("order.confirmed")) == sorted(confirmed)
        assert sorted(self._facts("order.submitted")) == sorted(orders)
        refunded = [each for each, order in orders.items() if order["state"] == "refunded"]
        assert sorted(self._facts("order.refunded")) == sorted(refunded)

    def a_car_is_as_its_last_fact_says(self) -> None:
        told = {e["data"]["car_id"]: e["data"]["state"] for e in self._of("car.state_changed")}
        free = {car for car in ALL_CARS if told.get(car, "available") == "available"}
        on_offer = free - self.withdrawn
        unsure = self.told_anew & (TWINS | self.fed.keys())
        available = self.arena.internal("/internal/checkout/cars/count")["available"]
        assert len(on_offer - unsure) <= available <= len(on_offer)

    def what_is_withdrawn_is_sold_to_nobody_new(self, events: list[dict[str, Any]]) -> None:
        """Who had it when it was withdrawn keeps it, and may order and pay it."""
        for event in events:
            type_, data = event["type"].removeprefix("checkout."), event["data"]
            if type_ == "hold.placed" or (type_ == "order.confirmed" and data["late"]):
                assert data["car_id"] not in self.withdrawn, event

    def teardown(self) -> None:
        """All messages arrive, all background work is done; then the money is where it belongs."""
        try:
            self._settle()
            for order_id in sorted(self.erased):
                self._act(order_id, "erasure", None)
            assert self.arena.broken(settled=True) == {}
            payments, orders = self.arena.payments(), self.arena.orders()
            taken = {each for each, p in payments.items() if p["state"] == "succeeded"}
            back = {each for each in taken if _gone(payments[each])}
            kept = {each for each, order in orders.items() if order["state"] in KEEPING}
            assert taken == back | kept
            assert back & kept == set()
            assert {each for each, o in orders.items() if o["state"] == "refunded"} == back
        finally:
            self._held.close()

    def _settle(self) -> None:
        self.arena.fuse.disarm()
        self.the_provider_refuses_refunds(refuse=False)
        disputed = [p["payment_id"] for p in self.arena.payments().values() if p["dispute"]]
        for number, payment_id in enumerate(disputed):
            self._happens(payment_id, "dispute_won" if number % 2 else "dispute_lost")
        for event, _ in self.webhooks:
            # A starved machine may take longer than a deadline of ours; both are tried again.
            assert any(self._deliver(event, None) for _ in range(TRIES))
        for _ in range(2):
            assert any(self.arena.ask_again_for_refused() for _ in range(TRIES))
            for job in JOBS:
                assert any(self.arena.run_job(job) for _ in range(TRIES))
            self.arena.clock.advance(seconds=60)

    # --- sending ----------------------------------------------------------------------------

    def _post(
        self,
        path: str,
        body: dict[str, Any],
        breaks: Break,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        key = f'"key-{next(self.keys):08}"'
        self._send(Sent(path, body, key, self.arena.clock.now(), headers), breaks)

    def _send(self, sent: Sent, breaks: Break) -> None:
        answer = self._answer(sent, breaks)
        if answer.status_code == 422 and "/desk-sale" in sent.path:
            assert "stands no longer" in answer.text  # it was taken back since
            return
        if self._ordered_by(sent) in self.asked_to_erase and answer.status_code == 422:
            assert code_of(answer) == "idempotency-key-reused"  # and orders nothing anew
            return
        assert self._ordered_by(sent) not in self.erased or answer.status_code in (429, 503)
        assert answer.status_code in (200, 201, 404, 409, 429, 503), answer.text
        if answer.status_code == 503:
            assert answer.json()["retry_after_seconds"] > 0
        known = sent.answer
        if known is not None and answer.status_code != 503:
            assert (answer.status_code, answer.content) == known
            assert answer.headers["idempotency-replayed"] == "true"
        elif is_final(answer):
            known = (answer.status_code, answer.content)
            self._remember(sent.path, answer)
        self.sent[sent.key] = replace(sent, answer=known)

    def _ordered_by(self, sent: Sent) -> str:
        """The order that a request made, by its answer."""
        if sent.path != "/orders" or sent.answer is None or sent.answer[0] != 201:
            return ""
        return str(orjson.loads(sent.answer[1])["order_id"])

    def _remember(self, path: str, answer: httpx.Response) -> None:
        found = answer.json()
        if answer.status_code == 201 and path == "/holds":
            self.holds.append(found["hold_id"])
        if answer.status_code == 201 and path == "/orders":
            self.tokens[found["order_id"]] = found["order_token"]
        if answer.status_code == 200 and path.endswith("/erasure"):
            first = self.erased.setdefault(found["order_id"], found["erased_at"])
            assert found["erased_at"] == first

    def _answer(self, sent: Sent, breaks: Break) -> httpx.Response:
        with self._broken_off(breaks):
            return self.arena.send(
                "POST",
                sent.path,
                json=sent.body,
                headers={"idempotency-key": sent.key, **dict(sent.headers)},
            )

    def _deliver(self, event: dict[str, Any], breaks: Break) -> bool:
        """Whether it arrived."""
        with self._broken_off(breaks):
            # As a provider does: signed when it is sent, however long ago it happened.
            signature = self.arena.provider.signed(as_signed(event))
            answer = self._webhook(event, signature)
        if answer.status_code == 503:
            assert answer.json()["retry_after_seconds"] > 0
            return False
        assert answer.status_code == 200, answer.text
        result = answer.json()["result"]
        if event["event_id"] in self.delivered:
            assert result == "duplicate"
        self.delivered.add(event["event_id"])
        return True

    def _webhook(self, event: dict[str, Any], signature: str) -> httpx.Response:
        return self.arena.send(
            "POST",
            "/payment-events/sandbox",
            content=as_signed(event),
            headers={"webhook-signature": signature},
        )

    @contextmanager
    def _broken_off(self, breaks: Break) -> Iterator[None]:
        seen = self.arena.fuse.counted
        if breaks is not None:
            self.arena.fuse.arm(breaks[0], after=breaks[1])
        try:
            yield
        finally:
            self.arena.fuse.disarm()
        if breaks is not None:
            assert self.arena.fuse.counted > seen, "no statement was counted: nothing can break"

    def _of(self, type_: str) -> list[dict[str, Any]]:
        return [e for e in self.arena.events if e["type"] == f"checkout.{type_}"]

    def _facts(self, type_: str) -> list[str]:
        """The orders that facts of a type are about."""
        return [event["data"]["order_id"] for event in self._of(type_)]


def test_whatever_happens_in_whatever_order_everything_stays_true(
    place: Place, tmp_path: Path
) -> None:
    machine = type("AnyOrderHere", (AnyOrder,), {"place": place, "folder": tmp_path})
    stamina.set_testing(True, attempts=1)
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                print_blob=True,
            ),
        )
    finally:
        stamina.set_testing(False)
