"""Behaviour facts (visits, page views, advice, feedback): collected, written in batches.

A page does not wait for the database. A clean stop writes what is left; a `kill -9` costs what
was collected since the last batch, about a second. Money facts never pass here: checkout states
them in the transaction of their effect.
"""

from __future__ import annotations

from typing import Final

from app.frame.data.database import Database
from app.frame.data.outbox import Outbox
from app.kernel.facts import ContractBroken, EventContext, Fact, checked, values_of
from telemetry.bootstrap import Telemetry
from telemetry.tracing import link_to

BATCH: Final = 500
"""Facts in one transaction: short enough not to keep the database from anybody."""

MOST_LINKS: Final = 64
"""A busy second's batch would otherwise be a span of thousands of links."""


class Behaviour:
    """A buffer of at most `limit` facts before the outbox; when full, the newest are lost."""

    def __init__(
        self, database: Database, outbox: Outbox, telemetry: Telemetry, *, limit: int = 10_000
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._telemetry = telemetry
        self._limit = limit
        self._waiting: list[tuple[Fact, EventContext]] = []
        self._lost = 0

    def record(self, fact: Fact, context: EventContext) -> None:
        """State a fact; it is durable within a second or so.

        One that its contract does not allow is left out here, and said so: in a batch it would
        keep all others from being written, and no page should fail for it.
        """
        try:
            checked(type(fact), values_of(fact))
            checked(EventContext, values_of(context))
        except ContractBroken as error:
            self._telemetry.log.exception("behaviour.refused", fact=fact.TYPE, detail=str(error))
            return
        if len(self._waiting) >= self._limit:
            self._lost += 1
            return
        self._waiting.append((fact, context))

    async def flush(self) -> int:
        """Write everything collected so far; returns how many facts.

        A batch leaves the buffer when it is stored, so a failure loses nothing.
        """
        written = 0
        due = len(self._waiting)
        while written < due:
            batch = self._waiting[: min(BATCH, due - written)]
            await self._write(batch)
            del self._waiting[: len(batch)]
            written += len(batch)
        if self._lost:
            self._telemetry.log.error("behaviour.lost", facts=self._lost)
            self._lost = 0
        return written

    async def _write(self, batch: list[tuple[Fact, EventContext]]) -> None:
        """One transaction, in a span that links to the requests that stated the facts."""
        causes = dict.fromkeys(context.traceparent for _, context in batch)
        links = [link for cause in causes for link in link_to(cause)]
        with self._telemetry.tracer.start_as_current_span(
            "behaviour.write", links=links[:MOST_LINKS]
        ):
            async with self._database.transaction() as transaction:
                await self._outbox.add_each(transaction, batch)
