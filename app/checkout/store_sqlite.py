"""The express lane on SQLite: one writer thread, up to sixteen effects in one transaction.

Each effect is a list of statements in a savepoint of its own. The first one carries the guards and
must change a row; a statement that fails or a guard that does not hold undoes that effect alone.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from app.checkout.express import Effect, Record
from app.frame.batches import Batches

SAY: Final = (
    "INSERT INTO outbox (event_id, type, time, data, context)"
    " VALUES (:event_id, :type, :time, :data, :context)"
)

PLACE: Final = (
    """
    UPDATE cars SET state = 'held', version = version + 1
     WHERE car_id = :car_id AND listed AND state = 'available' AND rehearsal = :rehearsal
       AND price = :price AND currency = :currency AND model_id = :model_id AND market = :market
       AND NOT EXISTS (SELECT 1 FROM idempotency WHERE key = :key)
       AND NOT EXISTS (SELECT 1 FROM cars o WHERE o.identity = cars.identity
                          AND o.state <> 'available')
       AND (NOT :limited OR (
            (:session_id = '' OR :most_of_session > (SELECT COUNT(*) FROM holds
              WHERE state = 'active' AND session_id = :session_id))
            AND :most_of_address > (SELECT COUNT(*) FROM holds
              WHERE state = 'active' AND address_hash = :address_hash)))
    """,
    """
    INSERT INTO holds (hold_id, car_id, state, session_id, address_hash, price, currency, deposit,
                       context, created_at, expires_at, extended)
    VALUES (:hold_id, :car_id, 'active', :session_id, :address_hash, :price, :currency, :deposit,
            :context, :now, :expires_at, 0)
    """,
    """
    INSERT INTO idempotency (key, fingerprint, status, media_type, body, created_at, locked_until)
    VALUES (:key, :fingerprint, 201, 'application/json', CAST(:answer AS BLOB), :now, :locked_until)
    """,
)

SUBMIT: Final = (
    """
    INSERT INTO orders (order_id, hold_id, car_id, state, token_hash, price, vat_rate, vat, deposit,
                        currency, provider, advice_id, context, created_at, ready_for_handover_at)
    SELECT :order_id, :hold_id, :car_id, 'payment_pending', :token_hash, :price, :vat_rate, :vat,
           :deposit, :currency, :provider, :advice_id, :context, :now, :ready_for_handover_at
      FROM holds h JOIN cars c ON c.car_id = h.car_id
     WHERE h.hold_id = :hold_id AND h.state = 'active' AND h.expires_at > :now
       AND h.car_id = :car_id AND h.price = :price AND h.deposit = :deposit
       AND h.currency = :currency AND c.state = 'held' AND c.vat_rate = :vat_rate
       AND c.model_id = :model_id AND c.market = :market
       AND NOT EXISTS (SELECT 1 FROM idempotency WHERE key = :key)
       AND NOT EXISTS (SELECT 1 FROM orders o
                        WHERE o.hold_id = :hold_id AND o.state = 'payment_pending')
    """,
    "UPDATE cars SET version = version + 1 WHERE car_id = :car_id",
    """
    INSERT INTO customers (order_id, sealed, email_index)
    VALUES (:order_id, CAST(:sealed AS BLOB), :email_index)
    """,
    """
    INSERT INTO payments (order_id, provider, state, amount, currency, created_at)
    VALUES (:order_id, :provider, 'pending', :deposit, :currency, :now)
    """,
    """
    INSERT INTO idempotency (key, fingerprint, resource_id, created_at, locked_until)
    VALUES (:key, :fingerprint, :order_id, :now, :locked_until)
    """,
)

OPEN: Final = (
    """
    UPDATE idempotency
       SET status = 201, media_type = 'application/json', body = CAST(:answer AS BLOB)
     WHERE key = :key AND resource_id = :order_id AND status IS NULL
    """,
    """
    UPDATE payments SET payment_id = :payment_id, payment_url = :payment_url
     WHERE order_id = :order_id
    """,
)

CAR: Final = "SELECT * FROM cars WHERE car_id = ?"

HOLD: Final = """
SELECT h.*, c.model_id, c.title, c.market, c.vat_rate,
       c.ready_for_handover_at, c.handover_lead_seconds, c.dealer_calendar
  FROM holds h JOIN cars c ON c.car_id = h.car_id WHERE h.hold_id = ?
