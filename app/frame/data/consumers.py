"""Reading another service's outbox: at-least-once transport, exactly-once effect.

The consumer's position is stored in the transaction of the effect, so an event is applied once
whatever crashes. The position is leased, so replicas of the consumer never read twice. An event
that cannot be digested is set aside (`frame.data.undigested`); while something else is away (the
database, the source) nothing moves, and the next poll begins where the last one stopped.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

import httpx
from opentelemetry.trace import SpanKind
from sqlalchemy import BigInteger, Column, MetaData, String, Table, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.frame.data.database import Database
from app.frame.data.leases import Leases
from app.frame.data.undigested import (
    Diet,
    Left,
    Undigested,
    Wire,
    is_to_blame,
    undigested_table,
    words_of,
)
from app.kernel.clock import Clock
from app.kernel.errors import Unavailable
from app.kernel.facts import Event
from telemetry.bootstrap import Telemetry
from telemetry.catalogue.frame import CONSUMER_EVENTS_SET_ASIDE, CONSUMER_EVENTS_UNDIGESTED
from telemetry.tracing import link_to

BATCH: Final = 500
"""Events a consumer asks for and stores in one transaction."""

LEASE_SECONDS: Final = 10.0

Apply = Callable[[AsyncConnection, Sequence[Event]], Awaitable[None]]
"""Store the effect of some events in the given transaction."""


def position_table(metadata: MetaData) -> Table:
    """Add the tables of a consuming service to its metadata; returns the table of positions."""
    undigested_table(metadata)
    return Table(
        "consumer_positions",
        metadata,
        Column("source", String(40), primary_key=True),
        Column("position", BigInteger, nullable=False),
    )


_POSITIONS: Final = position_table(MetaData())
_UNDIGESTED: Final = _POSITIONS.metadata.tables["undigested"]


class Behind(Unavailable):
    """This process has not seen yet that all is read that stood at the source when it began."""


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
        diet: Diet,
    ) -> None:
        self.name = name
        self.source = source
        self.lag_seconds = 0.0
        """Age of the oldest event not stored yet, as of the last poll; 0 when up to date.

        While something is set aside at least a second.
        """
        self._client = client
        self._database = database
        self._leases = leases
        self._clock = clock
        self._telemetry = telemetry
        self._apply = apply
        self._diet = diet
        self._undigested = Undigested(source, _UNDIGESTED)
        position = select(_POSITIONS.c.position).where(_POSITIONS.c.source == source)
        self._standing = self._undigested.left.add_columns(position.scalar_subquery())
        self._caught_up = False
        self._began_at: int | None = None
        """What was read before this process began."""
        self._retaken = False
        """Whether this process has tried all that was set aside: it may be what mends them."""
        self._left = telemetry.instruments.gauge(CONSUMER_EVENTS_UNDIGESTED)
        self._set_aside_total = telemetry.instruments.counter(CONSUMER_EVENTS_SET_ASIDE)

    async def poll(self) -> int:
        """Store everything that is there; returns how many events were stored.

        Does nothing while another replica has the lease. Raises what the source's client or the
        database raises; nothing is lost then, the next poll begins where this one stopped.
        """
        stored = 0
        while await self._leases.claim(f"consume:{self.source}", ttl_seconds=LEASE_SECONDS):
            after, left = await self._stand()
            if self._is_due(left):
                stored += await self._retake()
                after, left = await self._stand()
            self._retaken = True
            wires = await self._look(after)
            if not wires:
                self.lag_seconds = self._age_of(left)
                break
            self.lag_seconds = max(self._age_of(left), self._age_of_event(wires[0]))
            await self._digest(after, wires)
            stored += len(wires)
        else:
            await self._stand()  # of what is set aside each replica tells
        if not self._caught_up:  # another replica reads: nothing new is what we wait to see
            await self._look(await self.position())
        return stored

    async def has_caught_up(self) -> None:
        """Raise `Behind` until everything was read once that stood at the source at our start.

        A source that does not answer cannot say where it stands. What was read before we began is
        then good enough to work with; a database that had never read a single fact is not.
        """
        if not self._caught_up:
            raise Behind(f"{self.source}'s facts have not been read up to their end yet")

    async def position(self) -> int:
        """The position up to which events are stored or set aside; 0 at the very start."""
        position, _ = await self._stand()
        return position

    async def _look(self, after: int) -> list[Wire]:
        """What stands behind a position; takes note when that is all, or nobody can say."""
        if self._began_at is None:
            self._began_at = after
        try:
            wires = await self._fetch(after)
        except Exception:
            self._caught_up |= self._began_at > 0
            raise
        self._caught_up |= not wires
        return wires

    async def _stand(self) -> tuple[int, Left]:
        """The position, and what is set aside."""
        async with self._database.read() as connection:
            *values, position = (await connection.execute(self._standing)).one()
        left = Left(*values)
        self._left.set(left.count, source=self.source)
        return position or 0, left

    def _is_due(self, left: Left) -> bool:
        if not left.count:
            return False
        return not self._retaken or left.due_at is None or left.due_at <= self._clock.now()

    def _age_of(self, left: Left) -> float:
        if left.since is None:
            return 0.0
        return max(1.0, (self._clock.now() - left.since).total_seconds())

    def _age_of_event(self, wire: Wire) -> float:
        try:
            stated_at = datetime.fromisoformat(wire["time"])
            return max(0.0, (self._clock.now() - stated_at).total_seconds())
        except (KeyError, TypeError, ValueError):
            return 0.0  # its time is what is wrong with it

    async def _fetch(self, after: int) -> list[Wire]:
        response = await self._client.get(
            f"/internal/{self.source}/events",
            params={"consumer": self.name, "after": after, "limit": BATCH},
        )
        response.raise_for_status()
        items: list[Wire] = response.json()["items"]
        if [type(item["sequence"]) for item in items] != [int] * len(items):
            raise TypeError("an event without a position: nobody can say where to go on")
        return items

    async def _digest(self, after: int, wires: Sequence[Wire]) -> None:
        """Store a batch; where it fails for an event in it, halves of it, down to that event."""
        try:
            await self._store(after, wires)
        except Exception as error:
            if not is_to_blame(error):
                raise
            if len(wires) == 1:
                await self._set_aside(after, wires[0], error)
                return
            middle = len(wires) // 2
            await self._digest(after, wires[:middle])
            await self._digest(wires[middle - 1]["sequence"], wires[middle:])

    async def _store(self, after: int, wires: Sequence[Wire]) -> None:
        events = [Event.from_wire(wire) for wire in wires if self._diet.takes(wire)]
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
                if not await self._move(transaction, after, wires[-1]["sequence"]):
                    return  # another replica was faster: its transaction stored these events
                free = await self._in_turn(transaction, events)
                if free:
                    await self._apply(transaction, free)

    async def _move(self, transaction: AsyncConnection, after: int, last: int) -> bool:
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
            {"source": self.source, "after": after, "last": last},
        )
        return moved.rowcount == 1

    async def _in_turn(
        self, transaction: AsyncConnection, events: Sequence[Event]
    ) -> Sequence[Event]:
        """Those events that no earlier one of their subject stands before."""
        aside = await self._undigested.waiting(transaction)
        if not aside:
            return events
        if self._diet.latest_wins:
            for event in events:
                await self._supersede(transaction, event)
            return events
        waiting = frozenset[str]().union(*(one.subjects for one in aside))
        free: list[Event] = []
        for event in events:
            subjects = self._diet.subjects_of(event.data)
            if not subjects & waiting:
                free.append(event)
                continue
            waiting |= subjects
            await self._undigested.add(
                transaction,
                event.to_wire(),
                subjects,
                error="waits behind an earlier event of the same subject",
                attempts=0,
                now=self._clock.now(),
            )
        return free

    async def _supersede(self, transaction: AsyncConnection, event: Event) -> None:
        subjects = self._diet.subjects_of(event.data)
        said = [
            one.position
            for one in await self._undigested.waiting(transaction)
            if one.position < event.position and one.subjects & subjects
        ]
        await self._undigested.take(transaction, said)

    async def _set_aside(self, after: int, wire: Wire, error: Exception) -> None:
        async with self._database.transaction() as transaction:
            if not await self._move(transaction, after, wire["sequence"]):
                return
            await self._undigested.add(
                transaction,
                wire,
                self._diet.subjects_of(wire.get("data")),
                error=words_of(error),
                attempts=1,
                now=self._clock.now(),
            )
        self._set_aside_total.inc(source=self.source)
        self._telemetry.log.error(
            "consumer.set_aside",
            source=self.source,
            position=wire["sequence"],
            error=words_of(error),
        )

    async def _retake(self) -> int:
        """Try what is set aside and due, in order; returns how many were digested."""
        now = self._clock.now()
        async with self._database.read() as connection:
            aside = await self._undigested.waiting(connection)
        waiting: frozenset[str] = frozenset()
        digested = 0
        for one in aside:
            due = not self._retaken or one.attempts == 0 or one.due_at <= now
            blocked = bool(one.subjects & waiting) and not self._diet.latest_wins
            if due and not blocked:
                try:
                    async with self._database.transaction() as transaction:
                        if await self._undigested.take(transaction, [one.position]) != 1:
                            continue  # another replica has it, or a later one said it all
                        event = Event.from_wire(one.wire)
                        await self._apply(transaction, [event])
                        if self._diet.latest_wins:
                            await self._supersede(transaction, event)
                    digested += 1
                    continue
                except Exception as error:
                    if not is_to_blame(error):
                        raise
                    async with self._database.transaction() as transaction:
                        await self._undigested.failed_again(
                            transaction, one, error=words_of(error), now=now
                        )
            waiting |= one.subjects
        return digested


def _parents(events: Sequence[Event]) -> list[str]:
    """The spans in which the facts were stated, each once, in order."""
    return list(dict.fromkeys(event.context.traceparent for event in events))
