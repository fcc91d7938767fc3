"""Read once, decide once, write once if the car is as it was seen.

A rule is a pure function of a `Sight` and a moment. It returns its answer, or a `Change` that ends
in it. What it decided is written in one statement, if nothing has happened to the car since; if
something has, the rule looks again and decides anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

from sqlalchemy import Table

from app.checkout.models import CARS, HOLDS, ORDERS, PAYMENTS
from app.checkout.rows import Car, Hold, Order, Payment
from app.checkout.signals import ExpressEffect, Signals
from app.frame.batches import BatchFailed
from app.kernel.errors import Unavailable
from app.kernel.facts import EventContext, Fact

Answer = TypeVar("Answer")
Row = Car | Hold | Order | Payment

ROUNDS: Final = 12
"""Each lost one means that somebody else's change was written."""
FAILURES: Final = 2
"""So often it is tried although the database did not answer."""


class Busy(Unavailable):
    """The car is fought over, or the database does not answer: nothing was changed."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a rule wants to see: an order and all that belongs to it."""

    order_id: str
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class Sight:
    """One order and what belongs to it, as of one moment."""

    order: Order
    payment: Payment
    hold: Hold
    car: Car
    last_of_hold: str
    """Id of the order of this hold that waits for payment, else of the newest one."""
    taken_elsewhere: bool
    """Whether somebody has this physical car by another id."""
    event_known: bool


@dataclass(slots=True)
class Put:
    """A new row."""

    table: Table
    values: Mapping[str, Any]


@dataclass(slots=True)
class Set:
    """New values in a row that was seen."""

    table: Table
    key: str
    values: dict[str, Any]


@dataclass(slots=True)
class Change(Generic[Answer]):
    """All that happens, or nothing; `answer` is what is said when it has happened."""

    car: Car
    answer: Answer
    event: Put | None = None
    """The provider's message that causes it: one that is known already changes nothing."""
    puts: list[Put] = field(default_factory=list)
    sets: dict[tuple[str, str], Set] = field(default_factory=dict)
    facts: list[tuple[Fact, EventContext]] = field(default_factory=list)

    def put(self, table: Table, **values: Any) -> None:
        self.puts.append(Put(table, values))

    def set(self, row: Row, **values: Any) -> None:
        """Set columns of a row that was seen; the same row may be set several times."""
        table, key = _table_of(row)
        entry = self.sets.setdefault((table.name, key), Set(table, key, {}))
        entry.values.update(values)

    def say(self, context: EventContext, *facts: Fact) -> None:
        self.facts += [(fact, context) for fact in facts]


def _table_of(row: Row) -> tuple[Table, str]:
    match row:
        case Car():
            return CARS, row.car_id
        case Hold():
            return HOLDS, row.hold_id
        case Order():
            return ORDERS, row.order_id
        case Payment():
            return PAYMENTS, row.order_id


class Lines(Protocol):
    """The way to the database; both dialects offer it.

    Each verb raises `BatchFailed` when it failed as a whole, its outcome unknown.
    """

    async def look(self, look: Look) -> Sight | None:
        """What is committed now; None when there is no such order."""
        ...

    async def write(self, change: Change[Any]) -> bool:
        """Whether it was written: not when the car has changed, or the event is known."""
        ...

    async def close(self) -> None: ...


class Changes:
    """Looks, decides and writes over `lines`, and tells `signals` how that went."""

    def __init__(self, lines: Lines, signals: Signals) -> None:
        self._lines = lines
        self._signals = signals

    async def seen(self, look: Look) -> Sight | None:
        """What is so now, for whoever changes nothing. Raises `Busy`."""
        return await self.settled("read", look, lambda sight: sight)

    async def settled(
        self,
        name: ExpressEffect,
        look: Look,
        decide: Callable[[Sight | None], Change[Answer] | Answer],
    ) -> Answer:
        """What a rule decided, once that is so.

        Raises `Busy`, and what `decide` raises. An unknown outcome is the next round, in which the
        event tells whether it was written.
        """
        failed: list[BatchFailed] = []
        for _ in range(ROUNDS):
            try:
                decided = decide(await self._lines.look(look))
                if not isinstance(decided, Change):
                    return decided
                with self._signals.effect(name):
                    done = await self._lines.write(decided)
                self._signals.express_answered(name, done=done)
                if done:
                    return decided.answer
            except BatchFailed as error:
                self._signals.express_failed(name, error.__cause__)
                failed.append(error)
                if len(failed) == FAILURES:
                    break
        cause = failed[-1] if failed else None
        raise Busy("Ask again in a moment.", retry_after_seconds=1) from cause

    async def close(self) -> None:
        await self._lines.close()
