"""The shopper whose life changed: answers the advisor's questions, and perhaps buys the match."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from loadtests.journeys.browse import CAR_PAGE
from loadtests.journeys.journey import Ending, Steps
from loadtests.journeys.purchase import Purchase

ADVISOR_PAGE = "/advisor"
PLACES = {
    "SE": (59.33, 18.07),
    "NO": (59.91, 10.75),
    "DK": (55.68, 12.57),
    "FI": (60.17, 24.94),
}
"""The four capitals, as the shoppers' places."""
CAR_KINDS = ("nearest", "ready_today", "cheapest", "colour")


@dataclass
class Advice(Purchase):
    """Asks the advisor, reads the matches, looks at the best car, buys nothing."""

    name = "advice"
    entry = "advisor"
    final = Ending.BROWSED
    answer: dict[str, Any] = field(default_factory=dict)

    def open_advisor(self) -> None:
        self.shopper.open(ADVISOR_PAGE, page=ADVISOR_PAGE)

    def ask(self) -> Ending | None:
        dice = self.shopper.dice
        lat, lon = PLACES[self.shopper.market]
        traits = dice.sample(("sporty", "comfort", "expressive", "practical", "adventurous"), 3)
        self.answer = self.shop.matches(
            {
                "market": self.shopper.market,
                "needs": {
                    "seats": dice.choice((2, 4, 5, 5, 5, 7)),
                    "child_seats": dice.choice((0, 0, 1, 2)),
                    "luggage_litres": dice.choice((200, 350, 450)),
                },
                "preferences": {trait: round(dice.random(), 2) for trait in traits},
                "location": {"lat": lat + dice.gauss(0, 1), "lon": lon + dice.gauss(0, 1)},
            }
        )
        self.advice_id = str(self.answer.get("advice_id", ""))
        self.candidates = _cars_of(self.answer)
        return None if self.candidates else Ending.NO_CAR

    def look_at_the_match(self) -> None:
        self.shopper.open(f"/cars/{self.candidates[0]['car_id']}", page=CAR_PAGE)

    asking: ClassVar[Steps] = ((open_advisor, 0.0), (ask, 12.0), (look_at_the_match, 10.0))
    steps: ClassVar[Steps] = asking


@dataclass
class Advised(Advice):
    """Asks, trusts the best match, and buys that very car."""

    name = "advised_purchase"
    final = Ending.CONFIRMED

    steps: ClassVar[Steps] = (
        *Advice.asking,
        (Purchase.take_a_car, 8.0),
        (Purchase.read_details, 0.0),
        (Purchase.give_details, 15.0),
        (Purchase.pay, 10.0),
        (Purchase.wait_for_the_car, 0.0),
    )


def _cars_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The exact cars behind the matches, best match first, each car once."""
    cars: dict[str, dict[str, Any]] = {}
    for match in answer.get("matches", []):
        kinds = match.get("cars") or {}
        for kind in CAR_KINDS:
            car = kinds.get(kind)
            if isinstance(car, dict) and "car_id" in car:
                cars.setdefault(car["car_id"], car)
    return list(cars.values())
