"""All of checkout's SQL. A `CheckoutTransaction` is one transaction; its methods are its verbs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Row,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.checkout.models import (
    CARS,
    CUSTOMERS,
    DESK_SALES,
    HOLDS,
    IDEMPOTENCY,
    ORDERS,
    OUTBOX,
    PAYMENTS,
    WORK,
)
from app.contracts.checkout import OrderState
from app.frame.database import Database, UtcTime
from app.frame.outbox import FactRow, Outbox
from app.kernel.facts import EventContext, Fact, values_of
from telemetry.tracing import current_traceparent

Record = dict[str, Any]
"""One row, by column name."""

RECEIVED: Final = "withdrawn"
"""The message of a handed over order whose car its dealer has received back."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The first answer to a request with an Idempotency-Key, as bytes."""

    status: int
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is known of an Idempotency-Key; `answer` is None while the first is under way."""

    fingerprint: str
    resource_id: str | None
    answer: StoredAnswer | None
    created_at: datetime
    locked_until: datetime


def given_back() -> ColumnElement[bool]:
    """Whether the dealer has received the car of a row of ORDERS that was handed over."""
    message = func.coalesce(ORDERS.c.message, "")
    return and_(ORDERS.c.state.in_(("returned", "refunded")), message == RECEIVED)


class CheckoutTransaction:
    """One write transaction."""

    def __init__(self, connection: AsyncConnection, outbox: Outbox, dialect: str) -> None:
        self._connection = connection
        self._outbox = outbox
        self._insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
        self._lock = dialect == "postgresql"

    @property
    def connection(self) -> AsyncConnection:
        """For verbs that have a file of their own (`store_customers`)."""
        return self._connection

    async def record(self, fact: Fact, context: EventContext) -> None:
        """Put a fact into the outbox: it is stated exactly if this transaction commits."""
        await self._outbox.add(self._connection, [fact], context)

    # --- idempotency keys -------------------------------------------------------------------

    async def claim_key(
        self, key: str, fingerprint: str, *, now: datetime, locked_until: datetime
    ) -> KeyRecord | None:
        """Take a key for this request: None when it was free, else what is known of it."""
        claimed = await self._connection.execute(
            self._insert(IDEMPOTENCY)
            .values(key=key, fingerprint=fingerprint, created_at=now, locked_until=locked_until)
            .on_conflict_do_nothing()
        )
        if claimed.rowcount == 1:
            return None
        query = select(IDEMPOTENCY).where(IDEMPOTENCY.c.key == key)
        row = (await self._connection.execute(self._for_update(query))).one()
        return KeyRecord(
            row.fingerprint, row.resource_id, _answer_in(row), row.created_at, row.locked_until
        )

    async def relock_key(self, key: str, *, locked_until: datetime) -> None:
        await self._connection.execute(
            update(IDEMPOTENCY).where(IDEMPOTENCY.c.key == key).values(locked_until=locked_until)
        )

    async def bind_key(self, key: str, resource_id: str) -> None:
        """Remember what a request under way is making, so that a retry can finish it."""
        await self._connection.execute(
            update(IDEMPOTENCY).where(IDEMPOTENCY.c.key == key).values(resource_id=resource_id)
        )

    async def answer_key(self, key: str, answer: StoredAnswer) -> StoredAnswer:
        """Store the key's answer; returns the one that counts, which is the first one."""
        stored = await self._connection.execute(
            update(IDEMPOTENCY)
            .where(IDEMPOTENCY.c.key == key, IDEMPOTENCY.c.status.is_(None))
            .values(status=answer.status, media_type=answer.media_type, body=answer.body)
        )
        if stored.rowcount == 1:
            return answer
        query = select(IDEMPOTENCY).where(IDEMPOTENCY.c.key == key)
        row = (await self._connection.execute(query)).one_or_none()
        return answer if row is None else _answer_in(row) or answer

    async def prune_keys(self, *, before: datetime) -> int:
        result = await self._connection.execute(
            IDEMPOTENCY.delete().where(IDEMPOTENCY.c.created_at < before)
        )
        return result.rowcount

    # --- cars -------------------------------------------------------------------------------

    async def lock_car(self, car_id: str) -> Record | None:
        """A car with its active hold's deadline.

        Whatever is done about a car begins here: its row is the one lock behind which holds,
        orders, webhooks and the sweeper take turns, so that they never wait for each other in a
        circle. Statements after it see what the others committed. Its version goes up: whoever
        decided without the lock (`change.settled`) looks again.
        """
        await self._connection.execute(
            update(CARS).where(CARS.c.car_id == car_id).values(version=CARS.c.version + 1)
        )
        return await self._one(_car_query().where(CARS.c.car_id == car_id))

    async def lock_holder(self, address_hash: str) -> None:
        """Let one address place its holds one after the other, so that its limit is exact."""
        if self._lock:
            await self._connection.execute(
                text("SELECT pg_advisory_xact_lock(hashtext(:address))"), {"address": address_hash}
            )

    async def list_car(self, values: Record, *, resale_before: datetime) -> str:
        """Add a car or refresh its offer; who has it does not change. Returns the car's state.

        Nor does which physical car somebody has, but it may become known: where somebody else has
        that one already, both keep what they were promised and this row is offered to nobody. One
        that comes back as another row, and that its buyer returned or got before `resale_before`,
        was traded in: the old row lets go of it.
        """
        offer = {k: v for k, v in values.items() if k != "car_id"}
        if values["identity"] is not None:
            await self._let_go(values["identity"], values["car_id"], resale_before)
        statement = self._insert(CARS).values(**values, listed=True, state="available")
        free = CARS.c.state == "available"
        another = CARS.alias("another")
        twice = and_(
            CARS.c.identity.is_(None),
            exists().where(
                another.c.identity == values["identity"],
                another.c.car_id != values["car_id"],
                another.c.state != "available",
            ),
        )
        told = statement.excluded.identity
        offer["identity"] = case(
            (free, told), (twice, None), else_=func.coalesce(CARS.c.identity, told)
        )
        offer["listed"] = or_(free, ~twice)
        listed = await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=["car_id"], set_={**offer, "version": CARS.c.version + 1}
            ).returning(CARS.c.state)
        )
        return str(listed.scalar_one())

    async def _let_go(self, identity: str, car_id: str, resale_before: datetime) -> None:
        owned = exists().where(
            ORDERS.c.car_id == CARS.c.car_id,
            ORDERS.c.handed_over_at.is_not(None),
            ~given_back(),
            or_(ORDERS.c.handed_over_at >= resale_before, ORDERS.c.state != "confirmed"),
        )
        sold_at_desk = exists().where(
            DESK_SALES.c.car_id == CARS.c.car_id, DESK_SALES.c.sold_at >= resale_before
        )
        await self._connection.execute(
            update(CARS)
            .where(
                CARS.c.identity == identity,
                CARS.c.car_id != car_id,
                CARS.c.state == "sold",
                ~owned,
                ~sold_at_desk,
            )
            .values(identity=None)
        )

    async def relist_returned(self, car_id: str) -> bool:
        """Put a car back on sale that its dealer has received from every earlier owner."""
        owners = select(ORDERS.c.order_id).where(
            ORDERS.c.car_id == car_id, ORDERS.c.handed_over_at.is_not(None)
        )
        moved = await self._connection.execute(
            update(CARS)
            .where(
                CARS.c.car_id == car_id,
                CARS.c.state == "sold",
                ~exists().where(DESK_SALES.c.car_id == car_id),
                owners.where(given_back()).exists(),
                ~owners.where(~given_back()).exists(),
            )
            .values(state="available", version=CARS.c.version + 1)
        )
        return moved.rowcount == 1

    async def unlist_car(self, car_id: str) -> None:
        await self._connection.execute(
            update(CARS)
            .where(CARS.c.car_id == car_id)
            .values(listed=False, version=CARS.c.version + 1)
        )

    async def move_car(self, car_id: str, before: Sequence[str], after: str) -> bool:
        """Change a car's state if it is in one of `before`; False when it is not.

        Raises `CarTaken` when somebody has the same physical car by another id: the database itself
        says so.
        """
        try:
            moved = await self._connection.execute(
                update(CARS)
                .where(CARS.c.car_id == car_id, CARS.c.state.in_(before))
                .values(state=after)
            )
        except IntegrityError as error:
            raise CarTaken(car_id) from error
        return moved.rowcount == 1

    # --- holds ------------------------------------------------------------------------------

    async def lock_hold(self, hold_id: str) -> Record | None:
        """A hold, behind its car's lock."""
        query = select(HOLDS).where(HOLDS.c.hold_id == hold_id)
        found = await self._one(query)
        if found is None:
            return None
        await self.lock_car(found["car_id"])
        return await self._one(query)

    async def count_active_holds(self, *, session_id: str, address_hash: str) -> tuple[int, int]:
        """Active holds of this session and of this address."""
        query = select(
            func.count().filter(HOLDS.c.session_id == session_id),
            func.count().filter(HOLDS.c.address_hash == address_hash),
        ).where(
            HOLDS.c.state == "active",
            or_(
                and_(HOLDS.c.session_id == session_id, HOLDS.c.session_id != ""),
                HOLDS.c.address_hash == address_hash,
            ),
        )
        of_session, of_address = (await self._connection.execute(query)).one()
        return (of_session if session_id else 0), of_address

    async def add_hold(self, values: Record) -> None:
        """Raises `CarTaken` when the car has an active hold: the database itself says so."""
        try:
            await self._connection.execute(insert(HOLDS).values(**values))
        except IntegrityError as error:
            raise CarTaken(str(values["car_id"])) from error

    async def end_hold(self, hold_id: str, state: str) -> bool:
        """Move an active hold to `state`; False when it is not active any more."""
        ended = await self._connection.execute(
            update(HOLDS)
            .where(HOLDS.c.hold_id == hold_id, HOLDS.c.state == "active")
            .values(state=state)
        )
        return ended.rowcount == 1

    # --- orders -----------------------------------------------------------------------------

    async def order(self, order_id: str) -> Record | None:
        return await self._one(_order_query().where(ORDERS.c.order_id == order_id))

    async def lock_order(self, order_id: str) -> Record | None:
        """An order, behind its car's lock."""
        found = await self.order(order_id)
        if found is None:
            return None
        await self.lock_car(found["car_id"])
        return await self.order(order_id)

    async def last_order_of_hold(self, hold_id: str) -> Record | None:
        """The order that waits for payment, else the newest one."""
        return await self._one(
            _order_query()
            .where(ORDERS.c.hold_id == hold_id)
            .order_by(
                (ORDERS.c.state == "payment_pending").desc(),
                ORDERS.c.created_at.desc(),
                ORDERS.c.order_id.desc(),
            )
            .limit(1)
        )

    async def add_order(self, order: Record, *, sealed_customer: bytes, email_index: str) -> None:
        await self._connection.execute(insert(ORDERS).values(**order))
        await self._connection.execute(
            insert(CUSTOMERS).values(
                order_id=order["order_id"], sealed=sealed_customer, email_index=email_index
            )
        )
        await self._connection.execute(
            insert(PAYMENTS).values(
                order_id=order["order_id"],
                provider=order["provider"],
                state="pending",
                amount=order["deposit"],
                currency=order["currency"],
                created_at=order["created_at"],
            )
        )

    async def move_order(
        self, order_id: str, before: OrderState, after: OrderState, **values: Any
    ) -> bool:
        moved = await self._connection.execute(
            update(ORDERS)
            .where(ORDERS.c.order_id == order_id, ORDERS.c.state == before)
            .values(state=after, **values)
        )
        return moved.rowcount == 1

    async def mark_handed_over(self, order_id: str, at: datetime) -> bool:
        marked = await self._connection.execute(
            update(ORDERS)
            .where(
                ORDERS.c.order_id == order_id,
                ORDERS.c.state == "confirmed",
                ORDERS.c.handed_over_at.is_(None),
            )
            .values(handed_over_at=at)
        )
        return marked.rowcount == 1

    # --- payments ---------------------------------------------------------------------------

    async def set_payment(self, order_id: str, **values: Any) -> None:
        await self._connection.execute(
            update(PAYMENTS).where(PAYMENTS.c.order_id == order_id).values(**values)
        )

    # --- work -------------------------------------------------------------------------------

    async def put_off(self, kind: str, item_id: str, now: datetime) -> int:
        """Count a failure of an item; returns how many there were before."""
        values = {"kind": kind, "item_id": item_id, "attempts": 1, "since": now, "due_at": now}
        written = await self._connection.execute(
            self._insert(WORK)
            .values(**values)
            .on_conflict_do_update(
                index_elements=["kind", "item_id"], set_={"attempts": WORK.c.attempts + 1}
            )
            .returning(WORK.c.attempts)
        )
        return int(written.scalar_one()) - 1

    async def put_off_until(self, kind: str, item_id: str, due_at: datetime) -> None:
        await self._connection.execute(
            update(WORK).where(WORK.c.kind == kind, WORK.c.item_id == item_id).values(due_at=due_at)
        )

    async def forget_work(self, kind: str, item_id: str) -> None:
        await self._connection.execute(
            WORK.delete().where(WORK.c.kind == kind, WORK.c.item_id == item_id)
        )

    # --- rows -------------------------------------------------------------------------------

    def _for_update(self, query: Any) -> Any:
        return query.with_for_update() if self._lock else query

    async def _one(self, query: Any) -> Record | None:
        row: Row[Any] | None = (await self._connection.execute(query)).first()
        return None if row is None else dict(row._mapping)


