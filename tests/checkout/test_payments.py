"""What the provider's word does: webhooks good, bad, late, repeated and out of order."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from app.checkout.providers import guard, sandbox
from tests.builders.services import DEADLINES
from tests.builders.shop import CHALLENGE, DECLINED, LOST, PAYS, Shop, set_flag

REPEATED, REORDERED = "4000 0000 0000 5506", "4000 0000 0000 6603"


async def _lost_webhook(shop: Shop) -> bytes:
    """A success of which checkout has not heard."""
    order = await shop.ordered()
    await shop.pay(order, LOST)
    return (await shop.sent_webhooks())[-1]


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (None, "missing"),
        ("", "empty"),
        ("t=,v1=", "no time"),
        ("v1=abc", "no time"),
        ("t=99999999999999999999,v1=abc", "a time from nowhere"),
        ("t=1795770000,v1=", "no signature"),
        ("t=1795770000,v1=\xe9", "not ASCII"),
    ],
)
async def test_a_webhook_without_a_signature_is_refused(
    sqlite_shop: Shop, header: str | None, why: str
) -> None:
    body = await _lost_webhook(sqlite_shop)
    headers = {} if header is None else {b"webhook-signature": header.encode("latin-1")}

    answer = await sqlite_shop.checkout.public.post(
        "/api/checkout/v1/payment-events/sandbox", content=body, headers=headers
    )

    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/webhook-signature"), why
    assert await sqlite_shop.rows("SELECT COUNT(*) FROM payment_events") == [(0,)]


async def test_a_webhook_of_another_secret_body_or_time_is_refused(shop: Shop) -> None:
    body = await _lost_webhook(shop)
    now = shop.clock.now().timestamp()

    answers = [
        await shop.webhook(body, secret="another secret"),
        await shop.webhook(body, at=now - 301),
        await shop.webhook(body, at=now + 310),
        await shop.webhook(body, at=now - 290),
    ]

    assert [answer.status_code for answer in answers] == [401, 401, 401, 200]
    results = [
        shop.metric("checkout_webhooks_total", service="checkout", provider="sandbox", result=r)
        for r in ("rejected", "applied")
    ]
    assert results == [3, 1]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"event_id": 1}'])
async def test_a_signed_webhook_that_cannot_be_read_is_400(sqlite_shop: Shop, body: bytes) -> None:
    assert (await sqlite_shop.webhook(body)).status_code == 400


async def test_a_webhook_about_an_order_that_is_not_ours_is_told_apart(shop: Shop) -> None:
    event = orjson.loads(await _lost_webhook(shop))
    event["payment"]["reference"] = "ord_of_another_shop"

    answer = await shop.webhook(orjson.dumps(event))

    assert (answer.status_code, answer.json()) == (200, {"result": "unknown_order"})


async def test_a_webhook_for_an_unknown_provider_is_404(sqlite_shop: Shop) -> None:
    answer = await sqlite_shop.checkout.public.post("/api/checkout/v1/payment-events/nobody")

    assert answer.status_code == 404


async def test_a_repeated_webhook_changes_nothing(shop: Shop) -> None:
    body = await _lost_webhook(shop)

    results = [(await shop.webhook(body)).json()["result"] for _ in range(3)]

    assert results == ["applied", "duplicate", "duplicate"]
    assert (await shop.fact_types()).count("order.confirmed") == 1
    assert await shop.broken_invariants() == {}


async def test_the_same_webhook_twenty_times_at_once_confirms_once(shop: Shop) -> None:
    body = await _lost_webhook(shop)

    answers = await asyncio.gather(*[shop.webhook(body) for _ in range(20)])

    results = sorted(answer.json()["result"] for answer in answers)
    assert results == ["applied", *["duplicate"] * 19]
    assert (await shop.fact_types()).count("order.confirmed") == 1


async def test_webhook_and_sweeper_at_once_leave_one_truth(shop: Shop) -> None:
    order = await shop.ordered()
    await shop.pay(order, LOST)
    body = (await shop.sent_webhooks())[-1]
    shop.clock.advance(minutes=15)

    await asyncio.gather(
        shop.webhook(body), shop.checkout.job("sweep")(), shop.hold(), shop.webhook(body)
    )
    await shop.checkout.job("refunds")()

    state = (await shop.read(order))["state"]
    assert state in {"confirmed", "refunded"}
    assert (await shop.car()) == ("reserved" if state == "confirmed" else "held")
    assert await shop.broken_invariants() == {}


async def test_steps_that_arrive_in_the_wrong_order_end_right(shop: Shop) -> None:
    order = await shop.ordered()
    await shop.pay(order, REORDERED)
    shop.clock.advance(seconds=3)
    await shop.sandbox.job("webhooks")()

    assert (await shop.read(order))["state"] == "confirmed"
    assert await shop.rows("SELECT COUNT(*) FROM payment_events") == [(2,)]
    assert await shop.rows("SELECT extended FROM holds") == [(False,)]


async def test_a_success_after_a_refusal_counts_while_the_car_is_held(shop: Shop) -> None:
    order = await shop.ordered()
    await shop.pay(order, DECLINED)
    event = orjson.loads((await shop.sent_webhooks())[-1])
    event |= {"event_id": "wh_again", "type": "payment.succeeded"}
    event["payment"] |= {"state": "succeeded", "accepted_at": "2026-11-27T09:00:00.000Z"}

    await shop.webhook(orjson.dumps(event))

    assert (await shop.read(order))["state"] == "confirmed"
    assert await shop.broken_invariants() == {}


async def test_a_refusal_after_a_success_changes_nothing(shop: Shop) -> None:
    order = await shop.confirmed()
    event = orjson.loads((await shop.sent_webhooks())[-1])
    event |= {"event_id": "wh_late", "type": "payment.declined"}
    event["payment"]["state"] = "declined"

    await shop.webhook(orjson.dumps(event))

    assert (await shop.read(order))["state"] == "confirmed"


async def test_a_webhook_that_checkout_cannot_take_is_sent_again(shop: Shop) -> None:
    order = await shop.ordered()
    resolve = shop.checkout.service.platform.resolve
    shop.checkout.service.platform.resolve = lambda service, internal: (
        None if (service, internal) == ("checkout", False) else resolve(service, internal)
    )
    await shop.pay(order, PAYS)
    assert (await shop.read(order))["state"] == "payment_pending"
    shop.checkout.service.platform.resolve = resolve

    assert await shop.sandbox.job("webhooks")() == 0
    shop.clock.advance(seconds=1)
    assert await shop.sandbox.job("webhooks")() == 1
    assert (await shop.read(order))["state"] == "confirmed"


async def test_a_refund_waits_while_the_provider_is_down_and_is_paid_once(shop: Shop) -> None:
    order = await shop.confirmed()
    await shop.act(order, "cancellation")
    await set_flag(shop.sandbox, "sandbox-error-ratio", 1.0)
    down = await shop.checkout.job("refunds")()
    await set_flag(shop.sandbox, "sandbox-error-ratio", 0.0)
    shop.clock.advance(minutes=3)  # longer than the pause after an outage

    assert (down, await shop.checkout.job("refunds")()) == (0, 1)
    assert (await shop.read(order))["state"] == "refunded"
    assert (await shop.fact_types()).count("order.refunded") == 1


@pytest.fixture
def deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product's own, for shops that are opened after this."""
    monkeypatch.setattr(guard, "DEADLINES", DEADLINES[0])
    monkeypatch.setattr(sandbox, "DEADLINE", DEADLINES[1])


