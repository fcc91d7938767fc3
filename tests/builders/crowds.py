"""Crowds of shoppers by dice: whole journeys, and how they are told (late, twice, out of order).

The same seed makes the same crowd.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, get_args

from app.contracts import events as facts
from app.contracts.events import VitalName
from app.kernel.facts import Event, EventContext, Fact
from tests.builders.facts import HUMAN, Stated, Writer

CURRENCIES = {"SE": "SEK", "FI": "EUR", "NO": "NOK"}
GROUPS = ("direct", "paid_search", "organic_search", "email", "referral")
CAMPAIGNS = ("", "", "black-week", "newsletter", "my-own-blog")
LATEST_DAYS = 35.0


@dataclass(frozen=True)
class Crowd:
    """So many visits over so many days; `gaps`: facts are lost, and pages left out."""

    seed: int
    visits: int = 60
    days: int = 4
    gaps: bool = True

    def stated(self) -> list[Stated]:
        """All that happens, each journey in its order."""
        dice = Random(self.seed)
        found = [
            one
            for number in range(self.visits)
            for one in _Visit(dice, self, f"{self.seed}_{number}").journey()
        ]
        found += list(_strangers(dice, self))
        return [one for one in found if not self.gaps or dice.random() > 0.02]

    def events(self) -> list[Event]:
        stated = sorted(self.stated(), key=lambda one: one.after)
        return [replace(each, id=f"{each.id}_{self.seed}") for each in Writer().events(stated)]

    def told(self) -> Iterator[tuple[datetime, list[Event]]]:
        """When which batches reach the ledger: a tenth late, a tenth twice, none in order."""
        dice = Random(self.seed + 1)
        waiting: list[tuple[datetime, float, Event]] = []
        for event in self.events():
            happened = datetime.fromisoformat(event.time)
            waiting.append((happened + _delay(dice), dice.random(), event))
            if dice.random() < 0.1:
                waiting.append((happened + _delay(dice), dice.random(), event))
        waiting.sort(key=lambda each: each[:2])
        while waiting:
            size = dice.randint(1, 30)
            batch, waiting = waiting[:size], waiting[size:]
            yield batch[-1][0], [event for *_, event in batch]


def _delay(dice: Random) -> timedelta:
    late = dice.random() < 0.1
    return timedelta(days=dice.random() * LATEST_DAYS) if late else timedelta(seconds=3)


class _Visit:
    """One visit's dice; moments are seconds from the crowd's start."""

    def __init__(self, dice: Random, crowd: Crowd, name: str) -> None:
        self.dice, self.gaps, self.name = dice, crowd.gaps, name
        self.at = dice.random() * crowd.days * 86_400
        market = dice.choice(tuple(CURRENCIES))
        self.currency = CURRENCIES[market]
        self.price = dice.randint(100_000, 900_000) * 100
        self.brought = {"channel_group": dice.choice(GROUPS), "utm_source": "somewhere"}
        regular = dice.random() < 0.6
        self.context = replace(
            HUMAN,
            session_id=f"ses_{name}",
            market=market,
            device=dice.choice(("phone", "desktop", "tablet")),
            entry=dice.choice(("direct", "advisor")),
            traffic=dice.choice(("human",) * 6 + ("bot", "synthetic", "agent")),
            campaign=dice.choice(CAMPAIGNS),
            visitor_id=f"vis_{crowd.seed}_{dice.randint(1, 1 + crowd.visits // 3)}"
            if regular
            else "",
        )

    def chance(self, share: float) -> bool:
        return self.dice.random() < share

    def state(self, source: str, fact: Fact, context: EventContext | None = None) -> Stated:
        self.at += 0.5 + self.dice.random() * 20
        return Stated(source, fact, context or self.context, round(self.at, 3))

    def journey(self) -> Iterator[Stated]:
        pretends = self.chance(0.25)
        started = facts.SessionStarted(
            self.context.session_id,
            "/",
            awaits_proof=pretends,
            **self.brought,
        )
        yield self.state("storefront", started)
        for _ in range(self.dice.randint(1, 3)):
            again = self.chance(0.2)
            yield self.state("storefront", facts.PageViewed("home", again=again))
        if pretends and self.chance(0.4):
            yield self.state("storefront", facts.SessionProven(self.context.session_id))
            if self.chance(0.6):
                return
        if self.chance(0.12):
            because = self.dice.choice(("pace", "rotation"))
            seen = self.state(
                "storefront", facts.SessionSuspected(self.context.session_id, because)
            )
            yield replace(seen, after=round(seen.after + self.dice.random() * 7_200, 3))
        if self.chance(0.4):
            yield from self._advised()
        yield from self._measured()
        if self.chance(0.7):
            yield self.state("storefront", facts.PageViewed("car"))
            if self.chance(0.7):
                yield from self._checkout()
        elif self.gaps and self.chance(0.2):
            yield from self._checkout()

    def _advised(self) -> Iterator[Stated]:
        yield self.state("storefront", facts.AdviceStarted(self.context.session_id))
        if self.chance(0.7):
            result = self.dice.choice(("completed", "completed", "no_match"))
            given = facts.AdviceGiven(f"adv_{self.name}", result, 3, 0, "norrsken")  # type: ignore[arg-type]
            yield self.state("advisor", given)
            if result == "completed":
                self.context = replace(self.context, entry="advisor")
                yield self.state("storefront", facts.MatchViewed(f"adv_{self.name}"))

    def _measured(self) -> Iterator[Stated]:
        if self.chance(0.5):
            name: VitalName = self.dice.choice(get_args(VitalName))
            value = round(self.dice.random() * 4, 3)
            yield self.state("insight", facts.WebVitalMeasured(name, value, "home"))
        if self.chance(0.05):
            yield self.state("insight", facts.BrowserCrashed("1.0.0", self.context.session_id))

    def _checkout(self) -> Iterator[Stated]:
        n = self.name
        if self.chance(0.15):
            yield self.state("checkout", facts.HoldRefused(f"car_{n}", f"att_{n}"))
            return
        placed = facts.HoldPlaced(f"hld_{n}", f"car_{n}", "norrsken", "2026-11-27T09:15:00Z")
        yield self.state("checkout", placed)
        if self.chance(0.25):
            yield self._released("abandoned")
            return
        submitted = facts.OrderSubmitted(
            **self._order(), utm_source="somewhere", channel_group=self.brought["channel_group"]
        )
        yield self.state("checkout", submitted)
        result = self.dice.choice(("accepted", "accepted", "declined"))
        attempted = facts.PaymentAttempted(f"ord_{n}", f"hld_{n}", "sandbox", result)  # type: ignore[arg-type]
        yield self.state("checkout", attempted)
        late = self.chance(0.15)
        if late or result == "declined":
            ended = "declined" if result == "declined" else "expired"
            yield self._released(ended)
            done = facts.OrderEnded(f"ord_{n}", f"hld_{n}", f"car_{n}", ended)  # type: ignore[arg-type]
            yield self.state("checkout", done)
        if late or result == "accepted":
            yield from self._bought(late)

    def _released(self, ended_as: str) -> Stated:
        n = self.name
        fact = facts.HoldReleased(f"hld_{n}", f"car_{n}", "expired", ended_as)  # type: ignore[arg-type]
        return self.state("checkout", fact)

    def _order(self) -> dict[str, Any]:
        n = self.name
        ids = {"order_id": f"ord_{n}", "hold_id": f"hld_{n}", "car_id": f"car_{n}"}
        money = {"price": self.price, "deposit": 500_000, "currency": self.currency}
        return {**ids, "model_id": "norrsken", "provider": "sandbox", **money}

    def _bought(self, late: bool) -> Iterator[Stated]:
        n, dice = self.name, self.dice
        confirmed = facts.OrderConfirmed(
            **self._order(),
            vat=self.price // 5,
            order_seconds=round(dice.random() * 200, 3),
            confirmation_seconds=round(dice.random() * 3, 3),
            late=late,
        )
        yield self.state("checkout", confirmed)
        if self.chance(0.4):
            rated = facts.FeedbackGiven(
                "order", csat=dice.randint(1, 5), nps=dice.randint(0, 10), order_id=f"ord_{n}"
            )
            yield self.state("insight", rated)
        self.at += 86_400 * dice.random() * 3
        fate = dice.choice(("kept", "kept", "cancelled", "returned", "refunded", "disputed"))
        if fate in ("kept", "returned"):
            yield self.state("checkout", facts.CarHandedOver(f"ord_{n}", f"car_{n}"))
        match fate:
            case "cancelled":
                gone: Fact = facts.OrderCancelled(f"ord_{n}", f"car_{n}", "shopper")
                yield self.state("checkout", gone)
            case "returned":
                asked = facts.ReturnRequested(f"ord_{n}", f"car_{n}", "changed_mind")
                yield self.state("checkout", asked)
                back = facts.OrderReturned(f"ord_{n}", f"car_{n}", "changed_mind")
                yield self.state("checkout", back)
            case "disputed":
                claimed = facts.OrderDisputed(f"ord_{n}", 500_000, self.currency)
                yield self.state("checkout", claimed)
                if self.chance(0.5):
                    won = facts.DisputeDecided(f"ord_{n}", "won")
                    yield self.state("checkout", won)
        if fate in ("refunded", "cancelled"):
            money = facts.OrderRefunded(f"ord_{n}", 500_000, self.currency, by="provider")
            yield self.state("checkout", money)
        if self.chance(0.1):
            yield self.state("checkout", facts.CustomerErased(f"ord_{n}"))


def _strangers(dice: Random, crowd: Crowd) -> Iterator[Stated]:
    """Callers without a visit, and what is told of no visit at all."""
    bare = replace(HUMAN, session_id="", channel="api", device="unknown")
    for number in range(crowd.visits // 10):
        n, at = f"{crowd.seed}_api{number}", dice.random() * crowd.days * 86_400
        given = facts.AdviceGiven(f"adv_{n}", dice.choice(("completed", "no_match")), 1, 0)
        placed = facts.HoldPlaced(f"hld_{n}", f"car_{n}", "norrsken", "2026-11-27T09:15:00Z")
        listed = facts.CarListed(
            *(f"car_{n}", "norrsken", "Norrsken 2.0", "SE", "dea_1", "feed"),
            price=30_000_000,
            currency="SEK",
            vat_rate="0.25",
        )
        deployed = facts.SoftwareDeployed("checkout", "1.0.1", "succeeded", "planned")
        yield Stated("advisor", given, bare, round(at, 3))
        yield Stated("checkout", placed, bare, round(at + 5, 3))
        yield Stated("catalog", listed, EventContext(), round(at + 6, 3))
        yield Stated("insight", deployed, EventContext(), round(at + 7, 3))
