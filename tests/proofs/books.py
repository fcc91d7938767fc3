"""What a proof compares: checkout's books, its outbox, the provider's books and the ledger's."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx

from rigs.checkout import LocalCheckout
from rigs.processes import wait_until
from rigs.shop import ROOT
from tests.proofs.shopping import Bought

SETTLING_SECONDS = 60.0
PAGE = 1000
ORDERS_TOTAL = re.compile(r"^shop_orders_total\{[^}]*\} ([0-9.e+]+)", re.MULTILINE)
LAG = re.compile(r'^ledger_lag_seconds\{[^}]*source="checkout"[^}]*\} ([0-9.e+-]+)', re.MULTILINE)


@dataclass
class OutboxReader:
    """A consumer of checkout's outbox; reads from any worker, a page at a time."""

    urls: Sequence[str]
    operator: Mapping[str, str]
    events: list[dict[str, Any]] = field(default_factory=list)

    def read_on(self) -> None:
        """Read to the end, as it is while new events keep coming."""
        while True:
            after = self.events[-1]["sequence"] if self.events else 0
            url = self.urls[len(self.events) % len(self.urls)]
            found = _get(
                f"{url}/internal/checkout/events",
                {"after": after, "limit": PAGE},
                operator=self.operator,
            )["items"]
            self.events += found
            if len(found) < PAGE:
                return

    @property
    def gaps(self) -> list[int]:
        """Positions at which the next event is not the next number."""
        positions = [0, *(event["sequence"] for event in self.events)]
        return [later for earlier, later in pairwise(positions) if later != earlier + 1]

    def orders(self, type_: str) -> list[str]:
        """The orders that the events of a type are about, in order."""
        return [e["data"]["order_id"] for e in self.events if e["type"] == f"checkout.{type_}"]


@dataclass(frozen=True)
class Books:
    """A running stack's own records."""

    checkout: LocalCheckout
    neighbours_url: str

    @property
    def internal(self) -> str:
        return self.checkout.addresses[0].internal_url

    def broken(self) -> dict[str, int]:
        """The invariants that do not hold."""
        found = self._ask("/internal/checkout/invariants")["invariants"]
        return {each["name"]: each["violations"] for each in found if each["violations"]}

    def ever_confirmed(self) -> int:
        return int(self._ask("/internal/checkout/orders", limit=1)["ever_confirmed"])

    def orders(self) -> list[dict[str, Any]]:
        """All orders, as the API shows them."""
        found: list[dict[str, Any]] = []
        after: str | None = ""
        while after is not None:
            page = self._ask("/internal/checkout/orders", after=after, limit=1000)
            found += page["items"]
            after = page["next_after"]
        return found

    def _ask(self, path: str, **parameters: Any) -> Any:
        return _get(f"{self.internal}{path}", parameters, operator=self.checkout.operator)

    def payments(self) -> list[dict[str, Any]]:
        """The provider's side."""
        found: list[dict[str, Any]] = _get(f"{self.neighbours_url}/stand-in/payments")["items"]
        return found

    def audit(self) -> subprocess.CompletedProcess[str]:
        """`python -m app.checkout audit` on the same database."""
        return subprocess.run(
            [sys.executable, "-m", "app.checkout", "audit"],
            check=False,
            cwd=ROOT,
            env=self.checkout.environment(),
            capture_output=True,
            text=True,
        )

    def wait_ledger(self) -> float:
        """`shop_orders_total` of all labels, once the ledger says that it has everything."""
        url = f"{self.checkout.insight_address.internal_url}/metrics"

        def settled() -> bool:
            text = httpx.get(url, timeout=30.0, trust_env=False).text
            lag = LAG.search(text)
            return lag is not None and float(lag[1]) == 0 and total(text) >= self.ever_confirmed()

        def total(text: str) -> float:
            return sum(float(value) for value in ORDERS_TOTAL.findall(text))

        wait_until(settled, timeout_seconds=SETTLING_SECONDS, what="the ledger is up to date")
        return total(httpx.get(url, timeout=30.0, trust_env=False).text)


def assert_nothing_lost_or_doubled(
    books: Books, outbox: OutboxReader, bought: Sequence[Bought]
) -> None:
    """Whatever was done to the servers, the books say what the shoppers saw, once."""
    seen = sorted(each.order_id for each in bought)
    assert len(set(seen)) == len(seen)
    orders = books.orders()
    confirmed = sorted(o["order_id"] for o in orders if o["state"] == "confirmed")
    assert confirmed == seen
    assert books.ever_confirmed() == len(seen)
    cars = Counter(order["car_id"] for order in orders)
    assert [car for car, number in cars.items() if number > 1] == []
    paid = sorted(p["reference"] for p in books.payments() if p["state"] == "succeeded")
    assert paid == seen
    assert [p for p in books.payments() if p["refunded"]["amount"]] == []
    outbox.read_on()
    assert outbox.gaps == []
    assert len({event["id"] for event in outbox.events}) == len(outbox.events)
    assert sorted(outbox.orders("order.confirmed")) == seen
    assert sorted(outbox.orders("order.submitted")) == sorted(o["order_id"] for o in orders)
    assert books.broken() == {}
    audit = books.audit()
    assert audit.returncode == 0, audit.stdout + audit.stderr


def _get(
    url: str, params: dict[str, Any] | None = None, *, operator: Mapping[str, str] | None = None
) -> Any:
    answer = httpx.get(url, params=params, headers=operator, timeout=30.0, trust_env=False)
    return answer.raise_for_status().json()
