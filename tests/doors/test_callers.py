"""One caller is one shopper, whoever stands in front; nobody asks, counts or holds without end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from rigs.processes import wait_until
from tests.doors.conftest import SHAPES
from tests.doors.houses import LONG, House, opened

pytestmark = pytest.mark.integration

MOST = {
    "CHECKOUT_REQUESTS_PER_ADDRESS": "40",
    "CHECKOUT_MAX_HOLDS_PER_ADDRESS": "4",
    "STOREFRONT_SESSIONS_PER_ADDRESS": "3",
    "INSIGHT_BEACONS_PER_ADDRESS": "120",
}
BALANCER = {"VITRINE_TRUSTED_PROXIES": "127.0.0.1", "VITRINE_GATEWAY_PROXIES": "127.0.0.1"}
"""Everything on loopback comes through a balancer, which says for whom."""

ANNA, BERIT = "203.0.113.1", "203.0.113.2"
HOME, NEXT_DOOR = "2001:db8:7:1", "2001:db8:7:2"
"""Two networks of two subscribers; each has 2⁶⁴ addresses."""


@pytest.fixture(scope="module", params=SHAPES)
def behind(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """A shop behind a balancer, with little patience."""
    folder: Path = tmp_path_factory.mktemp(f"behind-{request.param}")
    with opened(request.param, folder, **BALANCER, **MOST) as house:
        yield house


def _caller(house: House, address: str = "", **headers: str) -> httpx.Client:
    named = {"x-forwarded-for": address} if address else {}
    return httpx.Client(
        base_url=house.url, headers={**named, **headers}, timeout=30, trust_env=False
    )


def _hold(caller: httpx.Client, car_id: str) -> httpx.Response:
    key = {"idempotency-key": f'"{uuid4()}"'}
    return caller.post("/api/checkout/v1/holds", json={"car_id": car_id}, headers=key)


def _login(caller: httpx.Client, password: str) -> int:
    return caller.post("/console/login", data={"password": password}).status_code


def _total(house: House, service: str, metric: str, **labels: str) -> float:
    """The sum of a metric's series that have these labels."""
    text = httpx.get(f"{house.internal(service)}/metrics", timeout=30, trust_env=False).text
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in text.splitlines()
        if line.startswith(f"{metric}{{")
        and all(f'{name}="{value}"' in line for name, value in labels.items())
    )


def test_two_shoppers_behind_one_balancer_have_a_limit_each(behind: House) -> None:
    with _caller(behind, ANNA) as anna, _caller(behind, BERIT) as berit:
        asked = Counter(_hold(anna, "car_none").status_code for _ in range(42))

        assert asked == {404: 40, 429: 2}
        assert _hold(berit, "car_none").status_code == 404


def test_all_addresses_of_one_subscriber_are_one_caller(behind: House) -> None:
    asked: Counter[int] = Counter()
    for number in range(42):
        with _caller(behind, f"{HOME}::{number:x}") as member:
            asked[_hold(member, "car_none").status_code] += 1
    with _caller(behind, f"{NEXT_DOOR}::1") as neighbour:
        others = _hold(neighbour, "car_none").status_code

    assert (asked, others) == ({404: 40, 429: 2}, 404)


def test_who_guesses_passwords_locks_nobody_else_out(behind: House) -> None:
    with _caller(behind, ANNA) as guesser, _caller(behind, BERIT) as operator:
        guesses = [_login(guesser, f"guess {number}") for number in range(6)]
        password = behind.secrets["VITRINE_CONSOLE_PASSWORD"]

        assert guesses == [401] * 5 + [429]
        assert (_login(guesser, password), _login(operator, password)) == (429, 303)


def test_nobody_says_who_is_calling_unless_they_were_named(house: House) -> None:
    guesses = []
    for number in range(6):
        with _caller(house, f"198.51.100.{number}", forwarded="for=192.0.2.1") as liar:
            guesses.append(_login(liar, "a guess"))

    assert guesses == [401] * 5 + [429]


