"""The express lane on PostgreSQL: one data-modifying statement for up to sixteen effects.

Every statement has the same shape. `wish` is the batch (JSON, one object per effect, numbered by
`n`). `standing` are the wishes whose every guard holds; it locks their rows and skips those that
somebody else has locked. All that follows is done for `standing` wishes only. A key or an event
that somebody else is taking at the same moment breaks a unique index, or makes the statement wait
for longer than `lock_timeout`, and with it the whole batch: nothing of it stays, and each of its
requests goes on step by step.

Every row is looked up by its key: `key = ANY (those of the batch)` says so to a planner that made
its plan while a table was young and small, and would read all of it for ever after.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

import asyncpg
import orjson
from sqlalchemy.engine import make_url

from app.checkout.express import Effect, Record
from app.frame.batches import Batches, LineDown
from app.frame.settings import Pooler

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

PLACE: Final = f"""
WITH wish AS MATERIALIZED (
    SELECT * FROM json_to_recordset($1::json) AS w(
        n int, key text, fingerprint text, answer text, locked_until timestamptz,
        hold_id text, car_id text, session_id text, address_hash text, context json,
        price bigint, currency text, model_id text, market text, rehearsal boolean,
        deposit bigint, now timestamptz, expires_at timestamptz,
        limited boolean, most_of_session int, most_of_address int)
), admitted AS MATERIALIZED (
    SELECT * FROM wish
     WHERE NOT limited
        OR room_for_hold(session_id, address_hash, most_of_session, most_of_address)
), standing AS MATERIALIZED (
    SELECT w.n FROM admitted w JOIN cars c ON c.car_id = w.car_id
     WHERE c.car_id = ANY (ARRAY(SELECT car_id FROM wish))
       AND c.listed AND c.state = 'available' AND c.rehearsal = w.rehearsal
       AND c.price = w.price AND c.currency = w.currency
       AND c.model_id = w.model_id AND c.market = w.market
       AND NOT EXISTS (SELECT FROM idempotency i WHERE i.key = w.key)
       AND NOT EXISTS (SELECT FROM cars o WHERE o.identity = c.identity AND o.state <> 'available')
       FOR NO KEY UPDATE OF c SKIP LOCKED
), moved AS (
    UPDATE cars c SET state = 'held', version = c.version + 1
      FROM wish w JOIN standing USING (n) WHERE c.car_id = w.car_id
), held AS (
    INSERT INTO holds (hold_id, car_id, state, session_id, address_hash, price, currency, deposit,
                       context, created_at, expires_at, extended)
    SELECT hold_id, car_id, 'active', session_id, address_hash, price, currency, deposit,
           context, now, expires_at, false
      FROM wish JOIN standing USING (n)
), keyed AS (
    INSERT INTO idempotency (key, fingerprint, status, media_type, body, created_at, locked_until)
    SELECT key, fingerprint, 201, 'application/json', convert_to(answer, 'UTF8'), now, locked_until
      FROM wish JOIN standing USING (n)
), {SAID}"""  # noqa: S608 - made of constants

SUBMIT: Final = f"""
WITH wish AS MATERIALIZED (
    SELECT * FROM json_to_recordset($1::json) AS w(
        n int, key text, fingerprint text, locked_until timestamptz,
        order_id text, hold_id text, car_id text, token_hash text, sealed text, context json,
        price bigint, vat_rate text, vat bigint, deposit bigint, currency text,
        model_id text, market text, provider text, advice_id text, email_index text,
        ready_for_handover_at timestamptz, now timestamptz)
), standing AS MATERIALIZED (
    SELECT w.n FROM wish w
      JOIN holds h ON h.hold_id = w.hold_id
      JOIN cars c ON c.car_id = w.car_id
     WHERE h.hold_id = ANY (ARRAY(SELECT hold_id FROM wish))
       AND c.car_id = ANY (ARRAY(SELECT car_id FROM wish))
       AND h.state = 'active' AND h.expires_at > w.now AND h.car_id = w.car_id
       AND h.price = w.price AND h.deposit = w.deposit AND h.currency = w.currency
       AND c.state = 'held' AND c.vat_rate = w.vat_rate
       AND c.model_id = w.model_id AND c.market = w.market
       AND NOT EXISTS (SELECT FROM idempotency i WHERE i.key = w.key)
       AND NOT EXISTS (SELECT FROM orders o
                        WHERE o.hold_id = w.hold_id AND o.state = 'payment_pending')
       FOR NO KEY UPDATE OF c, h SKIP LOCKED
), counted AS (
    UPDATE cars c SET version = c.version + 1
      FROM wish w JOIN standing USING (n) WHERE c.car_id = w.car_id
), ordered AS (
    INSERT INTO orders (order_id, hold_id, car_id, state, token_hash, price, vat_rate, vat, deposit,
                        currency, provider, advice_id, context, created_at, ready_for_handover_at)
    SELECT order_id, hold_id, car_id, 'payment_pending', token_hash, price, vat_rate, vat, deposit,
           currency, provider, advice_id, context, now, ready_for_handover_at
      FROM wish JOIN standing USING (n)
), bought AS (
    INSERT INTO customers (order_id, sealed, email_index)
    SELECT order_id, convert_to(sealed, 'UTF8'), email_index FROM wish JOIN standing USING (n)
), owed AS (
    INSERT INTO payments (order_id, provider, state, amount, currency, created_at)
    SELECT order_id, provider, 'pending', deposit, currency, now
      FROM wish JOIN standing USING (n)
), keyed AS (
    INSERT INTO idempotency (key, fingerprint, resource_id, created_at, locked_until)
    SELECT key, fingerprint, order_id, now, locked_until FROM wish JOIN standing USING (n)
), {SAID}"""  # noqa: S608 - made of constants

OPEN: Final = """
WITH wish AS MATERIALIZED (
    SELECT * FROM json_to_recordset($1::json) AS w(
        n int, key text, order_id text, payment_id text, payment_url text, answer text)
), standing AS (
    UPDATE idempotency i
       SET status = 201, media_type = 'application/json', body = convert_to(w.answer, 'UTF8')
      FROM wish w
     WHERE i.key = ANY (ARRAY(SELECT key FROM wish))
       AND i.key = w.key AND i.resource_id = w.order_id AND i.status IS NULL
    RETURNING w.n
), opened AS (
    UPDATE payments p SET payment_id = w.payment_id, payment_url = w.payment_url
      FROM wish w JOIN standing USING (n) WHERE p.order_id = w.order_id
)
SELECT n FROM standing
"""

CAR: Final = "SELECT * FROM cars WHERE car_id = ANY($1::text[])"

HOLD: Final = """
SELECT h.*, c.model_id, c.title, c.market, c.vat_rate,
       c.ready_for_handover_at, c.handover_lead_seconds, c.dealer_calendar
  FROM holds h JOIN cars c ON c.car_id = h.car_id WHERE h.hold_id = ANY($1::text[])
