"""Idempotency-Key as the IETF draft (07) says: 400, 422, 409, and replays byte for byte."""

from __future__ import annotations

import asyncio
import random
import re
from typing import Any
from uuid import UUID

import pytest

from app.checkout.change import Change, Lines
from app.checkout.idempotency import EXAMPLE, is_drawn
from app.checkout.lines_postgresql import PostgresqlLines
from app.checkout.lines_sqlite import SqliteLines
from tests.builders.shop import CUSTOMER, DECLINED, PAYS, Shop, bearer, set_flag

PATHS = ("holds", "orders", "orders/ord_1/cancellation", "orders/ord_1/return")
BODIES = {
    "holds": {"car_id": "car_1"},
    "orders": {"hold_id": "hld_1", "customer": CUSTOMER},
    "orders/ord_1/return": {"reason": "other"},
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "key",
    [
        *(None, "", '""', '"unclosed-key', "has space in it", "é" * 9, '"é"', '"a", "b"', "a,b"),
        *('"a";', '"a"; B', r'"a\b"', '"a" trailing', "(a b)"),
    ],
)
async def test_a_missing_or_malformed_key_is_400(
    sqlite_shop: Shop, path: str, key: str | None
) -> None:
    headers = {b"authorization": b"Bearer x"}
    if key is not None:
        headers[b"idempotency-key"] = key.encode("latin-1")

    answer = await sqlite_shop.checkout.public.post(
        f"/api/checkout/v1/{path}",
        json=BODIES.get(path),
        headers=headers,
    )

    assert (answer.status_code, answer.json()["type"]) == (
        400,
        "/problems/idempotency-key-missing",
    )


@pytest.mark.parametrize(
    ("sent", "again"),
    [
        (r'"say \"hello\" \\o/"', r'"say \"hello\" \\o/";source=retry'),
        ('"1"', "1"),
        ('"k";n=1;b;t="x y"', '"k"'),
        ("q83vEjRWeJCrze8SNFZ4kA==", '"q83vEjRWeJCrze8SNFZ4kA=="'),
        (":q83vEjRWeJCrze8SNFZ4kA==:", ":q83vEjRWeJCrze8SNFZ4kA==: "),
        (f'"{"l" * 3000}"', "l" * 3000),
    ],
)
async def test_a_key_is_a_structured_string_however_it_is_dressed(
    sqlite_shop: Shop, sent: str, again: str
) -> None:
    first, second = await sqlite_shop.hold(key=sent), await sqlite_shop.hold(key=again)

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.headers["idempotency-replayed"] == "true"


async def test_two_key_lines_are_refused_with_the_reason(sqlite_shop: Shop) -> None:
    answer = await sqlite_shop.checkout.public.post(
        "/api/checkout/v1/holds",
        json={"car_id": "car_1"},
        headers=[("idempotency-key", '"one"'), ("idempotency-key", '"two"')],
    )

    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("The header came 2 times; send it once.")


GUESSED = ("hold-0001", "00000000-0000-4000-8000-000000000000", "1" * 40, "order of Anna", EXAMPLE)
DRAWN = (
    "3b0f6c0e-7d1a-4f92-8e57-c9a4d26b1f83",
    "01JDM9Z6T3KX4V7Q8WYRABCDEF",
    "9f2c41d8a07be3655c18f94e2ab37d60",
)


@pytest.mark.parametrize("key", GUESSED)
async def test_a_guessed_key_opens_nothing_for_another_caller(shop: Shop, key: str) -> None:
    mine = {"x-forwarded-for": "203.0.113.7", "user-agent": "till/1"}
    first = await shop.hold(key=f'"{key}"', **mine)

    again = await shop.hold(key=f'"{key}"', **mine)
    others = [
        await shop.hold(key=f'"{key}"', **{**mine, **other})
        for other in (
            {"x-forwarded-for": "203.0.113.8"},
            {"user-agent": "till/2"},
            {"authorization": "Bearer mine"},
            shop.cookie("ses_1"),
        )
    ]

    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    assert [other.status_code for other in others] == [409] * 4
    assert {other.json()["type"] for other in others} == {"/problems/car-not-available"}


