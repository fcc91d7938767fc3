"""The car list's wishes in addresses."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from app.contracts.catalog import Dealer
from app.storefront.filters import (
    City,
    Wishes,
    api_query,
    cities_of,
    fewer_wishes,
    point_of,
    read_wishes,
)
from app.storefront.places import PLACES

ALL = Wishes(
    model=("norrsken", "lomvi"),
    body=("suv",),
    fuel=("electric",),
    colour=("blue", "green"),
    seats=5,
    max_price=500_000,
    today=True,
    near="Solna",
    sort="ready",
)
SOLNA = {"solna": City("Solna", 59.36, 18.0009)}


def test_wishes_survive_the_address() -> None:
    assert read_wishes(parse_qsl(ALL.query())) == ALL


def test_nonsense_in_an_address_is_left_out() -> None:
    query = "body=spaceship&seats=99&max_price=-3&sort=beauty&today=maybe&model=../etc&colour=blue"

    assert read_wishes(parse_qsl(query)) == Wishes(colour=("blue",))


def test_a_price_may_be_typed_with_spaces() -> None:
    assert read_wishes([("max_price", "450 000")]).max_price == 450_000


@pytest.mark.parametrize(
    ("typed", "means"),
    [
        ("450 000 kr", 450_000),
        ("450\u00a0000:-", 450_000),
        ("450.000,00 kr.", 450_000),
        ("449900.50", 449_900),
        ("45 500 €", 45_500),
        ("€45,500", 45_500),
        ("NOK 450'000", 450_000),
        ("SEK 1,250,000.00", 1_250_000),
        ("450000,-", 450_000),
        ("\uff14\uff15\uff10\uff10\uff10", 45_000),
        ("500", 500),
        ("-3", None),
        ("5e5", None),
        ("450 000 - 500 000", None),
        ("cheap", None),
        ("0", None),
        ("9" * 30, None),
    ],
)
def test_a_highest_price_is_read_as_people_type_it(typed: str, means: int | None) -> None:
    assert read_wishes([("max_price", typed)]).max_price == means


def test_one_wish_can_be_taken_back() -> None:
    assert read_wishes(parse_qsl(ALL.without("colour", "blue"))).colour == ("green",)
    assert read_wishes(parse_qsl(ALL.without("seats"))).seats is None
    assert read_wishes(parse_qsl(ALL.without("today"))).today is False


def test_the_cursor_never_outlives_its_list() -> None:
    wishes = read_wishes([("cursor", "abc"), ("body", "suv")])

    assert wishes.cursor == "abc"
    assert wishes.query() == "body=suv"


def test_the_catalogue_is_asked_in_its_own_terms() -> None:
    assert api_query(ALL, PLACES["se"], SOLNA) == {
        "market": "SE",
        "model": ["norrsken", "lomvi"],
        "body": ["suv"],
        "fuel": ["electric"],
        "colour": ["blue", "green"],
        "min_seats": 5,
        "max_price": 50_000_000,
        "near": "59.3600,18.0009",
        "ready_today": True,
        "sort": "ready",
        "limit": 18,
        "cursor": None,
    }


def test_without_a_place_nothing_is_sorted_by_distance() -> None:
    assert api_query(Wishes(sort="distance"), PLACES["se"], SOLNA)["sort"] is None


def test_a_place_is_a_city_or_degrees() -> None:
    places = ["SOLNA", "59.33,18.06", "99,18", "Atlantis"]

    assert [point_of(near, SOLNA) for near in places] == [
        (59.36, 18.0009),
        (59.33, 18.06),
        None,
        None,
    ]


def test_each_wish_can_be_given_up_on_its_own() -> None:
    wishes = Wishes(body=("van",), max_price=100, near="Solna")

    assert fewer_wishes(wishes) == [
        ("max_price", Wishes(body=("van",), near="Solna")),
        ("body", Wishes(max_price=100, near="Solna")),
    ]


def test_a_city_lies_between_its_dealers() -> None:
    def dealer(lat: float | None) -> Dealer:
        return Dealer(
            dealer_id=f"d{lat}",
            name="Ellevar",
            market="SE",
            city="Malmö",
            address="",
            lat=lat,
            lon=None if lat is None else 13.0,
            time_zone="Europe/Stockholm",
        )

    assert cities_of([dealer(55.0), dealer(56.0), dealer(None)]) == {
        "malmö": City("Malmö", 55.5, 13.0)
    }
