"""Which exact cars of a model to show: nearest, cheapest, ready today, in a wished colour. Pure."""

from __future__ import annotations

from itertools import takewhile
from math import inf

from app.advisor.needs import Candidate
from app.advisor.showroom import OfferedCar
from app.advisor.viewpoint import Viewpoint
from app.contracts.advisor import ChosenCars


def chosen_cars(candidate: Candidate, view: Viewpoint) -> ChosenCars:
    """Each choice is within the needs; among equals the nearer, then the cheaper car wins."""

    def away(offered: OfferedCar) -> float:
        known = view.distance_km(offered.stand)
        return inf if known is None else known

    def ready_today(offered: OfferedCar) -> bool:
        return view.ready_today(offered.stand)

    # They come cheapest first, and of equals `min` takes the first.
    cars = candidate.cars
    cheapest = takewhile(lambda offered: offered.price == candidate.price, cars)
    chosen = {
        "nearest": min(cars, key=away) if view.place is not None else None,
        "cheapest": min(cheapest, key=away),
        "ready_today": min(filter(ready_today, cars), key=away, default=None),
        "colour": min(filter(view.has_wished_colour, cars), key=away, default=None),
    }
    return ChosenCars(
        **{
            name: None if offered is None else view.shown(offered)
            for name, offered in chosen.items()
        }
    )
