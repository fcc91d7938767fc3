"""The range as a buyer would check it: numbers that agree with each other, models that differ."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable

import pytest

from app.catalog.range.loading import load_range
from app.catalog.range.sheets import ModelSheet
from app.contracts.catalog import BODIES, COLOUR_FAMILIES, FUELS, LIGHT_SIGNATURES, TRAITS

MODELS = load_range().models
EACH_MODEL = pytest.mark.parametrize("sheet", MODELS, ids=lambda sheet: sheet.model_id)
Measure = Callable[[ModelSheet], float]

# Grams of CO2 per litre burned, divided by 100: per 0.01 l/km.
CO2_PER_LITRE_100KM = {"petrol": 23.2, "hybrid": 23.2, "plugin_hybrid": 23.2, "diesel": 26.4}
# One Swedish krona in each market's currency, roughly, before taxes differ.
KRONA = {"SE": 1.0, "NO": 1.0, "DK": 0.66, "FI": 0.09}


def _ranks(values: list[float]) -> list[float]:
    order = sorted(values)
    return [(order.index(v) + len(order) - 1 - order[::-1].index(v)) / 2 for v in values]


def _rank_correlation(x: Measure, y: Measure, sheets: list[ModelSheet]) -> float:
    """Spearman's rank correlation over `sheets`."""
    return statistics.correlation(
        _ranks([x(sheet) for sheet in sheets]), _ranks([y(sheet) for sheet in sheets])
    )


def _vector(sheet: ModelSheet) -> tuple[float, ...]:
    """Specification, each number over the range's own spread, and kinds as 0 or 1."""
    return (
        sheet.length_mm / 2000,
        sheet.height_mm / 800,
        sheet.kerb_mass_kg / 1500,
        sheet.power_kw / 300,
        sheet.seats / 6,
        sheet.boot_litres / 800,
        sheet.tow_kg / 3500,
        sheet.ground_clearance_mm / 110,
        sheet.prices["SE"] / 80_000_000,
        *(float(sheet.body == body) / 2 for body in BODIES),
        *(float(sheet.fuel == fuel) / 2 for fuel in FUELS),
    )


def test_the_range_covers_every_body_fuel_and_seat_count_promised() -> None:
    assert len(MODELS) == 26
    assert {sheet.body for sheet in MODELS} == set(BODIES)
    assert {sheet.fuel for sheet in MODELS} == set(FUELS)
    assert {sheet.seats for sheet in MODELS} == {2, 4, 5, 7, 8}
    assert {sheet.design.light_signature for sheet in MODELS} == set(LIGHT_SIGNATURES)
    assert {paint.family for sheet in MODELS for paint in sheet.colours} == set(COLOUR_FAMILIES)
    prices = sorted(sheet.prices["SE"] for sheet in MODELS)
    assert prices[0] < 25_000_000
    assert prices[-1] > 100_000_000


def test_the_needs_that_the_advisor_asks_for_each_have_a_car() -> None:
    def some(wish: Callable[[ModelSheet], bool]) -> bool:
        return any(wish(sheet) for sheet in MODELS)

    assert some(lambda s: s.fuel == "electric" and s.isofix.three_across and s.seats == 5)
    assert some(lambda s: s.tow_kg >= 3_000)
    assert sum(s.tow_kg >= 2_500 for s in MODELS) >= 5
    assert some(lambda s: s.body == "estate" and s.fuel == "plugin_hybrid")
    assert some(lambda s: s.body == "pickup" and s.fuel == "diesel")
    assert sum(s.personality["sporty"] > 0.9 for s in MODELS) == 2
    assert some(lambda s: s.seats == 8 and s.fuel == "electric")
    assert some(lambda s: s.fuel == "electric" and s.prices["SE"] < 30_000_000)


@EACH_MODEL
def test_proportions_are_those_of_a_car(sheet: ModelSheet) -> None:
    assert 0.55 <= sheet.wheelbase_mm / sheet.length_mm <= 0.65
    assert 0.25 <= sheet.height_mm / sheet.length_mm <= 0.50
    assert 0.34 <= sheet.width_mm / sheet.length_mm <= 0.53
    # Kilograms per square metre: light sports cars at one end, long-range SUVs at the other.
    footprint = sheet.length_mm * sheet.width_mm / 1e6
    assert 150 <= sheet.kerb_mass_kg / footprint <= 290
    if sheet.body in ("suv", "pickup"):
        assert sheet.ground_clearance_mm >= 170


@EACH_MODEL
def test_seats_fit_the_body(sheet: ModelSheet) -> None:
    if sheet.seats >= 7:
        assert sheet.length_mm >= 4_850
        assert sheet.body in ("suv", "mpv", "van")
    if sheet.seats == 2:
        assert sheet.length_mm <= 4_300
        assert sheet.doors <= 3
    assert sheet.isofix.positions <= sheet.seats - 1
    assert not sheet.isofix.three_across or (sheet.seats >= 5 and sheet.width_mm >= 1_880)
    rear_centre = "rear_centre" in sheet.isofix.isize_positions
    assert rear_centre == sheet.isofix.three_across


@EACH_MODEL
def test_consumption_and_co2_agree(sheet: ModelSheet) -> None:
    litres = sheet.wltp.consumption_l_100km
    if litres is None:
        assert sheet.wltp.co2_g_km == 0
    else:
        expected = litres * CO2_PER_LITRE_100KM[sheet.fuel]
        assert sheet.wltp.co2_g_km == pytest.approx(expected, rel=0.03)