"""

SESSION: Final = {
    # Everything here is found by its key. The planner does not know how small a batch is, and a
    # young table's statistics would have it read the whole table.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    # A key that a careful transaction holds must not keep fifteen strangers waiting.
    "lock_timeout": "200ms",
    "application_name": "vitrine-express",
}

ONCE: Final = "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in SESSION.items())
"""The same for one transaction only."""

CONNECT_SECONDS: Final = 2.0
STATEMENT_SECONDS: Final = 3.0

PAUSE_SECONDS: Final = 1.0
"""After its connection was lost a line is not tried: who comes meanwhile goes step by step."""

UNREACHABLE: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.CantChangeRuntimeParamError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""No batch can be written now, whatever is in it."""

Item = TypeVar("Item")
Result = TypeVar("Result")
Run = Callable[[asyncpg.Connection, Sequence[Item]], Awaitable[Sequence[Result]]]


class _Line(Generic[Item, Result]):
    """One statement on a connection of its own, which is opened when it is first needed."""

    def __init__(
        self,
        connect: Mapping[str, Any],
        run: Run[Item, Result],
        apart: Callable[[Item], tuple[str, ...]],
        pooler: Pooler,
    ) -> None:
        self._connect = {
            **connect,
            **({"statement_cache_size": 0} if pooler else {"server_settings": SESSION}),
        }
        self._statement = _alone(run) if pooler else run
        self._connection: asyncpg.Connection | None = None
        self._down_until = -math.inf
        self._batches: Batches[Item, Result] = Batches(self._run, apart=apart)

    async def do(self, item: Item) -> Result:
        return await self._batches.do(item)

    async def _run(self, items: Sequence[Item]) -> Sequence[Result]:
        if time.monotonic() < self._down_until:
            raise LineDown("the connection was lost a moment ago")
        try:
            connection = self._connection
            if connection is None or connection.is_closed():
                connection = self._connection = await asyncpg.connect(
                    **self._connect,
                    timeout=CONNECT_SECONDS,
                    command_timeout=STATEMENT_SECONDS,
                )
            found: Sequence[Result] = await self._statement(connection, items)
        except UNREACHABLE as error:
            self._drop()
            self._down_until = time.monotonic() + PAUSE_SECONDS
            raise LineDown(f"{type(error).__name__}: {error}") from error
        return found

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            connection.terminate()

    async def close(self) -> None:
        self._down_until = math.inf
        connection = self._connection
        if connection is not None and not connection.is_closed():
            with suppress(*UNREACHABLE):
                await connection.close(timeout=CONNECT_SECONDS)
        self._drop()


