"""What people, jobs and commands read of checkout's database; and its lists of work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from app.checkout.looks import TABLES, Rows
from app.checkout.models import (
    ACTIVE_BY,
    CARS,
    HOLDS,
    ORDERS,
    OUTBOX,
    PAYMENTS,
    WORK,
)
from app.checkout.rows import Car, Hold, Order, Payment, Purchase
from app.contracts.checkout import OrderState
from app.frame.data.database import Database, UtcTime


class Bought(NamedTuple):
    """The order by which somebody has a car, and its hold."""

    order_id: str
    hold_id: str


class Store:
    """Checkout's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """One write transaction; commits at the end of the block."""
        return self._database.transaction()

    async def read_car(self, car_id: str) -> Car | None:
        """A car as of now."""
        found = await self._rows(select(CARS).where(CARS.c.car_id == car_id))
        return Car(*found[0]) if found else None

    async def bought(self, car_id: str, session_id: str) -> Bought | None:
        """The order by which this session has bought a car, with its hold."""
        if not session_id:
            return None
        query = (
            select(ORDERS.c.order_id, ORDERS.c.hold_id)
            .join(HOLDS, HOLDS.c.hold_id == ORDERS.c.hold_id)
            .where(
                ORDERS.c.car_id == car_id,
                ORDERS.c.state.in_(("confirmed", "disputed", "return_requested")),
                HOLDS.c.session_id == session_id,
            )
        )
        found = await self._rows(query)
        return Bought(*found[0]) if found else None

    async def overdue_holds(self, *, now: datetime, limit: int) -> list[Hold]:
        query = (
            select(HOLDS)
            .where(
                HOLDS.c.state == "active",
                HOLDS.c.expires_at <= now,
                _not_put_off("sweep", HOLDS.c.hold_id, now),
            )
            .order_by(HOLDS.c.expires_at)
            .limit(limit)
        )
        return [Hold(*row) for row in await self._rows(query)]

    async def holds_of(self, session_id: str, *, now: datetime) -> list[Hold]:
        """A session's running holds, the one that ends first first."""
        query = (
            select(HOLDS)
            .where(
                HOLDS.c.session_id == session_id,
                text(ACTIVE_BY["session_id"]),
                HOLDS.c.expires_at > now,
            )
            .order_by(HOLDS.c.expires_at, HOLDS.c.hold_id)
            .limit(100)
        )
        return [Hold(*row) for row in await self._rows(query)]

    async def orders_not_picked_up(
        self, *, waiting_since: datetime, now: datetime
    ) -> list[Purchase]:
        """Confirmed orders whose car could have been collected until now, and was not.

        One that a version without calendars confirmed was promised the time since `waiting_since`.
        """
        ready_at = ORDERS.c.ready_for_handover_at
        query = (
            _PURCHASES.where(
                ORDERS.c.state == "confirmed",
                ORDERS.c.handed_over_at.is_(None),
                or_(
                    ORDERS.c.pick_up_by <= now,
                    and_(
                        ORDERS.c.pick_up_by.is_(None),
                        ORDERS.c.confirmed_at <= waiting_since,
                        or_(ready_at.is_(None), ready_at <= waiting_since),
                    ),
                ),
                _not_put_off("lapses", ORDERS.c.order_id, now),
            )
            .order_by(ORDERS.c.confirmed_at, ORDERS.c.order_id)
            .limit(100)
        )
        return await self._purchases(query)

    async def read_order(self, order_id: str) -> Purchase | None:
        found = await self._purchases(_PURCHASES.where(ORDERS.c.order_id == order_id))
        return found[0] if found else None

    async def order_of_payment(self, provider: str, payment_id: str) -> str:
        """The order that was paid so; empty when it is none of ours."""
        query = select(PAYMENTS.c.order_id).where(
            PAYMENTS.c.payment_id == payment_id, PAYMENTS.c.provider == provider
        )
        async with self._database.read() as connection:
            return str(await connection.scalar(query) or "")

    async def orders_in(self, states: Sequence[str], *, after: str, limit: int) -> list[Purchase]:
        query = _PURCHASES.where(ORDERS.c.order_id > after).order_by(ORDERS.c.order_id).limit(limit)
        if states:
            query = query.where(ORDERS.c.state.in_(states))
        return await self._purchases(query)

    async def count_confirmed(self) -> int:
        """Orders ever confirmed: what `shop_orders_total` must equal."""
        query = select(func.count()).where(ORDERS.c.confirmed_at.is_not(None))
        async with self._database.read() as connection:
            return int(await connection.scalar(query) or 0)

    async def count_available(self) -> int:
        """Listed cars that nobody has."""
        query = select(func.count()).where(CARS.c.state == "available", CARS.c.listed)
        async with self._database.read() as connection:
            return int(await connection.scalar(query) or 0)

    async def stock_by_market(self) -> dict[str, int]:
        """Cars that shoppers may want: on offer and bought by nobody."""
        query = (
            select(CARS.c.market, func.count())
            .where(CARS.c.listed, ~CARS.c.rehearsal, CARS.c.state.in_(("available", "held")))
            .group_by(CARS.c.market)
        )
        async with self._database.read() as connection:
            return {each[0]: int(each[1]) for each in await connection.execute(query)}

    async def held_by_market(self) -> dict[str, int]:
        """Active holds of shoppers."""
        query = (
            select(CARS.c.market, func.count())
            .join(HOLDS, HOLDS.c.car_id == CARS.c.car_id)
            .where(HOLDS.c.state == "active", ~CARS.c.rehearsal)
            .group_by(CARS.c.market)
        )
        async with self._database.read() as connection:
            return {each[0]: int(each[1]) for each in await connection.execute(query)}

    async def refunds_due(self, *, provider: str, now: datetime, limit: int) -> list[Purchase]:
        """Orders whose money is owed back, the longest waiting first."""
        query = (
            _PURCHASES.where(
                PAYMENTS.c.state == "refund_due",
                PAYMENTS.c.provider == provider,
                _not_put_off("refunds", ORDERS.c.order_id, now),
            )
            .order_by(ORDERS.c.ended_at, ORDERS.c.order_id)
            .limit(limit)
        )
        return await self._purchases(query)

    async def refunds_owed(self) -> list[Purchase]:
        """Every order whose money is owed back, refused ones too, the longest waiting first."""
        query = _PURCHASES.where(PAYMENTS.c.state.in_(("refund_due", "refund_refused"))).order_by(
            ORDERS.c.ended_at, ORDERS.c.order_id
        )
        return await self._purchases(query)

    async def count_refused_refunds(self) -> int:
        query = select(func.count()).where(PAYMENTS.c.state == "refund_refused")
        async with self._database.read() as connection:
            return int(await connection.scalar(query) or 0)

    async def oldest_work(self, now: datetime) -> dict[str, datetime | None]:
        """By kind of work, since when its oldest item has been due or failing."""
        failing = (
            select(WORK.c.kind, func.min(WORK.c.since))
            .where(WORK.c.due_at > now - timedelta(hours=1))
            .group_by(WORK.c.kind)
        )
        owed = (
            select(func.min(ORDERS.c.ended_at))
            .join(PAYMENTS, PAYMENTS.c.order_id == ORDERS.c.order_id)
            .where(PAYMENTS.c.state == "refund_due")
        )
        overdue = select(func.min(HOLDS.c.expires_at)).where(
            HOLDS.c.state == "active", HOLDS.c.expires_at <= now
        )
        async with self._database.read() as connection:
            found = {row[0]: row[1] for row in await connection.execute(failing)}
            found["refunds"] = await connection.scalar(owed)
            found["sweep"] = await connection.scalar(overdue)
        return found

    async def unsettled(
        self,
        states: Sequence[OrderState],
        *,
        provider: str,
        now: datetime,
        created_after: datetime,
        created_before: datetime,
        after: str,
        limit: int,
    ) -> list[Purchase]:
        """Orders whose payment was opened and of whose end nothing is known, by order_id."""
        query = (
            _PURCHASES.where(
                ORDERS.c.state.in_(states),
                PAYMENTS.c.provider == provider,
                PAYMENTS.c.state.in_(("pending", "cancelled", "declined")),
                PAYMENTS.c.payment_id.is_not(None),
                _not_put_off("reconcile", ORDERS.c.order_id, now),
                ORDERS.c.created_at > created_after,
                ORDERS.c.created_at <= created_before,
                ORDERS.c.order_id > after,
            )
            .order_by(ORDERS.c.order_id)
            .limit(limit)
        )
        return await self._purchases(query)

    async def payments_kept(
        self, *, provider: str, confirmed_after: datetime, after: str, limit: int
    ) -> list[Purchase]:
        """Orders that keep their money, by order_id: it may move at the provider."""
        query = (
            _PURCHASES.where(
                PAYMENTS.c.state == "captured",
                PAYMENTS.c.provider == provider,
                ORDERS.c.confirmed_at > confirmed_after,
                ORDERS.c.order_id > after,
            )
            .order_by(ORDERS.c.order_id)
            .limit(limit)
        )
        return await self._purchases(query)

    async def oldest_fact(self) -> datetime | None:
        """When the oldest fact was stated that has not been pruned."""
        query = select(OUTBOX.c.time).order_by(OUTBOX.c.id).limit(1)
        async with self._database.read() as connection:
            oldest: datetime | None = await connection.scalar(query)
        return oldest

    async def count_breaking(self, query: str, moments: Mapping[str, datetime]) -> int:
        """Rows that break an invariant (`invariants.py` holds the queries and their moments)."""
        statement = text(query).bindparams(
            *(
                bindparam(name, moment, UtcTime())
                for name, moment in moments.items()
                if f":{name}" in query
            )
        )
        async with self._database.read() as connection:
            return int(await connection.scalar(statement) or 0)

    async def put_off(
        self, kind: str, item_id: str, now: datetime, pause: Callable[[int], timedelta]
    ) -> int:
        """Count a failure of an item, which waits for a `pause` after so many before; how many."""
        values = {"kind": kind, "item_id": item_id, "attempts": 1, "since": now, "due_at": now}
        insert = postgresql.insert if self._database.dialect == "postgresql" else sqlite.insert
        async with self.begin() as connection:
            written = await connection.execute(
                insert(WORK)
                .values(**values)
                .on_conflict_do_update(
                    index_elements=["kind", "item_id"], set_={"attempts": WORK.c.attempts + 1}
                )
                .returning(WORK.c.attempts)
            )
            before = int(written.scalar_one()) - 1
            await connection.execute(
                update(WORK)
                .where(WORK.c.kind == kind, WORK.c.item_id == item_id)
                .values(due_at=now + pause(before))
            )
        return before

    async def forget_work(self, kind: str, item_id: str) -> None:
        async with self.begin() as connection:
            await connection.execute(
                WORK.delete().where(WORK.c.kind == kind, WORK.c.item_id == item_id)
            )

    async def _rows(self, query: Any) -> Sequence[Sequence[Any]]:
        async with self._database.read() as connection:
            return (await connection.execute(query)).all()

    async def _purchases(self, query: Any) -> list[Purchase]:
        return [Purchase(*_READ.of(row)) for row in await self._rows(query)]


def _not_put_off(kind: str, item_id: Any, now: datetime) -> Any:
    """Leaves out the items of a work list that failed and are not due again."""
    return ~exists().where(WORK.c.kind == kind, WORK.c.item_id == item_id, WORK.c.due_at > now)


_PARTS: Final = (Order, Payment, Hold, Car)
_READ: Final = Rows(_PARTS, {})

_PURCHASES: Final = (
    select(*(column for part in _PARTS for column in TABLES[part].columns))
    .select_from(ORDERS)
    .join(PAYMENTS, PAYMENTS.c.order_id == ORDERS.c.order_id)
    .join(HOLDS, HOLDS.c.hold_id == ORDERS.c.hold_id)
    .join(CARS, CARS.c.car_id == ORDERS.c.car_id)
)