def test_two_shoppers_hold_cars_and_are_counted_apart(behind: House) -> None:
    """Holds, visits and beacons: whatever one of them may have too many of."""
    carol, dora = "203.0.113.3", "203.0.113.4"
    cars = _cars(behind, "DK")
    before = _total(behind, "insight", "shop_sessions_total", traffic="human")
    with _caller(behind, carol) as greedy, _caller(behind, dora) as modest:
        held = Counter(_hold(greedy, car).status_code for car in cars[:6])
        other = _hold(modest, cars[7]).status_code
    for _ in range(8):
        _visit(behind, carol).close()
    browsers = [_visit(behind, dora), _visit(behind, "203.0.113.5")]
    told = [_beacons(browser, 60) for browser in (browsers[0], browsers[0], browsers[1])]
    for browser in browsers:
        browser.close()

    assert (held, other) == ({201: 4, 429: 2}, 201)
    assert told == [202, 429, 202]
    wait_until(
        lambda: _total(behind, "insight", "shop_sessions_total", traffic="human") == before + 5,
        timeout_seconds=60,
        what="three visits of the one and one of each other",
    )


def test_a_crowd_takes_a_share_of_the_stock_and_no_more(behind: House) -> None:
    """Every car of a market, from as many networks as there are."""
    cars = _cars(behind, "NO")
    share = ceil(max(50, 0.2 * len(cars)))
    answers: Counter[int] = Counter()
    for number, car in enumerate(cars if LONG else cars[: share + 20]):
        with _caller(behind, f"2001:db8:{number // 4:x}::1") as stranger:
            answers[_hold(stranger, car).status_code] += 1

    # A hold that is written while the stock is measured may not be counted for a second; the stock
    # of a shop that has just begun is counted again after half a minute, and fifty are always free.
    assert 50 <= answers[201] <= share + 3
    assert set(answers) == {201, 429}
    wait_until(
        lambda: _total(behind, "checkout", "checkout_stock_held_ratio", market="NO") > 0.15,
        timeout_seconds=60,
        what="the share that StockHoarded looks at",
    )


def test_one_stranger_moves_no_number(house: House) -> None:
    """Votes, beacons and visits by the hundred."""
    browser = _visit(house, "")
    vote = {"order_id": "ord_1", "touchpoint": "order", "csat": 1, "nps": 0, "market": "SE"}
    votes = Counter(
        browser.post("/api/insight/v1/feedback", json=vote).status_code for _ in range(50)
    )
    votes.update(
        browser.post(
            "/api/insight/v1/feedback", json=vote, headers={"authorization": "Bearer guess"}
        ).status_code
        for _ in range(20)
    )
    beacons = Counter(_beacons(browser, 50) for _ in range(6))
    browser.close()
    began = time.monotonic()
    for _ in range(400 if LONG else 130):
        _visit(house, "", consent=False).close()
    minutes = 1 + (time.monotonic() - began) // 60
    wait_until(
        lambda: _total(house, "insight", "shop_sessions_total", traffic="human") >= 120,
        timeout_seconds=60,
        what="the visits that count",
    )

    assert votes == {401: 70}
    assert beacons == {202: 2, 429: 4}
    assert _total(house, "insight", "shop_csat_responses_total") == 0
    assert _total(house, "insight", "shop_nps_responses_total") == 0
    assert _total(house, "insight", "browser_lcp_seconds_count") <= 2
    assert _total(house, "insight", "shop_sessions_total", traffic="human") <= 121 + 120 * minutes


def _cars(house: House, market: str) -> list[str]:
    """All available cars of a market."""
    found: list[str] = []
    with _caller(house) as reader:
        query: dict[str, Any] = {"market": market, "limit": 100}
        while True:
            page = reader.get("/api/catalog/v1/cars", params=query).json()
            found += [car["car_id"] for car in page["items"]]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]


def _visit(house: House, address: str, *, consent: bool = True) -> httpx.Client:
    """A browser that looks at the shop, and lets itself be measured."""
    browser = _caller(house, address, **{"user-agent": "Mozilla/5.0 (X11; Linux x86_64)"})
    assert browser.get("/se/en").status_code == 200
    assert browser.get("/seen.css").status_code == 200
    if consent:
        browser.post("/se/en/consent", data={"analytics": "granted"})
    return browser


def _beacons(browser: httpx.Client, count: int) -> int:
    """So many slow paints of one page; at most 50 go into a request."""
    slow = {"type": "browser.web_vital", "name": "LCP", "value": 60_000, "path": "/se/en/cars"}
    status = 0
    while count > 0:
        body = {"events": [slow] * min(count, 50)}
        status = browser.post("/api/insight/v1/events", json=body).status_code
        count -= 50
    return status