@pytest.mark.parametrize("key", DRAWN)
async def test_a_drawn_key_is_its_own_proof_from_wherever_it_comes(shop: Shop, key: str) -> None:
    first = await shop.hold(key=f'"{key}"', **{"x-forwarded-for": "203.0.113.7"})

    again = await shop.hold(key=f'"{key}"', **{"x-forwarded-for": "198.51.100.1"})

    assert (first.status_code, again.content) == (201, first.content)


@pytest.mark.parametrize(
    "key",
    [
        *("ffffffff-ffff-4fff-bfff-ffffffffffff", "0123456789abcdef" * 2),
        *("00112233-4455-4677-8899-aabbccddeeff", "12345678-1234-4234-8234-123456789abc"),
        *("a1b2c3d4-e5f6-4a7b-8c9d-0123456789ab", "123e4567-e89b-12d3-a456-426614174000"),
        *("550e8400-e29b-41d4-a716-446655440000", "F81D4FAE7DEC11D0A76500A0C91E6BF6"),
        *("6ba7b8109dad11d180b400c04fd430c8", EXAMPLE.upper(), EXAMPLE.replace("-", "") * 2),
        *("01arz3ndektsv4rrffq69g5fav", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
    ],
)
def test_a_pattern_and_what_documents_print_are_no_drawn_keys(key: str) -> None:
    assert not is_drawn(key)


def test_what_chance_draws_is_a_drawn_key() -> None:
    chance = random.Random(7)
    keys = [UUID(int=chance.getrandbits(128), version=4) for _ in range(2000)]

    assert [key for key in keys if not (is_drawn(str(key)) and is_drawn(key.hex))] == []


async def test_the_example_that_a_refusal_prints_is_the_one_in_the_api_description(
    sqlite_shop: Shop,
) -> None:
    refused = await sqlite_shop.checkout.public.post(
        "/api/checkout/v1/holds", json={"car_id": "car_1"}
    )
    described = (await sqlite_shop.checkout.public.get("/api/checkout/openapi.json")).text

    printed = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", refused.json()["detail"] + described)
    assert set(printed) == {EXAMPLE}


async def test_a_car_that_is_new_to_us_is_found_with_the_same_key(shop: Shop) -> None:
    before = await shop.hold("car_new", key='"pressed twice"')
    await shop.list_car("car_new")

    after = await shop.hold("car_new", key='"pressed twice"')

    assert (before.status_code, after.status_code) == (404, 201)
    assert "idempotency-key-expires" not in before.headers


async def test_a_replay_is_the_first_answer_byte_for_byte(shop: Shop) -> None:
    hold = [await shop.hold(key='"hold-key-1"') for _ in range(2)]
    order = [await shop.order(hold[0].json()["hold_id"], key='"order-key-1"') for _ in range(2)]

    for first, again in (hold, order):
        assert (first.status_code, again.status_code) == (201, 201)
        assert again.content == first.content
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
    assert await shop.rows("SELECT COUNT(*) FROM orders") == [(1,)]


async def test_an_error_is_replayed_as_it_was_even_when_it_would_now_succeed(shop: Shop) -> None:
    hold = await shop.held()
    first = await shop.hold(key='"second-shopper"')
    await shop.checkout.public.delete(f"/api/checkout/v1/holds/{hold['hold_id']}")

    again = await shop.hold(key='"second-shopper"')

    assert (first.status_code, again.status_code) == (409, 409)
    assert again.content == first.content
    assert again.headers["content-type"] == "application/problem+json"
    assert (await shop.hold()).status_code == 201


async def test_the_same_key_with_another_body_is_422(shop: Shop) -> None:
    hold = (await shop.hold("car_1", key='"one-key-two-cars"')).json()

    other_car = await shop.hold("car_2", key='"one-key-two-cars"')
    no_car = await shop.hold("car_unknown", key='"one-key-two-cars"')
    other_path = await shop.order(hold["hold_id"], key='"one-key-two-cars"')

    for answer in (other_car, no_car, other_path):
        assert (answer.status_code, answer.json()["type"]) == (
            422,
            "/problems/idempotency-key-reused",
        )
    assert await shop.car("car_2") == "available"


async def test_the_same_key_at_once_takes_effect_once(shop: Shop) -> None:
    hold = await shop.held()

    answers = await asyncio.gather(
        *[shop.order(hold["hold_id"], key='"double-click"') for _ in range(8)]
    )

    assert {answer.status_code for answer in answers} <= {201, 409}
    created = {answer.content for answer in answers if answer.status_code == 201}
    assert len(created) == 1
    assert await shop.rows("SELECT COUNT(*) FROM orders") == [(1,)]
    again = await shop.order(hold["hold_id"], key='"double-click"')
    assert {again.content} == created


async def test_the_same_hold_key_at_once_is_one_hold(shop: Shop) -> None:
    answers = await asyncio.gather(*[shop.hold(key='"double-click"') for _ in range(8)])

    assert {(answer.status_code, answer.content) for answer in answers} == {
        (201, answers[0].content)
    }


async def test_a_withdrawal_is_replayed_too(shop: Shop) -> None:
    order = await shop.confirmed()

    answers = [await shop.act(order, "cancellation", key='"withdraw-1"') for _ in range(2)]

    assert answers[0].content == answers[1].content
    assert answers[1].headers["idempotency-replayed"] == "true"
    assert (await shop.fact_types()).count("order.cancelled") == 1


async def test_while_the_provider_is_down_the_hold_is_kept_and_the_same_key_finishes_the_order(
    shop: Shop,
) -> None:
    hold = await shop.held()
    await set_flag(shop.sandbox, "sandbox-error-ratio", 1.0)
    down = await shop.order(hold["hold_id"], key='"patient-shopper"')
    await set_flag(shop.sandbox, "sandbox-error-ratio", 0.0)

    assert (down.status_code, down.json()["type"], down.headers["retry-after"]) == (
        503,
        "/problems/payment-provider-unavailable",
        "5",
    )
    assert await shop.car() == "held"
    up = await shop.order(hold["hold_id"], key='"patient-shopper"')
    assert up.status_code == 201
    assert await shop.rows("SELECT order_id FROM orders") == [(up.json()["order_id"],)]
    await shop.pay(up.json(), PAYS)
    assert (await shop.read(up.json()))["state"] == "confirmed"


async def test_a_crash_between_the_two_transactions_is_finished_by_a_retry(shop: Shop) -> None:
    hold = await shop.held()
    await set_flag(shop.sandbox, "sandbox-latency-seconds", 60.0)
    crashing = asyncio.create_task(shop.order(hold["hold_id"], key='"crashing-key"'))
    while not await shop.rows("SELECT 1 FROM orders"):  # noqa: ASYNC110 - a row rings no bell
        await asyncio.sleep(0)
    crashing.cancel()
    await asyncio.gather(crashing, return_exceptions=True)
    await set_flag(shop.sandbox, "sandbox-latency-seconds", 0.0)

    in_flight = await shop.order(hold["hold_id"], key='"crashing-key"')
    shop.clock.advance(seconds=16)
    resumed = await shop.order(hold["hold_id"], key='"crashing-key"')

    assert (in_flight.status_code, in_flight.json()["retry_after_seconds"]) == (409, 1)
    assert resumed.status_code == 201
    assert await shop.rows("SELECT order_id FROM orders") == [(resumed.json()["order_id"],)]
    assert (await shop.fact_types()).count("order.submitted") == 1
    await shop.pay(resumed.json(), PAYS)
    assert (await shop.read(resumed.json()))["state"] == "confirmed"


async def test_an_order_whose_payment_page_could_not_be_noted_is_finished_by_a_retry_at_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = await shop.held()
    on_sqlite = shop.checkout.service.database.dialect == "sqlite"
    lines: type[Lines] = SqliteLines if on_sqlite else PostgresqlLines
    write = lines.write

    async def losing(self: Lines, change: Change[Any]) -> bool:
        opens = ("payments", "payment_url") in {
            (each.table.name, name) for each in change.sets.values() for name in each.values
        }
        return False if opens else await write(self, change)

    monkeypatch.setattr(lines, "write", losing)
    fought_over = await shop.order(hold["hold_id"], key='"a busy moment"')
    monkeypatch.undo()
    retried = await shop.order(hold["hold_id"], key='"a busy moment"')

    assert (fought_over.status_code, fought_over.headers["retry-after"]) == (503, "1")
    assert retried.status_code == 201
    assert await shop.rows("SELECT order_id FROM orders") == [(retried.json()["order_id"],)]
    assert (await shop.fact_types()).count("order.submitted") == 1
    await shop.pay(retried.json(), PAYS)
    assert (await shop.read(retried.json()))["state"] == "confirmed"


async def test_answers_are_forgotten_after_a_day(shop: Shop) -> None:
    order = await shop.ordered()
    await shop.pay(order, DECLINED)
    shop.clock.advance(hours=23)
    await shop.checkout.job("retention")()
    kept = await shop.rows("SELECT COUNT(*) FROM idempotency")
    shop.clock.advance(hours=2)
    await shop.checkout.job("retention")()

    assert (kept, await shop.rows("SELECT COUNT(*) FROM idempotency")) == ([(2,)], [(0,)])


async def test_one_shopper_s_key_says_nothing_about_another_s(sqlite_shop: Shop) -> None:
    order = await sqlite_shop.ordered()
    mine = await sqlite_shop.checkout.public.get(
        f"/api/checkout/v1/orders/{order['order_id']}", headers=bearer(order)
    )
    assert mine.status_code == 200

    answers = [
        await sqlite_shop.hold(f"car_{number}", key='"popular-key"', **sqlite_shop.cookie(who))
        for number, who in ((2, "ses_a"), (3, "ses_b"))
    ]

    assert [answer.status_code for answer in answers] == [201, 201]


async def test_what_is_kept_says_until_when_the_first_time_and_again(shop: Shop) -> None:
    first = await shop.hold(key='"expires-hold"')
    lost = await shop.hold(key='"expires-lost"')
    shop.clock.advance(hours=1)
    answers = [
        first,
        lost,
        await shop.hold(key='"expires-hold"'),
        await shop.hold(key='"expires-lost"'),
    ]

    assert [answer.status_code for answer in answers] == [201, 409, 201, 409]
    assert {answer.headers["idempotency-key-expires"] for answer in answers} == {
        "2026-11-28T09:00:00.000Z"
    }


async def test_what_may_be_tried_again_is_not_kept_and_says_no_end(sqlite_shop: Shop) -> None:
    hold = await sqlite_shop.held()
    await set_flag(sqlite_shop.sandbox, "sandbox-error-ratio", 1.0)

    answers = [
        await sqlite_shop.order(hold["hold_id"]),
        await sqlite_shop.hold(key='""'),
        await sqlite_shop.hold("car_unknown"),
    ]

    assert [answer.status_code for answer in answers] == [503, 400, 404]
    assert [answer.headers.get("idempotency-key-expires") for answer in answers] == [None] * 3


async def test_after_its_end_a_key_is_free_for_anything(shop: Shop) -> None:
    await shop.hold("car_1", key='"used-once-a-day"')
    shop.clock.advance(hours=25)
    await shop.checkout.job("sweep")()
    await shop.checkout.job("retention")()

    again = await shop.hold("car_2", key='"used-once-a-day"')

    assert (again.status_code, again.headers.get("idempotency-replayed")) == (201, None)
