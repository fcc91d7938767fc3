"""Each database alone is put back to an earlier moment, as docs/restoring.md says, in both shapes.

What is shown each time: who read from it notices within a few looks and stops; after the runbook
they go on; the ledger and checkout agree but for the orders that were lost, and no lost order's car
is sold again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rigs.processes import wait_until
from rigs.shop import ROOT, START_SECONDS
from tests.builders.feeds import car, feed
from tests.builders.purchase import Buyer, key
from tests.doors.conftest import SHAPES
from tests.doors.desks import Desk
from tests.doors.houses import LONG, House, opened

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not LONG, reason="each restore restarts a shop: the long form"),
]

DOCUMENT = ROOT / "docs" / "restoring.md"

NOTICING_SECONDS = 180.0
"""Patience on a busy machine; looks are a third of a second to two seconds apart."""

READERS = {
    "checkout": {"insight", "catalog"},
    "catalog": {"insight", "checkout"},
    "storefront": {"insight"},
    "advisor": {"insight"},
    "insight": set[str](),
    "sandbox": set[str](),
}
"""Who has read more than the restored database knows."""

SAMPLE = re.compile(r"^([a-z_]+)(\{[^}]*\})? ([0-9.e+-]+)", re.MULTILINE)


class Restoring:
    """A shop whose databases are backed up and restored as an operator does it."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house = house
        self.folder = folder
        self.desk = Desk(house, folder)
        self.client = httpx.Client(base_url=house.url, trust_env=False, timeout=60)
        self.buyer = Buyer(self.client)

    def back_up(self, name: str) -> None:
        self.type("sqlite3 var" if self.house.postgres is None else "pg_dump", service=name)

    def restore(self, name: str) -> None:
        self.stop(name)
        for beginning in ("rm -f", "cp") if self.house.postgres is None else ("pg_restore",):
            self.type(beginning, service=name)
        self.start(name)

    def stop(self, name: str) -> None:
        self.house.processes[name].stop()

    def start(self, name: str) -> None:
        process = self.house.processes[name]
        process.start()
        process.wait_ready(
            f"{self.house.internal(name)}/health/ready", timeout_seconds=START_SECONDS
        )
        process.wait_ready(f"{self.house.url}/", timeout_seconds=START_SECONDS)

    def type(self, beginning: str, *, service: str) -> str:
        """The document's commands that begin so; what the last one said."""
        for said in self.desk.type(DOCUMENT, beginning, service=service):
            assert (said.returncode, said.stderr) == (0, "")
        return said.stdout

    def parted(self) -> set[tuple[str, str]]:
        """(reader, source) of each pair whose page alert is due."""
        return {
            (self._label(labels, "service"), self._label(labels, "source"))
            for service in READERS
            for name, labels, value in self._samples(service)
            if name == "consumer_parted" and value == 1
        }

    def wait_parted(self, pairs: set[tuple[str, str]]) -> None:
        wait_until(
            lambda: self.parted() == pairs,
            timeout_seconds=NOTICING_SECONDS,
            what=f"{pairs} are those whose histories have parted",
        )

    def ledger(self) -> tuple[float, float]:
        """`shop_orders_total` of all labels, and the greatest lag."""
        found = self._samples("insight")
        orders = sum(value for name, _, value in found if name == "shop_orders_total")
        return orders, max(value for name, _, value in found if name == "ledger_lag_seconds")

    def booked(self, source: str) -> float:
        """Facts of a source that the ledger has read, by its process."""
        return sum(
            value
            for name, labels, value in self._samples("insight")
            if name == "insight_facts_total" and self._label(labels, "source") == source
        )

    def outbox(self, source: str) -> tuple[float, float]:
        """Facts in a source's outbox, and the age of the oldest that some reader has not read."""
        found = {name: value for name, _, value in self._samples(source)}
        return found["outbox_rows"], found["outbox_lag_seconds"]

    def wait_ledger(self, orders: int) -> None:
        wait_until(
            lambda: self.ledger() == (orders, 0),
            timeout_seconds=NOTICING_SECONDS,
            what=f"{orders} orders are booked and none waits",
        )

    def ever_confirmed(self) -> int:
        return int(self._ask("checkout", "/internal/checkout/orders?limit=1")["ever_confirmed"])

    def broken(self) -> dict[str, int]:
        found = self._ask("checkout", "/internal/checkout/invariants")["invariants"]
        return {each["name"]: each["violations"] for each in found if each["violations"]}

    def look(self) -> None:
        """As the document says when all is done: each answer is a success."""
        for beginning in ("python deploy/ask.py /internal", "python -m app.checkout reconcile"):
            self.type(beginning, service="checkout")

    def violations(self) -> list[str]:
        found = self._ask("insight", "/internal/insight/invariants")["violations"]
        return [each["detail"] for each in found]

    def lost_orders(self) -> list[dict[str, str]]:
        for told in self.desk.type(DOCUMENT, "python deploy/ask.py --lost-orders"):
            assert told.stderr == ""
        return [json.loads(line) for line in told.stdout.splitlines()]

    def sold_at_the_desk(self, car_id: str) -> int:
        dealer = self.house.environment("checkout").get("VITRINE_DEALER_KEY") or self._kept_key()
        headers = {**key(), "authorization": f"Bearer {dealer}"}
        path = f"/api/checkout/v1/cars/{car_id}/desk-sale"
        return self.client.post(path, headers=headers).status_code

    def live(self, name: str) -> None:
        """Have a service state facts, or store something, of its own kind."""
        if name == "catalog":
            cars = [car(f"{number}") for number in range(len(list(self.folder.glob("*.txt"))) + 2)]
            path = self.folder / f"{len(cars)}.txt"
            path.write_bytes(feed(cars))
            told = self.desk.run(
                f"python -m app.catalog import {path} --source nordbil --market SE",
                service="catalog",
            )
            assert told.returncode == 0, told.stderr
        elif name == "storefront":
            for _ in range(3):
                assert self.client.get("/se/en/cars").is_success
        elif name == "advisor":
            needs = {"market": "SE", "needs": {}, "preferences": {}}
            assert self.client.post("/api/advisor/v1/matches", json=needs).is_success

    def buy(self) -> dict[str, str]:
        """A car that is on offer, bought; its order, with `car_id`."""
        for offered in self.buyer.cars():  # one that was just sold may be shown for a moment
            hold = self.buyer.hold(offered["car_id"])
            if hold.is_success:
                break
        order = self.buyer.order(hold.raise_for_status().json()["hold_id"])
        self.buyer.pay(order)
        assert self.buyer.settled(order)["state"] == "confirmed"
        return {"order_id": order["order_id"], "car_id": offered["car_id"]}

    def _file(self, name: str) -> Path:
        return Path(self.house.environment(name)["VITRINE_DATA"]) / f"{name}.db"

    def _kept_key(self) -> str:
        kept = json.loads(self._file("checkout").with_name("keys.json").read_text())
        return str(kept["dealer_key"])

    def _ask(self, service: str, path: str) -> dict[str, Any]:
        address = f"{self.house.internal(service)}{path}"
        answer = httpx.get(address, headers=self.house.operator, trust_env=False, timeout=60)
        found: dict[str, Any] = answer.json()
        return found

    def _samples(self, service: str) -> list[tuple[str, str, float]]:
        address = f"{self.house.internal(service)}/metrics"
        text = httpx.get(address, trust_env=False, timeout=60).text
        return [(name, labels, float(value)) for name, labels, value in SAMPLE.findall(text)]

    @staticmethod
    def _label(labels: str, name: str) -> str:
        found = re.search(rf'{name}="([^"]*)"', labels)
        return found[1] if found else ""


