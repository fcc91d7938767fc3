"""Where and when a shopper stands: distances and handover times as they see them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from app.advisor.showroom import OfferedCar, Stand
from app.contracts.catalog import Car
from app.kernel.geo import distance_km
from app.kernel.opening import closing_today


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """`place` is (latitude, longitude) in degrees or None; `colours` are wished, case-folded."""

    now: datetime
    place: tuple[float, float] | None
    colours: frozenset[str]
    _distances: dict[str, float] = field(default_factory=dict)
    _closings: dict[str, datetime | None] = field(default_factory=dict)
    _ready: dict[Stand, datetime | None] = field(default_factory=dict)

    def distance_km(self, stand: Stand) -> float | None:
        """To the dealer, to 0.1 km; None without a place."""
        dealer = stand.dealer
        if self.place is None or dealer.lat is None or dealer.lon is None:
            return None
        if dealer.dealer_id not in self._distances:
            away = distance_km(*self.place, dealer.lat, dealer.lon)
            self._distances[dealer.dealer_id] = round(away, 1)
        return self._distances[dealer.dealer_id]

    def ready_at(self, stand: Stand) -> datetime | None:
        """When a car there can be handed over; worked out once for all that are alike."""
        if stand not in self._ready:
            self._ready[stand] = stand.ready_at(self.now)
        return self._ready[stand]

    def ready_today(self, stand: Stand) -> bool:
        """The dealer is still to close today, and the car is ready before that."""
        dealer = stand.dealer
        if dealer.dealer_id not in self._closings:
            closing = closing_today(stand.calendar, self.now)
            self._closings[dealer.dealer_id] = closing
        closing, ready = self._closings[dealer.dealer_id], self.ready_at(stand)
        return closing is not None and ready is not None and ready < closing

    def days_to_handover(self, stand: Stand) -> float | None:
        """From now, in days to 0.1; None when not stated."""
        ready = self.ready_at(stand)
        return None if ready is None else round((ready - self.now).total_seconds() / 86_400, 1)

    def has_wished_colour(self, offered: OfferedCar) -> bool:
        return offered.colour_family in self.colours or offered.colour_name in self.colours

    def shown(self, offered: OfferedCar) -> Car:
        """The wire car with what depends on place and time filled in."""
        car, stand = offered.car, offered.stand
        return car.model_copy(
            update={
                "dealer": car.dealer.model_copy(update={"distance_km": self.distance_km(stand)}),
                "ready_for_handover_at": self.ready_at(stand),
                "ready_today": self.ready_today(stand),
            }
        )
