"""The promises that every payment provider keeps, checked on each of them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.checkout.errors import SignatureRefused
from app.checkout.providers.circuit import CircuitState
from app.checkout.providers.guard import Deadlines, GuardedProvider, Retried
from app.checkout.providers.protocol import ProviderEvent, ProviderRefused, ProviderUnavailable
from app.kernel.errors import MalformedRequest
from rigs.ports import free_ports
from tests.builders.providers import (
    DEPOSIT,
    Rig,
    bad_server,
    http_answer,
    payment_order,
    sandbox_rig,
    seconds,
    stripe_rig,
)
from tests.builders.stripe import PAGE, LocalStripe, local_stripe

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def stripe_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStripe]:
    with local_stripe(tmp_path_factory.mktemp("stripe")) as server:
        yield server


@pytest.fixture(params=["sandbox", "stripe-intent", "stripe-redirect"])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    if request.param == "sandbox":
        async with sandbox_rig(tmp_path) as sandbox:
            yield sandbox
        return
    server: LocalStripe = request.getfixturevalue("stripe_server")
    page = PAGE if request.param == "stripe-intent" else ""
    async with stripe_rig(server, page) as stripe:
        yield stripe


class Heard:
    """Remembers what a guard tells."""

    def __init__(self) -> None:
        self.states: list[CircuitState] = []
        self.retries: list[Retried] = []

    def circuit_changed(self, provider: str, state: CircuitState) -> None:
        self.states.append(state)

    def call_repeated(self, provider: str, result: Retried) -> None:
        self.retries.append(result)


_ORDER = iter(range(1, 1_000_000))


def _reference() -> str:
    """A new order: the server lives longer than one test."""
    return f"ord_{secrets.token_hex(8)}_{next(_ORDER)}"


# --- a payment's life -----------------------------------------------------------------------------


async def test_a_new_payment_waits_for_the_shopper_at_an_address(rig: Rig) -> None:
    reference = _reference()

    payment = await rig.provider.create(payment_order(reference))

    assert payment.payment_url.startswith(("http://", "https://"))
    assert replace(payment, payment_id="", payment_url="") == replace(
        payment,
        payment_id="",
        payment_url="",
        reference=reference,
        state="pending",
        amount=DEPOSIT.amount,
        currency=DEPOSIT.currency,
        accepted_at=None,
    )


async def test_the_same_order_opens_one_payment(rig: Rig) -> None:
    order = payment_order(_reference())

    first = await rig.provider.create(order)
    again = await rig.provider.create(replace(order, language="da", traceparent="00-1-1-01"))

    assert again == first


async def test_twenty_requests_at_once_open_one_payment(rig: Rig) -> None:
    order = payment_order(_reference())
    first = await rig.provider.create(order)

    others = await asyncio.gather(*[rig.provider.create(order) for _ in range(20)])

    assert {payment.payment_id for payment in others} == {first.payment_id}


async def test_money_is_taken_once_however_often_it_is_asked_for(rig: Rig) -> None:
    reference = _reference()
    payment = await rig.provider.create(payment_order(reference))
    await rig.pay(payment)

    found = await rig.provider.find(payment.payment_id)
    taken = [await rig.provider.capture(found.payment_id, reference) for _ in range(3)]

    assert found.state == ("succeeded" if rig.takes_at_once else "authorised")
    assert {(p.state, p.amount, p.currency, p.reference) for p in taken} == {
        ("succeeded", DEPOSIT.amount, DEPOSIT.currency, reference)
    }
    assert found.accepted_at is not None
    assert {p.accepted_at for p in taken} == {found.accepted_at}


async def test_money_is_taken_by_the_address_of_the_page_as_well(rig: Rig) -> None:
    reference = _reference()
    payment = await rig.provider.create(payment_order(reference))
    await rig.pay(payment)

    assert (await rig.provider.capture(payment.payment_id, reference)).state == "succeeded"


async def test_a_refused_card_is_declined(rig: Rig) -> None:
    payment = await rig.provider.create(payment_order(_reference()))

    await rig.decline(payment)

    found = await rig.provider.find(payment.payment_id)
    assert (found.state, found.accepted_at) == ("declined", None)


async def test_a_challenge_is_a_normal_state_and_can_be_passed(rig: Rig) -> None:
    payment = await rig.provider.create(payment_order(_reference()))

    await rig.challenge(payment)
    challenged = await rig.provider.find(payment.payment_id)
    await rig.approve(payment)
    passed = await rig.provider.find(payment.payment_id)

    assert challenged.state == "action_required"
    assert passed.state == ("succeeded" if rig.takes_at_once else "authorised")


async def test_a_payment_that_nobody_made_can_be_closed(rig: Rig) -> None:
    reference = _reference()
    payment = await rig.provider.create(payment_order(reference))

    closed = [await rig.provider.void(payment.payment_id, reference) for _ in range(2)]

    assert [p.state for p in closed] == ["cancelled", "cancelled"]
    assert (await rig.provider.find(payment.payment_id)).state == "cancelled"


async def test_closing_a_payment_lets_authorised_money_go_and_leaves_taken_money_alone(
    rig: Rig,
) -> None:
    reference = _reference()
    payment = await rig.provider.create(payment_order(reference))
    await rig.pay(payment)

    closed = await rig.provider.void(payment.payment_id, reference)

    assert closed.state == ("succeeded" if rig.takes_at_once else "cancelled")
    assert await rig.refunded(payment) == []


async def test_taken_money_cannot_be_let_go(rig: Rig) -> None:
    reference = _reference()
    payment = await rig.provider.create(payment_order(reference))
    await rig.pay(payment)
    taken = await rig.provider.capture(payment.payment_id, reference)

    assert (await rig.provider.void(taken.payment_id, reference)).state == "succeeded"


async def test_money_goes_back_once(rig: Rig) -> None:
    reference = _reference()
    payment = await rig.provider.create(payment_order(reference))
    await rig.pay(payment)
    taken = await rig.provider.capture(payment.payment_id, reference)

    for _ in range(3):
        await rig.provider.refund(taken.payment_id, reference)

    assert await rig.refunded(taken) == [DEPOSIT.amount]


async def test_what_does_not_exist_or_was_not_paid_is_refused(rig: Rig) -> None:
    reference = _reference()
    payment = await rig.provider.create(payment_order(reference))

    with pytest.raises(ProviderRefused):
        await rig.provider.find("pi_1234567890nobody")
    with pytest.raises(ProviderRefused):
        await rig.provider.refund(payment.payment_id, reference)


# --- webhooks -------------------------------------------------------------------------------------


async def test_a_signed_message_says_what_asking_would_say(rig: Rig) -> None:
    payment = await rig.provider.create(payment_order(_reference()))
    await rig.pay(payment)
    found = await rig.provider.find(payment.payment_id)
    told = await rig.told(payment)

    event = rig.provider.verify(told.body, {rig.header: rig.sign(told.body, rig.secret, seconds())})

    assert event.payment is not None
    assert event.event_id == told.event_id
    assert replace(event.payment, accepted_at=None, payment_url="") == replace(
        found, accepted_at=None, payment_url=""
    )
    assert event.payment.accepted_at is not None


async def test_a_refusal_and_a_challenge_are_told(rig: Rig) -> None:
    refused = await rig.provider.create(payment_order(_reference()))
    await rig.decline(refused)
    challenged = await rig.provider.create(payment_order(_reference()))
    await rig.challenge(challenged)

    states = []
    for payment in (refused, challenged):
        body = (await rig.told(payment)).body
        signed = rig.sign(body, rig.secret, seconds())
        event = rig.provider.verify(body, {rig.header: signed})
        states.append(event.payment and event.payment.state)

    assert states == ["declined", "action_required"]


async def test_only_a_fresh_signature_over_these_bytes_counts(rig: Rig) -> None:
    payment = await rig.provider.create(payment_order(_reference()))
    await rig.pay(payment)
    body, now = (await rig.told(payment)).body, seconds()
    good = rig.sign(body, rig.secret, now)
    at, hexes = good.split(",")
    other = rig.sign(body, "another secret", now).split(",")[1]

    def verdict(signed: str | None, sent: bytes = body) -> str:
        try:
            rig.provider.verify(sent, {} if signed is None else {rig.header: signed})
        except SignatureRefused:
            return "refused"
        return "accepted"

    verdicts = {
        "good": verdict(good),
        "old but in time": verdict(rig.sign(body, rig.secret, now - 290)),
        "new secret beside the old one": verdict(f"{at},{other},{hexes}"),
        "old secret beside the new one": verdict(f"{at},{hexes},{other}"),
        "with a test scheme": verdict(f"{at},{hexes},v0=abc"),
        "spaces after commas": verdict(f"{at}, {hexes}"),
        "missing": verdict(None),
        "empty": verdict(""),
        "no time": verdict(hexes),
        "two times": verdict(f"t=1,{good}"),
        "no signature": verdict(at),
        "only a test scheme": verdict(f"{at},{hexes.replace('v1', 'v0')}"),
        "another secret": verdict(f"{at},{other}"),
        "cut short": verdict(good[:-1]),
        "not ASCII": verdict(f"{at},v1=é"),
        "another time": verdict(f"t={now - 1},{hexes}"),
        "a time in another notation": verdict(f"t=+{now},{hexes}"),
        "too old": verdict(rig.sign(body, rig.secret, now - 310)),
        "from the future": verdict(rig.sign(body, rig.secret, now + 310)),
        "one byte more": verdict(good, body + b" "),
        "nothing signed": verdict(good, b""),
        "a hundred signatures": verdict(",".join([at, *[other] * 100, hexes])),
    }

    assert [name for name, result in verdicts.items() if result == "accepted"] == [
        "good",
        "old but in time",
        "new secret beside the old one",
        "old secret beside the new one",
        "with a test scheme",
        "spaces after commas",
    ]


async def test_a_signed_body_that_cannot_be_read_is_malformed(rig: Rig) -> None:
    for body in (b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"id": 1}', b"null"):
        with pytest.raises(MalformedRequest):
            rig.provider.verify(body, {rig.header: _signed(rig, body)})


def _signed(rig: Rig, body: bytes) -> str:
    """Stripe's own signer wants text, and these bytes are none."""
    now = seconds()
    digest = hmac.new(rig.secret.encode(), b"%d." % now + body, hashlib.sha256).hexdigest()
    return f"t={now},v1={digest}"


