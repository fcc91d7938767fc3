"""Importing one stock feed: stage, validate, compare, swap. All of it or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Final, cast

import orjson

from app.catalog.claims import Verdict, displaced, identified, judge
from app.catalog.documents import car_document, car_id_of, dealer_of, digest_of
from app.catalog.errors import FeedNotReadable, StockTooLarge
from app.catalog.feeds.delimited import SHOWN_CHARACTERS, Refused
from app.catalog.feeds.discovery import discover_adapters
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
from app.catalog.guards import Confirmed, guard, guard_age
from app.catalog.identity import VinHash, last_prices
from app.catalog.range.dealers import Dealer
from app.catalog.range.sheets import Range
from app.catalog.restating import car_listed
from app.catalog.signals import Signals
from app.catalog.store import FeedState, Store, Swapping
from app.catalog.swap import KnownCar, OfferedCar, Swap, difference
from app.contracts.catalog import FeedReport, RowReport
from app.contracts.events import LONGEST_TITLE, CarListed, CarWithdrawn, FeedImported
from app.frame.inbound.dealers import OPERATOR
from app.kernel.clock import Clock
from app.kernel.errors import InvalidInput
from app.kernel.facts import EventContext, Fact
from app.kernel.opening import Calendar
from telemetry.catalogue.labels import Market

DEFAULT_ADAPTER: Final = "google_vehicle_ads"
UNCONFIRMED: Final = Confirmed()

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
    content: bytes
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


class Importer:
    """Imports feeds of any source through its adapter.

    `guard_share` is the share of a source's stock on offer that one import may remove, `most_cars`
    what all sources together may have on sale.
    """

    def __init__(
        self,
        store: Store,
        shipped: Range,
        signals: Signals,
        clock: Clock,
        *,
        guard_share: float,
        most_cars: int,
        adapters: Mapping[str, FeedAdapter] | None = None,
    ) -> None:
        self._store = store
        self._shipped = shipped
        self._signals = signals
        self._clock = clock
        self._guard_share = guard_share
        self._most_cars = most_cars
        self._adapters = discover_adapters() if adapters is None else adapters

    async def run(
        self,
        feed: Feed,
        context: EventContext,
        confirmed: Confirmed = UNCONFIRMED,
    ) -> FeedReport:
        """Import a feed as its source's whole stock in the market.

        Raises `FeedNotReadable`, `InvalidInput` (unknown adapter), `StockTooLarge`,
        `TooMuchRemoved`, `PricesImplausible` or `FeedOutdated`; nothing has changed then.
        `confirmed` lifts guards.
        """
        report = await self._import(feed, context, confirmed)
        if report is None:
            raise AssertionError("only a first import may find that there is nothing to do")
        return report

    async def run_first(self, feed: Feed, context: EventContext) -> FeedReport | None:
        """Import a feed unless its source was imported into the market before (then None)."""
        return await self._import(feed, context, only_first=True)

    async def _import(
        self,
        feed: Feed,
        context: EventContext,
        confirmed: Confirmed = UNCONFIRMED,
        *,
        only_first: bool = False,
    ) -> FeedReport | None:
        # Reading thousands of rows takes longer than other requests should wait.
        staged = await asyncio.to_thread(self._stage, feed, await self._store.vin_hash())
        async with self._store.swapping() as stock:
            last = await stock.last_feed(feed.source, feed.market)
            if only_first and last is not None:
                return None
            latest = None if last is None else last.exported_at
            guard_age(feed.whose, feed.exported_at, latest)
            known = await stock.known(feed.source, feed.market)
            elsewhere = await stock.listed_besides(feed.source, feed.market)
            self._refuse_too_many(feed, elsewhere + len(staged.offered))
            swap = await self._compare(feed, staged, known, stock)
            guard(
                swap,
                feed.whose,
                share=self._guard_share,
                confirmed=confirmed,
                rejected=staged.rejections.count,
                first_rejection=next((row.message for row in staged.rejections.listed), ""),
            )
            report = _report(feed, staged, swap)
            await stock.save(
                swap,
                FeedState(
                    feed.source,
                    feed.market,
                    feed.adapter,
                    self._clock.now(),
                    feed.exported_at or latest,
                    feed.sent_by,
                ),
            )
            await stock.state_facts(_facts(feed, swap, report), context)
        self._signals.feed_imported(report, feed.market, sent_by=feed.sent_by, at=self._clock.now())
        return report

    def _stage(self, feed: Feed, identity_of: VinHash) -> Staged:
        adapter = self._adapters.get(feed.adapter)
        if adapter is None:
            known = ", ".join(sorted(self._adapters))
            raise InvalidInput(
                f"adapter: {feed.adapter!r} is not a source kind; there is: {known}.",
                errors=[{"field": "adapter", "in": "query", "message": f"must be one of: {known}"}],
            )
        today = self._clock.now().date()
        context = FeedContext.of(feed.source, feed.market, self._shipped, today)
        staged = Staged()
        try:
            for outcome in adapter.read(feed.content, context):
                if isinstance(outcome, StockRecord):
                    refusal = _too_long(outcome)
                    identity = identity_of(outcome.vin)
                    if refusal is not None:
                        staged.reject(feed, refusal, identity)
                    else:
                        staged.offered.append(_offered(outcome, self._shipped, identity))
                        self._refuse_too_many(feed, len(staged.offered))
                elif isinstance(outcome, Rejection):
                    staged.reject(feed, _rejection(outcome), identity_of(_stated_vin(outcome)))
                else:
                    staged.notices.add(_notice(outcome))
        except FeedUnreadable as error:
            raise FeedNotReadable(str(error)) from error
        return staged

    def _refuse_too_many(self, feed: Feed, cars: int) -> None:
        if cars > self._most_cars:
            raise StockTooLarge(
                f"With this feed more than {self._most_cars:,} cars would be on sale, counting all"
                f" sources. That is the most (CATALOG_MOST_CARS); {feed.source} keeps what it has."
                " Whoever runs the shop can give the catalogue and the advisor more memory and"
                " raise it.",
                most_cars=self._most_cars,
            )

    async def _compare(
        self, feed: Feed, staged: Staged, known: Sequence[KnownCar], stock: Swapping
    ) -> Swap:
        """What the feed changes; cars that are somebody else's go to the rejections."""
        now = self._clock.now()
        by_id = {car.car_id: car for car in known}
        offered = identified(by_id, staged.offered, now)
        named = {i for i in staged.unreadable.values() if i}
        named.update(*(car.identities for car in offered))
        claims = await stock.claims(sorted(named))
        place = (feed.source, feed.market)
        verdict = judge(offered, by_id, claims, place, now)
        staged.rejections.merge([_claimed(car, verdict) for car in verdict.refused.values()])
        staged.notices.merge([*_notices(verdict)])
        swap = difference(
            known,
            verdict.offered,
            unreadable=staged.unreadable,
            claimed=verdict.refused,
            prices=last_prices(claims, feed.market, now),
            now=now,
        )
        swap.displaced = sorted(
            {claim.car_id for found in verdict.displaced.values() for claim in found}
            | displaced(by_id, staged.unreadable, claims, place, now)
        )
        return swap


