"""A customer who wants to be forgotten is forgotten; what was sold and paid is not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from app.checkout.change import Changes
from app.checkout.customers import CustomerIndex, CustomerSeal
from app.checkout.main import lines_to
from app.checkout.models import OUTBOX
from app.checkout.privacy import BATCH, Erased, Privacy, Rotated
from app.checkout.signals import Signals
from app.checkout.store import Store
from app.contracts.checkout import Customer
from app.frame.data.outbox import Outbox
from app.kernel.clock import ManualClock
from tests.builders.platform import KEYS
from tests.builders.shop import CUSTOMER, LOST, Shop, bearer, open_shop

KEY_A = "dGVzdC1jdXN0b21lci1rZXktdGVzdC1jdXN0b21lcjA="
KEY_B = "b3RoZXItY3VzdG9tZXIta2V5LW90aGVyLWN1c3RvbWU="
PERSONAL = ("Åsa", "Öberg", "asa.oberg", "123 45 67", "1234567")


async def _bought(shop: Shop, car_id: str = "car_1") -> dict[str, Any]:
    """An order whose car was handed over."""
    order = await shop.confirmed(car_id)
    await shop.act(order, "handover")
    return order


Operator = Callable[..., Privacy]
"""What the operator's commands use, with keys of their own."""


@asynccontextmanager
async def an_operator_of(shop: Shop) -> AsyncIterator[Operator]:
    service = shop.checkout.service
    outbox = Outbox("checkout", service.database, OUTBOX, shop.clock)
    signals = Signals(service.telemetry)
    changes = Changes(lines_to(service.database, outbox), signals, shop.clock)

    def privacy(*, keys: str = KEY_A, index: str = KEYS["session_key"]) -> Privacy:
        return Privacy(
            Store(service.database),
            changes,
            CustomerSeal(keys),
            CustomerIndex(index),
            signals,
            shop.clock,
        )

    yield privacy
    await changes.close()


@pytest.fixture
async def operator(shop: Shop) -> AsyncIterator[Operator]:
    async with an_operator_of(shop) as opened:
        yield opened


def _bytes_of(folder: Path, pattern: str) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob(pattern))


async def _everything(shop: Shop) -> str:
    tables = await shop.checkout.service.database.tables()
    return str([await shop.rows(f"SELECT * FROM {name}") for name in sorted(tables)])  # noqa: S608


async def _books(shop: Shop) -> list[Any]:
    """What accounting and the ledger need."""
    return [
        await shop.rows("SELECT order_id, state, price, vat, deposit, currency FROM orders"),
        await shop.rows("SELECT * FROM payments"),
        await shop.rows(
            "SELECT event_id, position, type, time, data, context FROM outbox"
            " WHERE type <> 'checkout.customer.erased'"
        ),
    ]


async def test_an_erased_order_keeps_its_books_and_nothing_of_the_person(shop: Shop) -> None:
    order = await _bought(shop)
    sealed = (await shop.rows("SELECT sealed FROM customers"))[0][0]
    index = (await shop.rows("SELECT email_index FROM customers"))[0][0]
    before = await _books(shop)

    erased = await shop.act(order, "erasure")

    assert (erased.status_code, erased.json()) == (
        200,
        {"order_id": order["order_id"], "erased_at": "2026-11-27T09:00:00.000Z"},
    )
    left = await _everything(shop)
    assert [word for word in (*PERSONAL, str(sealed), index) if word in left] == []
    assert await shop.rows("SELECT COUNT(*) FROM customers") == [(0,)]
    assert await shop.rows("SELECT address_hash FROM holds") == [("",)]
    assert await _books(shop) == before
    assert await shop.broken_invariants() == {}


async def test_an_erased_order_forgets_its_campaign_and_tells_the_ledger_to(shop: Shop) -> None:
    hold = await shop.held()
    order = (await shop.order(hold["hold_id"], attribution={"utm_campaign": "for Zeb"})).json()
    await shop.act(order, "cancellation")
    assert "for Zeb" in str(await shop.rows("SELECT context FROM orders"))

    await shop.act(order, "erasure")

    assert "for Zeb" not in str(await shop.rows("SELECT context FROM holds"))
    assert "for Zeb" not in str(await shop.rows("SELECT context FROM orders"))
    erased = (await shop.facts())[-1]
    assert (erased.type, erased.data) == (
        "checkout.customer.erased",
        {"order_id": order["order_id"]},
    )
    assert erased.context.campaign == ""


