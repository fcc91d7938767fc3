"""The rows of two ledgers beside each other: as they are stored, and as events make them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table

from app.frame.data.database import Database
from app.insight.archive.findings import MOST, Difference
from app.insight.archive.scratch import FOLLOW
from app.insight.ledger.accounts import OF_ORDERS
from app.insight.models import CHECKOUTS, ENTRIES, ORDERS, SESSIONS

OF_FEEDBACK: Final = frozenset({"csat", "nps"})
"""Measures of orders whose events are a visit's, and leave with it."""


def compared(stored: Database, made: Database, since: datetime | None) -> Iterator[tuple[str, int]]:
    """How many rows of each table are compared."""
    with _both(stored, made) as connection:
        for table in FOLLOW:
            where = _scope(table, since)
            if where is not None:
                count = f"SELECT COUNT(*) FROM main.{table.name} WHERE {where}"  # noqa: S608 - our own names
                yield table.name, int(connection.execute(count).fetchone()[0])


def differences(stored: Database, made: Database, since: datetime | None) -> Iterator[Difference]:
    """Rows that only one of two scratch ledgers has, or that differ; at most `MOST` of a table.

    `since`: only what all events are kept of, when those of before have left.
    """
    with _both(stored, made) as connection:
        for table in FOLLOW:
            where = _scope(table, since)
            if where is not None:
                yield from _of_table(connection, table, where)


def _both(stored: Database, made: Database) -> closing[sqlite3.Connection]:
    connection = sqlite3.connect(stored.path)
    connection.row_factory = sqlite3.Row
    connection.execute("ATTACH DATABASE ? AS made", [made.path])
    return closing(connection)


def _of_table(connection: sqlite3.Connection, table: Table, where: str) -> Iterator[Difference]:
    key = (
        ("subject", "measure", "booked_at")
        if table is ENTRIES
        else tuple(column.name for column in table.primary_key)
    )
    columns = ", ".join(f'"{column.name}"' for column in table.c if column.name != "number")

    def only(here: str, there: str) -> dict[tuple[Any, ...], Mapping[str, Any]]:
        query = (
            f"SELECT {columns} FROM {here}.{table.name} WHERE {where}"  # noqa: S608 - our own names
            f" EXCEPT SELECT {columns} FROM {there}.{table.name} WHERE {where} LIMIT {MOST}"
        )
        rows = [dict(row) for row in connection.execute(query)]
        return {tuple(row[name] for name in key): row for row in rows}

    here, there = only("main", "made"), only("made", "main")
    for found in sorted({*here, *there}, key=str):
        yield _difference(table.name, key, found, here.get(found), there.get(found))


def _difference(
    table: str,
    key: Sequence[str],
    found: tuple[Any, ...],
    here: Mapping[str, Any] | None,
    there: Mapping[str, Any] | None,
) -> Difference:
    what = " ".join(str(each) for each in found if each != "")
    if here is None or there is None:
        sides = ["" if row is None else _told(row, set(row) - set(key)) for row in (here, there)]
    else:
        changed = {name for name in here if here[name] != there[name]}
        sides = [_told(row, changed) for row in (here, there)]
    return Difference(table, what, *sides)


def _told(row: Mapping[str, Any], names: set[str]) -> str:
    told = [f"{name}={row[name]}" for name in row if name in names and row[name] not in (None, "")]
    return " ".join(told) or "-"


def _scope(table: Table, since: datetime | None) -> str | None:
    """Which rows events tell all of; None for tables of which they do not."""
    if since is None:
        return "true"
    moment = f"'{since.replace(tzinfo=None).isoformat(sep=' ', timespec='microseconds')}'"
    told = ", ".join(f"'{measure}'" for measure in sorted(OF_ORDERS - OF_FEEDBACK))
    scopes = {
        SESSIONS.name: f"started_at >= {moment}",
        CHECKOUTS.name: f"started_at >= {moment}",
        ORDERS.name: "confirmed_at IS NOT NULL",
        ENTRIES.name: f"at >= {moment} OR measure IN ({told})",
    }
    return scopes.get(table.name)
