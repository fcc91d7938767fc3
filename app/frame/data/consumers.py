"""Reading another service's outbox: at-least-once transport, exactly-once effect.

The consumer's position is stored in the transaction of the effect, so an event is applied once
whatever crashes. The position is leased, so replicas of the consumer never read twice. An event
that cannot be digested is set aside (`frame.data.undigested`); while something else is away (the
database, the source) nothing moves, and the next poll begins where the last one stopped.

Where the source has another history than the one that was read (`frame.data.histories`), the
consumer stops and says so until somebody has the source state anew what it stands for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import httpx
from opentelemetry.trace import SpanKind
from sqlalchemy import BigInteger, Column, MetaData, String, Table, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.frame.data.database import Database, UtcTime
from app.frame.data.histories import History, Parted, digest, history_table, last_agreed
from app.frame.data.leases import Leases
from app.frame.data.outbox import Mark
from app.frame.data.subscriptions import Subscription, id_of
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
from telemetry.catalogue.frame import (
    CONSUMER_EVENTS_MISSED,
    CONSUMER_EVENTS_SET_ASIDE,
    CONSUMER_EVENTS_UNDIGESTED,
    CONSUMER_PARTED,
)
from telemetry.tracing import link_to

BATCH: Final = 500
"""Events a consumer asks for and stores in one transaction."""

LEASE_SECONDS: Final = 10.0

Apply = Callable[[AsyncConnection, Sequence[Event]], Awaitable[None]]
"""Store the effect of some events in the given transaction."""

Forget = Callable[[AsyncConnection], Awaitable[None]]
"""Unsay what a source's facts have made of things, in the given transaction: it says all anew."""


def position_table(metadata: MetaData) -> Table:
    """Add the tables of a consuming service to its metadata; returns the table of positions."""
    undigested_table(metadata)
    history_table(metadata)
    return Table(
        "consumer_positions",
        metadata,
        Column("source", String(40), primary_key=True),
        Column("position", BigInteger, nullable=False),
        Column("event_id", String(80)),  # of the event at `marked`
        Column("marked", BigInteger),  # a version before moves only the position
        Column("epoch", String(40)),
        Column("parted_at", UtcTime),
    )


_POSITIONS: Final = position_table(MetaData())
_UNDIGESTED: Final = _POSITIONS.metadata.tables["undigested"]
_HISTORY: Final = _POSITIONS.metadata.tables["consumer_history"]
STANDING: Final = ("parted_at", "marked", "position", "event_id", "epoch")


