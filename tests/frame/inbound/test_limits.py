"""Nobody asks too often: by session first, then by network, in every service alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.frame.inbound.callers import Caller
from app.frame.inbound.limits import KEPT, Counters, Limits, TooManyRequests
from app.frame.inbound.networks import network_of
from app.frame.platform import Platform
from app.frame.sessions import Session
from app.frame.settings import Budgets
from app.kernel.clock import ManualClock
from tests.builders.applications import documents

STRANGER = Caller(session=None, traffic="human", address_hash="one", language="en", release="test")
RACING = 500
"""Shoppers who reach for one car from one address within seconds, and must all be answered."""

UNLIMITED = ("/api/checkout/v1/payment-events/", "/sandbox/v1/")
"""Where a provider signs and a neighbour has a key."""


def _shopper(session_id: str, address: str = "one") -> Caller:
    session = Session(session_id=session_id, started_at=0, seen_at=0, market="SE", language="sv")
    return replace(STRANGER, session=session, address_hash=address)


@pytest.fixture
def limits(platform: Platform) -> Limits:
    return Limits(Budgets(), platform.telemetry("checkout"), platform.clock)


def test_a_race_of_500_shoppers_at_one_address_is_far_below_the_limit(limits: Limits) -> None:
    for _ in range(4 * RACING):  # each holds, orders and tries both once more
        limits.admit(STRANGER)


def test_one_shopper_at_its_limit_takes_nothing_from_the_next_at_the_same_address(
    platform: Platform,
) -> None:
    budgets = Budgets(requests_per_session=2, requests_per_address=100)
    limits = Limits(budgets, platform.telemetry("checkout"), platform.clock)
    for _ in range(2):
        limits.admit(_shopper("ses_a"))

    with pytest.raises(TooManyRequests, match="session has asked for more than 2 changes"):
        limits.admit(_shopper("ses_a"))
    limits.admit(_shopper("ses_b"))


def test_what_costs_more_than_one_is_counted_so(limits: Limits, clock: ManualClock) -> None:
    limits.require("beacons", "session", _shopper("ses_a"), 100, 60)
    clock.advance(seconds=15)

    with pytest.raises(TooManyRequests) as refused:
        limits.require("beacons", "session", _shopper("ses_a"), 100, 60)

    assert refused.value.extensions == {"retry_after_seconds": 45}


def test_rehearsals_have_no_limit(limits: Limits) -> None:
    rehearsal = replace(STRANGER, traffic="synthetic")
    for _ in range(10_000):
        limits.admit(rehearsal)
    assert limits.allow("sessions", "address", rehearsal, most=0)


def test_callers_of_past_minutes_are_forgotten(clock: ManualClock) -> None:
    counters = Counters(clock)
    for number in range(KEPT):
        counters.wait(str(number), 1)
    clock.advance(seconds=61)

    counters.wait("new", 1)

    assert len(counters) == 1


def test_a_crowd_within_a_minute_hides_nobody_who_runs_away(clock: ManualClock) -> None:
    counters = Counters(clock)
    for _ in range(5):
        counters.wait("runaway", 3)
    for number in range(3 * KEPT):
        counters.wait(str(number), 3)

    assert counters.wait("runaway", 3) == 60
    assert len(counters) <= KEPT + 1


@pytest.mark.parametrize(
    ("hosts", "network"),
    [
        (["203.0.113.7"], "203.0.113.7"),
        (["::ffff:203.0.113.7", "::ffff:cb00:7107"], "203.0.113.7"),
        (["2001:db8:1:2::1", "2001:DB8:1:2:ffff:ffff:ffff:ffff"], "2001:db8:1:2::/64"),
        (["2001:db8:1:3::1"], "2001:db8:1:3::/64"),
        (["fe80::1%eth0", "fe80::2%eth1"], "fe80::/64"),
        (["testclient"], "testclient"),
        ([""], ""),
    ],
)
def test_a_subscriber_is_one_whatever_address_of_theirs_asks(
    hosts: list[str], network: str
) -> None:
    assert {network_of(host) for host in hosts} == {network}


def test_every_way_to_change_something_says_that_it_has_a_limit() -> None:
    silent = {
        f"{method.upper()} {path}"
        for public, *_ in documents().values()
        for path, item in public["paths"].items()
        for method, operation in item.items()
        if method in ("post", "put", "patch", "delete")
        and path.startswith("/api/")
        and not path.startswith(UNLIMITED)
        and "429" not in operation["responses"]
    }
    assert silent == set()
