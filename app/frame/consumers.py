"""Reading another service's outbox: at-least-once transport, exactly-once effect.

The consumer's position is stored in the transaction of the effect, so an event is applied once
whatever crashes. The position is leased, so replicas of the consumer never read twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

import httpx
from opentelemetry.trace import SpanKind
from sqlalchemy import BigInteger, Column, MetaData, String, Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.frame.database import Database
from app.frame.leases import Leases
from app.kernel.clock import Clock
from app.kernel.facts import Event
from telemetry.bootstrap import Telemetry
from telemetry.tracing import link_to

BATCH: Final = 500
"""Events a consumer asks for and stores in one transaction."""

LEASE_SECONDS: Final = 10.0

Apply = Callable[[AsyncConnection, Sequence[Event]], Awaitable[None]]
"""Store the effect of some events in the given transaction."""


def position_table(metadata: MetaData) -> Table:
    return Table(
        "consumer_positions",
        metadata,
        Column("source", String(40), primary_key=True),
        Column("position", BigInteger, nullable=False),
    )


class Consumer:
    """One service's subscription to one source's events."""

    def __init__(
        self,
        name: str,
        source: str,
        *,
        client: httpx.AsyncClient,
        database: Database,
        leases: Leases,
        clock: Clock,
        telemetry: Telemetry,
        apply: Apply,
    ) -> None:
        self.name = name
        self.source = source
        self.lag_seconds = 0.0
        """Age of the oldest event not stored yet, as of the last poll; 0 when up to date."""
        self._client = client
        self._database = database
        self._leases = leases
        self._clock = clock
        self._telemetry = telemetry
        self._apply = apply

    async def poll(self) -> int:
        """Store everything that is there; returns how many events were stored.

        Does nothing while another replica has the lease. Raises what the source's client or the
        database raises; nothing is lost then, the next poll begins where this one stopped.
        """
        stored = 0
        while await self._leases.claim(f"consume:{self.source}", ttl_seconds=LEASE_SECONDS):
            after = await self.position()
            events = await self._fetch(after)
            if not events:
                self.lag_seconds = 0.0
                break
            oldest = datetime.fromisoformat(events[0].time)
            self.lag_seconds = max(0.0, (self._clock.now() - oldest).total_seconds())
            await self._store(after, events)
            stored += len(events)
        return stored

    async def position(self) -> int:
        """The position up to which events are stored; 0 at the very start."""
        async with self._database.read() as connection:
            found = await connection.scalar(
                text("SELECT position FROM consumer_positions WHERE source = :source"),
                {"source": self.source},
            )
        return int(found or 0)

    async def _fetch(self, after: int) -> list[Event]:
        response = await self._client.get(
            f"/internal/{self.source}/events",
            params={"consumer": self.name, "after": after, "limit": BATCH},
        )
        response.raise_for_status()
        return [Event.from_wire(item) for item in response.json()["items"]]

    async def _store(self, after: int, events: Sequence[Event]) -> None:
        links = [link for parent in _parents(events) for link in link_to(parent)]
        with self._telemetry.tracer.start_as_current_span(
            f"process {self.source}",
            kind=SpanKind.CONSUMER,
            links=links,
            attributes={
                "messaging.system": "vitrine_outbox",
                "messaging.operation.type": "process",
                "messaging.destination.name": self.source,
                "messaging.consumer.group.name": self.name,
                "messaging.batch.message_count": len(events),
            },
        ):
            async with self._database.transaction() as transaction:
                await transaction.execute(
                    text(
                        "INSERT INTO consumer_positions (source, position) VALUES (:source, 0)"
                        " ON CONFLICT (source) DO NOTHING"
                    ),
                    {"source": self.source},
                )
                moved = await transaction.execute(
                    text(
                        "UPDATE consumer_positions SET position = :last"
                        " WHERE source = :source AND position = :after"
                    ),
                    {"source": self.source, "after": after, "last": events[-1].position},
                )
                if moved.rowcount != 1:
                    return  # another replica was faster: its transaction stored these events
                await self._apply(transaction, events)


def _parents(events: Sequence[Event]) -> list[str]:
    """The spans in which the facts were stated, each once, in order."""
    return list(dict.fromkeys(event.context.traceparent for event in events))
