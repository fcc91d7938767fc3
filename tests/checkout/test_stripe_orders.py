"""Orders paid through Stripe: the whole of checkout against a running localstripe."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import uvicorn
from stripe import WebhookSignature

from app.kernel.clock import ManualClock, SystemClock
from app.kernel.errors import CannotStart
from rigs.ports import LOOPBACK, free_ports
from rigs.processes import wait_until
from tests.builders.providers import stripe_event
from tests.builders.shop import DEPOSIT, Shop, open_shop
from tests.builders.stripe import (
    DECLINED,
    PAGE,
    PAYS,
    SECRET_KEY,
    WEBHOOK_SECRET,
    LocalStripe,
    local_stripe,
)

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStripe]:
    with local_stripe(tmp_path_factory.mktemp("stripe")) as server:
        yield server


@pytest.fixture
async def stripe_shop(
    tmp_path: Path, clock: ManualClock, stripe: LocalStripe, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Shop]:
    for name, value in {
        "SECRET_KEY": SECRET_KEY,
        "WEBHOOK_SECRET": WEBHOOK_SECRET,
        "API_BASE": stripe.base_url,
        "PAYMENT_PAGE": PAGE,
    }.items():
        monkeypatch.setenv(f"CHECKOUT_STRIPE_{name}", value)
    async with open_shop(tmp_path, clock, {}) as shop:
        yield shop


async def _ordered(shop: Shop, car_id: str = "car_1") -> dict[str, Any]:
    hold = await shop.held(car_id)
    answer = await shop.order(hold["hold_id"], payment={"provider": "stripe"})
    assert answer.status_code == 201, answer.text
    order: dict[str, Any] = answer.json()
    return order


async def _payment_id(shop: Shop, order: dict[str, Any]) -> str:
    """Stripe's id of an order's payment."""
    rows = await shop.rows("SELECT order_id, payment_id FROM payments")
    return str({row[0]: row[1] for row in rows}[order["order_id"]])


async def _tell(shop: Shop, stripe: LocalStripe, payment_id: str, **changes: Any) -> httpx.Response:
    """Deliver the message that Stripe sends about a payment as it is, with `changes`."""
    intent = {**await stripe.intent(payment_id), **changes}
    body = stripe_event(f"evt_{secrets.token_hex(8)}", intent)
    signed = WebhookSignature.generate_signature_header(
        body.decode(), WEBHOOK_SECRET, int(shop.clock.now().timestamp())
    )
    return await shop.checkout.public.post(
        "/api/checkout/v1/payment-events/stripe",
        content=body,
        headers={"stripe-signature": str(signed)},
    )


async def _paid(shop: Shop, stripe: LocalStripe, order: dict[str, Any]) -> str:
    payment_id = await _payment_id(shop, order)
    await stripe.pay(payment_id, PAYS)
    return payment_id


async def test_authorised_money_is_taken_and_confirms_the_order(
    stripe_shop: Shop, stripe: LocalStripe
) -> None:
    order = await _ordered(stripe_shop)
    payment_id = await _paid(stripe_shop, stripe, order)

    answers = await asyncio.gather(*[_tell(stripe_shop, stripe, payment_id) for _ in range(5)])

    assert {answer.status_code for answer in answers} == {200}
    assert (await stripe_shop.read(order))["state"] == "confirmed"
    intent = await stripe.intent(payment_id)
    assert (intent["status"], intent["amount"], intent["currency"]) == ("succeeded", DEPOSIT, "sek")
    assert (await stripe_shop.fact_types()).count("order.confirmed") == 1
    assert await stripe_shop.broken_invariants() == {}


async def test_stripe_is_told_nothing_about_the_shopper(
    stripe_shop: Shop, stripe: LocalStripe
) -> None:
    order = await _ordered(stripe_shop)

    (intent,) = await stripe.intents_of(order["order_id"])

    assert intent["metadata"] == {"vitrine_order_id": order["order_id"]}
    assert intent["customer"] is None
    assert order["payment_url"] == f"{PAGE}#{intent['client_secret']}"
    assert "berg" not in orjson.dumps(intent).decode()


async def test_a_lost_message_is_healed_by_asking(stripe_shop: Shop, stripe: LocalStripe) -> None:
    order = await _ordered(stripe_shop)
    await _paid(stripe_shop, stripe, order)
    stripe_shop.clock.advance(seconds=30)

    await stripe_shop.checkout.job("reconcile")()

    assert (await stripe_shop.read(order))["state"] == "confirmed"
    assert await stripe_shop.broken_invariants() == {}


async def test_money_that_comes_late_buys_the_car_when_it_is_free(
    stripe_shop: Shop, stripe: LocalStripe
) -> None:
    order = await _ordered(stripe_shop)
    stripe_shop.clock.advance(minutes=16)
    await stripe_shop.checkout.job("sweep")()
    payment_id = await _paid(stripe_shop, stripe, order)

    await _tell(stripe_shop, stripe, payment_id)

    assert (await stripe_shop.read(order))["state"] == "confirmed"
    assert (
        stripe_shop.metric("checkout_late_payments_total", service="checkout", result="honoured")
        == 1
    )
    assert await stripe_shop.broken_invariants() == {}


async def test_money_that_comes_too_late_is_never_taken(
    stripe_shop: Shop, stripe: LocalStripe
) -> None:
    order = await _ordered(stripe_shop)
    stripe_shop.clock.advance(minutes=16)
    await stripe_shop.checkout.job("sweep")()
    await stripe_shop.held("car_1")  # somebody else
    payment_id = await _paid(stripe_shop, stripe, order)

    await _tell(stripe_shop, stripe, payment_id)

    seen = await stripe_shop.read(order)
    assert (seen["state"], seen["message"] is None) == ("expired", False)
    assert (await stripe.intent(payment_id))["status"] == "canceled"
    assert await stripe.refunds(payment_id) == []
    assert (
        stripe_shop.metric("checkout_late_payments_total", service="checkout", result="refunded")
        == 1
    )
    assert await stripe_shop.checkout.job("refunds")() == 0
    assert await stripe_shop.broken_invariants() == {}


@pytest.mark.parametrize(
    "wrong", [{"amount": 1}, {"amount_capturable": 499_999}, {"currency": "dkk"}]
)
async def test_another_amount_or_currency_is_let_go_and_never_confirms(
    stripe_shop: Shop, stripe: LocalStripe, wrong: dict[str, Any]
) -> None:
    order = await _ordered(stripe_shop)
    payment_id = await _paid(stripe_shop, stripe, order)

    await _tell(stripe_shop, stripe, payment_id, **wrong)

    assert (await stripe_shop.read(order))["state"] == "cancelled"
    assert (await stripe.intent(payment_id))["status"] == "canceled"
    assert (
        stripe_shop.metric(
            "checkout_payment_mismatches_total", service="checkout", provider="stripe"
        )
        == 1
    )
    assert await stripe_shop.broken_invariants() == {}


async def test_another_amount_that_was_taken_already_goes_back(
    stripe_shop: Shop, stripe: LocalStripe
) -> None:
    order = await _ordered(stripe_shop)
    payment_id = await _paid(stripe_shop, stripe, order)
    await stripe.ask("POST", f"/v1/payment_intents/{payment_id}/capture", {})

    await _tell(stripe_shop, stripe, payment_id, amount_received=100)
    await stripe_shop.checkout.job("refunds")()

    assert (await stripe_shop.read(order))["state"] == "refunded"
    assert await stripe.refunds(payment_id) == [DEPOSIT]
    assert "order.confirmed" not in await stripe_shop.fact_types()
    assert await stripe_shop.broken_invariants() == {}


async def test_a_withdrawn_order_is_refunded_once(stripe_shop: Shop, stripe: LocalStripe) -> None:
    order = await _ordered(stripe_shop)
    payment_id = await _paid(stripe_shop, stripe, order)
    await _tell(stripe_shop, stripe, payment_id)
    await stripe_shop.act(order, "cancellation")

    done = [await stripe_shop.checkout.job("refunds")() for _ in range(2)]

    assert done == [1, 0]
    assert (await stripe_shop.read(order))["state"] == "refunded"
    assert await stripe.refunds(payment_id) == [DEPOSIT]


async def test_a_second_card_may_pay_after_a_refused_one(
    stripe_shop: Shop, stripe: LocalStripe
) -> None:
    order = await _ordered(stripe_shop)
    payment_id = await _payment_id(stripe_shop, order)
    await stripe.pay(payment_id, DECLINED)
    await _tell(stripe_shop, stripe, payment_id)
    refused = (await stripe_shop.read(order))["state"]

    await stripe.pay(payment_id, PAYS)
    await _tell(stripe_shop, stripe, payment_id)

    assert (refused, (await stripe_shop.read(order))["state"]) == ("declined", "confirmed")
    assert await stripe_shop.broken_invariants() == {}


async def test_an_outage_keeps_the_hold_and_a_retry_opens_one_payment(
    stripe_shop: Shop, stripe: LocalStripe
) -> None:
    hold = await stripe_shop.held()
    key = stripe_shop.key()
    stripe.process.stop()
    try:
        down = await stripe_shop.order(hold["hold_id"], key=key, payment={"provider": "stripe"})
    finally:
        stripe.process.start()
        stripe.ready()
    back = [
        await stripe_shop.order(hold["hold_id"], key=key, payment={"provider": "stripe"})
        for _ in range(2)
    ]

    assert (down.status_code, down.json()["type"]) == (
        503,
        "/problems/payment-provider-unavailable",
    )
    assert down.json()["retry_after_seconds"] >= 1
    assert [answer.status_code for answer in back] == [201, 201]
    assert len(await stripe.intents_of(back[0].json()["order_id"])) == 1
    assert await stripe_shop.car() == "held"


async def test_messages_that_stripe_itself_sends_are_understood(
    stripe_shop: Shop, stripe: LocalStripe
) -> None:
    # Stripe signs by its own clock.
    ahead = SystemClock().now() - stripe_shop.clock.now()
    stripe_shop.clock.advance(seconds=ahead.total_seconds())
    (port,) = free_ports(1)
    server = uvicorn.Server(
        uvicorn.Config(
            stripe_shop.checkout.service.api,
            host=LOOPBACK,
            port=port,
            log_config=None,
            lifespan="off",
        )
    )
    serving = asyncio.create_task(server.serve())
    try:
        await stripe.send_webhooks_to(
            f"http://{LOOPBACK}:{port}/api/checkout/v1/payment-events/stripe"
        )
        refused, paid = await _ordered(stripe_shop, "car_1"), await _ordered(stripe_shop, "car_2")
        await stripe.pay(await _payment_id(stripe_shop, refused), DECLINED)
        payment_id = await _paid(stripe_shop, stripe, paid)
        await stripe.ask("POST", f"/v1/payment_intents/{payment_id}/capture", {})
        await _until(stripe_shop, {refused["order_id"]: "declined", paid["order_id"]: "confirmed"})
    finally:
        server.should_exit = True
        await serving

    assert await stripe_shop.broken_invariants() == {}


async def _until(shop: Shop, states: dict[str, str]) -> None:
    """Wait until orders are in these states."""
    loop = asyncio.get_running_loop()

    def reached() -> bool:
        rows = asyncio.run_coroutine_threadsafe(
            shop.rows("SELECT order_id, state FROM orders"), loop
        ).result(10)
        return states.items() <= {row[0]: row[1] for row in rows}.items()

    await asyncio.to_thread(wait_until, reached, timeout_seconds=30, what=str(states))


async def test_a_shopper_may_be_sent_to_a_hosted_page(
    tmp_path: Path, stripe: LocalStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock(SystemClock().now())  # Stripe measures a page's life by its own clock
    monkeypatch.setenv("CHECKOUT_STRIPE_SECRET_KEY", SECRET_KEY)
    monkeypatch.setenv("CHECKOUT_STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET)
    monkeypatch.setenv("CHECKOUT_STRIPE_API_BASE", stripe.base_url)
    async with open_shop(tmp_path, clock, {}) as shop:
        order = await _ordered(shop)
        page_id = await _payment_id(shop, order)
        await stripe.pay(page_id, PAYS)
        clock.advance(seconds=30)
        await shop.checkout.job("reconcile")()
        confirmed = (await shop.read(order))["state"]
        payment_id = await _payment_id(shop, order)
        await shop.act(order, "cancellation")
        await shop.checkout.job("refunds")()
        refunded = (await shop.read(order))["state"]
        broken = await shop.broken_invariants()

    assert page_id.startswith("cs_")
    assert len(order["payment_url"]) > 400
    assert (confirmed, refunded, broken) == ("confirmed", "refunded", {})
    assert await stripe.refunds(payment_id) == [DEPOSIT]


async def test_what_was_paid_through_a_provider_that_is_no_longer_named_goes_back(
    tmp_path: Path,
    clock: ManualClock,
    stripe: LocalStripe,
    stripe_shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order = await _ordered(stripe_shop)
    payment_id = await _paid(stripe_shop, stripe, order)
    await _tell(stripe_shop, stripe, payment_id)
    monkeypatch.setenv("CHECKOUT_PROVIDERS", "sandbox")

    database = {"checkout": stripe_shop.checkout.service.database.url}
    beside = stripe_shop.catalog
    async with open_shop(tmp_path / "later", clock, database, beside=beside) as later:
        assert (await _tell(later, stripe, payment_id)).status_code == 404
        await later.act(order, "cancellation", key='"given-up-later"')
        await later.checkout.job("refunds")()

        assert (await later.read(order))["state"] == "refunded"
    assert await stripe.refunds(payment_id) == [DEPOSIT]


async def _hear(shop: Shop, type_: str, content: dict[str, Any]) -> httpx.Response:
    """Deliver a message of Stripe that is not about an intent."""
    body = orjson.dumps(
        {
            "id": f"evt_{secrets.token_hex(8)}",
            "type": type_,
            "created": int(shop.clock.now().timestamp()),
            "livemode": False,
            "data": {"object": content},
        }
    )
    signed = WebhookSignature.generate_signature_header(
        body.decode(), WEBHOOK_SECRET, int(shop.clock.now().timestamp())
    )
    return await shop.checkout.public.post(
        "/api/checkout/v1/payment-events/stripe",
        content=body,
        headers={"stripe-signature": str(signed)},
    )


async def test_a_refund_in_stripes_dashboard_ends_the_order(
    stripe_shop: Shop, stripe: LocalStripe
) -> None:
    order = await _ordered(stripe_shop)
    payment_id = await _paid(stripe_shop, stripe, order)
    await _tell(stripe_shop, stripe, payment_id)
    charge = {"id": "ch_1", "payment_intent": payment_id, "amount_refunded": DEPOSIT}

    noise = await _hear(stripe_shop, "charge.refunded", {**charge, "payment_intent": "pi_other"})
    before = (await stripe_shop.read(order))["state"]
    heard = await _hear(stripe_shop, "charge.refunded", charge)

    assert (noise.json(), heard.json()) == ({"result": "ignored"}, {"result": "applied"})
    assert (before, (await stripe_shop.read(order))["state"]) == ("confirmed", "refunded")
    assert await stripe_shop.car() == "available"
    assert await stripe_shop.broken_invariants() == {}


async def test_a_refund_in_stripes_dashboard_is_found_by_asking(
    stripe_shop: Shop, stripe: LocalStripe
) -> None:
    order = await _ordered(stripe_shop)
    payment_id = await _paid(stripe_shop, stripe, order)
    await _tell(stripe_shop, stripe, payment_id)
    await stripe.ask("POST", "/v1/refunds", {"payment_intent": payment_id})

    await stripe_shop.checkout.job("reconcile-kept")()

    assert (await stripe_shop.read(order))["state"] == "refunded"


async def test_a_refund_that_fails_after_it_was_told_waits_for_a_person(
    stripe_shop: Shop, stripe: LocalStripe
) -> None:
    order = await _ordered(stripe_shop)
    payment_id = await _paid(stripe_shop, stripe, order)
    await _tell(stripe_shop, stripe, payment_id)
    await stripe_shop.act(order, "cancellation")
    await stripe_shop.checkout.job("refunds")()
    refund = {"id": "re_1", "payment_intent": payment_id, "amount": DEPOSIT, "status": "failed"}

    told = (await stripe_shop.read(order))["message"]
    for type_ in ("refund.updated", "refund.failed"):
        assert (await _hear(stripe_shop, type_, refund)).status_code == 200

    failed = await stripe_shop.read(order)
    assert told == "You withdrew from this order. Your deposit went back in full."
    assert (failed["state"], failed["refund"]) == ("refunded", "failed")
    assert failed["message"] == (
        "You withdrew from this order. Your deposit could not be paid back yet. We see to it; you"
        " need do nothing."
    )
    assert await stripe_shop.rows("SELECT state FROM payments") == [("refund_refused",)]
    moves = {"service": "checkout", "provider": "stripe", "move": "refund_failed"}
    assert stripe_shop.metric("checkout_money_moved_total", **moves) == 1


async def _happens(shop: Shop, payment_id: str, type_: str, **content: Any) -> tuple[str, str]:
    """Tell something of a payment; the order's state and the car's then."""
    heard = await _hear(shop, type_, {"payment_intent": payment_id, **content})
    assert heard.json() == {"result": "applied"}
    (state,) = (await shop.rows("SELECT state FROM orders"))[0]
    return state, await shop.car()


async def test_an_inquiry_is_followed_by_a_dispute_over_a_part_and_by_one_over_all(
    stripe_shop: Shop, stripe: LocalStripe
) -> None:
    order = await _ordered(stripe_shop)
    payment_id = await _paid(stripe_shop, stripe, order)
    await _tell(stripe_shop, stripe, payment_id)
    steps: list[tuple[str, dict[str, Any], str]] = [
        ("created", {"id": "dp_1", "status": "warning_needs_response"}, "confirmed"),
        ("closed", {"id": "dp_1", "status": "warning_closed"}, "confirmed"),
        ("created", {"id": "dp_2", "status": "needs_response", "amount": 100}, "disputed"),
        ("closed", {"id": "dp_2", "status": "lost", "amount": 100}, "confirmed"),
        ("created", {"id": "dp_3", "status": "needs_response"}, "disputed"),
        ("funds_withdrawn", {"id": "dp_3", "status": "needs_response"}, "disputed"),
        ("closed", {"id": "dp_3", "status": "lost"}, "refunded"),
    ]
    for what, dispute, state in steps:
        seen = await _happens(
            stripe_shop,
            payment_id,
            f"charge.dispute.{what}",
            **{"amount": DEPOSIT, "currency": "sek", **dispute},
        )
        assert seen == (state, "available" if state == "refunded" else "reserved"), dispute
    assert await stripe_shop.broken_invariants() == {}


async def test_halves_that_stripe_tells_one_by_one_end_the_order_once_they_moved(
    stripe_shop: Shop, stripe: LocalStripe
) -> None:
    order = await _ordered(stripe_shop)
    payment_id = await _paid(stripe_shop, stripe, order)
    await _tell(stripe_shop, stripe, payment_id)
    half = {"amount": DEPOSIT // 2}

    async def refund(move_id: str, status: str) -> tuple[str, str]:
        return await _happens(
            stripe_shop, payment_id, "refund.updated", id=move_id, status=status, **half
        )

    seen = [
        await refund("re_1", "succeeded"),
        await refund("re_2", "pending"),
        await refund("re_2", "succeeded"),
    ]

    assert seen == [("confirmed", "reserved")] * 2 + [("refunded", "available")]
    assert (await stripe_shop.read(order))["refund"] == "paid"


async def test_without_its_keys_stripe_is_not_offered(sqlite_shop: Shop) -> None:
    hold = await sqlite_shop.held()

    answer = await sqlite_shop.order(hold["hold_id"], payment={"provider": "stripe"})

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/provider-not-offered")


async def test_a_key_without_the_webhooks_secret_does_not_start(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHECKOUT_STRIPE_SECRET_KEY", SECRET_KEY)

    with pytest.raises(CannotStart, match="CHECKOUT_STRIPE_WEBHOOK_SECRET"):
        async with open_shop(tmp_path, clock, {}):
            pass
