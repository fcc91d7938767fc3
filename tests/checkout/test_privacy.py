"""Nothing personal leaves the one sealed table."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.checkout.customers import CustomerIndex, CustomerSeal
from app.contracts.checkout import Customer
from app.kernel.clock import ManualClock
from telemetry.tracestore import TraceStore
from tests.builders.platform import KEYS
from tests.builders.shop import CHALLENGE, CUSTOMER, PAYS, Shop, open_shop

KEY_A = "dGVzdC1jdXN0b21lci1rZXktdGVzdC1jdXN0b21lcjA="
KEY_B = "b3RoZXItY3VzdG9tZXIta2V5LW90aGVyLWN1c3RvbWU="


async def test_a_whole_purchase_leaves_no_trace_of_the_person(
    tmp_path: Path, clock: ManualClock, capfd: pytest.CaptureFixture[str]
) -> None:
    traces = TraceStore(tmp_path / "traces.db", keep_ratio=1.0)
    async with open_shop(tmp_path, clock, {}, traces=traces) as shop:
        order = await shop.ordered()
        await shop.pay(order, CHALLENGE)
        await shop.challenge(order, "approve")
        await shop.order("hld_x", customer={**CUSTOMER, "phone": "070 123 45 67 is my number"})
        await shop.pay(order, PAYS)
        events = str([event.to_wire() for event in await shop.facts()])
        metrics = shop.checkout.service.platform.registry.exposition("")[0].decode()
        tables = str([await shop.rows(f"SELECT * FROM {name}") for name in _tables()])  # noqa: S608
    traces.close()
    spans = _bytes_of(tmp_path, "traces.db*")

    said = {
        "log": "".join(capfd.readouterr()),
        "events": events,
        "metrics": metrics,
        "tables": tables,
        "spans": spans.decode("utf-8", "replace"),
    }
    assert '"order.confirmed"' in said["log"]
    assert order["order_id"].encode() in spans
    personal = ["Åsa", "Öberg", "\\u00c5sa", "asa.oberg", "123 45 67", "1234567", "4000 0000"]
    personal += ["40000000", KEYS["payment_key"], KEYS["webhook_secret"]]
    found = {place: [p for p in personal if p in text] for place, text in said.items()}
    assert found == {place: [] for place in said}
    assert order["order_token"] not in said["log"] + said["events"] + said["spans"]


def _bytes_of(folder: Path, pattern: str) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob(pattern))


def _tables() -> list[str]:
    return [
        *("cars", "holds", "orders", "payments", "payment_events", "outbox", "customers"),
        *("idempotency", "leases", "consumer_positions"),
    ]


def test_the_seal_can_change_its_key_and_still_open_what_is_old() -> None:
    customer = Customer.model_validate(CUSTOMER)
    old, rotated, fresh = (
        CustomerSeal(KEY_A),
        CustomerSeal(f"{KEY_B}, {KEY_A}"),
        CustomerSeal(KEY_B),
    )

    assert rotated.open(old.seal(customer)) == customer
    assert fresh.open(rotated.seal(customer)) == customer
    assert b"asa" not in old.seal(customer)


async def _bought_by(shop: Shop, email: str, car_id: str) -> str:
    """By what name the confirmation's fact knows whoever bought a car with this address."""
    hold = await shop.held(car_id)
    customer = {**CUSTOMER, "email": email}
    order = (await shop.order(hold["hold_id"], customer=customer)).json()
    await shop.pay(order, PAYS)
    (fact,) = [
        event.data
        for event in await shop.facts()
        if event.type == "checkout.order.confirmed" and event.data["car_id"] == car_id
    ]
    return str(fact["customer_id"])


async def test_facts_know_a_customer_who_comes_back_by_one_name(shop: Shop) -> None:
    first = await _bought_by(shop, "asa.oberg@example.se", "car_1")
    again = await _bought_by(shop, "ASA.Oberg@Example.SE", "car_2")
    other = await _bought_by(shop, "nils@example.se", "car_3")

    assert first == again != other
    assert len(first) == len(other) == len("cus_") + 32


async def test_the_name_in_facts_does_not_lead_to_a_row(shop: Shop) -> None:
    name = await _bought_by(shop, "asa.oberg@example.se", "car_1")
    ((index,),) = await shop.rows("SELECT email_index FROM customers")

    mark, _, digits = index.partition(".")
    assert not {mark, digits, digits[:32]} & {name, name.removeprefix("cus_")}
    assert CustomerIndex("another key").pseudonym(index) == ""
    assert CustomerIndex(KEYS["session_key"]).pseudonym(index) == name


async def test_a_row_without_an_index_of_this_key_is_nobody_in_facts(shop: Shop) -> None:
    hold = await shop.held()
    order = (await shop.order(hold["hold_id"])).json()
    await shop.damage(
        "UPDATE customers SET email_index = NULL",
        "UPDATE cars SET version = version + 1",  # so that checkout looks again
    )

    await shop.pay(order, PAYS)

    (fact,) = [event for event in await shop.facts() if event.type == "checkout.order.confirmed"]
    assert fact.data["customer_id"] == ""