async def test_messages_about_other_things_are_nobody_s_payment(rig: Rig) -> None:
    body = rig.unrelated()
    if body is None:
        assert rig.takes_at_once  # the practice provider has nothing else to tell
        return

    event = rig.provider.verify(body, {rig.header: rig.sign(body, rig.secret, seconds())})

    assert event == ProviderEvent("evt_other", "customer.created", None)


# --- a provider in trouble ------------------------------------------------------------------------

BAD_ANSWERS = {
    "silence": None,
    "no answer": b"",
    "not HTTP": b"HELO shop\r\n\r\n",
    "half an answer": b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{",
    "a page of a proxy": http_answer("200 OK", b"<h1>Hello</h1>", "text/html"),
    "not JSON": http_answer("200 OK", b"{"),
    "an empty object": http_answer("200 OK", b"{}"),
    "a list": http_answer("200 OK", b"[]"),
    "null": http_answer("200 OK", b"null"),
    "another thing": http_answer("200 OK", b'{"id": "cus_1", "object": "customer"}'),
    "an error of its own": http_answer("500 Internal Server Error", b'{"error": {}}'),
    "an error of a proxy": http_answer("502 Bad Gateway", b"<h1>Bad</h1>", "text/html"),
    "too many requests": http_answer("429 Too Many Requests", b'{"error": {"message": "slow"}}'),
}


@pytest.mark.parametrize("trouble", BAD_ANSWERS)
async def test_a_provider_that_cannot_be_understood_is_unavailable_in_time(
    rig: Rig, trouble: str
) -> None:
    heard = Heard()
    async with (
        asyncio.timeout(30),
        bad_server(BAD_ANSWERS[trouble]) as server,
        rig.at(server.base_url) as provider,
    ):
        guarded = GuardedProvider(provider, heard, deadlines=Deadlines(0.9, 0.9))
        with pytest.raises(ProviderUnavailable) as raised:
            await guarded.create(payment_order())

    assert raised.value.extensions["retry_after_seconds"] >= 1
    assert server.requests >= 1
    assert set(heard.retries) <= {"retried"}


async def test_a_provider_that_is_not_there_is_unavailable(rig: Rig) -> None:
    (port,) = free_ports(1)
    async with rig.at(f"http://127.0.0.1:{port}") as provider:
        guarded = GuardedProvider(provider, Heard())
        for call in (
            guarded.create(payment_order()),
            guarded.find("pi_1"),
            guarded.capture("pi_1", "ord_1"),
            guarded.void("pi_1", "ord_1"),
            guarded.refund("pi_1", "ord_1"),
        ):
            with pytest.raises(ProviderUnavailable):
                await call


async def test_a_refusal_is_not_repeated_and_not_held_against_the_provider(rig: Rig) -> None:
    heard = Heard()
    refusal = http_answer("400 Bad Request", b'{"error": {"type": "invalid_request_error"}}')
    async with (
        bad_server(refusal) as server,
        rig.at(server.base_url) as provider,
    ):
        guarded = GuardedProvider(provider, heard)
        for _ in range(10):
            with pytest.raises(ProviderRefused):
                await guarded.create(payment_order())

    assert (server.requests, heard.states, heard.retries) == (10, [], [])


async def test_a_provider_that_is_down_is_left_alone_and_tried_again_later(rig: Rig) -> None:
    heard, clock = Heard(), [0.0]
    async with (
        bad_server(http_answer("503 Service Unavailable", b"{}")) as server,
        rig.at(server.base_url) as provider,
    ):
        guarded = GuardedProvider(provider, heard, now=lambda: clock[0])
        waits = []
        for _ in range(50):
            with pytest.raises(ProviderUnavailable) as raised:
                await guarded.create(payment_order())
            waits.append(raised.value.extensions["retry_after_seconds"])
        asked = server.requests
        clock[0] += 5.1
        with pytest.raises(ProviderUnavailable):
            await guarded.create(payment_order())

    assert asked == 5
    assert server.requests == 6  # one call was let through to look
    assert set(waits) == {5}
    assert heard.states == ["open", "half_open", "open"]


async def test_a_call_without_an_answer_is_made_three_times_in_all(rig: Rig) -> None:
    heard = Heard()
    async with (
        bad_server(http_answer("503 Service Unavailable", b"{}")) as server,
        rig.at(server.base_url) as provider,
    ):
        guarded = GuardedProvider(provider, heard)
        with pytest.raises(ProviderUnavailable):
            await guarded.create(payment_order())

    assert (server.requests, heard.retries) == (3, ["retried", "retried"])


async def test_a_provider_that_is_back_is_asked_again(rig: Rig) -> None:
    heard, clock = Heard(), [0.0]
    (port,) = free_ports(1)
    async with rig.at(f"http://127.0.0.1:{port}") as down:

        class Switched:
            """Down, then up."""

            name = down.name

            def __getattr__(self, name: str) -> object:
                return getattr(rig.provider if clock[0] else down, name)

        guarded = GuardedProvider(Switched(), heard, now=lambda: clock[0])  # type: ignore[arg-type]
        for _ in range(3):
            with pytest.raises(ProviderUnavailable):
                await guarded.create(payment_order())
        clock[0] = 5.1
        reference = _reference()
        payments = [await guarded.create(payment_order(reference, amount=DEPOSIT))]

    assert [payment.state for payment in payments] == ["pending"]
    assert heard.states == ["open", "half_open", "closed"]
