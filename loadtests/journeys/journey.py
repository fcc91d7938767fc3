"""What a journey is: a name, steps in order, and a think time before each step but the first."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Final

from loadtests.pace import Pace
from loadtests.shop import Shop, ShopFailed
from telemetry.catalogue.labels import SHOP_MARKETS

FRONT = "/{market}/{language}"
"""The template that every page's address begins with."""
MARKET_WEIGHTS = (45, 20, 20, 15)
"""Roughly the populations of the four markets."""


class Ending(StrEnum):
    """How a journey ended. Only `failed` and `unconfirmed` are the shop's fault."""

    BOUNCED = "bounced"
    BROWSED = "browsed"
    NO_CAR = "no_car"
    SOLD_OUT = "sold_out"
    ABANDONED = "abandoned"
    DECLINED = "declined"
    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"
    """Paid, but not decided within the shopper's patience."""
    FAILED = "failed"

    @property
    def let_down(self) -> bool:
        return self in (Ending.UNCONFIRMED, Ending.FAILED)


@dataclass
class Shopper:
    """One synthetic person: the shop they visit, their dice, pace and market."""

    shop: Shop
    dice: random.Random
    pace: Pace
    market: str

    def open(self, path: str, *, page: str) -> str:
        """A page of the shop front; `path` and its template `page` follow market and language.

        A visit's first page asks for an empty style sheet, by which the shop sees that a browser
        has it; browsers keep the others.
        """
        text = self.shop.page(f"{self._front()}{path}", name=f"{FRONT}{page}").text()
        if SEEN in text:
            self.shop.page(SEEN, name=SEEN)
        return text

    def press(self, path: str, *, page: str) -> None:
        """A page's button: an empty form, and the page that it leads to."""
        self.shop.press(f"{self._front()}{path}", name=f"{FRONT}{page}")

    def _front(self) -> str:
        return f"/{self.market.lower()}/{'sv' if self.market == 'SE' else 'en'}"

    def think(self, median_seconds: float) -> None:
        time.sleep(self.pace.seconds(median_seconds, self.dice))


@dataclass(frozen=True, slots=True)
class Visit:
    """What became of one journey; `reason` names the failed step and answer."""

    journey: str
    ending: Ending
    reason: str = ""


Step = Callable[..., Ending | None]
"""A method of a journey; an ending returned ends the journey there."""
Steps = Sequence[tuple[Step, float]]


SEEN: Final = "/seen.css"


@dataclass
class Journey:
    """A shopper's plan. Steps run once each, in order, until one returns an ending."""

    name: ClassVar[str]
    steps: ClassVar[Steps]
    """Each step with the median seconds that the shopper thinks before it."""
    final: ClassVar[Ending]
    """The ending when all steps were taken."""

    shopper: Shopper
    shop: Shop = field(init=False)

    def __post_init__(self) -> None:
        self.shop = self.shopper.shop

    def run(self) -> Visit:
        """Take the steps; a shop that fails ends the visit, and the visit says where."""
        try:
            return Visit(self.name, self._ending())
        except ShopFailed as failure:
            return Visit(self.name, Ending.FAILED, str(failure))
        except LookupError as missing:
            # An answer without a field that the contract promises is the shop's failure too.
            return Visit(self.name, Ending.FAILED, f"an answer without {missing}")

    def _ending(self) -> Ending:
        for number, (step, think_seconds) in enumerate(self.steps):
            if number:
                self.shopper.think(think_seconds)
            ending = step(self)
            if ending is not None:
                return ending
        return self.final


def a_market(dice: random.Random) -> str:
    return dice.choices(SHOP_MARKETS, MARKET_WEIGHTS)[0]
