"""The shopper who knows the range: straight to available cars, and orders one."""

from dataclasses import dataclass
from typing import ClassVar

from loadtests.journeys.browse import CAR_PAGE, CARS_PAGE
from loadtests.journeys.journey import Ending, Steps
from loadtests.journeys.purchase import Purchase
from loadtests.shop import DECLINED_CARD


@dataclass
class Direct(Purchase):
    """Find, look, hold, order, pay, own."""

    name = "direct_purchase"

    def open_stock(self) -> None:
        self.shopper.open(CARS_PAGE, page=CARS_PAGE)

    def search(self) -> Ending | None:
        found = self.shop.cars(self.shopper.market, sort="price", limit=50)
        self.shopper.dice.shuffle(found)
        self.candidates = found
        return None if found else Ending.NO_CAR

    def look_closely(self) -> None:
        self.shopper.open(f"/cars/{self.candidates[0]['car_id']}", page=CAR_PAGE)

    finding: ClassVar[Steps] = ((open_stock, 0.0), (search, 4.0), (look_closely, 5.0))
    steps: ClassVar[Steps] = (
        *finding,
        (Purchase.take_a_car, 6.0),
        (Purchase.read_details, 0.0),
        (Purchase.give_details, 15.0),
        (Purchase.pay, 10.0),
        (Purchase.wait_for_the_car, 0.0),
    )


@dataclass
class DeclineThenPay(Direct):
    """The first card is declined; a second order for the same held car is paid with another."""

    name = "decline_then_pay"

    def pay_with_an_empty_card(self) -> Ending | None:
        """A declined order is over, but its car is still held for us."""
        self.shop.pay(self.order, DECLINED_CARD)
        state = self.shop.await_decision(self.order)
        # A declined card that pays is as wrong as a good one that does not.
        return None if state == "declined" else Ending.FAILED

    steps: ClassVar[Steps] = (
        *Direct.finding,
        (Purchase.take_a_car, 6.0),
        (Purchase.read_details, 0.0),
        (Purchase.give_details, 15.0),
        (pay_with_an_empty_card, 10.0),
        (Purchase.give_details, 4.0),
        (Purchase.pay, 8.0),
        (Purchase.wait_for_the_car, 0.0),
    )


@dataclass
class LeaveAtHold(Direct):
    """Holds a car, thinks again and gives it back."""

    name = "leave_at_hold"
    final = Ending.ABANDONED

    def give_back(self) -> None:
        self.shop.release(self.hold)

    steps: ClassVar[Steps] = (*Direct.finding, (Purchase.take_a_car, 6.0), (give_back, 12.0))


@dataclass
class LeaveAtPayment(Direct):
    """Orders, sees the payment page, closes the tab: the hold must expire by itself."""

    name = "leave_at_payment"
    final = Ending.ABANDONED

    steps: ClassVar[Steps] = (
        *Direct.finding,
        (Purchase.take_a_car, 6.0),
        (Purchase.read_details, 0.0),
        (Purchase.give_details, 15.0),
    )
