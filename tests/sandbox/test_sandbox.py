"""The practice provider: cards, forms without JavaScript, 3-D Secure, faults, its money API."""

from __future__ import annotations

from datetime import date
from html.parser import HTMLParser
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import select

from app.sandbox.cards import CARDS, CardForm, errors_of, luhn
from app.sandbox.models import DELIVERIES
from app.sandbox.texts import TEXTS
from tests.builders.platform import KEYS
from tests.builders.shop import CHALLENGE, DECLINED, PAYS, Shop, set_flag

MONEY = {"authorization": f"Bearer {KEYS['payment_key']}"}
TODAY = date(2026, 11, 27)


class Forms(HTMLParser):
    """The forms of a page: what a browser without JavaScript can send."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: list[str] = []
        self.labels: set[str] = set()
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.tags.append(tag)
        if tag in {"input", "button"} and found.get("name"):
            self.fields.append(str(found["name"]))
        if tag == "label":
            self.labels.add(str(found["for"]))


@pytest.mark.parametrize(
    ("card", "state", "status"),
    [
        (PAYS, "confirmed", 303),
        (DECLINED, "declined", 303),
        ("4000 0000 0000 9995", "declined", 303),
        (CHALLENGE, "payment_pending", 303),
        ("4000 0000 0000 3303", "payment_pending", 303),
        ("4000 0000 0000 4400", "payment_pending", 504),
        ("4000 0000 0000 5506", "confirmed", 303),
        ("4000 0000 0000 6603", "confirmed", 303),
        ("4000 0000 0000 7700", "payment_pending", 303),
    ],
)
async def test_each_card_does_what_the_page_says(
    sqlite_shop: Shop, card: str, state: str, status: int
) -> None:
    order = await sqlite_shop.ordered()

    answer = await sqlite_shop.pay(order, card)

    assert answer.status_code == status
    assert (await sqlite_shop.read(order))["state"] == state


def test_every_card_is_a_valid_number_with_a_text_in_every_language() -> None:
    assert all(luhn(number) for number in CARDS)
    assert {language: set(TEXTS["en"]) - set(texts) for language, texts in TEXTS.items()} == {
        "en": set(),
        "sv": set(),
    }
    assert set(CARDS.values()) <= set(TEXTS["en"])


async def test_the_delayed_card_s_message_comes_late(sqlite_shop: Shop) -> None:
    order = await sqlite_shop.ordered()
    await sqlite_shop.pay(order, "4000 0000 0000 3303")
    deliver = sqlite_shop.sandbox.job("webhooks")
    sqlite_shop.clock.advance(seconds=7)
    early = await deliver()
    sqlite_shop.clock.advance(seconds=1)

    assert (early, await deliver()) == (0, 1)
    assert (await sqlite_shop.read(order))["state"] == "confirmed"


async def test_after_a_time_out_another_card_can_pay(sqlite_shop: Shop) -> None:
    order = await sqlite_shop.ordered()
    page = await sqlite_shop.pay(order, "4000 0000 0000 4400")

    assert "Your bank does not answer" in page.text
    await sqlite_shop.pay(order, PAYS)
    assert (await sqlite_shop.read(order))["state"] == "confirmed"


async def test_the_page_is_a_plain_form_with_a_label_for_each_field(sqlite_shop: Shop) -> None:
    order = await sqlite_shop.ordered()

    page = await sqlite_shop.sandbox.public.get(order["payment_url"])

    forms = Forms(page.text)
    assert forms.fields == ["card_number", "expiry", "cvc", "name"]
    assert forms.labels == set(forms.fields)
    assert "script" not in forms.tags
    assert "Pay £" not in page.text
    assert "5,000.00" in page.text
    assert page.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_the_page_speaks_the_shopper_s_language(sqlite_shop: Shop) -> None:
    hold = await sqlite_shop.held()
    order = (await sqlite_shop.order(hold["hold_id"], headers={"accept-language": "sv"})).json()

    page = await sqlite_shop.sandbox.public.get(order["payment_url"])

    assert '<html lang="sv">' in page.text
    assert "Betala handpenningen" in page.text
    assert "5\xa0000,00\xa0kr" in page.text


@pytest.mark.parametrize(
    ("form", "wrong"),
    [
        (CardForm(PAYS, "12/29", "123", "Åsa"), {}),
        (CardForm("4242424242424242", "1 / 27", "1234", "Åsa"), {}),
        (CardForm("4242 4242 4242 4241", "12/29", "123", "Åsa"), {"card_number": "number_invalid"}),
        (CardForm("5555 5555 5555 4444", "12/29", "123", "Å"), {"card_number": "number_unknown"}),
        (CardForm(PAYS, "10/26", "123", "Åsa"), {"expiry": "expiry_invalid"}),
        (CardForm(PAYS, "13/29", "123", "Åsa"), {"expiry": "expiry_invalid"}),
        (CardForm(PAYS, "²/29", "123", "Åsa"), {"expiry": "expiry_invalid"}),
        (CardForm(PAYS, "12/2999", "123", "Åsa"), {"expiry": "expiry_invalid"}),
        (CardForm(PAYS, "12/29", "²²²", " "), {"cvc": "cvc_invalid", "name": "name_missing"}),
        (
            CardForm("", "", "", ""),
            {
                "card_number": "number_invalid",
                "expiry": "expiry_invalid",
                "cvc": "cvc_invalid",
                "name": "name_missing",
            },
        ),
    ],
)
def test_what_is_wrong_with_a_form_is_named(form: CardForm, wrong: dict[str, str]) -> None:
    assert errors_of(form, TODAY) == wrong


async def test_a_wrong_form_comes_back_with_reasons_and_without_the_card(
    sqlite_shop: Shop,
) -> None:
    order = await sqlite_shop.ordered()
    typed = {"card_number": "4111 1111 1111 1111", "expiry": "1/20", "cvc": "1", "name": "<Åsa>"}

    page = await sqlite_shop.sandbox.public.post(order["payment_url"], data=typed)

    assert page.status_code == 422
    assert page.text.count('aria-invalid="true"') == 3
    assert "&lt;Åsa&gt;" in page.text
    assert "4111" not in page.text
    assert (await sqlite_shop.read(order))["state"] == "payment_pending"


async def test_a_double_click_pays_once(shop: Shop) -> None:
    order = await shop.ordered()

    answers = [await shop.pay(order, PAYS) for _ in range(2)]

    assert [answer.headers["location"] for answer in answers] == ["http://test/"] * 2
    assert len(await shop.sent_webhooks()) == 1
    page = await shop.sandbox.public.get(order["payment_url"])
    assert "This payment is decided" in page.text


async def test_whatever_is_typed_into_a_decided_payment_leads_back(sqlite_shop: Shop) -> None:
    order = await sqlite_shop.ordered()
    await sqlite_shop.pay(order, PAYS)

    answers = [await sqlite_shop.pay(order, card) for card in ("4242 4242 4242 4241", "", DECLINED)]

    assert [answer.status_code for answer in answers] == [303] * 3
    assert (await sqlite_shop.read(order))["state"] == "confirmed"


@pytest.mark.parametrize(("decision", "state"), [("approve", "confirmed"), ("refuse", "declined")])
async def test_a_3d_secure_step_survives_reloads_and_counts_once(
    shop: Shop, decision: str, state: str
) -> None:
    order = await shop.ordered()
    sent = await shop.pay(order, CHALLENGE)
    pages = [await shop.sandbox.public.get(sent.headers["location"]) for _ in range(2)]
    for _ in range(2):
        assert (await shop.challenge(order, decision)).headers["location"] == "http://test/"

    assert [Forms(page.text).fields for page in pages] == [["decision", "decision"]] * 2
    assert (await shop.read(order))["state"] == state


async def test_an_address_without_a_payment_is_a_page(sqlite_shop: Shop) -> None:
    for address in ("/sandbox/pay/pay_nothing", "/sandbox/pay/%00", "/sandbox/pay/" + "x" * 200):
        page = await sqlite_shop.sandbox.public.get(address)

        assert (page.status_code, page.headers["content-type"]) == (
            404,
            "text/html; charset=utf-8",
        )
        assert "There is no such payment" in page.text


async def test_money_is_only_for_the_shop_s_key(sqlite_shop: Shop) -> None:
    order = await sqlite_shop.ordered()
    payment_id = order["payment_url"].rsplit("/", 1)[1]

    def get(**headers: str) -> Any:
        return sqlite_shop.sandbox.public.get(f"/sandbox/v1/payments/{payment_id}", headers=headers)

    answers = [await get(), await get(authorization="Bearer no"), await get(**MONEY)]

    assert [answer.status_code for answer in answers] == [401, 401, 200]
    assert answers[2].json()["amount"] == {"amount": 500_000, "currency": "SEK"}


async def test_the_same_reference_is_the_same_payment(shop: Shop) -> None:
    body = {
        "reference": "ord_1",
        "amount": {"amount": 100, "currency": "SEK"},
        "description": "x",
        "return_url": "http://shop/",
        "cancel_url": "http://shop/",
    }

    made = [
        (await shop.sandbox.public.post("/sandbox/v1/payments", json=body, headers=MONEY)).json()
        for _ in range(2)
    ]

    assert made[0] == made[1]
    assert made[0]["payment_url"].startswith("http://shop/sandbox/pay/pay_")


async def test_only_what_was_paid_is_refunded_and_only_once(shop: Shop) -> None:
    order = await shop.ordered()
    address = f"/sandbox/v1/payments/{order['payment_url'].rsplit('/', 1)[1]}/refunds"

    async def refund() -> httpx.Response:
        return await shop.sandbox.public.post(
            address, json={"reference": order["order_id"]}, headers=MONEY
        )

    unpaid = await refund()
    await shop.pay(order, PAYS)
    twice = [await refund(), await refund()]

    assert unpaid.status_code == 409
    assert [answer.json()["refunded"]["amount"] for answer in twice] == [500_000, 500_000]


async def test_a_flag_declines_cards_that_would_pay(sqlite_shop: Shop) -> None:
    order = await sqlite_shop.ordered()
    await set_flag(sqlite_shop.sandbox, "sandbox-decline-ratio", 1.0)

    await sqlite_shop.pay(order, PAYS)

    assert (await sqlite_shop.read(order))["state"] == "declined"


async def test_a_webhook_is_retried_with_growing_pauses(sqlite_shop: Shop) -> None:
    order = await sqlite_shop.ordered()
    sqlite_shop.checkout.service.platform.resolve = lambda service, internal: None
    await sqlite_shop.pay(order, PAYS)
    pauses = []
    for _ in range(4):
        due = await _due_in_seconds(sqlite_shop)
        pauses.append(due)
        sqlite_shop.clock.advance(seconds=due)
        await sqlite_shop.sandbox.job("webhooks")()

    assert pauses == [1, 2, 5, 15]
    assert sqlite_shop.metric("sandbox_webhooks_total", service="sandbox", result="retried") == 5


async def _due_in_seconds(shop: Shop) -> int:
    async with shop.sandbox.service.database.read() as connection:
        due_at = (await connection.execute(select(DELIVERIES.c.due_at))).scalar_one()
    assert due_at is not None
    return int((due_at - shop.clock.now()).total_seconds())


async def test_a_webhook_says_what_was_paid_and_nothing_of_the_card(sqlite_shop: Shop) -> None:
    order = await sqlite_shop.confirmed()

    (body,) = await sqlite_shop.sent_webhooks()

    event = orjson.loads(body)
    assert (event["type"], event["payment"]["reference"]) == (
        "payment.succeeded",
        order["order_id"],
    )
    assert b"4242" not in body