class Store:
    """Checkout's database."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[CheckoutTransaction]:
        """One write transaction; commits at the end of the block."""
        async with self._database.transaction() as connection:
            yield self.within(connection)

    def fact_rows(self, facts: Sequence[Fact], context: EventContext) -> list[FactRow]:
        """Facts as rows of the outbox, for an express effect."""
        return self._outbox.rows([(fact, context) for fact in facts])

    def within(self, connection: AsyncConnection) -> CheckoutTransaction:
        """The same verbs in a transaction that somebody else began (a consumer's)."""
        return CheckoutTransaction(connection, self._outbox, self._database.dialect)

    async def read_car(self, car_id: str) -> Record | None:
        """A car with its active hold's deadline (`held_until`), as of now."""
        return await self._first(_car_query().where(CARS.c.car_id == car_id))

    async def bought(self, car_id: str, session_id: str) -> Record | None:
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
        return await self._first(query)

    async def physical_state(self, car: Record) -> str:
        """A car's state, or of the same physical car that somebody has by another id."""
        taken = select(CARS.c.state).where(
            CARS.c.identity == car["identity"],
            CARS.c.car_id != car["car_id"],
            CARS.c.state != "available",
        )
        found = await self._first(taken) if car["state"] == "available" else None
        return str((found or car)["state"])

    async def overdue_holds(self, *, now: datetime, limit: int) -> list[Record]:
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
        return await self._many(query)

    async def holds_of(self, session_id: str, *, now: datetime) -> list[Record]:
        """A session's running holds, the one that ends first first."""
        query = (
            select(HOLDS)
            .where(
                HOLDS.c.session_id == session_id,
                HOLDS.c.state == "active",
                HOLDS.c.expires_at > now,
            )
            .order_by(HOLDS.c.expires_at, HOLDS.c.hold_id)
            .limit(100)
        )
        return await self._many(query)

    async def orders_not_picked_up(self, *, waiting_since: datetime, now: datetime) -> list[Record]:
        """Confirmed orders whose car could have been collected until now, and was not.

        One that a version without calendars confirmed was promised the time since `waiting_since`.
        """
        ready_at = ORDERS.c.ready_for_handover_at
        query = (
            _order_query()
            .where(
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
        return await self._many(query)

    async def read_hold(self, hold_id: str) -> Record | None:
        return await self._first(select(HOLDS).where(HOLDS.c.hold_id == hold_id))

    async def read_order(self, order_id: str) -> Record | None:
        return await self._first(_order_query().where(ORDERS.c.order_id == order_id))

    async def order_of_payment(self, provider: str, payment_id: str) -> str:
        """The order that was paid so; empty when it is none of ours."""
        query = select(PAYMENTS.c.order_id).where(
            PAYMENTS.c.payment_id == payment_id, PAYMENTS.c.provider == provider
        )
        async with self._database.read() as connection:
            return str(await connection.scalar(query) or "")

    async def orders_in(self, states: Sequence[str], *, after: str, limit: int) -> list[Record]:
        query = (
            _order_query().where(ORDERS.c.order_id > after).order_by(ORDERS.c.order_id).limit(limit)
        )
        if states:
            query = query.where(ORDERS.c.state.in_(states))
        return await self._many(query)

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

    async def refunds_due(self, *, provider: str, now: datetime, limit: int) -> list[Record]:
        """Orders whose money is owed back, the longest waiting first."""
        query = (
            _order_query()
            .where(
                PAYMENTS.c.state == "refund_due",
                PAYMENTS.c.provider == provider,
                _not_put_off("refunds", ORDERS.c.order_id, now),
            )
            .order_by(ORDERS.c.ended_at, ORDERS.c.order_id)
            .limit(limit)
        )
        return await self._many(query)

    async def refunds_owed(self) -> list[Record]:
        """Every order whose money is owed back, refused ones too, the longest waiting first."""
        query = (
            _order_query()
            .where(PAYMENTS.c.state.in_(("refund_due", "refund_refused")))
            .order_by(ORDERS.c.ended_at, ORDERS.c.order_id)
        )
        return await self._many(query)

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
    ) -> list[Record]:
        """Orders whose payment was opened and of whose end nothing is known, by order_id."""
        query = (
            _order_query()
            .where(
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
        return await self._many(query)

    async def payments_kept(
        self, *, provider: str, confirmed_after: datetime, after: str, limit: int
    ) -> list[Record]:
        """Orders that keep their money, by order_id: it may move at the provider."""
        query = (
            _order_query()
            .where(
                PAYMENTS.c.state == "captured",
                PAYMENTS.c.provider == provider,
                ORDERS.c.confirmed_at > confirmed_after,
                ORDERS.c.order_id > after,
            )
            .order_by(ORDERS.c.order_id)
            .limit(limit)
        )
        return await self._many(query)

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

    async def _first(self, query: Any) -> Record | None:
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else dict(row._mapping)

    async def _many(self, query: Any) -> list[Record]:
        async with self._database.read() as connection:
            return [dict(row._mapping) for row in (await connection.execute(query)).all()]


def _not_put_off(kind: str, item_id: Any, now: datetime) -> Any:
    """Leaves out the items of a work list that failed and are not due again."""
    return ~exists().where(WORK.c.kind == kind, WORK.c.item_id == item_id, WORK.c.due_at > now)


def _order_query() -> Any:
    """An order with its payment and its hold's deadline."""
    return (
        select(
            ORDERS,
            PAYMENTS.c.state.label("payment_state"),
            PAYMENTS.c.payment_id,
            PAYMENTS.c.payment_url,
            PAYMENTS.c.accepted_at,
            PAYMENTS.c.refunded_amount,
            PAYMENTS.c.dispute,
            PAYMENTS.c.moves,
            HOLDS.c.expires_at,
            HOLDS.c.state.label("hold_state"),
            CARS.c.model_id,
            CARS.c.title,
            CARS.c.market,
            CARS.c.dealer_id,
            CARS.c.dealer_calendar,
        )
        .join(PAYMENTS, PAYMENTS.c.order_id == ORDERS.c.order_id)
        .join(HOLDS, HOLDS.c.hold_id == ORDERS.c.hold_id)
        .join(CARS, CARS.c.car_id == ORDERS.c.car_id)
    )


def _answer_in(row: Any) -> StoredAnswer | None:
    """The answer that a key's row holds; None while its request is under way."""
    if row.status is None:
        return None
    return StoredAnswer(row.status, row.media_type or "", row.body or b"")


def as_context(values: Mapping[str, Any]) -> EventContext:
    """A stored context as the dataclass."""
    return EventContext(**values)


def now_context(order: Record) -> EventContext:
    """The order's context, stated in the span that is current now."""
    context = as_context(order["context"])
    return replace(context, traceparent=current_traceparent() or context.traceparent)


def as_json(context: EventContext) -> dict[str, Any]:
    """A context as it is stored."""
    return values_of(context)


def _car_query() -> Any:
    """A car with its active hold."""
    return select(
        CARS, HOLDS.c.hold_id.label("held_by"), HOLDS.c.expires_at.label("held_until")
    ).outerjoin(HOLDS, and_(HOLDS.c.car_id == CARS.c.car_id, HOLDS.c.state == "active"))


class CarTaken(Exception):
    """Two shoppers reached for one car at once, and this one was second."""
