"""Puts the catalogue together: which parts it is made of and what runs in the background."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import httpx

from app.catalog.availability import DIET, following
from app.catalog.documents import dealer_of, model_of
from app.catalog.guards import Confirmed
from app.catalog.imports import Feed, Importer
from app.catalog.models import metadata, outbox
from app.catalog.range.loading import load_range
from app.catalog.range.stock import ShippedFeed, shipped_feeds
from app.catalog.rehearsal import Replenishment
from app.catalog.routes import PREFIX, internal_routes, public_routes
from app.catalog.settings import CatalogSettings
from app.catalog.shelf import REFRESH_SECONDS, Shelf
from app.catalog.signals import CatalogSignals
from app.catalog.store import Store
from app.catalog.swap import is_rehearsal
from app.frame.bodies import FEED_BYTES
from app.frame.consumers import Consumer
from app.frame.dealers import DealerKeys
from app.frame.jobs import Job, leased
from app.frame.leases import Leases
from app.frame.migrations import migrate
from app.frame.outbox import Outbox
from app.frame.overload import Priority
from app.frame.platform import AddressMissing, Platform
from app.frame.service import Service, assemble, new_api
from app.frame.settings import ServiceSettings
from app.kernel.errors import Unavailable
from app.kernel.facts import EventContext

NAME: Final = "catalog"
FOLLOW_SECONDS: Final = 0.3
REPLENISH_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 30.0
RENEW_SECONDS: Final = 600.0
"""How often the shipped feeds are imported again, as a dealer's system sends its stock."""

Run = Callable[[], Awaitable[object]]


def build(platform: Platform, settings: ServiceSettings) -> Service:
    """The catalogue on this platform, put together but not started."""
    own = CatalogSettings()
    telemetry = platform.telemetry(NAME)
    database = platform.database(NAME, settings, telemetry)
    facts = Outbox(NAME, database, outbox, platform.clock)
    store = Store(database, facts, platform.clock)
    signals = CatalogSignals(telemetry)
    keys = DealerKeys.of(platform.settings)
    shipped = load_range()
    shelf = Shelf(store, [dealer_of(dealer) for dealer in shipped.dealers])
    importer = Importer(
        store,
        shipped,
        signals,
        platform.clock,
        guard_share=own.guard_share,
    )
    rehearsing = (
        platform.settings.environment != "production" if own.rehearsal is None else own.rehearsal
    )
    feeds = tuple(f for f in shipped_feeds() if rehearsing or not is_rehearsal(f.source))
    claims = Leases(database, platform.clock)
    checkout = platform.internal_client("checkout", telemetry)
    consumer = Consumer(
        NAME,
        "checkout",
        client=checkout,
        database=database,
        leases=claims,
        clock=platform.clock,
        telemetry=telemetry,
        apply=following(store),
        diet=DIET,
    )

    async def open_shop() -> None:
        known = {(state.source, state.market) for state in await store.feed_states()}
        fresh = tuple(feed for feed in feeds if (feed.source, feed.market) not in known)
        await stock_up(importer, fresh, platform.version)
        imported = await store.feed_states()
        for state in imported:
            signals.last_success(state.source, state.imported_at)
        await shelf.refresh()
        for unknown in keys.unknown({state.source for state in imported}, shelf.dealers):
            signals.dealer_key_unknown(*unknown)

    jobs = [
        Job("follow-checkout", FOLLOW_SECONDS, _tolerating_absence(consumer.poll)),
        Job("refresh-shelf", REFRESH_SECONDS, shelf.refresh),
    ]
    replenishment = Replenishment(
        store,
        importer,
        signals,
        tuple(feed for feed in feeds if is_rehearsal(feed.source)),
        least=own.rehearsal_least,
        target=own.rehearsal_target,
    )
    synthetic = _own_context("", platform.version, synthetic=True)

    async def renew() -> None:
        """Import the shipped stock again when it is due, so that it counts as fresh."""
        due = platform.clock.now() - timedelta(seconds=RENEW_SECONDS)
        stale = {(s.source, s.market) for s in await store.feed_states() if s.imported_at <= due}
        for feed in feeds:
            if (feed.source, feed.market) in stale and not is_rehearsal(feed.source):
                context = _own_context(feed.market, platform.version, synthetic=False)
                await importer.run(
                    Feed(feed.source, feed.market, feed.adapter, feed.read()),
                    context,
                    Confirmed(prices=True),  # ours: a new version may bring new prices
                )
        if any(is_rehearsal(source) for source, _ in stale):
            await replenishment.run(synthetic, even_if_enough=True)

    async def replenish() -> None:
        await replenishment.run(synthetic)

    jobs += [
        leased(claims, Job("renew-feeds", LOOK_SECONDS, renew), ttl_seconds=2 * LOOK_SECONDS),
    ]
    if rehearsing:
        jobs.append(leased(claims, Job("replenish-rehearsal", REPLENISH_SECONDS, replenish)))
    api = new_api(platform, name=NAME, title="Vitrine catalogue", prefix=PREFIX)
    api.include_router(
        public_routes(
            shelf,
            store,
            importer,
            [model_of(sheet) for sheet in shipped.models],
            platform.clock,
            dealer_keys=keys,
        )
    )
    return assemble(
        NAME,
        platform,
        telemetry,
        database=database,
        api=api,
        migrate=lambda: migrate(database, NAME, metadata),
        outbox=facts,
        internal=internal_routes(shelf, store, platform.clock),
        prepare=[open_shop],
        jobs=jobs,
        close=[checkout.aclose],
        priorities={f"{PREFIX}/feeds": Priority.BACKGROUND},
        larger_bodies={f"{PREFIX}/feeds/": FEED_BYTES},
    )


async def stock_up(importer: Importer, feeds: tuple[ShippedFeed, ...], version: str) -> None:
    """Import each shipped feed whose source was never imported, as anyone's feed."""
    for feed in feeds:
        await importer.run_first(
            Feed(feed.source, feed.market, feed.adapter, feed.read()),
            _own_context(feed.market, version, synthetic=is_rehearsal(feed.source)),
        )


def _own_context(market: str, version: str, *, synthetic: bool) -> EventContext:
    return EventContext(
        market=market,
        channel="dealer",
        release=version,
        traffic="synthetic" if synthetic else "human",
    )


def _tolerating_absence(poll: Run) -> Run:
    """Checkout may start later or be away for a while: the job says so and asks again."""

    async def run() -> object:
        try:
            return await poll()
        except (httpx.HTTPError, AddressMissing) as error:
            raise Unavailable(f"checkout's events cannot be read: {error}") from error

    return run