class Behind(Unavailable):
    """This process has not seen yet that all is read that stood at the source when it began."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a consumer stands, what it has set aside, and since when the histories have parted."""

    mark: Mark
    left: Left
    parted_at: datetime | None


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
        forget: Forget | None = None,
    ) -> None:
        self.name = name
        self.source = source
        self.lag_seconds = 0.0
        """Age of the oldest event not stored yet, as of the last poll; 0 when up to date.

        While something is set aside at least a second; while the histories have parted, since then.
        """
        self._subscription = Subscription(name, source, client)
        self._database = database
        self._leases = leases
        self._clock = clock
        self._telemetry = telemetry
        self._apply = apply
        self._diet = diet
        self._forget = forget
        self._undigested = Undigested(source, _UNDIGESTED)
        self._history = History(source, _HISTORY)
        self._mine = _POSITIONS.c.source == source
        columns = (_POSITIONS.c[name] for name in STANDING)
        self._standing = self._undigested.left.add_columns(
            *(select(column).where(self._mine).scalar_subquery() for column in columns)
        )
        self._epoch: str | None = None
        """The source's, as of its last answer."""
        self._caught_up = False
        self._began_at: int | None = None
        """What was read before this process began."""
        self._retaken = False
        """Whether this process has tried all that was set aside: it may be what mends them."""
        self._left = telemetry.instruments.gauge(CONSUMER_EVENTS_UNDIGESTED)
        self._set_aside_total = telemetry.instruments.counter(CONSUMER_EVENTS_SET_ASIDE)
        self._parted = telemetry.instruments.gauge(CONSUMER_PARTED)
        self._missed_total = telemetry.instruments.counter(CONSUMER_EVENTS_MISSED)

    async def poll(self) -> int:
        """Store everything that is there; returns how many events were stored.

        Does nothing while another replica has the lease. Raises what the source's client or the
        database raises; nothing is lost then, the next poll begins where this one stopped.
        """
        stored = 0
        while await self._leases.claim(f"consume:{self.source}", ttl_seconds=LEASE_SECONDS):
            standing = await self._stand()
            if self._is_due(standing.left):
                stored += await self._retake()
                standing = await self._stand()
            self._retaken = True
            try:
                wires = await self._look(standing.mark)
                await self._subscription.acknowledge(standing.mark)
            except Parted as parted:
                if not _may_go_on(standing.mark, parted):
                    await self._stop(standing, parted)
                    raise
                await self._go_on(standing.mark, parted)
                continue
            await self._settle(standing)
            if not wires:
                self.lag_seconds = self._age_of(standing.left)
                break
            self.lag_seconds = max(self._age_of(standing.left), self._age_of_event(wires[0]))
            await self._digest(standing.mark.position, wires)
            stored += len(wires)
        else:
            # Of what is set aside, and of histories that have parted, each replica tells.
            standing = await self._stand()
            self.lag_seconds = self._age_since(standing.parted_at)
        if not self._caught_up:  # another replica reads: nothing new is what we wait to see
            await self._look(standing.mark)
        return stored

    async def has_not_parted(self) -> None:
        """Raise `Parted` while the source has another history than the one that was read."""
        standing = await self._stand()
        if standing.parted_at is not None:
            raise Parted(
                f"{self.source} has another history than the one that {self.name} has read: one of"
                " their databases was restored; the runbook is HistoryParted"
            )

    async def has_caught_up(self) -> None:
        """Raise `Behind` until everything was read once that stood at the source at our start.

        A source that does not answer cannot say where it stands. What was read before we began is
        then good enough to work with; a database that had never read a single fact is not.
        """
        if not self._caught_up:
            raise Behind(f"{self.source}'s facts have not been read up to their end yet")

    async def position(self) -> int:
        """The position up to which events are stored or set aside; 0 at the very start."""
        return (await self._stand()).mark.position

    async def _look(self, mark: Mark) -> Sequence[Wire]:
        """What stands behind a position; takes note when that is all, or nobody can say."""
        if self._began_at is None:
            self._began_at = mark.position
        try:
            heard = await self._subscription.after(mark, limit=BATCH)
        except Exception:
            self._caught_up |= self._began_at > 0
            raise
        self._epoch = heard.epoch
        self._caught_up |= not heard.wires
        return heard.wires

    async def _stand(self) -> Standing:
        async with self._database.read() as connection:
            row = (await connection.execute(self._standing)).one()
        *values, parted_at, marked, position, event_id, epoch = row
        left = Left(*values)
        self._left.set(left.count, source=self.source)
        self._parted.set(float(parted_at is not None), source=self.source)
        mark = Mark(position or 0, event_id if marked == position else None, epoch)
        return Standing(mark, left, parted_at)

    def _is_due(self, left: Left) -> bool:
        if not left.count:
            return False
        return not self._retaken or left.due_at is None or left.due_at <= self._clock.now()

    def _age_of(self, left: Left) -> float:
        return self._age_since(left.since)

    def _age_since(self, since: datetime | None) -> float:
        if since is None:
            return 0.0
        return max(1.0, (self._clock.now() - since).total_seconds())

    def _age_of_event(self, wire: Wire) -> float:
        try:
            stated_at = datetime.fromisoformat(wire["time"])
            return max(0.0, (self._clock.now() - stated_at).total_seconds())
        except (KeyError, TypeError, ValueError):
            return 0.0  # its time is what is wrong with it

    async def _settle(self, standing: Standing) -> None:
        """Take note that the source's history is ours, and by which name it goes."""
        if standing.parted_at is None and (standing.mark.epoch or self._epoch is None):
            return
        async with self._database.transaction() as transaction:
            await self._appear(transaction)
            await transaction.execute(
                update(_POSITIONS)
                .where(self._mine)
                .values(parted_at=None, epoch=standing.mark.epoch or self._epoch)
            )
        self._parted.set(0.0, source=self.source)

    async def _stop(self, standing: Standing, parted: Parted) -> None:
        """Say it, and keep it said, until the source's history is ours again."""
        since = standing.parted_at or self._clock.now()
        if standing.parted_at is None:
            async with self._database.transaction() as transaction:
                await self._appear(transaction)
                epoch = standing.mark.epoch or parted.epoch or None
                await transaction.execute(
                    update(_POSITIONS).where(self._mine).values(parted_at=since, epoch=epoch)
                )
            self._telemetry.log.error(
                "consumer.parted",
                source=self.source,
                position=standing.mark.position,
                detail=parted.detail,
            )
        self._parted.set(1.0, source=self.source)
        self.lag_seconds = self._age_since(since)

    async def _go_on(self, mark: Mark, parted: Parted) -> None:
        """Read on from where both histories agree; what follows there is new to us.

        What the source stands for it has stated anew, so `forget` may unsay what we know of it.
        What was read and is known to it no longer stays read: it is not undone, nor done again.
        """
        batches = await self._history.batches(self._database)
        known = min(parted.knows, mark.position)
        agreed = min(
            await last_agreed(batches, self._subscription.stands, otherwise=known), mark.position
        )
        following = await self._subscription.stands(agreed, 1)
        missed = max(0, following[0][0] - 1 - agreed) if following else 0
        position = agreed + missed
        at = dict(await self._subscription.stands(position - 1, 1)) if position else {}
        async with self._database.transaction() as transaction:
            moved = await transaction.execute(
                update(_POSITIONS)
                .where(self._mine, _POSITIONS.c.position == mark.position)
                .values(
                    position=position,
                    event_id=at.get(position),
                    marked=position,
                    epoch=parted.epoch,
                    parted_at=None,
                )
            )
            if moved.rowcount != 1:
                return  # another replica was faster
            astray = await self._history.part(transaction, batches, agreed)
            await self._undigested.set_apart(transaction, after=agreed)
            if self._forget is not None:
                await self._forget(transaction)
        self._missed_total.inc(missed, source=self.source)
        self._telemetry.log.error(
            "consumer.went_on",
            source=self.source,
            position=position,
            astray=astray,
            missed=missed,
        )

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
                if not await self._move(transaction, after, wires):
                    return  # another replica was faster: its transaction stored these events
                astray = await self._history.astray(transaction)
                if astray:
                    events = [each for each in events if digest(each.id) not in astray]
                free = await self._in_turn(transaction, events)
                if free:
                    await self._apply(transaction, free)

    async def _appear(self, transaction: AsyncConnection) -> None:
        await transaction.execute(
            text(
                "INSERT INTO consumer_positions (source, position) VALUES (:source, 0)"
                " ON CONFLICT (source) DO NOTHING"
            ),
            {"source": self.source},
        )

    async def _move(self, transaction: AsyncConnection, after: int, wires: Sequence[Wire]) -> bool:
        await self._appear(transaction)
        last = wires[-1]["sequence"]
        moved = await transaction.execute(
            update(_POSITIONS)
            .where(self._mine, _POSITIONS.c.position == after)
            .values(position=last, event_id=id_of(wires[-1]), marked=last, epoch=self._epoch)
        )
        if moved.rowcount != 1:
            return False
        await self._history.add(transaction, last, [id_of(wire) for wire in wires])
        return True

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
            if not await self._move(transaction, after, [wire]):
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


def _may_go_on(mark: Mark, parted: Parted) -> bool:
    """Whether the source has stated anew what it stands for since we last read from it."""
    return parted.restated and mark.epoch is not None and mark.epoch != parted.epoch


def _parents(events: Sequence[Event]) -> list[str]:
    """The spans in which the facts were stated, each once, in order."""
    return list(dict.fromkeys(event.context.traceparent for event in events))
