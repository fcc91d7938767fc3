"""Importing one stock feed: stage, validate, compare, swap. All of it or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, cast

from app.catalog.documents import car_document, car_id_of, dealer_of, digest_of
from app.catalog.errors import FeedNotReadable
from app.catalog.feeds.delimited import SHOWN_CHARACTERS
from app.catalog.feeds.discovery import discover_adapters
from app.catalog.feeds.record import (
    FeedAdapter,
    FeedContext,
    FeedUnreadable,
    Notice,
    Reason,
    Rejection,
    StockRecord,
)
from app.catalog.guards import Confirmed, guard, guard_age
from app.catalog.identity import VinHash
from app.catalog.range.dealers import Dealer
from app.catalog.range.sheets import Range
from app.catalog.signals import CatalogSignals
from app.catalog.store import FeedState, Store, Swapping
from app.catalog.swap import KnownCar, OfferedCar, Swap, as_bought, difference, is_rehearsal
from app.contracts.catalog import FeedReport, RowReport
from app.contracts.events import LONGEST_TITLE, CarListed, CarWithdrawn, FeedImported
from app.frame.dealers import OPERATOR
from app.kernel.clock import Clock, rfc3339
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


@dataclass(slots=True)
class Staged:
    """A feed that was read and validated, but has changed nothing yet."""

    offered: list[OfferedCar] = field(default_factory=list)
    rejections: list[RowReport] = field(default_factory=list)
    notices: list[RowReport] = field(default_factory=list)


class Importer:
    """Imports feeds of any source through its adapter.

    `guard_share` is the share of a source's stock on offer that one import may remove.
    """

    def __init__(
        self,
        store: Store,
        shipped: Range,
        signals: CatalogSignals,
        clock: Clock,
        *,
        guard_share: float,
        adapters: Mapping[str, FeedAdapter] | None = None,
    ) -> None:
        self._store = store
        self._shipped = shipped
        self._signals = signals
        self._clock = clock
        self._guard_share = guard_share
        self._adapters = discover_adapters() if adapters is None else adapters

    async def run(
        self,
        feed: Feed,
        context: EventContext,
        confirmed: Confirmed = UNCONFIRMED,
    ) -> FeedReport:
        """Import a feed as its source's whole stock in the market.

        Raises `FeedNotReadable`, `InvalidInput` (unknown adapter), `TooMuchRemoved`,
        `PricesImplausible` or `FeedOutdated`; nothing has changed then. `confirmed` lifts guards.
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
            staged.offered = as_bought(known, staged.offered)
            await self._refuse_claimed(feed, staged, known, stock)
            swap = difference(known, staged.offered)
            guard(swap, feed.whose, share=self._guard_share, confirmed=confirmed)
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
                    if refusal is not None:
                        staged.rejections.append(refusal)
                    else:
                        identity = identity_of(outcome.vin)
                        staged.offered.append(_offered(outcome, self._shipped, identity))
                elif isinstance(outcome, Rejection):
                    staged.rejections.append(_rejection(outcome))
                else:
                    staged.notices.append(_notice(outcome))
        except FeedUnreadable as error:
            raise FeedNotReadable(str(error)) from error
        return staged

    async def _refuse_claimed(
        self, feed: Feed, staged: Staged, known: list[KnownCar], stock: Swapping
    ) -> None:
        """Move cars that are somebody else's offer, or somebody's car, to the rejections."""
        now = self._clock.now()
        bought = {car.car_id for car in known if car.state != "available"}
        wanted: dict[str, list[OfferedCar]] = {}
        for car in staged.offered:
            if car.identity:
                wanted.setdefault(car.identity, []).append(car)
        refused: dict[str, RowReport] = {}
        for claim in await stock.claims(sorted(wanted)):
            for car in wanted[claim.identity]:
                kept = (
                    claim.listed
                    if car.car_id in bought
                    else claim.keeps(feed.source, feed.market, now)
                )
                if kept and claim.car_id != car.car_id:
                    refused[car.car_id] = _claimed(car, claim.why(feed.source, feed.market))
        if refused:
            staged.offered = [car for car in staged.offered if car.car_id not in refused]
            staged.rejections = sorted(
                [*staged.rejections, *refused.values()], key=lambda report: report.row
            )


def _claimed(car: OfferedCar, why: str) -> RowReport:
    return RowReport(
        row=car.row,
        stock_id=car.stock_id,
        field="vin",
        value="",
        reason=Reason.DUPLICATE_VIN.value,
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
        document=document,
        handover_at=at,
        handover_lead_seconds=None if lead is None else lead // timedelta(seconds=1),
        digest=digest_of(document, f"{at} {lead} {_calendar(record.dealer)}"),
        identity=identity,
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
        rejected=len(staged.rejections),
        unchanged=swap.unchanged,
        removed=len(swap.removed),
        promised=sorted(car.stock_id for car in swap.left if car.state in ("held", "reserved")),
        rejections=staged.rejections,
        notices=staged.notices,
    )


def _facts(feed: Feed, swap: Swap, report: FeedReport) -> list[Fact]:
    listed: list[Fact] = [_listed(feed, car) for car in (*swap.added, *swap.changed)]
    withdrawn: list[Fact] = [CarWithdrawn(car.car_id) for car in (*swap.removed, *swap.left)]
    imported = FeedImported(
        source=feed.source,
        accepted=report.accepted,
        rejected=report.rejected,
        unchanged=report.unchanged,
        removed=report.removed,
        sent_by=feed.sent_by,
    )
    # Who leaves is told before who comes: a car with a new stock id is never on sale twice.
    return [*withdrawn, *listed, imported]


def _listed(feed: Feed, car: OfferedCar) -> CarListed:
    price = car.document["price"]
    return CarListed(
        car_id=car.car_id,
        model_id=car.document["model_id"] or "",
        title=car.document["title"],
        market=cast("Market", feed.market),
        dealer_id=car.dealer.dealer_id,
        source=feed.source,
        price=price["amount"],
        currency=price["currency"],
        # No single rate may be stated (Norwegian electric cars, American sales tax): no VAT shown.
        vat_rate=car.document["vat_rate"] or "0",
        rehearsal=is_rehearsal(feed.source),
        ready_for_handover_at="" if car.handover_at is None else rfc3339(car.handover_at),
        handover_lead_seconds=car.handover_lead_seconds,
        dealer_calendar=_calendar(car.dealer),
        identity=car.identity or "",
    )


def _calendar(dealer: Dealer) -> str:
    return Calendar.of(dealer_of(dealer)).text()
