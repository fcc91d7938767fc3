"""Which exact cars of a model to show: nearest, cheapest, ready today, in a wished colour. Pure."""

from __future__ import annotations

from app.advisor.needs import Candidate
from app.advisor.showroom import OfferedCar
from app.advisor.viewpoint import Viewpoint
from app.contracts.advisor import ChosenCars


def chosen_cars(candidate: Candidate, view: Viewpoint) -> ChosenCars:
    """Each choice is within the needs; among equals the nearer, then the cheaper car wins."""

    def near(offered: OfferedCar) -> tuple[float, int, str]:
        away = view.distance_km(offered)
        return (float("inf") if away is None else away, offered.price, offered.car_id)

    cars = candidate.cars
    chosen = {
        "nearest": min(cars, key=near) if view.place is not None else None,
        "cheapest": min(cars, key=lambda offered: (offered.price, *near(offered))),
        "ready_today": min(filter(view.ready_today, cars), key=near, default=None),
        "colour": min(filter(view.has_wished_colour, cars), key=near, default=None),
    }
    return ChosenCars(
        **{
            name: None if offered is None else view.shown(offered)
            for name, offered in chosen.items()
        }
    )
