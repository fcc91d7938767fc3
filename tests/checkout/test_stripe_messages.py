"""What Stripe's messages about refunds, disputes and closed payments mean; nothing is asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest
from stripe import WebhookSignature

from app.checkout.providers.protocol import MoneyMove, MoneyMoved, ProviderEvent
from app.checkout.providers.stripe import StripeProvider
from app.kernel.clock import ManualClock
from app.kernel.errors import MalformedRequest

SECRET = "whsec_of_a_test"
OURS = {"metadata": {"vitrine_order_id": "ord_1"}}


def _verified(type_: str, content: Any, *, key: str = "sk_test_x", **event: Any) -> ProviderEvent:
    clock = ManualClock(datetime(2026, 11, 27, 9, tzinfo=UTC))
    body = orjson.dumps(
        {
            "id": "evt_1",
            "object": "event",
            "type": type_,
            "created": int(clock.now().timestamp()),
            "livemode": False,
            "data": {"object": content},
            **event,
        }
    )
    provider = StripeProvider(
        httpx.AsyncClient(),
        clock,
        secret_key=key,
        webhook_secret=SECRET,
        tolerance_seconds=300,
    )
    signed = str(
        WebhookSignature.generate_signature_header(
            body.decode(), SECRET, int(clock.now().timestamp())
        )
    )
    return provider.verify(body, {"stripe-signature": signed})


CHARGE = {"id": "ch_1", "payment_intent": "pi_1", "amount": 500, "amount_refunded": 500}
REFUND = {"id": "re_1", "payment_intent": "pi_1", "amount": 200, "status": "succeeded"}
DISPUTE = {
    "id": "dp_1",
    "payment_intent": "pi_1",
    "amount": 500,
    "currency": "sek",
    "status": "needs_response",
}


def _refund(move: MoneyMove) -> MoneyMoved:
    return MoneyMoved("pi_1", "", move, 200, move_id="re_1")


def _dispute(move: MoneyMove) -> MoneyMoved:
    return MoneyMoved("pi_1", "", move, 500, move_id="dp_1", currency="SEK")


@pytest.mark.parametrize(
    ("type_", "content", "moved"),
    [
        ("charge.refunded", CHARGE, MoneyMoved("pi_1", "", "refunded", 500)),
        ("charge.refunded", CHARGE | OURS, MoneyMoved("pi_1", "ord_1", "refunded", 500)),
        (
            "charge.refunded",
            {**CHARGE, "refunds": {"data": [{"id": "re_1", "amount": 300, "status": "pending"}]}},
            MoneyMoved("pi_1", "", "refunded", 200),
        ),
        (
            "charge.refunded",
            {**CHARGE, "refunds": {"data": [{"id": "re_1", "amount": 500, "status": "succeeded"}]}},
            MoneyMoved("pi_1", "", "refunded", 500),
        ),
        (
            "charge.refunded",
            {**CHARGE, "amount_refunded": 7},
            MoneyMoved("pi_1", "", "refunded", 7),
        ),
        ("refund.created", REFUND, _refund("refunded")),
        ("refund.created", {**REFUND, "status": "pending"}, _refund("refund_pending")),
        ("refund.created", {**REFUND, "status": "requires_action"}, _refund("refund_pending")),
        ("refund.updated", {**REFUND, "status": None}, _refund("refunded")),
        ("refund.updated", {**REFUND, "metadata": None}, _refund("refunded")),
        ("refund.updated", {**REFUND, "status": "failed"}, _refund("refund_failed")),
        ("refund.failed", REFUND, _refund("refund_failed")),
        ("refund.failed", {**REFUND, "status": "pending"}, _refund("refund_failed")),
        ("charge.refund.updated", {**REFUND, "status": "canceled"}, _refund("refund_failed")),
        ("charge.dispute.created", DISPUTE, _dispute("disputed")),
        ("charge.dispute.updated", {**DISPUTE, "status": "under_review"}, _dispute("disputed")),
        (
            "charge.dispute.created",
            {**DISPUTE, "status": "warning_needs_response"},
            _dispute("inquiry"),
        ),
        (
            "charge.dispute.updated",
            {**DISPUTE, "status": "warning_under_review"},
            _dispute("inquiry"),
        ),
        (
            "charge.dispute.closed",
            {**DISPUTE, "status": "warning_closed"},
            _dispute("inquiry_closed"),
        ),
        ("charge.dispute.closed", {**DISPUTE, "status": "won"}, _dispute("dispute_won")),
        ("charge.dispute.closed", {**DISPUTE, "status": "prevented"}, _dispute("dispute_won")),
        ("charge.dispute.closed", {**DISPUTE, "status": "lost"}, _dispute("dispute_lost")),
        (
            "charge.dispute.closed",
            {**DISPUTE, "status": "charge_refunded"},
            _dispute("dispute_refunded"),
        ),
        ("charge.refunded", {**CHARGE, "payment_intent": None}, None),
        ("invoice.finalized", {"id": "in_1", "lines": "x" * 100_000}, None),
    ],
)
def test_a_message_says_how_money_moved(
    type_: str, content: dict[str, Any], moved: MoneyMoved | None
) -> None:
    assert _verified(type_, content) == ProviderEvent("evt_1", type_, None, moved)


@pytest.mark.parametrize(
    ("type_", "state"),
    [
        ("checkout.session.expired", "cancelled"),
        ("checkout.session.async_payment_failed", "declined"),
    ],
)
def test_a_page_that_is_over_ends_its_payment(type_: str, state: str) -> None:
    session = {
        "id": "cs_test_1",
        "status": "expired",
        "amount_total": 500,
        "currency": "sek",
        "payment_intent": "pi_1",
        **OURS,
    }

    payment = _verified(type_, session).payment

    assert payment is not None
    assert (payment.reference, payment.state) == ("ord_1", state)


@pytest.mark.parametrize(
    ("key", "event", "heard"),
    [
        ("sk_live_x", {"livemode": True}, True),
        ("sk_live_x", {"livemode": False}, False),
        ("rk_test_x", {"livemode": True}, False),
        ("sk_test_x", {"livemode": None}, True),
        ("sk_test_x", {"account": "acct_connected"}, False),
    ],
)
def test_another_modes_or_accounts_messages_are_not_ours(
    key: str, event: dict[str, Any], heard: bool
) -> None:
    found = _verified("charge.refunded", CHARGE | OURS, key=key, **event)

    assert (found.moved is not None) == heard


@pytest.mark.parametrize("amount", [-1, "many", None])
def test_a_message_that_cannot_be_read_says_so(amount: object) -> None:
    with pytest.raises(MalformedRequest):
        _verified("charge.refunded", {**CHARGE, "amount_refunded": amount})


INTENT = {"id": "pi_1", "status": "succeeded", "amount": 500, "currency": "sek", **OURS}


@pytest.mark.parametrize(
    ("type_", "content", "event"),
    [
        ("payment_intent.succeeded", INTENT, {"id": "evt_" + "1" * 77}),
        ("payment_intent.succeeded", INTENT, {"id": "evt\x00"}),
        ("payment_intent.succeeded", INTENT, {"created": 10**12}),
        ("payment_intent.succeeded", {**INTENT, "id": "pi_" + "1" * 78}, {}),
        ("payment_intent.succeeded", {**INTENT, "id": "pi_\u00e5"}, {}),
        ("payment_intent.succeeded", {**INTENT, "amount": 2**63}, {}),
        ("payment_intent.canceled", {**INTENT, "metadata": {"vitrine_order_id": "x" * 501}}, {}),
        ("charge.refunded", {**CHARGE, "payment_intent": "pi_" + "1" * 78}, {}),
        ("charge.refunded", {**CHARGE, "payment_intent": "pi\x00"}, {}),
        ("charge.refunded", {**CHARGE, "amount_refunded": 2**63}, {}),
        ("charge.dispute.created", {**DISPUTE, "metadata": {"vitrine_order_id": "\x00"}}, {}),
    ],
)
def test_what_no_database_stores_is_refused_at_the_door(
    type_: str, content: dict[str, Any], event: dict[str, Any]
) -> None:
    with pytest.raises(MalformedRequest, match="cannot be read"):
        _verified(type_, content, **event)


def test_the_longest_identifiers_are_read() -> None:
    event = _verified(
        "payment_intent.succeeded", {**INTENT, "id": "pi_" + "1" * 77}, id="evt_" + "1" * 76
    )
    assert event.payment is not None
    assert (len(event.event_id), len(event.payment.payment_id)) == (80, 80)
