"""The practice provider's SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from app.frame.data.database import Database
from app.sandbox.models import DELIVERIES, PAYMENTS

Record = dict[str, Any]


class SandboxTransaction:
    """One write transaction."""

    def __init__(self, connection: AsyncConnection, dialect: str) -> None:
        self._connection = connection
        self._insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
        self._lock = dialect == "postgresql"

    async def add_payment(self, values: Record) -> bool:
        """False when the reference has a payment already."""
        added = await self._connection.execute(
            self._insert(PAYMENTS).values(**values).on_conflict_do_nothing()
        )
        return added.rowcount == 1

    async def payment_of(self, reference: str) -> Record:
        query = select(PAYMENTS).where(PAYMENTS.c.reference == reference)
        return dict((await self._connection.execute(query)).one()._mapping)

    async def lock_payment(self, payment_id: str) -> Record | None:
        query = select(PAYMENTS).where(PAYMENTS.c.payment_id == payment_id)
        row = (await self._connection.execute(self._for_update(query))).first()
        return None if row is None else dict(row._mapping)

    async def set_payment(self, payment_id: str, **values: Any) -> None:
        await self._connection.execute(
            update(PAYMENTS).where(PAYMENTS.c.payment_id == payment_id).values(**values)
        )

    async def add_delivery(self, values: Record) -> None:
        await self._connection.execute(insert(DELIVERIES).values(attempts=0, **values))

    async def set_delivery(self, event_id: str, **values: Any) -> None:
        await self._connection.execute(
            update(DELIVERIES).where(DELIVERIES.c.event_id == event_id).values(**values)
        )

    def _for_update(self, query: Any) -> Any:
        return query.with_for_update() if self._lock else query


class Store:
    """The practice provider's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[SandboxTransaction]:
        async with self._database.transaction() as connection:
            yield SandboxTransaction(connection, self._database.dialect)

    async def payment(self, payment_id: str) -> Record | None:
        query = select(PAYMENTS).where(PAYMENTS.c.payment_id == payment_id)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else dict(row._mapping)

    async def due_deliveries(
        self, *, now: datetime, limit: int, payment_id: str = ""
    ) -> list[Record]:
        """Webhooks whose time has come, oldest first, with their payment's trace."""
        query = (
            select(DELIVERIES, PAYMENTS.c.traceparent)
            .join(PAYMENTS, PAYMENTS.c.payment_id == DELIVERIES.c.payment_id)
            .where(DELIVERIES.c.due_at <= now)
            .order_by(DELIVERIES.c.due_at, DELIVERIES.c.event_id)
            .limit(limit)
        )
        if payment_id:
            query = query.where(DELIVERIES.c.payment_id == payment_id)
        async with self._database.read() as connection:
            return [dict(row._mapping) for row in (await connection.execute(query)).all()]
