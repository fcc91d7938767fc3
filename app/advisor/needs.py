"""Hard needs: what a car must have. A model that misses one is never a match. Pure.

`min_range_km` is asked of battery-electric cars only: every other car refuels in minutes. Child
seats count ISOFIX positions in the rear; the front one depends on the airbag and is left out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.advisor.showroom import OfferedCar, Offers, Stand
from app.contracts.advisor import Needs
from app.contracts.catalog import Model

Stated = int | list[str]
"""A need as the shopper states it."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that meets every need, with its cars within budget, cheapest first; at least one."""

    model: Model
    cars: Sequence[OfferedCar]

    @property
    def price(self) -> int:
        """The cheapest car's price in minor units."""
        return self.cars[0].price

    @property
    def stands(self) -> set[Stand]:
        """Where they stand and when they can be had: far fewer than there are cars."""
        return {car.stand for car in self.cars}


def child_seat_positions(model: Model) -> int:
    return model.isofix.rear_outer + int(model.isofix.three_across)


AT_LEAST: Final[Mapping[str, Callable[[Model], int]]] = {
    "seats": lambda model: model.seats,
    "luggage_litres": lambda model: model.boot_litres,
    "towing_kg": lambda model: model.tow_kg,
    "child_seats": child_seat_positions,
}
"""Needs that a model meets with this many or more."""

ONE_OF: Final[Mapping[str, Callable[[Model], str]]] = {
    "fuels": lambda model: model.fuel,
    "bodies": lambda model: model.body,
}
"""Needs that a model meets by being one of those wanted."""


def range_limit_km(model: Model) -> int | None:
    """How far the model goes before it must charge; None when it refuels instead."""
    return model.wltp.electric_range_km or 0 if model.fuel == "electric" else None


def missed(needs: Needs, model: Model, cheapest: int) -> dict[str, Stated]:
    """Need to the value it would have to be loosened to for this model; empty when all are met.

    `cheapest` is the price of the model's cheapest car.
    """
    found: dict[str, Stated] = {}
    for need, measure in AT_LEAST.items():
        wanted: int | None = getattr(needs, need)
        if wanted is not None and measure(model) < wanted:
            found[need] = measure(model)
    for need, kind in ONE_OF.items():
        choices: list[str] = getattr(needs, need)
        if choices and kind(model) not in choices:
            found[need] = [*choices, kind(model)]
    limit = range_limit_km(model)
    if needs.min_range_km is not None and limit is not None and limit < needs.min_range_km:
        found["min_range_km"] = limit
    if needs.all_wheel_drive and model.drivetrain != "awd":
        found["all_wheel_drive"] = 0
    if needs.max_price is not None and cheapest > needs.max_price:
        found["max_price"] = cheapest
    return found


def candidates_of(needs: Needs, offers: Offers, models: Mapping[str, Model]) -> list[Candidate]:
    """Every model on offer that meets every need, in a fixed order."""
    found = []
    for model_id in sorted(offers):
        model, cars = models.get(model_id), offers[model_id]
        if model is None or missed(needs, model, cars[0].price):
            continue
        budget = needs.max_price
        within = len(cars) if budget is None else bisect_right(cars, budget, key=_price)
        found.append(Candidate(model, cars[:within]))
    return found


def _price(offered: OfferedCar) -> int:
    return offered.price
