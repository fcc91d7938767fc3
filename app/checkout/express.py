"""The express lane: the common case of an effect as one statement, all of it or nothing.

A free car is held, a held car is ordered: nearly every request is one of these. Each is written
here in one go, guarded by everything that the careful path checks step by step. When a guard does
not hold nothing has happened, `False` is the answer, and the careful path finds out why: a replay,
a lost race, a limit, a hold that is overdue. When the outcome is not known (a connection broke),
the careful path begins with the Idempotency-Key, and finds what was done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from app.checkout.signals import ExpressEffect, Signals
from app.frame.batches import BatchFailed
from app.frame.outbox import FactRow

Record = dict[str, Any]
"""One row, by column name."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One request's effect.

    `values` feed every table that it touches, by name; moments are datetimes, JSON is a dict.
    `facts` go into the outbox with it. `apart` names what it must have for itself in a batch.
    """

    values: Mapping[str, Any]
    facts: Sequence[FactRow]
    apart: tuple[str, ...]


class Express(Protocol):
    """What both databases offer. Reads are of rows as they were committed last.

    Each raises `BatchFailed` when it failed as a whole, its outcome unknown.
    """

    async def car(self, car_id: str) -> Record | None:
        """A car's offer and state."""
        ...

    async def hold(self, hold_id: str) -> Record | None:
        """A hold with its car's model, title, market and VAT rate."""
        ...

    async def place(self, effect: Effect) -> bool:
        """Hold a free car, store the answer under its key."""
        ...

    async def submit(self, effect: Effect) -> bool:
        """Store an order for a held car, its customer and payment; bind the key to it."""
        ...

    async def open(self, effect: Effect) -> bool:
        """Store where the order is paid, and the answer under its key."""
        ...

    async def close(self) -> None: ...


async def write(signals: Signals, name: ExpressEffect, writing: Awaitable[bool]) -> bool | None:
    """Whether the effect took place; None when that is not known."""
    try:
        with signals.effect(name):
            done = await writing
    except BatchFailed as failed:
        signals.express_failed(name, failed.__cause__)
        return None
    signals.express_answered(name, done=done)
    return done


async def read(signals: Signals, reading: Awaitable[Record | None]) -> Record | None:
    """The row; None also when it could not be read."""
    try:
        return await reading
    except BatchFailed as failed:
        signals.express_failed("read", failed.__cause__)
        return None