"""

BUSY_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Write:
    """An effect and the statements that make it."""

    statements: tuple[str, ...]
    effect: Effect


class SqliteExpress:
    """Checkout's express lane on the SQLite file at `path`.

    `one_writer` is the lock behind which this process's other transactions take turns: waiting for
    it costs less than SQLite's own waiting, which sleeps.
    """

    def __init__(self, path: str, one_writer: AbstractAsyncContextManager[Any]) -> None:
        self._path = path
        self._one_writer = one_writer
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkout-writer")
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._batches: Batches[_Write, bool] = Batches(
            self._run, apart=lambda write: write.effect.apart
        )

    async def car(self, car_id: str) -> Record | None:
        return self._row(CAR, car_id)

    async def hold(self, hold_id: str) -> Record | None:
        return self._row(HOLD, hold_id)

    async def place(self, effect: Effect) -> bool:
        return await self._done(PLACE, effect)

    async def submit(self, effect: Effect) -> bool:
        return await self._done(SUBMIT, effect)

    async def open(self, effect: Effect) -> bool:
        return await self._done(OPEN, effect)

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown)
        for connection in (self._writer, self._reader):
            if connection is not None:
                connection.close()

    def _row(self, query: str, key: str) -> Record | None:
        """A row by its key: 10 microseconds, less than the way to another thread and back."""
        try:
            if self._reader is None:
                self._reader = _connected(self._path)
            row = self._reader.execute(query, (key,)).fetchone()
        except sqlite3.Error:
            return None
        return None if row is None else _record(row)

    async def _done(self, statements: tuple[str, ...], effect: Effect) -> bool:
        return await self._batches.do(_Write(statements, effect))

    async def _run(self, writes: Sequence[_Write]) -> Sequence[bool]:
        async with self._one_writer:
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, self._write, writes
            )

    def _write(self, writes: Sequence[_Write]) -> list[bool]:
        if self._writer is None:
            self._writer = _connected(self._path)
        connection = self._writer
        try:
            connection.execute("BEGIN IMMEDIATE")
            done = [_apply(connection, write) for write in writes]
            connection.execute("COMMIT")
        except BaseException:
            # Whatever state it is in: a connection that kept the write lock would keep everybody
            # from writing. Closing alone does not let go while a traceback holds a cursor.
            self._writer = None
            with suppress(sqlite3.Error):
                connection.rollback()
            connection.close()
            raise
        return done


def _apply(connection: sqlite3.Connection, write: _Write) -> bool:
    """Make one effect in the open transaction; False when it did not happen."""
    values = _stored(write.effect.values)
    guarded, *rest = write.statements
    connection.execute("SAVEPOINT effect")
    try:
        done = connection.execute(guarded, values).rowcount == 1
        if done:
            for statement in rest:
                connection.execute(statement, values)
            connection.executemany(SAY, [_stored(fact) for fact in write.effect.facts])
    except (sqlite3.IntegrityError, OverflowError):
        done = False
    if not done:
        connection.execute("ROLLBACK TO effect")
    connection.execute("RELEASE effect")
    return done


def _connected(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    # What `frame.database` sets: a confirmed order survives a crash of process or machine.
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def _stored(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as `frame.database` stores them: naive UTC text, JSON as text."""
    return {name: _as_stored(value) for name, value in values.items()}


def _as_stored(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    if isinstance(value, dict):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    return value


_MOMENTS: Final = (
    *("created_at", "expires_at", "confirmed_at", "handed_over_at", "ended_at"),
    *("ready_for_handover_at", "pick_up_by"),
)


def _record(row: sqlite3.Row) -> Record:
    record: Record = dict(row)
    for name in _MOMENTS:
        if record.get(name) is not None:
            record[name] = datetime.fromisoformat(record[name]).replace(tzinfo=UTC)
    if "context" in record:
        record["context"] = orjson.loads(record["context"])
    return record
