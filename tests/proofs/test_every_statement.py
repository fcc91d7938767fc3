"""A purchase broken off at each of its statements in turn: the retry finishes it, exactly once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import stamina

from rigs.neighbours import as_signed
from tests.conftest import NewDatabase
from tests.proofs.arena import Arena, open_arena
from tests.proofs.length import LONG
from tests.proofs.shopping import CUSTOMER

STEPS = ("hold", "order", "webhook")
MOST_STATEMENTS = 60
"""Of one request; the proof fails when it has not come to the last one by then."""
CARS = len(STEPS) * MOST_STATEMENTS
LOCK_SECONDS = 16
"""A key that was in flight when everything stopped is free again after this."""


@dataclass
class Purchase:
    """One car bought; the request `broken` is broken off at the armed fuse, then repeated."""

    arena: Arena
    number: int
    broken: str
    statement: int
    after: bool

    def run(self) -> bool:
        """Buy it; whether the fuse blew."""
        hold = self._insist("hold", "/holds", {"car_id": f"car_{self.number}"})
        order = self._insist("order", "/orders", {"hold_id": hold["hold_id"], "customer": CUSTOMER})
        payment_id = order["payment_url"].rpartition("/")[2]
        _, event, signature = self.arena.provider_answers(
            "POST", f"/stand-in/payments/{payment_id}/succeeded"
        )
        headers = {"webhook-signature": signature}
        self._insist("webhook", "/payment-events/sandbox", as_signed(event), headers)
        return self.arena.fuse.blown

    def _insist(
        self, step: str, path: str, body: Any, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        sent = {"idempotency-key": f'"purchase-{self.number:06}-{step}"', **(headers or {})}
        content: Any = {"content": body} if isinstance(body, bytes) else {"json": body}
        if step == self.broken:
            self.arena.fuse.arm(self.statement, after=self.after)
        answer = self.arena.send("POST", path, headers=sent, **content)
        self.arena.fuse.disarm()
        for _ in range(3):
            if answer.is_success:
                break
            assert _may_be_repeated(answer), answer.text
            self.arena.clock.advance(seconds=LOCK_SECONDS)
            answer = self.arena.send("POST", path, headers=sent, **content)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found


def _may_be_repeated(answer: httpx.Response) -> bool:
    return answer.status_code == 503 or "idempotency-key-in-flight" in answer.text


@pytest.mark.parametrize("express", [True, False], ids=["express", "careful"])
@pytest.mark.parametrize("after", [False, True], ids=["before_it", "right_after_it"])
def test_a_purchase_broken_off_at_any_statement_is_finished_by_its_retry(
    new_database: NewDatabase, tmp_path: Path, *, after: bool, express: bool
) -> None:
    database = new_database("checkout")
    if not (express or LONG or database.startswith("sqlite")):
        pytest.skip("half a minute: part of `make prove-checkout`")
    number = 0
    stamina.set_testing(True, attempts=1)
    try:
        with open_arena(tmp_path, database, express=express, cars=CARS) as arena:
            for step in STEPS:
                statement, blew = 0, True
                while blew:
                    statement, number = statement + 1, number + 1
                    assert statement <= MOST_STATEMENTS
                    blew = Purchase(arena, number, step, statement, after).run()
                    assert arena.broken(settled=False) == {}
                assert statement > 1, f"nothing of {step} was broken off"
            _assert_bought_once(arena, number)
    finally:
        stamina.set_testing(False)


def _assert_bought_once(arena: Arena, cars: int) -> None:
    arena.read_on()
    while len(arena.events) % 1000 == 0:
        arena.read_on()
    orders = arena.orders().values()
    assert Counter(order["state"] for order in orders) == {"confirmed": cars}
    assert len({order["car_id"] for order in orders}) == cars
    told = Counter(event["type"] for event in arena.events)
    for type_ in ("hold.placed", "order.submitted", "order.confirmed"):
        assert told[f"checkout.{type_}"] == cars
    assert told["checkout.car.state_changed"] == 2 * cars
    positions = [event["sequence"] for event in arena.events]
    assert positions == list(range(1, len(positions) + 1))
    assert arena.broken(settled=True) == {}
