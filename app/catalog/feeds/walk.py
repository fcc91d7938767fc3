"""The walk that every row takes: unique, accepted or refused, remarked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b

from app.catalog.feeds.delimited import SHOWN_CHARACTERS, Refused, Row
from app.catalog.feeds.record import Notice, NoticeCode, Parsed, Reason, StockRecord
from app.catalog.feeds.values import plain_vin

Accept = Callable[[Row], StockRecord]
Remark = Callable[[Row, StockRecord], Iterable[tuple[NoticeCode, str]]]


class Repeats:
    """Which values stand in several rows: what is kept of each is short, however long it is."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._again: set[bytes] = set()

    def add(self, value: str) -> None:
        if value:
            mark = _mark(value)
            (self._again if mark in self._seen else self._seen).add(mark)

    def __contains__(self, value: str) -> bool:
        return bool(self._again) and _mark(value) in self._again

    def close(self) -> None:
        """No value is added any more."""
        self._seen.clear()


def _mark(value: str) -> bytes:
    return blake2b(value.encode(), digest_size=16).digest()


def walk(
    rows: Iterable[Row], accept: Accept, remark: Remark, messages: Mapping[NoticeCode, str]
) -> Iterator[Parsed]:
    """One record or one rejection per row, in order; a record's notices come before it.

    `accept` makes the record or raises `Refused`; `remark` yields (code, column). Rows that share
    an id or a VIN are all refused, since nobody can tell which is right: that is found out first,
    so that `rows` are gone through twice.
    """
    ids, vins = Repeats(), Repeats()
    for row in rows:
        ids.add(row.get("id"))
        vins.add(plain_vin(row.get("vin")))
    ids.close()
    vins.close()
    for row in rows:
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


def _refuse_repeats(row: Row, ids: Repeats, vins: Repeats) -> None:
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