def _claimed(car: OfferedCar, verdict: Verdict) -> RowReport:
    return _of_vin(car, Reason.DUPLICATE_VIN, verdict.why[car.car_id])


def _notices(verdict: Verdict) -> Iterator[RowReport]:
    for car in verdict.offered:
        if car.stated:
            yield _of_vin(
                car,
                NoticeCode.VIN_WAITS,
                "a customer has this car by the VIN that was stated before; the corrected one"
                " counts at the first import after they gave it back. Until then nobody else can"
                " list either of the two.",
            )
        for claim in verdict.displaced.get(car.car_id, ()):
            yield _of_vin(
                car,
                NoticeCode.VIN_ELSEWHERE,
                f"a customer has this car, so that the row {claim.stock_id!r} of the source"
                f" {claim.source} in {claim.market} with the same VIN went off sale. Is the VIN"
                " right?",
            )


def _of_vin(car: OfferedCar, code: Reason | NoticeCode, why: str) -> RowReport:
    return RowReport(
        row=car.row,
        stock_id=car.stock_id,
        field="vin",
        value="",
        reason=code.value,
        message=f"Row {car.row}: {why}",
    )


def _offered(record: StockRecord, shipped: Range, identity: str | None) -> OfferedCar:
    document = car_document(record, shipped)
    lead = record.handover.lead
    at = record.handover.at
    return OfferedCar(
        car_id=car_id_of(record.source, record.market, record.stock_id),
        stock_id=record.stock_id,
        dealer=record.dealer,
        price=document["price"]["amount"],
        wire=bytes(memoryview(orjson.dumps(document))),  # what it returns has room to grow
        handover_at=at,
        handover_lead_seconds=None if lead is None else lead // timedelta(seconds=1),
        digest=digest_of(document, f"{at} {lead} {_calendar(record.dealer)}"),
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


def _rejection(rejection: Rejection) -> RowReport:
    return RowReport(
        row=rejection.row,
        stock_id=rejection.stock_id,
        field=rejection.field,
        value=rejection.value,
        reason=rejection.reason.value,
        message=rejection.message,
    )


def _notice(notice: Notice) -> RowReport:
    return RowReport(
        row=notice.row,
        stock_id=notice.stock_id,
        field=notice.field,
        value=notice.value,
        reason=notice.code.value,
        message=notice.message,
    )


def _report(feed: Feed, staged: Staged, swap: Swap) -> FeedReport:
    return FeedReport(
        source=feed.source,
        accepted=len(swap.added) + len(swap.changed),
        rejected=staged.rejections.count,
        unchanged=swap.unchanged,
        removed=len(swap.removed),
        promised=sorted(
            off.car.stock_id for off in swap.left if off.car.state in ("held", "reserved")
        ),
        rejections=staged.rejections.listed,
        notices=staged.notices.listed,
        more_rejections=staged.rejections.more,
        more_notices=staged.notices.more,
    )


def _facts(feed: Feed, swap: Swap, report: FeedReport) -> Iterator[Fact]:
    # Who leaves is told before who comes: a car with a new stock id is never on sale twice.
    for off in swap.off_sale:
        if off.leaves:
            yield CarWithdrawn(off.car.car_id, off.refused is not None)
    for car_id in swap.displaced:
        yield CarWithdrawn(car_id, in_feed=True)
    for car in chain(swap.added, swap.changed):
        yield _listed(feed, car)
    yield FeedImported(
        source=feed.source,
        accepted=report.accepted,
        rejected=report.rejected,
        unchanged=report.unchanged,
        removed=report.removed,
        sent_by=feed.sent_by,
    )


def _listed(feed: Feed, car: OfferedCar) -> CarListed:
    return car_listed(
        car.car_id,
        source=feed.source,
        market=cast("Market", feed.market),
        dealer_id=car.dealer.dealer_id,
        document=car.document,
        handover_at=car.handover_at,
        handover_lead_seconds=car.handover_lead_seconds,
        calendar=Calendar.of(dealer_of(car.dealer)),
        identity=car.identity,
    )


def _calendar(dealer: Dealer) -> str:
    return Calendar.of(dealer_of(dealer)).text()
