"""Looks and changes on PostgreSQL: one statement for up to sixteen of a shape.

`wish` is the batch (JSON, one object per change, numbered by `n`). The guard is the update of the
car itself: it stands if the car has the version that was seen, and event and key are not taken.
All that follows is done for `standing` wishes only. Wishes come sorted by car, so that two batches
never wait for each other in a circle; of two wishes for one car exactly one stands.

What breaks a unique index, or waits for longer than `lock_timeout`, fails its whole batch, of which
nothing stays: each change is then tried alone.

Every row is looked up by its key: `key = ANY (those of the batch)` says so to a planner that made
its plan while a table was young and small, and would read all of it for ever after.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache, partial
from itertools import takewhile
from operator import itemgetter
from typing import Any, Final, TypeVar

import asyncpg
import orjson
from sqlalchemy import JSON, BigInteger, Boolean, Column, Integer, LargeBinary
from sqlalchemy.engine import make_url

from app.checkout.change import Change
from app.checkout.looks import QUERIES, Look, Query, Reading, Seen
from app.checkout.models import CARS
from app.checkout.shapes import Part, Shape, told, untaken
from app.frame.data.batches import Batches, BatchFailed, LineDown
from app.frame.data.database import Database, UtcTime
from app.frame.data.outages import AWAY, sqlstate
from app.frame.data.outbox import FactRow, Outbox
from app.frame.settings import Pooler

Sight = TypeVar("Sight")

CONNECTIONS: Final = 4
"""At most, of one worker."""
LIFETIME_SECONDS: Final = 600.0
"""Then a connection makes place for a new one, and plans end that were made for small tables."""

SAID: Final = """
said AS (
    INSERT INTO outbox (event_id, type, time, data, context)
    SELECT f.event_id, f.type, f.time, f.data, f.context
      FROM json_to_recordset($2::json) AS f(
           n int, m int, event_id text, type text, time timestamptz, data json, context json)
      JOIN standing USING (n)
     ORDER BY f.n, f.m
)
SELECT n FROM standing
"""

SESSION: Final = {
    # Everything here is found by its key. The planner does not know how small a batch is, and a
    # young table's statistics would have it read the whole table.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_material": "off",
    "enable_memoize": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    # Whoever else has a row must not keep fifteen strangers waiting.
    "lock_timeout": "200ms",
    "application_name": "vitrine-checkout",
}

ONCE: Final = "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in SESSION.items())
"""The same for one transaction only."""

CONNECT_SECONDS: Final = 2.0
STATEMENT_SECONDS: Final = 3.0

PAUSE_SECONDS: Final = 1.0
"""After nobody answered: who comes meanwhile is told so at once."""

_LOST: Final = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)
"""Somebody else was faster: the next look shows it."""


def _reading(query: Query[Sight]) -> Reading[Sight]:
    arrays = ", ".join(f"${n + 1}::text[]" for n in range(len(query.asked)))
    names = ", ".join((*query.asked, "n"))
    asked = f"(SELECT * FROM unnest({arrays}) WITH ORDINALITY AS asked({names}))"
    text = query.text(asked).replace("SELECT ", "SELECT q.n, ", 1)
    return Reading(query, text, {JSON: orjson.loads})


_READINGS: Final = {look: _reading(query) for look, query in QUERIES.items()}


class PostgresqlLines:
    """Checkout's way to PostgreSQL."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._outbox = outbox
        self._connections = _Connections(database.url, database.pooler, database.refused)
        self._looks: dict[type[Look[Any]], Batches[Look[Any], Seen[Any]]] = {
            look: Batches(self._look) for look in QUERIES
        }
        self._writes: dict[Shape, Batches[_Told, bool | Exception]] = {}

    async def look(self, look: Look[Sight]) -> Seen[Sight]:
        return await self._looks[type(look)].do(look)

    async def write(self, change: Change[Any]) -> bool:
        shape, wish = told(change)
        batches = self._writes.get(shape)
        if batches is None:
            batches = self._writes[shape] = Batches(partial(self._write, shape), apart=_apart)
        done = await batches.do((wish, self._outbox.rows(change.facts)))
        if isinstance(done, Exception):
            raise BatchFailed(type(done).__name__) from done
        return done

    async def close(self) -> None:
        await self._connections.close()

    async def _look(self, looks: Sequence[Look[Sight]]) -> list[Seen[Sight]]:
        reading = _READINGS[type(looks[0])]
        asked = [[getattr(look, name) for look in looks] for name in reading.asked]
        rows = await self._connections.fetch(reading.text, *asked)
        found = {row[0]: reading.seen(row[1:]) for row in rows}
        return [found[n + 1] for n in range(len(looks))]

    async def _write(self, shape: Shape, batch: Sequence[_Told]) -> Sequence[bool | Exception]:
        try:
            rows = await self._connections.fetch(statement_of(shape), *_arguments(shape, batch))
        except asyncpg.PostgresError as error:
            if len(batch) == 1:
                return [False if isinstance(error, _LOST) else error]
            return [(await self._write(shape, [each]))[0] for each in batch]
        done = {row[0] for row in rows}
        return [n in done for n in range(len(batch))]


