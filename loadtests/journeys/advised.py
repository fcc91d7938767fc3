"""The shopper whose life changed: answers the advisor's questions, and perhaps buys the match."""

import re
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlencode

from loadtests.journeys.browse import CAR_PAGE
from loadtests.journeys.journey import Ending, Steps
from loadtests.journeys.purchase import Purchase

ADVISOR_PAGE = "/advisor"
MATCHES_PAGE = "/advisor/matches"
TRAITS = ("sporty", "comfort", "expressive", "practical", "adventurous", "progressive")
_CAR_LINK = re.compile(r'href="[^"?]*/cars/([A-Za-z0-9_.:-]+)"')


@dataclass
class Advice(Purchase):
    """Asks the advisor, reads the matches, looks at the best car, buys nothing."""

    name = "advice"
    entry = "advisor"
    final = Ending.BROWSED

    def open_advisor(self) -> None:
        self.shopper.open(ADVISOR_PAGE, page=ADVISOR_PAGE)

    def begin(self) -> None:
        self.shopper.press(ADVISOR_PAGE, page=ADVISOR_PAGE)

    def ask(self) -> Ending | None:
        """All answers at once, as the last question's page sends them on to the matches."""
        dice = self.shopper.dice
        answers: dict[str, int] = {
            "seats": dice.choice((2, 4, 5, 5, 5, 7)),
            "child_seats": dice.choice((0, 0, 1, 2)),
            "luggage_litres": dice.choice((200, 350, 450)),
            **{trait: dice.randrange(5) for trait in dice.sample(TRAITS, 3)},
        }
        matches = self.shopper.open(f"{MATCHES_PAGE}?{urlencode(answers)}", page=MATCHES_PAGE)
        self.candidates = [{"car_id": car_id} for car_id in cars_on(matches)]
        return None if self.candidates else Ending.NO_CAR

    def look_at_the_match(self) -> None:
        self.shopper.open(f"/cars/{self.candidates[0]['car_id']}", page=CAR_PAGE)

    asking: ClassVar[Steps] = (
        (open_advisor, 0.0),
        (begin, 4.0),
        (ask, 12.0),
        (look_at_the_match, 10.0),
    )
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


def cars_on(page: str) -> list[str]:
    """The exact cars that a page leads to, best match first, each once."""
    return list(dict.fromkeys(_CAR_LINK.findall(page)))