@pytest.fixture(scope="module", params=SHAPES)
def restoring(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Restoring]:
    folder = tmp_path_factory.mktemp(f"restores-{request.param}")
    backups = tmp_path_factory.mktemp("backups")
    with opened(request.param, folder) as house:
        made = Restoring(house, backups)
        yield made
        made.client.close()


@pytest.mark.parametrize("name", READERS)
def test_a_database_alone_is_restored_and_everybody_agrees_again(
    restoring: Restoring, name: str
) -> None:
    before = restoring.ever_confirmed()
    missing = int(restoring.ledger()[0]) - before  # orders that an earlier restore has lost
    restoring.buy()
    restoring.live(name)
    restoring.wait_ledger(before + 1 + missing)

    restoring.back_up(name)
    read = restoring.booked(name)
    stated = restoring.outbox(name)[0] if name == "catalog" else 0
    restoring.live(name)
    since = [restoring.buy() for _ in range(2)]
    restoring.wait_ledger(before + 3 + missing)
    lost = since if name == "checkout" else []
    known = {order["order_id"] for order in restoring.lost_orders()}

    if name in ("storefront", "advisor"):  # what they state is written now and then
        wait_until(
            lambda: restoring.booked(name) > read,
            timeout_seconds=NOTICING_SECONDS,
            what="the ledger has read what will be lost",
        )
    if name == "catalog":  # who has read nothing of what is lost has not parted from it
        wait_until(
            lambda: restoring.outbox(name)[0] != stated and restoring.outbox(name)[1] == 0,
            timeout_seconds=NOTICING_SECONDS,
            what="everybody has read what will be lost",
        )

    restoring.restore(name)
    pairs = {(reader, name) for reader in READERS[name]}
    restoring.wait_parted(pairs)

    if pairs:
        assert restoring.ledger()[1] > 0
        assert "no_consumer_is_ahead" in restoring.broken() or "checkout" not in READERS[name]
        assert restoring.violations() == [
            f"{name} has another history than the one that was booked"
        ]
    else:  # what it has lost is read again, and nobody has lost anything else
        restoring.wait_ledger(before + 3 + missing)
    shown = {each["car_id"] for each in restoring.buyer.cars(limit=100)}
    assert not shown & {order["car_id"] for order in lost}
    told = [order for order in restoring.lost_orders() if order["order_id"] not in known]
    assert sorted((o["only"], o["order_id"], o["car_id"]) for o in told) == sorted(
        ("insight", order["order_id"], order["car_id"]) for order in lost
    )
    assert [restoring.sold_at_the_desk(order["car_id"]) for order in told] == [200] * len(lost)

    if name != "sandbox":
        restoring.type("python -m app.checkout restored", service=name)
    restoring.wait_parted(set())
    restoring.live(name)
    restoring.buy()

    confirmed = before + 4 - len(lost)
    assert restoring.ever_confirmed() == confirmed
    restoring.wait_ledger(confirmed + missing + len(lost))
    assert (restoring.broken(), restoring.violations()) == ({}, [])
    restoring.look()
    assert [restoring.buyer.hold(order["car_id"]).status_code for order in since] == [409, 409]
