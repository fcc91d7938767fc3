"""What must hold for any advice: needs are kept, numbers add up, ways out are real."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.advisor.matching import Advice, advise, viewpoint
from app.advisor.needs import candidates_of, child_seat_positions
from app.advisor.relaxations import apply, changes_of
from app.advisor.wishes import score, wishes_of
from app.contracts.advisor import ChosenCars, Match, MatchRequest, Needs
from app.contracts.catalog import BODIES, FUELS, TRAITS, Car
from app.contracts.wire import LANGUAGES
from telemetry.catalogue.labels import MARKETS, SHOP_MARKETS
from tests.builders.showroom import TUESDAY, shipped_showroom

COLOURS = ["white", "blue", "green", "Djupfjord", "no such colour"]

needs = st.fixed_dictionaries(
    {},
    optional={
        "seats": st.integers(1, 9),
        "child_seats": st.integers(0, 6),
        "luggage_litres": st.integers(0, 1300),
        "towing_kg": st.integers(0, 3600),
        "max_price": st.integers(1, 150_000_000),
        "min_range_km": st.integers(0, 700),
        "fuels": st.lists(st.sampled_from(FUELS), max_size=3, unique=True),
        "bodies": st.lists(st.sampled_from(BODIES), max_size=3, unique=True),
        "all_wheel_drive": st.booleans(),
    },
)
preferences = st.dictionaries(st.sampled_from(TRAITS), st.floats(0, 1), max_size=6)
locations = st.none() | st.fixed_dictionaries(
    {"lat": st.floats(-90, 90), "lon": st.floats(-180, 180)}
)
requests = st.fixed_dictionaries(
    {
        "market": st.sampled_from(MARKETS),
        "needs": needs,
        "preferences": preferences,
        "location": locations,
        "colours": st.lists(st.sampled_from(COLOURS), max_size=3),
        "limit": st.integers(1, 20),
    }
).map(MatchRequest.model_validate)

any_advice = settings(deadline=None, max_examples=150)


def advice(request: MatchRequest, language: str = "en") -> Advice:
    return advise(shipped_showroom(), request, now=TUESDAY, language=language, rehearsal=False)


def wanted(market: str = "SE", **fields: Any) -> MatchRequest:
    return MatchRequest.model_validate({"market": market, **fields})


def cars_of(chosen: ChosenCars) -> Sequence[Car]:
    all_four = (chosen.nearest, chosen.cheapest, chosen.ready_today, chosen.colour)
    return [car for car in all_four if car is not None]


def violations(match: Match, asked: Needs) -> list[str]:
    """Written apart from the code under test: each need as the contract states it."""
    model = match.model
    found = {
        "seats": asked.seats is not None and model.seats < asked.seats,
        "child_seats": child_seat_positions(model) < (asked.child_seats or 0),
        "luggage": model.boot_litres < (asked.luggage_litres or 0),
        "towing": model.tow_kg < (asked.towing_kg or 0),
        "fuels": bool(asked.fuels) and model.fuel not in asked.fuels,
        "bodies": bool(asked.bodies) and model.body not in asked.bodies,
        "awd": bool(asked.all_wheel_drive) and model.drivetrain != "awd",
        "range": model.fuel == "electric"
        and (model.wltp.electric_range_km or 0) < (asked.min_range_km or 0),
        "price": asked.max_price is not None
        and any(car.price.amount > asked.max_price for car in cars_of(match.cars)),
        "model": any(car.model_id != model.model_id for car in cars_of(match.cars)),
        "state": any(car.state != "available" for car in cars_of(match.cars)),
        "none": match.available < 1 or match.cars.cheapest is None,
    }
    return [name for name, violated in found.items() if violated]


@any_advice
@given(requests)
def test_no_match_ever_misses_a_need(request: MatchRequest) -> None:
    for match in advice(request).matches:
        assert violations(match, request.needs) == []
        assert {car.market for car in cars_of(match.cars)} == {request.market}


@any_advice
@given(requests)
def test_matches_come_best_first_and_say_why_and_why_not(request: MatchRequest) -> None:
    matches = advice(request).matches

    scores = [match.score for match in matches]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= value <= 1 for value in scores)
    assert len(matches) <= request.limit
    for match in matches:
        assert 1 <= len(match.because) <= 3
        assert 1 <= len(match.trade_offs) <= 2
        codes = [reason.code for reason in (*match.because, *match.trade_offs)]
        assert len(set(codes)) == len(codes)
        for reason in (*match.because, *match.trade_offs):
            assert reason.text.strip()
            assert "{" not in reason.text
            expected = reason.weight * (reason.utility - reason.average)
            assert reason.contribution == pytest.approx(expected, abs=1e-6)


@any_advice
@given(requests)
def test_scores_are_the_weighted_wishes_and_averages_the_candidates(request: MatchRequest) -> None:
    room = shipped_showroom()
    offers = room.offers(rehearsal=False, market=request.market)
    candidates = candidates_of(request.needs, offers, room.models)
    if not candidates:
        return
    wishes = wishes_of(request, candidates, viewpoint(request, TUESDAY))
    ranked = score(candidates, wishes)

    assert sum(wish.weight for wish in wishes) == pytest.approx(1)
    mean = sum(scored.score for scored in ranked) / len(ranked)
    for scored in ranked:
        parts = scored.ratings
        assert scored.score == pytest.approx(sum(r.wish.weight * r.utility for r in parts))
        assert scored.score - mean == pytest.approx(sum(r.contribution for r in parts), abs=1e-9)
        assert all(0 <= rating.utility <= 1 for rating in parts)


@any_advice
@given(requests)
def test_a_way_out_brings_exactly_the_cars_that_it_promises(request: MatchRequest) -> None:
    found = advice(request)
    on_offer = shipped_showroom().offers(rehearsal=False, market=request.market)

    assert not (found.matches and found.relaxations)
    if not found.matches:
        assert bool(found.relaxations) == bool(on_offer)
    for way in found.relaxations:
        relaxed = apply(request.needs, way)
        after = advice(request.model_copy(update={"needs": relaxed, "limit": 20}))
        named = {change.need for change in changes_of(way)}
        before, now = request.needs.model_dump(), relaxed.model_dump()
        assert {need for need in before if before[need] != now[need]} == named
        candidates = candidates_of(relaxed, on_offer, shipped_showroom().models)
        assert way.models == len(candidates) > 0
        assert way.cars == sum(len(candidate.cars) for candidate in candidates)
        assert after.matches


@any_advice
@given(requests)
def test_child_seats_give_way_last_and_never_without_being_named(request: MatchRequest) -> None:
    ways = advice(request).relaxations

    places = [
        ("child_seats" in {change.need for change in changes_of(way)}, len(changes_of(way)))
        for way in ways
    ]
    assert places == sorted(places)
    for way in ways:
        if apply(request.needs, way).child_seats != request.needs.child_seats:
            assert way.need == "child_seats"


@any_advice
@given(requests, st.sampled_from(LANGUAGES))
def test_the_same_question_gets_the_same_answer(request: MatchRequest, language: str) -> None:
    assert advice(request, language) == advice(request, language)


@pytest.mark.parametrize("market", SHOP_MARKETS)
@pytest.mark.parametrize("trait", TRAITS)
def test_character_moves_the_advice_its_way(market: str, trait: str) -> None:
    def first_five(value: float) -> float:
        matches = advice(wanted(market, preferences={trait: value})).matches
        return sum(match.model.personality[trait] for match in matches) / len(matches)

    assert first_five(0.95) > first_five(0.05)


@pytest.mark.parametrize("market", SHOP_MARKETS)
def test_a_sporty_shopper_is_shown_a_sporty_car_first(market: str) -> None:
    sporty = advice(wanted(market, preferences={"sporty": 0.95, "expressive": 0.8})).matches[0]
    calm = advice(wanted(market, preferences={"sporty": 0.05, "comfort": 0.9})).matches[0]

    assert sporty.model.personality["sporty"] >= 0.6
    assert calm.model.personality["sporty"] <= 0.4
    assert "sporty" in [reason.code for reason in sporty.because]


def test_character_alone_excludes_no_model() -> None:
    plain = advice(wanted(limit=20)).matches
    stated = advice(wanted(limit=20, preferences={"sporty": 1.0})).matches

    assert len(plain) == len(stated) == 20


def test_exact_cars_are_the_best_of_the_model_in_each_respect() -> None:
    request = wanted(location={"lat": 57.7, "lon": 11.97}, colours=["blue"], limit=20)
    offers = shipped_showroom().offers(rehearsal=False, market="SE")
    view = viewpoint(request, TUESDAY)

    for match in advice(request).matches:
        cars = offers[match.model.model_id]
        chosen = match.cars
        assert chosen.cheapest is not None
        assert chosen.cheapest.price.amount == min(car.price for car in cars)
        assert chosen.nearest is not None
        assert chosen.nearest.dealer.distance_km == min(
            km for car in cars if (km := view.distance_km(car.stand)) is not None
        )
        assert (chosen.ready_today is not None) == any(view.ready_today(car.stand) for car in cars)
        assert chosen.ready_today is None or chosen.ready_today.ready_today
        assert chosen.colour is None or chosen.colour.colour.family == "blue"
        assert (chosen.colour is not None) == any(map(view.has_wished_colour, cars))


def test_a_market_without_cars_gets_neither_matches_nor_promises() -> None:
    assert advice(wanted("US")) == Advice((), ())


def test_seven_seats_with_three_child_seats_are_never_quietly_fewer() -> None:
    found = advice(wanted(needs={"seats": 7, "child_seats": 3, "max_price": 20_000_000}))

    assert found.matches == ()
    first, *_ = found.relaxations
    assert (first.need, first.from_, first.also) == ("max_price", 20_000_000, [])
