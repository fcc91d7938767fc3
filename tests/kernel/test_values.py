"""Money, identifiers, time, distance: values that everything else trusts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kernel.clock import ManualClock, rfc3339
from app.kernel.facts import Event, EventContext
from app.kernel.geo import distance_km
from app.kernel.ids import new_id, new_secret
from app.kernel.money import Money


def test_vat_in_a_price_is_rounded_half_up() -> None:
    quarter = Decimal("0.25")
    vat = [Money(amount, "SEK").vat_included(quarter).amount for amount in (100, 102, 103, 12_345)]

    assert vat == [20, 20, 21, 2469]


@given(st.integers(0, 10**12), st.sampled_from(["0", "0.24", "0.25", "0.255"]))
def test_net_and_vat_are_the_price_to_the_minor_unit(amount: int, rate: str) -> None:
    price = Money(amount, "SEK")
    vat = price.vat_included(Decimal(rate))
    net = amount - vat.amount

    assert vat.currency == price.currency
    assert abs(net * Decimal(rate) - vat.amount) <= 1


@pytest.mark.parametrize("currency", ["", "sek", "GBP", "SEKX"])
def test_money_has_a_currency_that_we_know(currency: str) -> None:
    with pytest.raises(ValueError, match="currency"):
        Money(1, currency)


START = datetime(2026, 11, 27, 10, 0, tzinfo=timezone(timedelta(hours=1)))


def test_later_identifiers_sort_after_earlier_ones() -> None:
    made = [new_id("ord", START + timedelta(milliseconds=ms)) for ms in range(50)]

    assert made == sorted(made)
    assert len({len(one) for one in made}) == 1
    assert made[0].startswith("ord_")


def test_identifiers_and_secrets_do_not_repeat() -> None:
    assert len({new_id("x", START) for _ in range(1000)}) == 1000
    assert len({new_secret() for _ in range(1000)}) == 1000


def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(START)

    assert clock.now() == clock.now() == START
    assert clock.advance(minutes=15) == START + timedelta(minutes=15)
    assert clock.now().tzinfo is UTC


def test_times_are_written_in_utc_with_milliseconds() -> None:
    moment = datetime(2026, 11, 27, 10, 30, 0, 123_999, timezone(timedelta(hours=1)))

    assert rfc3339(moment) == "2026-11-27T09:30:00.123Z"


@pytest.mark.parametrize(
    ("a", "b", "kilometres"),
    [
        ((59.3293, 18.0686), (57.7089, 11.9746), 397),
        ((59.3293, 18.0686), (59.3293, 18.0686), 0),
        ((0, 0), (0, 180), 20015),
        ((0, 179.5), (0, -179.5), 111),
    ],
)
def test_distance_is_the_great_circle(
    a: tuple[float, float], b: tuple[float, float], kilometres: float
) -> None:
    assert distance_km(*a, *b) == pytest.approx(kilometres, abs=1)


def test_an_event_survives_the_wire() -> None:
    event = Event(
        id="evt_1",
        source="checkout",
        type="checkout.hold.placed",
        time="2026-11-27T09:00:00.000Z",
        position=7,
        data={"hold_id": "hld_1"},
        context=EventContext(session_id="ses_1", market="SE", traffic="synthetic"),
    )
    wire = event.to_wire()

    assert Event.from_wire(wire) == event
    assert {name: wire[name] for name in ("specversion", "source", "sequence")} == {
        "specversion": "1.0",
        "source": "/checkout",
        "sequence": 7,
    }
    assert all(name.isalnum() and name.islower() for name in wire)
