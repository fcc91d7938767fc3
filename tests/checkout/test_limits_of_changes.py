"""Nobody asks too often; people, rehearsals and providers never notice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.frame.sessions import COOKIE, Session
from app.kernel.clock import ManualClock
from tests.builders.services import synthetic_headers
from tests.builders.shop import PAYS, Shop, open_shop


@pytest.fixture
async def strict_shop(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Shop]:
    """Five changes a minute for an address, three for a session, two for a robot."""
    monkeypatch.setenv("CHECKOUT_REQUESTS_PER_ADDRESS", "5")
    monkeypatch.setenv("CHECKOUT_REQUESTS_PER_SESSION", "3")
    monkeypatch.setenv("CHECKOUT_REQUESTS_PER_BOT", "2")
    async with open_shop(tmp_path, clock, {}) as shop:
        yield shop


def _limited(shop: Shop, by: str, traffic: str = "human") -> float:
    return shop.metric(
        "requests_limited_total",
        service="checkout",
        kind="changes",
        limited_by=by,
        traffic=traffic,
    )


async def test_one_change_too_many_is_429_until_the_minute_is_over(strict_shop: Shop) -> None:
    answers = [await strict_shop.hold("car_unknown") for _ in range(5)]
    strict_shop.clock.advance(seconds=20)

    refused = await strict_shop.hold()

    assert [answer.status_code for answer in answers] == [404] * 5
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "40")
    body = refused.json()
    assert (body["type"], body["retry_after_seconds"]) == ("/problems/too-many-requests", 40)
    assert refused.headers["content-type"] == "application/problem+json"
    assert await strict_shop.car() == "available"
    assert _limited(strict_shop, "address") == 1
    strict_shop.clock.advance(seconds=40)
    assert (await strict_shop.hold()).status_code == 201


async def test_a_refused_request_may_be_sent_again_with_its_key(strict_shop: Shop) -> None:
    for _ in range(5):
        await strict_shop.hold("car_unknown")
    first = await strict_shop.hold(key='"sent-too-early"')
    strict_shop.clock.advance(seconds=60)

    again = await strict_shop.hold(key='"sent-too-early"')

    assert (first.status_code, again.status_code) == (429, 201)
    assert "idempotency-replayed" not in again.headers


async def test_every_way_to_change_something_counts(strict_shop: Shop) -> None:
    order = await strict_shop.ordered()  # a hold and an order
    await strict_shop.act(order, "cancellation")
    await strict_shop.checkout.public.delete(f"/api/checkout/v1/holds/{order['hold_id']}")
    await strict_shop.act(order, "return", {"reason": "other"})

    answers = [
        await strict_shop.hold("car_2"),
        await strict_shop.order("hld_1"),
        await strict_shop.act(order, "cancellation"),
        await strict_shop.act(order, "return", {"reason": "other"}),
        await strict_shop.act(order, "erasure"),
        await strict_shop.act(order, "handover"),
        await strict_shop.checkout.public.delete("/api/checkout/v1/holds/hld_1"),
    ]

    assert [answer.status_code for answer in answers] == [429] * 7
    assert (await strict_shop.read(order))["state"] == "cancelled"  # reading is free


async def test_a_session_has_a_limit_of_its_own(strict_shop: Shop) -> None:
    cookie = strict_shop.cookie("ses_a")

    answers = [await strict_shop.hold("car_unknown", **cookie) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [404, 404, 404, 429]
    assert (_limited(strict_shop, "session"), _limited(strict_shop, "address")) == (1, 0)
    other = await strict_shop.hold(**strict_shop.cookie("ses_b"))
    assert other.status_code == 201


async def test_a_robot_has_less_and_takes_nothing_from_people(strict_shop: Shop) -> None:
    now = int(strict_shop.clock.now().timestamp())
    session = Session(
        session_id="ses_bot",
        started_at=now,
        seen_at=now,
        market="SE",
        language="en",
        traffic="bot",
    )
    cookie = {
        "cookie": f"{COOKIE}={strict_shop.checkout.service.platform.sessions.encode(session)}"
    }

    answers = [await strict_shop.hold("car_unknown", **cookie) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [404, 404, 429]
    assert _limited(strict_shop, "session", "bot") == 1
    assert (await strict_shop.hold()).status_code == 201


async def test_rehearsals_webhooks_and_the_internal_port_are_not_limited(
    strict_shop: Shop,
) -> None:
    order = await strict_shop.ordered()
    await strict_shop.pay(order, PAYS)
    for _ in range(3):
        await strict_shop.hold("car_unknown")
    assert (await strict_shop.hold()).status_code == 429

    rehearsals = [
        await strict_shop.hold("nothing", **synthetic_headers(strict_shop.clock.now()))
        for _ in range(8)
    ]
    webhooks = [await strict_shop.webhook((await strict_shop.sent_webhooks())[0]) for _ in range(8)]
    internal = [
        await strict_shop.checkout.internal.get("/internal/checkout/orders") for _ in range(8)
    ]

    assert {answer.status_code for answer in rehearsals} == {404}
    assert {answer.status_code for answer in (*webhooks, *internal)} == {200}
