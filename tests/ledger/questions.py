"""Four questions to an archive's events, each asked of two engines in their own SQL.

Nothing is shared with the product but the names of facts: each engine works the numbers out of the
CloudEvents themselves. `{events}` is the archive's files; the columns of both answers are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import chdb
import duckdb
import orjson

_DUCKDB_VISITS: Final = """
WITH told AS (
    SELECT event_id, source, type, happened_at AS t, wire,
           coalesce(nullif(wire->>'$.sessionid', ''), wire->>'$.data.session_id', '') AS visit
    FROM read_parquet('{events}')
), starts AS (
    SELECT visit, min_by(wire, t) AS start FROM told
    WHERE type = 'storefront.session.started' GROUP BY visit
), seen AS (
    SELECT visit,
        count(*) FILTER (type = 'storefront.page.viewed' AND source = 'storefront'
            AND NOT (wire->>'$.data.again')::BOOLEAN) AS views,
        bool_or(type IN ('storefront.advice.started', 'storefront.advice.step_answered',
            'advisor.advice.given', 'storefront.match.viewed', 'storefront.feedback.given',
            'checkout.hold.placed', 'checkout.hold.refused', 'checkout.order.submitted',
            'checkout.payment.attempted', 'checkout.order.confirmed', 'browser.web_vital',
            'browser.crash', 'storefront.session.proven')) AS proof,
        bool_or(type = 'storefront.session.suspected') AS suspected,
        bool_or(type = 'ledger.session.closed') AS closed,
        max(CASE WHEN type = 'checkout.order.confirmed' THEN 5
                 WHEN type = 'checkout.payment.attempted' THEN 4
                 WHEN type = 'checkout.order.submitted' THEN 3
                 WHEN type = 'checkout.hold.placed' THEN 2
                 WHEN type = 'storefront.page.viewed' AND wire->>'$.data.page' = 'car' THEN 1
                 ELSE 0 END) AS furthest,
        min(nullif(wire->>'$.visitorid', '')) AS visitor
    FROM told WHERE visit <> '' GROUP BY visit
), visits AS (
    SELECT visit, start->>'$.market' AS market, furthest, visitor,
        date_trunc('day', (start->>'$.time')::TIMESTAMPTZ) AS day,
        (start->>'$.data.awaits_proof')::BOOLEAN AND NOT (proof OR views > 1) AS unproven,
        CASE WHEN start->>'$.traffic' = 'human' AND (suspected OR
                ((start->>'$.data.awaits_proof')::BOOLEAN AND NOT (proof OR views > 1)))
             THEN 'suspect' ELSE start->>'$.traffic' END AS traffic
    FROM starts JOIN seen USING (visit)
    WHERE suspected OR closed OR proof OR views > 1
        OR NOT (start->>'$.data.awaits_proof')::BOOLEAN
)
"""

_CHDB_VISITS: Final = """
WITH told AS (
    SELECT type, source, happened_at AS t, wire,
        if(JSONExtractString(wire, 'sessionid') != '', JSONExtractString(wire, 'sessionid'),
           JSONExtractString(wire, 'data', 'session_id')) AS visit
    FROM file('{events}', Parquet)
), gathered AS (
    SELECT visit,
        argMinIf(wire, t, type = 'storefront.session.started') AS start,
        countIf(type = 'storefront.page.viewed' AND source = 'storefront'
            AND NOT JSONExtractBool(wire, 'data', 'again')) AS views,
        countIf(type IN ('storefront.advice.started', 'storefront.advice.step_answered',
            'advisor.advice.given', 'storefront.match.viewed', 'storefront.feedback.given',
            'checkout.hold.placed', 'checkout.hold.refused', 'checkout.order.submitted',
            'checkout.payment.attempted', 'checkout.order.confirmed', 'browser.web_vital',
            'browser.crash', 'storefront.session.proven')) + (views > 1) > 0 AS proven,
        countIf(type = 'storefront.session.suspected') > 0 AS suspected,
        countIf(type = 'ledger.session.closed') > 0 AS closed,
        windowFunnel(4000000000)(toDateTime(t),
            type = 'storefront.session.started',
            type = 'storefront.page.viewed' AND JSONExtractString(wire, 'data', 'page') = 'car',
            type = 'checkout.hold.placed',
            type = 'checkout.order.submitted',
            type = 'checkout.payment.attempted',
            type = 'checkout.order.confirmed') - 1 AS furthest,
        minIf(JSONExtractString(wire, 'visitorid'),
              JSONExtractString(wire, 'visitorid') != '') AS visitor
    FROM told WHERE visit != '' GROUP BY visit
), visits AS (
    SELECT visit, JSONExtractString(start, 'market') AS market, furthest, visitor,
        toDate(parseDateTime64BestEffort(JSONExtractString(start, 'time'), 6, 'UTC')) AS day,
        JSONExtractBool(start, 'data', 'awaits_proof') AND NOT proven AS unproven,
        if(JSONExtractString(start, 'traffic') = 'human' AND (suspected OR unproven), 'suspect',
           JSONExtractString(start, 'traffic')) AS traffic
    FROM gathered
    WHERE start != '' AND (NOT unproven OR suspected OR closed)
)
"""

FUNNEL: Final = (
    f"""{_DUCKDB_VISITS}
    SELECT market, traffic, step, count(*) FROM visits, range(6) steps(step)
    WHERE furthest >= step GROUP BY ALL ORDER BY ALL""",
    f"""{_CHDB_VISITS}
    SELECT market, traffic, step, count() AS n FROM visits ARRAY JOIN range(furthest + 1) AS step
    GROUP BY market, traffic, step ORDER BY market, traffic, step""",
)
"""(market, traffic, number of the step, visits)."""

RETENTION: Final = (
    f"""{_DUCKDB_VISITS}, firsts AS (
        SELECT visitor, min(day) AS first FROM visits
        WHERE visitor IS NOT NULL AND traffic = 'human' GROUP BY visitor
    )
    SELECT count(DISTINCT visitor),
        count(DISTINCT visitor) FILTER (day = first + INTERVAL 1 DAY),
        count(DISTINCT visitor) FILTER (day = first + INTERVAL 2 DAY)
    FROM firsts JOIN visits USING (visitor) WHERE traffic = 'human'""",
    f"""{_CHDB_VISITS}, firsts AS (
        SELECT visitor, min(day) AS first FROM visits
        WHERE visitor != '' AND traffic = 'human' GROUP BY visitor
    ), kept AS (
        SELECT visitor, retention(day = first, day = first + 1, day = first + 2) AS r
        FROM firsts JOIN visits USING (visitor) WHERE traffic = 'human' GROUP BY visitor
    )
    SELECT sum(r[1]), sum(r[2]), sum(r[3]) FROM kept""",
)
"""(visitors, of them back a day after their first, two days after it)."""

DISTINCT: Final = (
    f"""{_DUCKDB_VISITS}
    SELECT traffic, count(*), count(DISTINCT visitor), count(DISTINCT visit) FROM visits
    GROUP BY traffic ORDER BY traffic""",
    f"""{_CHDB_VISITS}
    SELECT traffic, count(), uniqExactIf(visitor, visitor != ''), uniqExact(visit) FROM visits
    GROUP BY traffic ORDER BY traffic""",
)
"""(traffic, visits, visitors, visits)."""

MONEY: Final = (
    """WITH orders AS (
        SELECT wire->>'$.data.order_id' AS id, min_by(wire, happened_at) AS wire
        FROM read_parquet('{events}') WHERE type = 'checkout.order.confirmed' GROUP BY id
    ), lost AS (
        SELECT DISTINCT wire->>'$.data.order_id' AS id FROM read_parquet('{events}') WHERE type IN
            ('checkout.order.cancelled', 'checkout.order.returned', 'checkout.order.refunded')
    )
    SELECT wire->>'$.data.currency' AS currency, count(*),
        sum((wire->>'$.data.price')::BIGINT)::BIGINT,
        coalesce(sum((wire->>'$.data.price')::BIGINT) FILTER (lost.id IS NOT NULL), 0)::BIGINT
    FROM orders LEFT JOIN lost USING (id) GROUP BY currency ORDER BY currency""",
    """WITH told AS (
        SELECT JSONExtractString(wire, 'data', 'order_id') AS id,
            argMinIf(wire, happened_at, type = 'checkout.order.confirmed') AS order,
            countIf(type IN ('checkout.order.cancelled', 'checkout.order.returned',
                'checkout.order.refunded')) > 0 AS lost
        FROM file('{events}', Parquet) WHERE id != '' GROUP BY id
    )
    SELECT JSONExtractString(order, 'data', 'currency') AS currency, count(),
        sum(JSONExtractInt(order, 'data', 'price')),
        sumIf(JSONExtractInt(order, 'data', 'price'), lost)
    FROM told WHERE order != '' GROUP BY currency ORDER BY currency""",
)
"""(currency, orders, their price, of it lost; minor units)."""

QUESTIONS: Final = {
    "funnel": FUNNEL,
    "retention": RETENTION,
    "distinct": DISTINCT,
    "money": MONEY,
}

Answer = list[tuple[Any, ...]]


def ask_duckdb(question: str, archive: Path) -> Answer:
    """DuckDB's answer."""
    connection = duckdb.connect(config={"threads": 2})
    connection.execute("SET TimeZone = 'UTC'").fetchall()
    statement = QUESTIONS[question][0].replace("{events}", f"{archive}/events/*.parquet")
    return connection.execute(statement).fetchall()


def ask_chdb(question: str, archive: Path) -> Answer:
    """ClickHouse's answer, from the process that chDB is."""
    statement = QUESTIONS[question][1].replace("{events}", f"{archive}/events/*.parquet")
    found = chdb.query(statement, "JSONCompactEachRow").bytes()  # type: ignore[no-untyped-call]
    return [tuple(_plain(row)) for row in _lines(found)]


def _lines(answer: bytes) -> Sequence[Sequence[Any]]:
    return [orjson.loads(line) for line in answer.splitlines() if line]


def _plain(row: Sequence[Any]) -> list[Any]:
    """64-bit integers are told as texts."""
    return [int(each) if isinstance(each, str) and each.isdigit() else each for each in row]
