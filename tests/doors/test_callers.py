"""One caller is one shopper, whoever stands in front; nobody asks, counts or holds without end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.doors.houses import House, Shape, opened

pytestmark = pytest.mark.integration

MOST = {
    "CHECKOUT_REQUESTS_PER_ADDRESS": "40",
    "STOREFRONT_SESSIONS_PER_ADDRESS": "3",
}
BALANCER = {"VITRINE_TRUSTED_PROXIES": "127.0.0.1", "VITRINE_GATEWAY_PROXIES": "127.0.0.1"}
"""Everything on loopback comes through a balancer, which says for whom."""

ANNA, BERIT = "203.0.113.1", "203.0.113.2"
HOME, NEXT_DOOR = "2001:db8:7:1", "2001:db8:7:2"
"""Two networks of two subscribers; each has 2⁶⁴ addresses."""


@pytest.fixture(scope="module", params=["embedded", "production"])
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


def test_nobody_says_who_is_calling_unless_they_were_named(shape: Shape, tmp_path: Path) -> None:
    with opened(shape, tmp_path) as house:
        guesses = []
        for number in range(6):
            with _caller(house, f"198.51.100.{number}", forwarded="for=192.0.2.1") as liar:
                guesses.append(_login(liar, "a guess"))

        assert guesses == [401] * 5 + [429]
