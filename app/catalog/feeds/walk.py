"""The walk that every row takes: unique, accepted or refused, remarked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping

from app.catalog.feeds.delimited import SHOWN_CHARACTERS, Refused, Row, repeated
from app.catalog.feeds.record import Notice, NoticeCode, Parsed, Reason, StockRecord
from app.catalog.feeds.values import plain_vin

Accept = Callable[[Row], StockRecord]
Remark = Callable[[Row, StockRecord], Iterable[tuple[NoticeCode, str]]]


def walk(
    rows: tuple[Row, ...], accept: Accept, remark: Remark, messages: Mapping[NoticeCode, str]
) -> Iterator[Parsed]:
    """One record or one rejection per row, in order; a record's notices come before it.

    `accept` makes the record or raises `Refused`; `remark` yields (code, column). Rows that share
    an id or a VIN are all refused, since nobody can tell which is right.
    """
    ids = repeated(row.get("id") for row in rows)
    vins = repeated(plain_vin(row.get("vin")) for row in rows)
    waiting = deque(rows)
    rows = ()  # what was walked past is let go
    while waiting:
        row = waiting.popleft()
        try:
            _refuse_repeats(row, ids, vins)
            record = accept(row)
        except Refused as refused:
            yield row.rejection(refused, "id")
            continue
        for code, column in remark(row, record):
            yield Notice(
                row=row.number,
                stock_id=record.stock_id,
                field=column,
                value="" if column == "vin" else row.get(column)[:SHOWN_CHARACTERS],
                code=code,
                message=f"Row {row.number}: {messages[code]}",
            )
        yield record


def _refuse_repeats(row: Row, ids: frozenset[str], vins: frozenset[str]) -> None:
    if row.fault:
        raise row.fault
    stock_id = row.need("id")
    if stock_id in ids:
        raise Refused(
            "id",
            Reason.DUPLICATE_ID,
            f"id {stock_id[:40]!r} stands in several rows; none of them is taken. Give every car "
            "its own, once.",
        )
    if plain_vin(row.get("vin")) in vins:
        raise Refused(
            "vin",
            Reason.DUPLICATE_VIN,
            "the VIN stands in several rows; none of them is taken. A car has one row.",
        )
