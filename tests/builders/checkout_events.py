"""A checkout that only has an outbox, for services that follow it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import FastAPI

from app.contracts.events import CarStateChanged
from app.kernel.facts import Event, Fact


class CheckoutEvents:
    """States facts in order; `app` serves them as checkout's internal port does."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.asked_after: list[int] = []
        self.app = FastAPI()

        @self.app.get("/internal/checkout/events")
        async def events(consumer: str, after: int = 0, limit: int = 500) -> dict[str, Any]:
            self.asked_after.append(after)
            found = [event for event in self.events if event.position > after][:limit]
            return {"items": [event.to_wire() for event in found]}

    def state(self, fact: Fact) -> None:
        position = len(self.events) + 1
        self.events.append(
            Event(
                id=f"evt_{position}",
                source="checkout",
                type=fact.TYPE,
                time="2026-11-24T09:00:00.000Z",
                position=position,
                data=asdict(fact),
            )
        )

    def car_is(self, car_id: str, state: Any) -> None:
        self.state(CarStateChanged(car_id, state))
