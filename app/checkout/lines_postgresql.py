"""Looks and changes on PostgreSQL: one statement for up to sixteen of a shape.

`wish` is the batch (JSON, one object per change, numbered by `n`). The guard is the update of the
car itself: it stands if the car has the version that was seen, and the provider's message is new.
All that follows is done for `standing` wishes only. Wishes come sorted by car, so that two batches
never wait for each other in a circle; of two wishes for one car exactly one stands.

What breaks a unique index, or waits for longer than `lock_timeout`, fails its whole batch, of which
nothing stays: each change is then tried alone.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from typing import Any, Final

import asyncpg
import orjson
from sqlalchemy import JSON, BigInteger, Boolean, Column, Integer, LargeBinary

from app.checkout.change import Change, Look, Sight
from app.checkout.looks import ORDER, ROWS, sight_of
from app.checkout.models import CARS
from app.checkout.shapes import Part, Shape, shape_of, wish_of
from app.checkout.store_postgresql import (
    CONNECT_SECONDS,
    ONCE,
    PAUSE_SECONDS,
    SAID,
    SESSION,
    STATEMENT_SECONDS,
    UNREACHABLE,
    arguments_of,
    as_json,
)
from app.frame.batches import Batches, BatchFailed, LineDown
from app.frame.database import UtcTime
from app.frame.outbox import Outbox
from app.frame.settings import Pooler

CONNECTIONS: Final = 2
"""At most, of one worker."""

_LOST: Final = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)
"""Somebody else was faster: the next look shows it."""

_ASKED: Final = (
    ORDER.format(asked="unnest($1::text[], $2::text[]) WITH ORDINALITY AS q(order_id, event_id, n)")
    .replace(" q\n", "\n", 1)
    .replace("SELECT ", "SELECT q.n, ", 1)
)
_JSON: Final = [
    n
    for n, name in enumerate(name for _, row in ROWS for name in row.__dataclass_fields__)
    if name in ("context", "moves")
]


class PostgresqlLines:
    """Checkout's way to PostgreSQL (`url` as SQLAlchemy writes it)."""

    def __init__(self, url: str, outbox: Outbox, *, pooler: Pooler = "") -> None:
        self._outbox = outbox
        self._connections = _Connections(url, pooler)
        self._looks: Batches[Look, Sight | None] = Batches(self._look)
        self._writes: dict[Shape, Batches[Change[Any], bool | Exception]] = {}

    async def look(self, look: Look) -> Sight | None:
        return await self._looks.do(look)

    async def write(self, change: Change[Any]) -> bool:
        shape = shape_of(change)
        batches = self._writes.get(shape)
        if batches is None:

            async def run(changes: Sequence[Change[Any]]) -> Sequence[bool | Exception]:
                return await self._write(shape, changes)

            batches = self._writes[shape] = Batches(run)
        done = await batches.do(change)
        if isinstance(done, Exception):
            raise BatchFailed(type(done).__name__) from done
        return done

    async def close(self) -> None:
        await self._connections.close()

    async def _look(self, looks: Sequence[Look]) -> list[Sight | None]:
        asked = [look.order_id for look in looks], [look.event_id for look in looks]
        async with self._connections.one() as connection:
            rows = await connection.fetch(_ASKED, *asked)
        found = {row[0]: sight_of(_read(row)) for row in rows}
        return [found.get(n + 1) for n in range(len(looks))]

    async def _write(
        self, shape: Shape, changes: Sequence[Change[Any]]
    ) -> Sequence[bool | Exception]:
        statement = statement_of(shape)
        async with self._connections.one() as connection:
            try:
                rows = await connection.fetch(statement, *self._arguments(changes))
            except asyncpg.PostgresError as error:
                if isinstance(error, UNREACHABLE):
                    raise
                if len(changes) == 1:
                    return [False if isinstance(error, _LOST) else error]
            else:
                done = {row["n"] for row in rows}
                return [n in done for n in range(len(changes))]
        return [(await self._write(shape, [change]))[0] for change in changes]

    def _arguments(self, changes: Sequence[Change[Any]]) -> tuple[str, str]:
        wishes = [{"n": n, **wish_of(change)} for n, change in enumerate(changes)]
        facts = [
            {"n": n, "m": m, **fact}
            for n, change in enumerate(changes)
            for m, fact in enumerate(self._outbox.rows(change.facts))
        ]
        return as_json(sorted(wishes, key=lambda wish: str(wish["car_id"]))), as_json(facts)


