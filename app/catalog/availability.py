"""Following checkout, the only authority on who has a car: held and sold ones leave the answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from app.contracts.events import CarStateChanged, fact_of
from app.frame.data.undigested import Diet
from app.kernel.facts import Event

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from app.catalog.store import Store

DIET: Final = Diet(subjects=("car_id",), types=frozenset({CarStateChanged.TYPE}), latest_wins=True)
"""The last word about a car says all that we need to know of it."""


def following(store: Store) -> Callable[[AsyncConnection, Sequence[Event]], Awaitable[None]]:
    """What the consumer of checkout's events does with some of them, in its transaction."""

    async def apply(connection: AsyncConnection, events: Sequence[Event]) -> None:
        states = latest_states(events)
        if states:
            await store.apply_states(connection, states)

    return apply


def latest_states(events: Sequence[Event]) -> dict[str, str]:
    """Car to its last state among these events; facts about other things are passed over."""
    states: dict[str, str] = {}
    for event in events:
        fact = fact_of(event)
        if isinstance(fact, CarStateChanged):
            states[fact.car_id] = fact.state
    return states