_Told = tuple[dict[str, Any], list[FactRow]]
"""A wish, and the facts that it states."""


def _arguments(shape: Shape, batch: Sequence[_Told]) -> tuple[str, str]:
    wishes = [{"n": n, **wish} for n, (wish, _) in enumerate(batch)]
    if shape.car is not None:
        wishes.sort(key=itemgetter("car_id"))
    facts = [
        {"n": n, "m": m, **fact} for n, (_, said) in enumerate(batch) for m, fact in enumerate(said)
    ]
    return _json(wishes), _json(facts)


class _Connections:
    """A few connections of our own, opened when they are needed."""

    def __init__(self, url: str, pooler: Pooler, refused: Callable[[Exception], None]) -> None:
        self._pooler = pooler
        self._refused = refused
        self._connect = {
            **arguments_of(url),
            **({"statement_cache_size": 0} if pooler else {"server_settings": SESSION}),
        }
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._idle: list[asyncpg.Connection] = []
        self._born: dict[asyncpg.Connection, float] = {}
        self._down_until = -math.inf

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """The rows of one statement; raises `LineDown` when there is no connection to be had."""
        if time.monotonic() < self._down_until:
            raise LineDown("the connection was lost a moment ago")
        async with self._places:
            connection: asyncpg.Connection | None = None
            try:
                connection = self._idle.pop() if self._idle else await self._opened()
                if not self._pooler:
                    return await connection.fetch(statement, *arguments)  # type: ignore[no-any-return]
                # A connection of a pooler's is another one after each transaction.
                async with connection.transaction():
                    await connection.execute(ONCE)
                    return await connection.fetch(statement, *arguments)  # type: ignore[no-any-return]
            except Exception as error:
                if not _unreachable(error):
                    raise
                self._refused(error)
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
                if connection is not None:
                    self._put_back(connection)

    def _put_back(self, connection: asyncpg.Connection) -> None:
        old = self._born[connection] + LIFETIME_SECONDS < time.monotonic()
        if old and not connection.is_closed():
            connection.terminate()  # nothing is under way on it
        if connection.is_closed():
            del self._born[connection]
        else:
            self._idle.append(connection)

    def _forget_idle(self) -> None:
        """One broke: the others were most likely cut with it."""
        while self._idle:
            connection = self._idle.pop()
            connection.terminate()
            del self._born[connection]

    async def _opened(self) -> asyncpg.Connection:
        connection: asyncpg.Connection = await asyncpg.connect(
            **self._connect, timeout=CONNECT_SECONDS, command_timeout=STATEMENT_SECONDS
        )
        self._born[connection] = time.monotonic()
        return connection

    async def close(self) -> None:
        self._down_until = math.inf
        for connection in self._idle:
            with suppress(OSError, asyncpg.InterfaceError, asyncpg.PostgresError):
                await connection.close(timeout=CONNECT_SECONDS)


def _unreachable(error: Exception) -> bool:
    """Whether no batch can be written now, whatever is in it."""
    return isinstance(error, OSError | asyncpg.InterfaceError) or sqlstate(error).startswith(AWAY)


def _apart(item: _Told) -> tuple[str, ...]:
    """A statement does not see what it writes itself: limits are exact if it has one of a kind."""
    wish, _ = item
    if "room_address" not in wish:
        return ()
    of = f"of:{wish['room_session']}" if wish["room_session"] else ""
    return tuple(filter(None, (f"from:{wish['room_address']}", of)))


def arguments_of(url: str) -> dict[str, Any]:
    """What the pool's connections are made with: its driver reads the address, options too."""
    parsed = make_url(url)
    positional, named = parsed.get_dialect()().create_connect_args(parsed)
    if positional:
        raise ValueError(f"checkout cannot use {parsed.drivername} here")
    of_the_pool = (
        "prepared_statement_cache_size",
        "prepared_statement_name_func",
        "async_fallback",
    )
    return {name: value for name, value in named.items() if name not in of_the_pool}