@EACH_MODEL
def test_electric_range_is_what_battery_and_energy_allow(sheet: ModelSheet) -> None:
    battery, energy, kilometres = (
        sheet.battery_kwh,
        sheet.wltp.energy_kwh_100km,
        sheet.wltp.electric_range_km,
    )
    if energy is None or battery is None or kilometres is None:
        assert sheet.fuel in ("hybrid", "petrol", "diesel")
    else:
        # Energy is measured at the socket, so charging losses of about a tenth are in it.
        assert kilometres == pytest.approx(100 * battery / energy, rel=0.15)


@EACH_MODEL
def test_acceleration_follows_from_power_and_mass(sheet: ModelSheet) -> None:
    ratio = (sheet.kerb_mass_kg + 75) / sheet.power_kw
    assert sheet.acceleration_s == pytest.approx(1.1 * ratio**0.78, rel=0.15)


@EACH_MODEL
def test_prices_tell_the_same_story_in_every_market(sheet: ModelSheet) -> None:
    ratio = {
        market: sheet.prices[market] / sheet.prices["SE"] / krona for market, krona in KRONA.items()
    }
    assert all(price % 1_000 == 0 for price in sheet.prices.values())
    if sheet.fuel == "electric":
        assert ratio["NO"] < 1
        assert 0.95 < ratio["DK"] < 1.45
        assert 0.95 < ratio["FI"] < 1.05
    else:
        # Registration taxes: Norway's on CO2 and mass, Denmark's on value, Finland's on CO2.
        assert 1.1 < ratio["NO"] < 1.65
        assert 1.2 < ratio["DK"] < 2.0
        assert 1.0 < ratio["FI"] < 1.4


@pytest.mark.parametrize(
    ("x", "y", "least"),
    [
        pytest.param(lambda s: s.length_mm, lambda s: s.kerb_mass_kg, 0.75, id="mass-length"),
        pytest.param(lambda s: s.power_kw, lambda s: s.prices["SE"], 0.8, id="price-power"),
        pytest.param(lambda s: s.length_mm, lambda s: s.prices["SE"], 0.6, id="price-length"),
        pytest.param(
            lambda s: s.power_kw / s.kerb_mass_kg, lambda s: -s.acceleration_s, 0.85, id="quick"
        ),
        pytest.param(lambda s: s.tow_kg, lambda s: s.kerb_mass_kg, 0.4, id="tow-mass"),
    ],
)
def test_measures_rise_together_over_the_range(x: Measure, y: Measure, least: float) -> None:
    assert _rank_correlation(x, y, list(MODELS)) > least


def test_heavier_electric_cars_use_more_energy() -> None:
    electric = [sheet for sheet in MODELS if sheet.fuel == "electric"]
    correlation = _rank_correlation(
        lambda s: s.kerb_mass_kg, lambda s: s.wltp.energy_kwh_100km or 0.0, electric
    )
    assert correlation > 0.8


@pytest.mark.parametrize(
    ("trait", "measure", "least"),
    [
        ("sporty", lambda s: s.power_kw / s.kerb_mass_kg, 0.6),
        ("practical", lambda s: s.boot_max_litres, 0.75),
        ("adventurous", lambda s: s.ground_clearance_mm, 0.6),
        ("comfort", lambda s: s.wheelbase_mm, 0.5),
        ("progressive", lambda s: -s.wltp.co2_g_km, 0.7),
    ],
)
def test_personality_agrees_with_the_sheet(trait: str, measure: Measure, least: float) -> None:
    correlation = _rank_correlation(lambda s: s.personality[trait], measure, list(MODELS))
    assert correlation > least


@pytest.mark.parametrize("trait", TRAITS)
def test_each_trait_is_spread_over_its_scale(trait: str) -> None:
    values = [sheet.personality[trait] for sheet in MODELS]
    assert min(values) <= 0.2
    assert max(values) >= 0.9
    assert statistics.pstdev(values) >= 0.2


def test_no_two_models_are_alike() -> None:
    for one, other in itertools.combinations(MODELS, 2):
        pair = f"{one.name} and {other.name}"
        assert math.dist(_vector(one), _vector(other)) > 0.4, pair
        traits = [[sheet.personality[trait] for trait in TRAITS] for sheet in (one, other)]
        assert math.dist(*traits) > 0.25, pair
        assert one.design != other.design, pair


@EACH_MODEL
def test_every_model_has_paints_equipment_and_words_of_its_own(sheet: ModelSheet) -> None:
    assert 5 <= len(sheet.colours) <= 8
    assert len({paint.hex for paint in sheet.colours}) == len(sheet.colours)
    assert 4 <= len(sheet.equipment) <= 8
    for text in sheet.texts.values():
        assert 2 <= text.description.count(". ") + 1 <= 4
        assert len(text.tagline) <= 60
        assert 100 <= len(text.description) <= 330
    others = [other for other in MODELS if other is not sheet]
    assert not [o for o in others for lang, t in o.texts.items() if t == sheet.texts[lang]]


@EACH_MODEL
def test_equipment_and_sheet_do_not_contradict_each_other(sheet: ModelSheet) -> None:
    codes = {item.code for item in sheet.equipment}
    assert ("three_isofix" in codes) == sheet.isofix.three_across
    assert ("seven_seats" in codes) == (sheet.seats == 7)
    assert ("eight_seats" in codes) == (sheet.seats == 8)
    assert not codes & {"towbar_fold", "trailer_assist"} or sheet.tow_kg >= 2_000
    assert not {code for code in codes if code.startswith("dc_")} or sheet.fuel == "electric"
    assert ("manual_six" in codes) <= (sheet.transmission == "manual")
    assert (sheet.transmission == "single_speed") == (sheet.fuel == "electric")