class _Connections:
    """A few connections of our own, opened when they are needed."""

    def __init__(self, url: str, pooler: Pooler) -> None:
        self._pooler = pooler
        self._connect = {
            **arguments_of(url),
            **({"statement_cache_size": 0} if pooler else {"server_settings": SESSION}),
        }
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._idle: list[asyncpg.Connection] = []
        self._down_until = -math.inf

    @asynccontextmanager
    async def one(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection for one statement; raises `LineDown` when there is none to be had."""
        if time.monotonic() < self._down_until:
            raise LineDown("the connection was lost a moment ago")
        async with self._places:
            connection: asyncpg.Connection | None = None
            try:
                connection = self._idle.pop() if self._idle else await self._opened()
                if self._pooler:
                    # A connection of a pooler's is another one after each transaction.
                    async with connection.transaction():
                        await connection.execute(ONCE)
                        yield connection
                else:
                    yield connection
            except UNREACHABLE as error:
                if connection is None or isinstance(error, TimeoutError):
                    # Nobody answers: who comes meanwhile need not try. After a connection that only
                    # broke a new one is made at once.
                    self._down_until = time.monotonic() + PAUSE_SECONDS
                else:
                    self._forget_idle()
                if connection is not None:
                    connection.terminate()
                raise LineDown(f"{type(error).__name__}: {error}") from error
            finally:
                if connection is not None and not connection.is_closed():
                    self._idle.append(connection)

    def _forget_idle(self) -> None:
        """One broke: the others were most likely cut with it."""
        while self._idle:
            self._idle.pop().terminate()

    async def _opened(self) -> asyncpg.Connection:
        return await asyncpg.connect(
            **self._connect, timeout=CONNECT_SECONDS, command_timeout=STATEMENT_SECONDS
        )

    async def close(self) -> None:
        self._down_until = math.inf
        for connection in self._idle:
            with suppress(*UNREACHABLE):
                await connection.close(timeout=CONNECT_SECONDS)


@lru_cache(maxsize=256)
def statement_of(shape: Shape) -> str:
    """The wishes, the guard that moves their cars, and what follows for each row."""
    columns = ["n int", "car_id text", "seen_version bigint"]
    columns += [f"car_{name} {_type(CARS.c[name])}" for name in shape.car]
    for part in shape.parts:
        columns += [f"{part.name}_by text"] if part.by else []
        columns += [f"{part.name}_{name} {_type(part.column(name))}" for name in part.columns]
    moved = "".join(f", {name} = w.car_{name}" for name in shape.car)
    new = (
        " AND NOT EXISTS (SELECT FROM payment_events e WHERE e.event_id = w.r0_event_id)"
        if shape.event
        else ""
    )
    wish = (
        "wish AS MATERIALIZED (SELECT * FROM json_to_recordset($1::json)"  # noqa: S608 - our own
        f" AS w({', '.join(columns)}))"
    )
    standing = (
        f"standing AS (UPDATE cars c SET version = c.version + 1{moved} FROM wish w"  # noqa: S608
        " WHERE c.car_id = ANY (ARRAY(SELECT car_id FROM wish)) AND c.car_id = w.car_id"
        f" AND c.version = w.seen_version{new} RETURNING w.n)"
    )
    parts = [f"{part.name} AS ({_statement(part)})" for part in shape.parts]
    return f"WITH {', '.join([wish, standing, *parts, SAID])}"


def _statement(part: Part) -> str:
    table, name = part.table.name, part.name
    if part.by:
        values = ", ".join(f"{column} = {_value(part, column)}" for column in part.columns)
        return (
            f"UPDATE {table} t SET {values} FROM wish w JOIN standing USING (n)"  # noqa: S608
            f" WHERE t.{part.by} = ANY (ARRAY(SELECT {name}_by FROM wish))"
            f" AND t.{part.by} = w.{name}_by"
        )
    values = ", ".join(_value(part, column) for column in part.columns)
    return (
        f"INSERT INTO {table} ({', '.join(part.columns)})"  # noqa: S608
        f" SELECT {values} FROM wish w JOIN standing USING (n)"
    )


def _value(part: Part, name: str) -> str:
    value = f"w.{part.name}_{name}"
    is_bytes = isinstance(part.column(name).type, LargeBinary)
    return f"convert_to({value}, 'UTF8')" if is_bytes else value


def _type(column: Column[Any]) -> str:
    types = {UtcTime: "timestamptz", JSON: "json", BigInteger: "bigint", Integer: "int"}
    types |= {Boolean: "boolean"}
    return types.get(type(column.type), "text")


def _read(row: Sequence[Any]) -> list[Any]:
    values = list(row[1:])
    for n in _JSON:
        if values[n] is not None:
            values[n] = orjson.loads(values[n])
    return values
