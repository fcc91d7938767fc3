"""Importing one stock feed: stage, validate, compare, swap. All of it or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Final, cast

from app.catalog.claims import Verdict, displaced, identified, judge
from app.catalog.documents import calendar_of
from app.catalog.errors import StockTooLarge
from app.catalog.feeds.discovery import discover_adapters
from app.catalog.feeds.record import (
    FeedAdapter,
    FeedContext,
    NoticeCode,
    Reason,
)
from app.catalog.feeds.spool import spool
from app.catalog.guards import Confirmed, guard, guard_age
from app.catalog.identity import VinHash, last_prices, own_claims
from app.catalog.range.sheets import Range
from app.catalog.restating import car_listed
from app.catalog.signals import Signals
from app.catalog.staging import Documents, Feed, Staged, stage
from app.catalog.store import FeedState, Store, Swapping
from app.catalog.swap import KnownCar, OfferedCar, Swap, difference
from app.contracts.catalog import FeedReport, RowReport
from app.contracts.events import CarListed, CarWithdrawn, FeedImported
from app.kernel.clock import Clock
from app.kernel.errors import InvalidInput
from app.kernel.facts import EventContext, Fact
from telemetry.catalogue.labels import Market

DEFAULT_ADAPTER: Final = "google_vehicle_ads"
UNCONFIRMED: Final = Confirmed()


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
        self._one_at_a_time = asyncio.Lock()

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
        # What waits to be compared takes memory for each car: one feed at a time.
        async with self._one_at_a_time:
            with spool() as file:
                return await self._swap(feed, Documents(file), context, confirmed, only_first)

    async def _swap(
        self,
        feed: Feed,
        documents: Documents,
        context: EventContext,
        confirmed: Confirmed,
        only_first: bool,
    ) -> FeedReport | None:
        identity_of = await self._store.vin_hash()
        # Reading thousands of rows takes longer than other requests should wait.
        staged = await asyncio.to_thread(self._stage, feed, documents, identity_of)
        async with self._store.swapping() as stock:
            last = await stock.last_feed(feed.source, feed.market)
            if only_first and last is not None:
                return None
            latest = None if last is None else last.exported_at
            guard_age(feed.whose, feed.exported_at, latest)
            known = await stock.known(feed.source, feed.market, staged.offered)
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

    def _stage(self, feed: Feed, documents: Documents, identity_of: VinHash) -> Staged:
        adapter = self._adapters.get(feed.adapter)
        if adapter is None:
            known = ", ".join(sorted(self._adapters))
            raise InvalidInput(
                f"adapter: {feed.adapter!r} is not a source kind; there is: {known}.",
                errors=[{"field": "adapter", "in": "query", "message": f"must be one of: {known}"}],
            )
        today = self._clock.now().date()
        return stage(
            feed,
            adapter,
            FeedContext.of(feed.source, feed.market, self._shipped, today),
            identity_of=identity_of,
            documents=documents,
            check=partial(self._refuse_too_many, feed),
        )

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
        place = (feed.source, feed.market)
        claims = await stock.claims(sorted(named), besides=place)
        claims += own_claims(known, offered, place)
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
        calendar=calendar_of(car.dealer),
        identity=car.identity,
    )
