"""The shipped feeds are what the generator writes, and a stock that one could believe."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from io import BytesIO

import pytest

from app.catalog.feeds.google_vehicle_ads import ADAPTER
from app.catalog.feeds.record import FeedContext, StockRecord
from app.catalog.range.loading import load_range
from app.catalog.range.stock import (
    REHEARSAL_CARS,
    REHEARSAL_SOURCE,
    SHIPPED_SOURCE,
    STOCK,
    all_feeds,
    shipped_feeds,
)

SHIPPED = load_range()
TODAY = date(2026, 11, 22)


def _cars(source: str) -> list[StockRecord]:
    """All cars of a shipped source through the importer's own adapter; anything else fails."""
    cars: list[StockRecord] = []
    for feed in shipped_feeds():
        if feed.source == source:
            context = FeedContext.of(feed.source, feed.market, SHIPPED, TODAY)
            for outcome in ADAPTER.read(BytesIO(feed.read()), context):
                assert isinstance(outcome, StockRecord)
                cars.append(outcome)
    return cars


CARS = _cars(SHIPPED_SOURCE)


def test_regenerating_gives_the_committed_bytes() -> None:
    written = {path.name: path.read_bytes() for path in STOCK.iterdir()}
    assert written == {name: text.encode("utf-8") for name, text in all_feeds(SHIPPED).items()}


def test_every_market_has_its_stock_and_its_rehearsal() -> None:
    assert Counter(car.market for car in CARS) == {"SE": 420, "NO": 280, "DK": 180, "FI": 160}
    rehearsal = Counter(car.market for car in _cars(REHEARSAL_SOURCE))
    assert rehearsal == dict.fromkeys(("SE", "NO", "DK", "FI"), REHEARSAL_CARS)


def test_no_id_is_used_twice_over_all_feeds() -> None:
    ids = [car.stock_id for car in CARS + _cars(REHEARSAL_SOURCE)]
    assert len(ids) == len(set(ids))


def test_every_model_and_every_dealer_has_cars() -> None:
    assert {car.model_id for car in CARS} == {sheet.model_id for sheet in SHIPPED.models}
    assert {car.dealer.dealer_id for car in CARS} == {d.dealer_id for d in SHIPPED.dealers}


def test_no_vin_is_published() -> None:
    assert {car.vin for car in CARS} == {None}


def test_conditions_are_mixed_and_agree_with_odometer_and_age() -> None:
    share = {name: n / len(CARS) for name, n in Counter(c.condition for c in CARS).items()}
    assert share == pytest.approx({"new": 0.70, "demonstrator": 0.12, "used": 0.18}, abs=0.05)
    for car in CARS:
        assert (car.first_registered is None) == (car.condition == "new")
        assert (car.odometer_km < 100) == (car.condition == "new")
        assert car.condition != "demonstrator" or car.odometer_km < 8_000
        assert car.model_year <= 2027


def test_prices_start_at_list_and_fall_with_use() -> None:
    discount: dict[str, list[float]] = {"new": [], "demonstrator": [], "used": []}
    for car in CARS:
        assert car.offer.list_price_minor is not None
        base = SHIPPED.model(car.model_id or "").prices[car.market]
        assert 1.0 <= car.offer.list_price_minor / base + 0.001 <= 2.2
        discount[car.condition].append(1 - car.offer.price_minor / car.offer.list_price_minor)
    assert 0 == min(discount["new"]) <= max(discount["new"]) < 0.08
    assert sum(cut == 0 for cut in discount["new"]) > len(discount["new"]) / 3
    assert 0.05 < min(discount["demonstrator"]) <= max(discount["demonstrator"]) < 0.16
    assert 0.15 < min(discount["used"]) <= max(discount["used"]) < 0.56


def test_an_option_more_costs_more() -> None:
    one = SHIPPED.model("orrvik")
    cars = [
        c for c in CARS if c.model_id == one.model_id and c.market == "SE" and c.trim == "Linje"
    ]
    by_options = sorted(cars, key=lambda car: len(car.features))
    fewest, most = by_options[0], by_options[-1]
    assert len(most.features) > len(fewest.features) + 2
    assert (most.offer.list_price_minor or 0) > (fewest.offer.list_price_minor or 0)


def test_options_are_recognised_and_possible_for_the_car() -> None:
    for car in CARS:
        codes = {feature.code for feature in car.features}
        assert None not in codes
        assert "towbar" not in codes or SHIPPED.model(car.model_id or "").tow_kg > 0
        assert "charging_22" not in codes or car.fuel == "electric"
        assert "parking_heater" not in codes or car.fuel != "electric"


def test_colours_are_the_models_own_and_as_sober_as_on_the_road() -> None:
    families = Counter(car.colour.family for car in CARS)
    sober = sum(families[family] for family in ("white", "black", "grey", "silver"))
    assert 0.6 < sober / len(CARS) < 0.85
    for car in CARS:
        codes = {paint.code for paint in SHIPPED.model(car.model_id or "").colours}
        assert car.colour.code in codes


def test_norway_is_electric_and_finland_is_mixed() -> None:
    def electric(market: str) -> float:
        fuels = [car.fuel for car in CARS if car.market == market]
        return fuels.count("electric") / len(fuels)

    assert electric("NO") > 0.75
    assert electric("NO") > electric("DK") > electric("SE") > 0.3
    assert electric("FI") < 0.65


def test_many_cars_can_be_collected_the_same_day_and_some_are_on_their_way() -> None:
    ready = [car for car in CARS if car.handover.lead == timedelta(0)]
    arriving = [car for car in CARS if car.handover.at is not None]
    assert 0.4 < len(ready) / len(CARS) < 0.65
    assert 20 < len(arriving) < 120
    assert all(car.handover.lead is not None or car.handover.at is not None for car in CARS)
