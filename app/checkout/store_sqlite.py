"""The express lane on SQLite: the statements of each effect."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import orjson

from app.checkout.express import Effect, Record
from app.checkout.sqlite_file import SqliteFile, Write, moment_of

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

CAR: Final = "SELECT * FROM cars WHERE car_id = :key"

HOLD: Final = """
SELECT h.*, c.model_id, c.title, c.market, c.vat_rate,
       c.ready_for_handover_at, c.handover_lead_seconds, c.dealer_calendar
  FROM holds h JOIN cars c ON c.car_id = h.car_id WHERE h.hold_id = :key
"""


class SqliteExpress:
    """Checkout's express lane on the SQLite file at `path`; for `one_writer` see `SqliteFile`."""

    def __init__(self, path: str, one_writer: AbstractAsyncContextManager[Any]) -> None:
        self._file = SqliteFile(path, one_writer)

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
        await self._file.close()

    def _row(self, query: str, key: str) -> Record | None:
        try:
            row = self._file.row(query, {"key": key})
        except sqlite3.Error:
            return None
        return None if row is None else _record(row)

    async def _done(self, statements: tuple[str, ...], effect: Effect) -> bool:
        return await self._file.write(Write(statements, effect.values, effect.facts, effect.apart))


_MOMENTS: Final = (
    *("created_at", "expires_at", "confirmed_at", "handed_over_at", "ended_at"),
    *("ready_for_handover_at", "pick_up_by"),
)


def _record(row: sqlite3.Row) -> Record:
    record: Record = dict(row)
    for name in _MOMENTS:
        if record.get(name) is not None:
            record[name] = moment_of(record[name])
    if "context" in record:
        record["context"] = orjson.loads(record["context"])
    return record
