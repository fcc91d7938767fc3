"""Nothing personal leaves the one sealed table."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.checkout.customers import CustomerSeal
from app.contracts.checkout import Customer
from app.kernel.clock import ManualClock
from telemetry.tracestore import TraceStore
from tests.builders.platform import KEYS
from tests.builders.shop import CHALLENGE, CUSTOMER, PAYS, open_shop

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
