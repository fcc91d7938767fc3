"""A fact's types are its contract: what does not fit is neither stated nor read."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from app.contracts.events import CarListed, CarStateChanged, fact_of
from app.kernel.facts import ContractBroken, Event, EventContext, checked

LISTED = CarListed(
    car_id="car_1",
    model_id="alken",
    title="Ellevar Alken",
    market="SE",
    dealer_id="SE-STO-1",
    source="acme",
    price=55_990_000,
    currency="SEK",
    vat_rate="0.25",
)
EVENT = Event("evt_1", "catalog", CarListed.TYPE, "2026-11-27T09:00:00Z", 1, asdict(LISTED))

BAD: list[tuple[dict[str, Any], str]] = [
    ({"title": "x" * 201}, "title: String should have at most 200 characters"),
    ({"title": "x\x00"}, "title: String should match pattern"),
    ({"title": "x\ud800"}, "title: Input should be a valid string"),
    ({"title": None}, "title: Input should be a valid string"),
    ({"car_id": "x" * 81}, "car_id: String should have at most 80 characters"),
    ({"market": "XX"}, "market: Input should be 'SE', 'NO', 'DK', 'FI' or 'US'"),
    ({"price": "55990000"}, "price: Input should be a valid integer"),
    ({"price": True}, "price: Input should be a valid integer"),
    ({"price": 2**63}, "price: Input should be less than or equal to 9007199254740992"),
    ({"rehearsal": 1}, "rehearsal: Input should be a valid boolean"),
]


def test_what_fits_is_read_and_members_of_a_later_version_are_left_out() -> None:
    assert fact_of(replace(EVENT, data={**EVENT.data, "wheels": 4})) == LISTED
    assert fact_of(replace(EVENT, data={**EVENT.data, "title": "x" * 200})) == replace(
        LISTED, title="x" * 200
    )


@pytest.mark.parametrize(("changed", "why"), BAD)
def test_what_does_not_fit_is_neither_stated_nor_read(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(ContractBroken, match=r"^CarListed: ") as refused:
        fact_of(replace(EVENT, data={**EVENT.data, **changed}))
    assert str(refused.value).startswith(f"CarListed: {why}")
    with pytest.raises(ContractBroken):
        checked(CarListed, asdict(replace(LISTED, **changed)))


def test_a_missing_member_is_named_and_no_value_is_repeated() -> None:
    with pytest.raises(ContractBroken) as refused:
        fact_of(replace(EVENT, type=CarStateChanged.TYPE, data={"car_id": "a@b.se", "state": "?"}))
    assert str(refused.value).startswith("CarStateChanged: state: Input should be 'available'")
    assert "a@b.se" not in str(refused.value)
    with pytest.raises(ContractBroken, match=r"^CarStateChanged: state: Field required$"):
        fact_of(replace(EVENT, type=CarStateChanged.TYPE, data={"car_id": "car_1"}))


@pytest.mark.parametrize(
    "changed",
    [
        {"specversion": "9.0"},
        {"sequence": "one"},
        {"time": "yesterday"},
        {"data": []},
        {"id": None},
        {"sessionid": 5},
        {"campaign": "x" * 101},
    ],
)
def test_an_envelope_that_is_none_of_ours_is_not_read(changed: dict[str, Any]) -> None:
    assert Event.from_wire(EVENT.to_wire()) == EVENT
    with pytest.raises(ContractBroken, match=r"^envelope: "):
        Event.from_wire({**EVENT.to_wire(), **changed})


def test_a_context_is_bounded_as_well() -> None:
    assert checked(EventContext, asdict(EventContext(campaign="x" * 100)))
    with pytest.raises(ContractBroken, match=r"^EventContext: campaign: "):
        checked(EventContext, asdict(EventContext(campaign="x" * 101)))
