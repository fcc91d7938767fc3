"""Importing one stock feed: stage, validate, compare, swap. All of it or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, cast

from app.catalog.documents import car_document, car_id_of, dealer_of, digest_of
from app.catalog.errors import FeedNotReadable, TooMuchRemoved
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
from app.catalog.range.dealers import Dealer
from app.catalog.range.sheets import Range
from app.catalog.signals import CatalogSignals
from app.catalog.store import FeedState, Store
from app.catalog.swap import OfferedCar, Swap, difference, is_rehearsal
from app.contracts.catalog import FeedReport, RowReport
from app.contracts.events import LONGEST_TITLE, CarListed, CarWithdrawn, FeedImported
from app.contracts.wire import Market
from app.frame.dealers import OPERATOR
from app.kernel.clock import Clock, rfc3339
from app.kernel.errors import InvalidInput
from app.kernel.facts import EventContext, Fact
from app.kernel.opening import Calendar

DEFAULT_ADAPTER: Final = "google_vehicle_ads"

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
    sent_by: str = OPERATOR
    """Whose dealer key it came with."""


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
        *,
        confirm_removal: bool = False,
    ) -> FeedReport:
        """Import a feed as its source's whole stock in the market.

        Raises `FeedNotReadable`, `InvalidInput` (unknown adapter) or `TooMuchRemoved`; nothing
        has changed then. `confirm_removal` lifts the guard for a source that really shrinks.
        """
        report = await self._import(feed, context, confirm_removal=confirm_removal)
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
        *,
        confirm_removal: bool = False,
        only_first: bool = False,
    ) -> FeedReport | None:
        # Reading thousands of rows takes longer than other requests should wait.
        staged = await asyncio.to_thread(self._stage, feed)
        async with self._store.swapping() as stock:
            first = not await stock.imported_before(feed.source, feed.market)
            if only_first and not first:
                return None
            swap = difference(await stock.known(feed.source, feed.market), staged.offered)
            if not (first or confirm_removal):
                self._guard(feed, swap)
            report = _report(feed, staged, swap)
            await stock.save(
                swap, FeedState(feed.source, feed.market, feed.adapter, self._clock.now())
            )
            await stock.state_facts(_facts(feed, swap, report), context)
        self._signals.feed_imported(report, feed.market, sent_by=feed.sent_by, at=self._clock.now())
        return report

    def _stage(self, feed: Feed) -> Staged:
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
                        staged.offered.append(_offered(outcome, self._shipped))
                elif isinstance(outcome, Rejection):
                    staged.rejections.append(_rejection(outcome))
                else:
                    staged.notices.append(_notice(outcome))
        except FeedUnreadable as error:
            raise FeedNotReadable(str(error)) from error
        return staged

    def _guard(self, feed: Feed, swap: Swap) -> None:
        if swap.removed_share > self._guard_share:
            raise TooMuchRemoved(
                f"This feed would remove {len(swap.removed)} of {swap.on_offer} cars that "
                f"{feed.source} has on offer in {feed.market}; {self._guard_share:.0%} is the most "
                "without a confirmation. If the stock really shrank, send it again with "
                "confirm_removal=true.",
                would_remove=len(swap.removed),
                on_offer=swap.on_offer,
            )


def _offered(record: StockRecord, shipped: Range) -> OfferedCar:
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
        rejections=staged.rejections,
        notices=staged.notices,
    )


def _facts(feed: Feed, swap: Swap, report: FeedReport) -> list[Fact]:
    listed: list[Fact] = [_listed(feed, car) for car in (*swap.added, *swap.changed)]
    withdrawn: list[Fact] = [CarWithdrawn(car_id) for car_id in (*swap.removed, *swap.left)]
    imported = FeedImported(
        source=feed.source,
        accepted=report.accepted,
        rejected=report.rejected,
        unchanged=report.unchanged,
        removed=report.removed,
        sent_by=feed.sent_by,
    )
    return [*listed, *withdrawn, imported]


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
    )


def _calendar(dealer: Dealer) -> str:
    return Calendar.of(dealer_of(dealer)).text()
