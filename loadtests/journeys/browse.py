"""Looking without buying: the half that leaves at once, and those who look at some cars."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from loadtests.journeys.journey import Ending, Journey, Steps

CARS_PAGE = "/cars"
CAR_PAGE = "/cars/{car_id}"


@dataclass
class Bounce(Journey):
    """One page, then gone (49 % of mobile visits: Contentsquare, 20 B sessions)."""

    name = "bounce"
    final = Ending.BOUNCED

    def land(self) -> None:
        self.shopper.open("", page="")

    steps: ClassVar[Steps] = ((land, 0.0),)


@dataclass
class Browse(Journey):
    """Pages and searches, two cars looked at closely, no purchase today."""

    name = "browse"
    final = Ending.BROWSED
    found: list[dict[str, Any]] = field(default_factory=list)

    def land(self) -> None:
        self.shopper.open("", page="")

    def open_stock(self) -> None:
        self.shopper.open(CARS_PAGE, page=CARS_PAGE)

    def search(self) -> Ending | None:
        order = self.shopper.dice.choice(("price", "ready"))
        self.found = self.shop.cars(self.shopper.market, sort=order, limit=24)
        return None if self.found else Ending.NO_CAR

    def look_closely(self) -> None:
        car = self.shopper.dice.choice(self.found)
        self.shopper.open(f"/cars/{car['car_id']}", page=CAR_PAGE)

    def look_at_another(self) -> None:
        self.shop.car(self.shopper.dice.choice(self.found)["car_id"])

    steps: ClassVar[Steps] = (
        (land, 0.0),
        (open_stock, 4.0),
        (search, 5.0),
        (look_closely, 6.0),
        (look_at_another, 8.0),
    )