def _alone(run: Run[Item, Result]) -> Run[Item, Result]:
    """The same in a transaction of its own, which brings its settings: nothing stays behind."""

    async def statement(connection: asyncpg.Connection, items: Sequence[Item]) -> Sequence[Result]:
        async with connection.transaction():
            await connection.execute(ONCE)
            return await run(connection, items)

    return statement


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


class PostgresqlExpress:
    """Checkout's express lane on PostgreSQL (`url` as SQLAlchemy writes it)."""

    def __init__(self, url: str, *, pooler: Pooler = "") -> None:
        connect = arguments_of(url)

        def reading(query: str, key: str) -> _Line[str, Record | None]:
            async def run(connection: asyncpg.Connection, keys: Sequence[str]) -> list[Any]:
                rows = await connection.fetch(query, list(keys))
                found = {row[key]: _record(row) for row in rows}
                return [found.get(wanted) for wanted in keys]

            return _Line(connect, run, lambda _: (), pooler)

        def writing(statement: str) -> _Line[Effect, bool]:
            async def run(connection: asyncpg.Connection, effects: Sequence[Effect]) -> list[bool]:
                rows = await connection.fetch(statement, *_arguments(statement, effects))
                done = {row["n"] for row in rows}
                return [n in done for n in range(len(effects))]

            return _Line(connect, run, lambda effect: effect.apart, pooler)

        self._car = reading(CAR, "car_id")
        self._hold = reading(HOLD, "hold_id")
        self._place = writing(PLACE)
        self._submit = writing(SUBMIT)
        self._open = writing(OPEN)

    async def car(self, car_id: str) -> Record | None:
        return await self._car.do(car_id)

    async def hold(self, hold_id: str) -> Record | None:
        return await self._hold.do(hold_id)

    async def place(self, effect: Effect) -> bool:
        return await self._place.do(effect)

    async def submit(self, effect: Effect) -> bool:
        return await self._submit.do(effect)

    async def open(self, effect: Effect) -> bool:
        return await self._open.do(effect)

    async def close(self) -> None:
        lines = (self._car, self._hold)
        await asyncio.gather(
            *(line.close() for line in lines),
            *(x.close() for x in (self._place, self._submit, self._open)),
        )


def _arguments(statement: str, effects: Sequence[Effect]) -> list[str]:
    wishes = as_json([{"n": n, **effect.values} for n, effect in enumerate(effects)])
    if "$2" not in statement:
        return [wishes]
    return [
        wishes,
        as_json(
            [
                {"n": n, "m": m, **fact}
                for n, effect in enumerate(effects)
                for m, fact in enumerate(effect.facts)
            ]
        ),
    ]


def as_json(rows: list[dict[str, Any]]) -> str:
    """Keys in order, inner ones too: PostgreSQL keeps JSON as it was written, and so do we."""
    return orjson.dumps(rows, option=orjson.OPT_SORT_KEYS).decode()


def _record(row: Mapping[str, Any]) -> Record:
    record = dict(row)
    if "context" in record:
        record["context"] = orjson.loads(record["context"])
    return record