def _json(rows: list[dict[str, Any]]) -> str:
    """Keys in order, inner ones too: PostgreSQL keeps JSON as it was written, and so do we.

    All bytes that we store are those of texts, and travel as such.
    """
    return orjson.dumps(rows, bytes.decode, orjson.OPT_SORT_KEYS).decode()


@cache
def statement_of(shape: Shape) -> str:
    """The wishes, the guard, and what follows for each row."""
    columns = ["n int"]
    if shape.car is not None:
        columns += ["car_id text", "seen_version bigint"]
        columns += [f"car_{name} {_type(CARS.c[name])}" for name in shape.car]
    if shape.room:
        columns += ["room_session text", "room_address text"]
        columns += ["room_of_session int", "room_of_address int"]
    for part in shape.parts:
        columns += [f"{part.name}_by text"] if part.by else []
        columns += [f"{part.name}_{name} {_type(part.column(name))}" for name in part.columns]
    wish = (
        "wish AS MATERIALIZED (SELECT * FROM json_to_recordset($1::json)"
        f" AS w({', '.join(columns)}))"
    )
    parts = [
        f"{part.name} AS ({_statement(part, shape)})"
        for part in shape.parts
        if part is not _guarding(shape)
    ]
    return f"WITH {', '.join([wish, _standing(shape), *parts, SAID])}"


def _standing(shape: Shape) -> str:
    """Those wishes whose every guard holds; their cars are moved."""
    guards = "".join(f" AND {guard}" for guard in _guards(shape))
    guarding = _guarding(shape)
    if guarding is not None:
        return f"standing AS ({_update(guarding, 'wish w', ' AND t.status IS NULL')} RETURNING w.n)"
    if shape.car is None:
        return f"standing AS MATERIALIZED (SELECT w.n FROM wish w WHERE true{guards})"
    moved = "".join(f", {name} = w.car_{name}" for name in shape.car)
    return (
        f"standing AS (UPDATE cars c SET version = c.version + 1{moved} FROM wish w"
        " WHERE c.car_id = ANY (ARRAY(SELECT car_id FROM wish)) AND c.car_id = w.car_id"
        f" AND c.version = w.seen_version{guards} RETURNING w.n)"
    )


def _guarding(shape: Shape) -> Part | None:
    """The key that is taken over instead of a car: of two answers under one exactly one stands.

    A new key needs no such guard: the second one breaks its unique index.
    """
    key = shape.key
    return key if shape.car is None and key is not None and key.by else None


def _guards(shape: Shape) -> Iterator[str]:
    yield from untaken(shape, "w.")
    if shape.room:
        of = ("session", "address", "of_session", "of_address")
        yield f"room_for_hold({', '.join(f'w.room_{name}' for name in of)})"


def _statement(part: Part, shape: Shape) -> str:
    values = {column: _value(part, column) for column in part.columns}
    names, new = ", ".join(values), ", ".join(values.values())
    wishes = "wish w JOIN standing USING (n)"
    if part.by and not values:
        return f"DELETE FROM {part.table.name} t USING {wishes} WHERE {_found(part)}"
    if part.by:
        still = " AND t.status IS NULL" if part is shape.key else ""
        return f"{_update(part, wishes, still)} RETURNING 1"
    # What the same change lets go of in this table is let go of first.
    before = " AND ".join(
        f"(SELECT count(*) FROM {each.name}) >= 0"
        for each in takewhile(lambda each: each is not part, shape.parts)
        if each.by and each.table is part.table
    )
    return (
        f"INSERT INTO {part.table.name} ({names})"
        f" SELECT {new} FROM {wishes} WHERE {before or 'true'}"
    )


def _update(part: Part, wishes: str, still: str) -> str:
    sets = ", ".join(f"{column} = {_value(part, column)}" for column in part.columns)
    return f"UPDATE {part.table.name} t SET {sets} FROM {wishes} WHERE {_found(part)}{still}"


def _found(part: Part) -> str:
    named = f"{part.name}_by"
    return f"t.{part.by} = ANY (ARRAY(SELECT {named} FROM wish)) AND t.{part.by} = w.{named}"


def _value(part: Part, name: str) -> str:
    value = f"w.{part.name}_{name}"
    is_bytes = isinstance(part.column(name).type, LargeBinary)
    return f"convert_to({value}, 'UTF8')" if is_bytes else value


def _type(column: Column[Any]) -> str:
    types = {UtcTime: "timestamptz", JSON: "json", BigInteger: "bigint", Integer: "int"}
    types |= {Boolean: "boolean"}
    return types.get(type(column.type), "text")
