"""Reading a feed: each row is validated and what it offers set down, and nothing is changed yet.

A whole feed waits to be compared. So its documents wait in a file, and of each car only what is
compared is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, BinaryIO, Final

import orjson

from app.catalog.documents import calendar_of, car_document, car_id_of, digest_of
from app.catalog.errors import FeedNotReadable
from app.catalog.feeds.delimited import SHOWN_CHARACTERS, Refused
from app.catalog.feeds.record import (
    FeedAdapter,
    FeedContext,
    FeedUnreadable,
    Notice,
    NoticeCode,
    Reason,
    Rejection,
    StockRecord,
)
from app.catalog.feeds.values import vin
from app.catalog.identity import VinHash
from app.catalog.range.sheets import Range
from app.catalog.swap import OfferedCar
from app.contracts.catalog import RowReport
from app.contracts.events import LONGEST_TITLE
from app.frame.inbound.dealers import OPERATOR

LONGEST: Final[Mapping[str, int]] = {
    "id": 100,
    "make": 80,
    "model": 80,
    "trim": 120,
    "colour": 100,
    "title": LONGEST_TITLE,
    "option": 200,
}
"""Characters that the texts of a car may have: what is listed must fit into its facts' contract.

The title is made of make, model, trim and year. Adapters may allow more than can be sold.
"""


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed as it was handed in. `adapter` names the source kind (docs/feeds.md)."""

    source: str
    market: str
    adapter: str
    content: BinaryIO
    exported_at: datetime | None = None
    """When the sender's system made it; None when it does not say."""
    sent_by: str = OPERATOR
    """Whose dealer key it came with."""

    @property
    def whose(self) -> str:
        return f"{self.source} has on offer in {self.market}"


MOST_LISTED: Final = 1000
"""So many rejections, and notices, an answer lists; it counts all of them."""


@dataclass(slots=True)
class Reports:
    """What is told about rows: all of it counted, the first rows listed."""

    count: int = 0
    listed: list[RowReport] = field(default_factory=list)

    def add(self, *reports: RowReport) -> None:
        self.count += len(reports)
        room = MOST_LISTED - len(self.listed)
        self.listed += reports[: max(0, room)]

    def merge(self, reports: Sequence[RowReport]) -> None:
        """Add reports on rows that were passed already."""
        self.count += len(reports)
        self.listed = sorted([*self.listed, *reports], key=lambda report: report.row)[:MOST_LISTED]

    @property
    def more(self) -> int:
        return self.count - len(self.listed)


@dataclass(slots=True)
class Staged:
    """A feed that was read and validated, but has changed nothing yet."""

    offered: list[OfferedCar] = field(default_factory=list)
    rejections: Reports = field(default_factory=Reports)
    notices: Reports = field(default_factory=Reports)
    unreadable: dict[str, str | None] = field(default_factory=dict)
    """Ids of cars whose rows were rejected for what stands in them, with their identities."""

    def reject(self, feed: Feed, report: RowReport, identity: str | None) -> None:
        self.rejections.add(report)
        car_id = car_id_of(feed.source, feed.market, report.stock_id or f"\x1f{report.row}")
        self.unreadable[car_id] = self.unreadable.get(car_id) or identity


class Documents:
    """Cars' documents in a file, one a line (JSON has no line breaks), each found by its place."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._end = 0

    def put(self, document: Mapping[str, Any]) -> int:
        """Its place. All are put before the first is asked for."""
        place = self._end
        self._end += self._file.write(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))
        return place

    def at(self, place: int) -> dict[str, Any]:
        self._file.seek(place)
        found: dict[str, Any] = orjson.loads(self._file.readline())
        return found


def stage(
    feed: Feed,
    adapter: FeedAdapter,
    context: FeedContext,
    *,
    identity_of: VinHash,
    documents: Documents,
    check: Callable[[int], None],
) -> Staged:
    """Read the whole feed; `check` is told how many cars it offers so far, and may refuse them.

    Raises `FeedNotReadable`.
    """
    staged = Staged()
    try:
        for outcome in adapter.read(feed.content, context):
            if isinstance(outcome, StockRecord):
                refusal = _too_long(outcome)
                identity = identity_of(outcome.vin)
                if refusal is not None:
                    staged.reject(feed, refusal, identity)
                else:
                    staged.offered.append(_offered(outcome, context.shipped, identity, documents))
                    check(len(staged.offered))
            elif isinstance(outcome, Rejection):
                staged.reject(
                    feed, _told(outcome, outcome.reason), identity_of(_stated_vin(outcome))
                )
            else:
                staged.notices.add(_told(outcome, outcome.code))
    except FeedUnreadable as error:
        raise FeedNotReadable(str(error)) from error
    return staged


def _offered(
    record: StockRecord, shipped: Range, identity: str | None, documents: Documents
) -> OfferedCar:
    document = car_document(record, shipped)
    lead = record.handover.lead
    at = record.handover.at
    return OfferedCar(
        car_id=car_id_of(record.source, record.market, record.stock_id),
        stock_id=record.stock_id,
        dealer=record.dealer,
        price=document["price"]["amount"],
        documents=documents,
        place=documents.put(document),
        handover_at=at,
        handover_lead_seconds=None if lead is None else lead // timedelta(seconds=1),
        digest=digest_of(document, f"{at} {lead} {calendar_of(record.dealer).text()}"),
        identity=identity,
        named=identity is not None,
        row=record.row,
    )


def _too_long(record: StockRecord) -> RowReport | None:
    """The rejection of a car with a text that is longer than can be sold; None for all others."""
    texts = [
        ("id", record.stock_id),
        ("make", record.make),
        ("model", record.model),
        ("trim", record.trim or ""),
        ("colour", record.colour.name),
        ("title", record.title),
        *(("option", feature.text) for feature in record.features),
    ]
    for field_name, text in texts:
        if len(text) > LONGEST[field_name]:
            return RowReport(
                row=record.row,
                stock_id=record.stock_id[: LONGEST["id"]],
                field=field_name,
                value=text[:SHOWN_CHARACTERS],
                reason=Reason.TEXT_TOO_LONG.value,
                message=(
                    f"Row {record.row}: the {field_name} has {len(text)} characters;"
                    f" {LONGEST[field_name]} is the most. Shorten it."
                ),
            )
    return None


def _stated_vin(rejection: Rejection) -> str | None:
    try:
        return vin(rejection.vin, "vin")
    except Refused:
        return None


def _told(outcome: Rejection | Notice, code: Reason | NoticeCode) -> RowReport:
    """What is told about a row that was rejected, or taken with a remark."""
    return RowReport(
        row=outcome.row,
        stock_id=outcome.stock_id,
        field=outcome.field,
        value=outcome.value,
        reason=code.value,
        message=outcome.message,
    )