async def test_an_erased_order_can_still_be_read_and_returned_with_its_token(shop: Shop) -> None:
    order = await _bought(shop)
    before = await shop.read(order)
    await shop.act(order, "erasure")

    assert await shop.read(order) == before
    assert (await shop.act(order, "return", {"reason": "other"})).status_code == 200
    assert (await shop.act(order, "return-receipt")).status_code == 200
    await shop.checkout.job("refunds")()
    assert (await shop.read(order))["state"] == "refunded"
    assert await shop.broken_invariants() == {}


async def test_not_a_byte_of_it_is_left_in_the_database_s_file(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with open_shop(tmp_path, clock, {}) as shop:
        order = await _bought(shop)
        row = (await shop.rows("SELECT sealed, email_index FROM customers"))[0]
        await shop.act(order, "erasure")
    stored = _bytes_of(tmp_path, "checkout.db*")  # closed: the write-ahead log is in the file

    assert order["order_id"].encode() in stored
    words = [*(word.encode() for word in PERSONAL), bytes(row[0]), row[1].encode()]
    assert [word for word in words if word in stored] == []


async def test_an_open_order_needs_to_know_whose_it_is(shop: Shop) -> None:
    pending = await shop.ordered("car_1")
    confirmed = await shop.confirmed("car_2")

    answers = [await shop.act(order, "erasure") for order in (pending, confirmed)]

    assert [
        (answer.status_code, answer.json()["type"], answer.json()["waits_for"])
        for answer in answers
    ] == [(409, "/problems/order-open", "payment"), (409, "/problems/order-open", "handover")]
    assert await shop.rows("SELECT COUNT(*) FROM customers") == [(2,)]
    await shop.act(confirmed, "cancellation")
    assert (await shop.act(confirmed, "erasure")).status_code == 200


async def test_only_the_holder_of_the_token_may_ask_and_only_with_a_key(shop: Shop) -> None:
    order = await _bought(shop)
    path = f"/api/checkout/v1/orders/{order['order_id']}/erasure"
    key = {"idempotency-key": shop.key()}

    wrong = await shop.checkout.public.post(path, headers={"authorization": "Bearer no", **key})
    without = await shop.checkout.public.post(path, headers=key)
    keyless = await shop.checkout.public.post(path, headers=bearer(order))

    assert [wrong.status_code, without.status_code, keyless.status_code] == [404, 401, 400]
    assert await shop.rows("SELECT COUNT(*) FROM customers") == [(1,)]


async def test_asking_twice_is_one_erasure(shop: Shop) -> None:
    order = await _bought(shop)
    first = await shop.act(order, "erasure", key='"forget-me-please"')
    shop.clock.advance(hours=1)

    replayed = await shop.act(order, "erasure", key='"forget-me-please"')
    again = await shop.act(order, "erasure")

    assert replayed.headers["idempotency-replayed"] == "true"
    assert first.content == replayed.content == again.content


async def test_the_order_s_own_request_cannot_order_again_after_it_was_erased(shop: Shop) -> None:
    hold = await shop.held()
    order = (await shop.order(hold["hold_id"], key='"delayed-copy"')).json()
    await shop.act(order, "cancellation")  # the hold lives on
    await shop.act(order, "erasure")

    copy = await shop.order(hold["hold_id"], key='"delayed-copy"')

    assert (copy.status_code, copy.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert await shop.rows("SELECT COUNT(*) FROM customers") == [(0,)]


async def test_money_that_comes_after_the_erasure_goes_back_though_the_car_is_free(
    shop: Shop,
) -> None:
    order = await shop.ordered()
    await shop.pay(order, LOST)
    shop.clock.advance(minutes=16)
    await shop.checkout.job("sweep")()
    erased = await shop.act(order, "erasure")

    await shop.webhook((await shop.sent_webhooks())[-1])
    await shop.checkout.job("refunds")()

    assert erased.status_code == 200
    assert (await shop.read(order))["state"] == "refunded"
    assert await shop.car() == "available"
    assert await shop.broken_invariants() == {}


async def test_all_orders_of_an_address_are_found_however_it_was_written(
    shop: Shop, operator: Operator
) -> None:
    mine = [await _bought(shop, "car_1"), await _bought(shop, "car_2")]
    somebody = {**CUSTOMER, "email": "nils@example.se"}
    other = (await shop.order((await shop.held("car_3"))["hold_id"], customer=somebody)).json()
    await shop.act(other, "cancellation")
    again = (await shop.order(other["hold_id"])).json()  # mine, and waits for its payment

    result = await operator().erase_customer("  ASA.Oberg@Example.SE ")

    assert (sorted(result.erased), result.still_open, result.unreadable) == (
        sorted(order["order_id"] for order in mine),
        [again["order_id"]],
        [],
    )
    left = {row[0] for row in await shop.rows("SELECT order_id FROM customers")}
    assert left == {other["order_id"], again["order_id"]}


async def test_rows_that_another_version_or_key_indexed_are_found_too(
    shop: Shop, operator: Operator
) -> None:
    orders = [await _bought(shop, "car_1"), await _bought(shop, "car_2")]
    await shop.damage(
        f"UPDATE customers SET email_index = NULL WHERE order_id = '{orders[0]['order_id']}'"  # noqa: S608
    )

    result = await operator(index="another key").erase_customer(CUSTOMER["email"])

    assert sorted(result.erased) == sorted(order["order_id"] for order in orders)


async def test_a_row_that_cannot_be_opened_is_named_not_passed_over(
    shop: Shop, operator: Operator
) -> None:
    order = await _bought(shop)

    privacy = operator(keys=KEY_B, index="another key")

    assert await privacy.erase_customer(CUSTOMER["email"]) == Erased(unreadable=[order["order_id"]])
    assert await privacy.rotate() == Rotated(unreadable=[order["order_id"]])
    assert await privacy.erase_order(order["order_id"]) == Erased(erased=[order["order_id"]])


async def test_new_keys_seal_every_row_once_and_the_old_one_may_go(
    shop: Shop, operator: Operator
) -> None:
    orders = [await _bought(shop, f"car_{number}") for number in (1, 2, 3)]
    await shop.damage(
        f"UPDATE customers SET email_index = NULL WHERE order_id = '{orders[0]['order_id']}'"  # noqa: S608
    )

    rotating = operator(keys=f"{KEY_B},{KEY_A}")

    assert await rotating.rotate() == Rotated(resealed=3)
    assert await rotating.rotate() == Rotated(fresh=3)
    fresh = CustomerSeal(KEY_B)
    rows = await shop.rows("SELECT sealed, email_index FROM customers")
    index = CustomerIndex(KEYS["session_key"]).of(CUSTOMER["email"])
    assert [(fresh.open(bytes(row[0])), row[1]) for row in rows] == [
        (Customer.model_validate(CUSTOMER), index)
    ] * 3


async def test_rotation_goes_on_where_it_was_interrupted_and_leaves_the_erased_alone(
    shop: Shop, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.checkout.privacy.BATCH", 1)
    assert BATCH > 1
    bought = [await _bought(shop, f"car_{number}") for number in (1, 2, 3)]
    orders = sorted(bought, key=lambda order: str(order["order_id"]))  # as rotation takes them
    rotating = operator(keys=f"{KEY_B},{KEY_A}")
    seal = CustomerSeal.seal
    sealed: list[int] = []

    def seal_two(self: CustomerSeal, customer: Customer) -> bytes:
        if len(sealed) == 2:
            raise KeyboardInterrupt
        sealed.append(1)
        return seal(self, customer)

    with monkeypatch.context() as interrupted:
        interrupted.setattr(CustomerSeal, "seal", seal_two)
        with pytest.raises(KeyboardInterrupt):
            await rotating.rotate()
    await shop.act(orders[1], "erasure")

    assert await rotating.rotate() == Rotated(resealed=1, fresh=1)
    assert await shop.rows("SELECT COUNT(*) FROM customers") == [(2,)]


async def test_no_answer_that_is_kept_has_the_order_s_token_in_it(shop: Shop) -> None:
    hold = await shop.held()
    first = await shop.order(hold["hold_id"], key='"keeps-no-token"')

    kept = await _everything(shop)
    replayed = await shop.order(hold["hold_id"], key='"keeps-no-token"')

    token = first.json()["order_token"]
    assert len(token) == 64
    assert token not in kept
    assert replayed.content == first.content


async def test_the_audit_line_says_that_and_not_whom(
    tmp_path: Path, clock: ManualClock, capfd: pytest.CaptureFixture[str]
) -> None:
    async with open_shop(tmp_path, clock, {}) as shop:
        order = await _bought(shop)
        await shop.act(order, "erasure")
        async with an_operator_of(shop) as operator:
            await operator().erase_customer(CUSTOMER["email"])

    log = "".join(capfd.readouterr())
    lines = [line for line in log.splitlines() if "customer.erased" in line]
    assert len(lines) == 1
    assert order["order_id"] in lines[0]
    assert '"by":"shopper"' in lines[0]
    assert [word for word in (*PERSONAL, order["order_token"]) if word in lines[0]] == []