async def test_a_slow_provider_is_given_up_before_the_shopper_s_own_client_would(
    deadlines: None, sqlite_shop: Shop
) -> None:
    hold = await sqlite_shop.held()
    await set_flag(sqlite_shop.sandbox, "sandbox-latency-seconds", 60.0)

    async with asyncio.timeout(30):
        answer = await sqlite_shop.order(hold["hold_id"])

    assert (answer.status_code, answer.json()["retry_after_seconds"]) == (503, 5)
    assert (
        sqlite_shop.metric(
            "checkout_payment_submissions_total",
            service="checkout",
            provider="sandbox",
            outcome="unavailable",
        )
        == 1
    )


def _submissions(shop: Shop) -> dict[str, float]:
    return {
        outcome: shop.metric(
            "checkout_payment_submissions_total",
            service="checkout",
            provider="sandbox",
            outcome=outcome,
        )
        for outcome in ("ok", "refused", "unavailable", "fault")
    }


async def test_a_submission_that_fails_counts_once_however_often_it_is_tried_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.checkout.providers.circuit.FAILURES_TO_OPEN", 1_000)
    held, key = await shop.held(), shop.key()
    await set_flag(shop.sandbox, "sandbox-error-ratio", 1.0)
    same_key = [await shop.order(held["hold_id"], key=key) for _ in range(4)]
    own_keys = [await shop.order(held["hold_id"]) for _ in range(2)]
    other = await shop.order((await shop.held("car_2"))["hold_id"])
    down = _submissions(shop)
    await set_flag(shop.sandbox, "sandbox-error-ratio", 0.0)
    order = (await shop.order(held["hold_id"])).json()
    await shop.pay(order, PAYS)

    assert {answer.status_code for answer in (*same_key, *own_keys, other)} == {503}
    assert down == {"ok": 0, "refused": 0, "unavailable": 2, "fault": 0}
    assert _submissions(shop) == {"ok": 1, "refused": 0, "unavailable": 2, "fault": 0}


async def test_an_order_after_a_declined_one_is_a_submission_of_its_own(shop: Shop) -> None:
    hold = await shop.held()
    await shop.pay((await shop.order(hold["hold_id"])).json(), DECLINED)
    await set_flag(shop.sandbox, "sandbox-error-ratio", 1.0)
    for _ in range(3):
        await shop.order(hold["hold_id"])

    assert _submissions(shop) == {"ok": 0, "refused": 1, "unavailable": 1, "fault": 0}


async def test_a_refund_that_fails_is_no_submission(shop: Shop) -> None:
    order = await shop.confirmed()
    await shop.act(order, "cancellation")
    await set_flag(shop.sandbox, "sandbox-error-ratio", 1.0)
    await shop.checkout.job("refunds")()

    assert _submissions(shop) == {"ok": 1, "refused": 0, "unavailable": 0, "fault": 0}


async def test_one_odd_payment_does_not_hide_the_others(shop: Shop) -> None:
    odd, lost = await shop.ordered("car_1"), await shop.ordered("car_2")
    await shop.pay(lost, LOST)
    await shop.damage(
        f"UPDATE payments SET payment_id = 'pay_of_nobody' WHERE order_id = '{odd['order_id']}'"  # noqa: S608
    )
    shop.clock.advance(seconds=30)

    await shop.checkout.job("reconcile")()

    assert (await shop.read(lost))["state"] == "confirmed"
    assert (await shop.read(odd))["state"] == "payment_pending"


async def test_a_refused_3d_secure_step_declines_the_order(shop: Shop) -> None:
    order = await shop.ordered()
    await shop.pay(order, CHALLENGE)
    await shop.challenge(order, "refuse")

    assert (await shop.read(order))["state"] == "declined"
    attempts = [e.data["result"] for e in await shop.facts() if e.type.endswith("attempted")]
    assert attempts == ["action_required", "declined"]
