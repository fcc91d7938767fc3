"""What every purchase has in common: hold a car, order it, pay for it, wait for it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from loadtests.journeys.journey import Ending, Journey
from loadtests.shop import CHALLENGED_CARD, PAYING_CARD, Hold, Order

DETAILS_PAGE = "/purchases/{hold_id}"
CHALLENGE_SHARE = 0.2
"""Share of payments whose bank asks for 3-D Secure; under PSD2 most small-risk ones are exempt."""
RACES = 3
"""How many cars a shopper tries before giving up when others are faster."""


@dataclass
class Purchase(Journey):
    """A purchase; how the shopper found `candidates` is the subclass's part."""

    entry: ClassVar[str] = "direct"
    final = Ending.CONFIRMED

    candidates: Sequence[dict[str, Any]] = field(default_factory=list)
    advice_id: str = ""
    hold: Hold = field(init=False)
    order: Order = field(init=False)

    def take_a_car(self) -> Ending | None:
        """Hold one of the candidates; another when somebody was faster."""
        for car in self.candidates[:RACES]:
            hold = self.shop.hold(car["car_id"])
            if hold is not None:
                self.hold = hold
                return None
        return Ending.SOLD_OUT

    def read_details(self) -> None:
        """The page with the countdown, which belongs to the session that holds the car."""
        self.shopper.open(f"/purchases/{self.hold.hold_id}", page=DETAILS_PAGE)

    def give_details(self) -> None:
        self.order = self.shop.order(self.hold, entry=self.entry, advice_id=self.advice_id)

    def pay(self) -> None:
        challenged = self.shopper.dice.random() < CHALLENGE_SHARE
        self.shop.pay(self.order, CHALLENGED_CARD if challenged else PAYING_CARD)

    def wait_for_the_car(self) -> Ending | None:
        state = self.shop.await_decision(self.order)
        if state == "confirmed":
            return None
        return Ending.UNCONFIRMED if state == "payment_pending" else Ending.DECLINED
