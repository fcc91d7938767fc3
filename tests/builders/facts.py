"""Facts of whole journeys, as the services state them, for tests of whoever reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.contracts import events as facts
from app.kernel.clock import rfc3339
from app.kernel.facts import Event, EventContext, Fact

START = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)

HUMAN = EventContext(
    session_id="ses_1",
    market="SE",
    channel="web",
    device="phone",
    entry="direct",
    release="1.0.0",
    traffic="human",
    traceparent=f"00-{'a' * 32}-{'b' * 16}-01",
)


@dataclass(frozen=True, slots=True)
class Stated:
    """A fact of a source, `after` seconds from the journey's start."""

    source: str
    fact: Fact
    context: EventContext
    after: float = 0.0


@dataclass(slots=True)
class Writer:
    """Numbers stated facts as each source's outbox would."""

    start: datetime = START
    positions: dict[str, int] = field(default_factory=dict)

    def events(self, stated: Sequence[Stated]) -> list[Event]:
        return [self._event(one) for one in stated]

    def by_source(self, stated: Sequence[Stated]) -> Mapping[str, list[Event]]:
        found: dict[str, list[Event]] = {}
        for event in self.events(stated):
            found.setdefault(event.source, []).append(event)
        return found

    def _event(self, one: Stated) -> Event:
        position = self.positions[one.source] = self.positions.get(one.source, 0) + 1
        return Event(
            id=f"evt_{one.source}_{position}",
            source=one.source,
            type=one.fact.TYPE,
            time=rfc3339(self.start + timedelta(seconds=one.after)),
            position=position,
            data=asdict(one.fact),
            context=one.context,
        )


def visit(context: EventContext, pages: Sequence[str] = ("home",), **brought: Any) -> list[Stated]:
    """A session that starts and views pages, two seconds apart."""
    started = facts.SessionStarted(context.session_id, "/", **brought)
    viewed = [
        Stated("storefront", facts.PageViewed(page), context, index * 2.0)
        for index, page in enumerate(pages)
    ]
    return [Stated("storefront", started, context), *viewed]


def advice(context: EventContext, advice_id: str, result: str | None = "completed") -> list[Stated]:
    """Advice asked for, and given unless `result` is None."""
    begun = [Stated("storefront", facts.AdviceStarted(context.session_id), context, 5)]
    if result is None:
        return begun
    given = facts.AdviceGiven(advice_id, result, 3, 0, "norrsken")  # type: ignore[arg-type]
    viewed = facts.MatchViewed(advice_id)
    return [
        *begun,
        Stated("advisor", given, context, 30),
        Stated("storefront", viewed, context, 32),
    ]


def hold(context: EventContext, number: str) -> Stated:
    placed = facts.HoldPlaced(f"hld_{number}", f"car_{number}", "norrsken", "2026-11-27T09:15:00Z")
    return Stated("checkout", placed, context, 40)


def submitted(
    context: EventContext, number: str, *, price: int = 48_990_000, **brought: Any
) -> Stated:
    fact = facts.OrderSubmitted(
        order_id=f"ord_{number}",
        hold_id=f"hld_{number}",
        car_id=f"car_{number}",
        model_id="norrsken",
        price=price,
        deposit=500_000,
        currency="SEK",
        provider="sandbox",
        **brought,
    )
    return Stated("checkout", fact, context, 70)


def attempted(context: EventContext, number: str, result: str = "accepted") -> Stated:
    fact = facts.PaymentAttempted(f"ord_{number}", f"hld_{number}", "sandbox", result)  # type: ignore[arg-type]
    return Stated("checkout", fact, context, 90)


def confirmed(
    context: EventContext,
    number: str,
    *,
    price: int = 48_990_000,
    order_seconds: float = 21.0,
    confirmation_seconds: float = 0.8,
    after: float = 91,
    late: bool = False,
    advice_id: str = "",
) -> Stated:
    fact = facts.OrderConfirmed(
        order_id=f"ord_{number}",
        hold_id=f"hld_{number}",
        car_id=f"car_{number}",
        model_id="norrsken",
        price=price,
        vat=price // 5,
        deposit=500_000,
        currency="SEK",
        provider="sandbox",
        order_seconds=order_seconds,
        confirmation_seconds=confirmation_seconds,
        advice_id=advice_id,
        late=late,
    )
    return Stated("checkout", fact, context, after)


def cancelled(context: EventContext, number: str) -> Stated:
    fact = facts.OrderCancelled(f"ord_{number}", f"car_{number}", "shopper")
    return Stated("checkout", fact, context, 3_600)


def returned(context: EventContext, number: str) -> Stated:
    fact = facts.OrderReturned(f"ord_{number}", f"car_{number}", "changed_mind")
    return Stated("checkout", fact, context, 7_200)


def refunded(context: EventContext, number: str) -> Stated:
    fact = facts.OrderRefunded(f"ord_{number}", 500_000, "SEK", by="provider")
    return Stated("checkout", fact, context, 9_000)


def released(context: EventContext, number: str, ended_as: str, *, after: float = 940) -> Stated:
    order_id = "" if ended_as == "abandoned" else f"ord_{number}"
    fact = facts.HoldReleased(f"hld_{number}", f"car_{number}", "expired", ended_as, order_id)  # type: ignore[arg-type]
    return Stated("checkout", fact, context, after)


def refused(context: EventContext, number: str) -> Stated:
    return Stated("checkout", facts.HoldRefused(f"car_{number}", f"att_{number}"), context, 40)


def purchase(context: EventContext, number: str, **brought: Any) -> list[Stated]:
    """A visit that ends with a confirmed order."""
    return [
        *visit(context, ("home", "cars", "car"), **brought),
        hold(context, number),
        submitted(context, number, **brought),
        attempted(context, number),
        confirmed(context, number),
    ]


def shopper(number: int, **changes: object) -> EventContext:
    """A context of its own session."""
    return replace(HUMAN, session_id=f"ses_{number}", **changes)  # type: ignore[arg-type]
