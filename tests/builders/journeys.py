"""Random journeys through the shop, and a ledger that was told of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Any

from app.contracts import events as facts
from app.frame.data.database import Database
from app.insight.ledger.projections import Projection
from app.insight.ledger.store import Store
from app.insight.models import METADATA
from app.kernel.channels import CHANNEL_GROUPS
from app.kernel.clock import ManualClock
from app.kernel.facts import EventContext
from telemetry.catalogue.labels import DEVICES, ENTRIES, MARKETS
from tests.builders.facts import (
    HUMAN,
    START,
    Stated,
    Writer,
    advice,
    attempted,
    cancelled,
    confirmed,
    hold,
    refused,
    released,
    returned,
    submitted,
    visit,
)

DAYS = 12


@dataclass(frozen=True)
class Journey:
    """A random visit of somebody, as the facts that tell of it."""

    random: Random
    number: int

    def context(self) -> EventContext:
        pick = self.random.choice
        return replace(
            HUMAN,
            session_id=f"ses_{self.number}",
            visitor_id=pick(["", f"vis_{self.number % 17}"]),
            market=pick(MARKETS[:4]),
            device=pick(DEVICES),
            entry=pick(ENTRIES),
            traffic=pick(["human", "human", "human", "bot", "suspect"]),
            campaign=pick(["", "newsletter", "never-registered"]),
        )

    def facts(self) -> Iterator[Stated]:
        pick, number = self.random.choice, str(self.number)
        context = self.context()
        brought = {"channel_group": pick(CHANNEL_GROUPS)}
        yield from visit(context, pick([(), ("home",), ("home", "cars", "car")]), **brought)
        if pick([True, False]):
            yield from advice(context, f"adv_{number}", pick([None, "completed", "no_match"]))
        if pick([True, False]):
            nps, csat = self.random.randint(0, 10), self.random.randint(1, 5)
            answered = facts.FeedbackGiven("order", csat, nps, order_id=f"ord_{number}")
            yield Stated("insight", answered, context, 400)
        yield from self._purchase(context, number, brought)

    def _purchase(
        self, context: EventContext, number: str, brought: dict[str, Any]
    ) -> Iterator[Stated]:
        far = self.random.randint(0, 5)
        price = self.random.randint(1, 9) * 1_000_000
        if far == 1:
            yield refused(context, number)
        if far >= 2:
            yield hold(context, number)
        if far == 2:
            yield released(context, number, self.random.choice(["abandoned", "expired"]))
        if far >= 3:
            yield submitted(context, number, price=price, **brought)
            yield attempted(context, number)
        if far >= 4:
            yield confirmed(context, number, price=price)
        if far == 5:
            yield self.random.choice([cancelled, returned])(context, number)


def told(seed: int, visits: int = 90) -> list[Stated]:
    """Journeys spread over some days, each of its own time."""
    random = Random(seed)
    found: list[Stated] = []
    for number in range(visits):
        begun = random.uniform(0, DAYS * 86_400)
        found += [replace(one, after=one.after + begun) for one in Journey(random, number).facts()]
    random.shuffle(found)
    return found


@asynccontextmanager
async def ledger(url: str, stated: Sequence[Stated], *, days: float = DAYS) -> AsyncIterator[Store]:
    """A ledger that was told this in batches, in no order, and whose visits are over."""
    database = Database(url)
    async with database.transaction() as transaction:
        await transaction.run_sync(METADATA.create_all)
    clock = ManualClock(START + timedelta(days=days + 1))
    store = Store(database)
    projection = Projection(store, clock, lambda: 0.0)
    events = Writer().events(stated)
    for start in range(0, len(events), 100):
        async with database.transaction() as transaction:
            await projection.apply(transaction, events[start : start + 100])
    while await projection.close_idle_sessions():
        pass
    yield store
    await database.close()
