"""Turning an arrival into a shopper who walks through the shop."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from loadtests.arrivals import Arrival
from loadtests.journeys.journey import Shopper, Visit, a_market
from loadtests.orders import OrderBook
from loadtests.pace import Pace
from loadtests.shop import Patience, Shop, ShopClient
from loadtests.signing import Signature

USER_AGENTS = {
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Mobile VitrineRehearsal/1": 64,
    "Mozilla/5.0 (X11; Linux x86_64) VitrineRehearsal/1": 30,
    "Mozilla/5.0 (iPad; CPU OS 19_0 like Mac OS X) VitrineRehearsal/1": 6,
}
"""Devices and their shares: 64 % of visits are mobile (Contentsquare)."""


@dataclass(frozen=True)
class Visitors:
    """Makes shoppers: each has a client of its own from `new_client`, closed when they leave."""

    base_url: str
    new_client: Callable[[], ShopClient]
    book: OrderBook
    signature: Signature
    pace: Pace
    patience: Patience = field(default_factory=Patience)

    def __call__(self, arrival: Arrival) -> Visit:
        """One shopper's whole visit."""
        dice = random.Random(arrival.seed)
        client = self.new_client()
        shop = Shop(
            client=client,
            base_url=self.base_url,
            signature=self.signature,
            book=self.book,
            dice=dice,
            patience=self.patience,
            user_agent=dice.choices(list(USER_AGENTS), list(USER_AGENTS.values()))[0],
        )
        try:
            return arrival.journey(Shopper(shop, dice, self.pace, a_market(dice))).run()
        finally:
            client.close()
