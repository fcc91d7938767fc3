"""Puts the catalogue together: which parts it is made of and what runs in the background."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import httpx

from app.catalog.availability import DIET, following
from app.catalog.documents import dealer_of, model_of
from app.catalog.imports import Importer
from app.catalog.models import METADATA, OUTBOX
from app.catalog.range.loading import load_range
from app.catalog.range.stock import shipped_feeds
from app.catalog.rehearsal import Replenishment
from app.catalog.retention import rules
from app.catalog.routes import PREFIX, internal_routes, public_routes
from app.catalog.settings import CatalogSettings
from app.catalog.shelf import REFRESH_SECONDS, Shelf
from app.catalog.signals import Signals
from app.catalog.stocking import Stocking
from app.catalog.store import Store
from app.catalog.swap import is_rehearsal
from app.frame.data.consumers import Consumer
from app.frame.data.leases import Leases
from app.frame.data.migrations import migrate
from app.frame.data.outbox import Outbox
from app.frame.inbound.bodies import FEED_BYTES
from app.frame.inbound.dealers import DealerKeys
from app.frame.inbound.overload import Priority
from app.frame.platform import AddressMissing, Platform
from app.frame.settings import ServiceSettings
from app.frame.start.jobs import Job, leased
from app.frame.start.retaining import retention_job
from app.frame.start.service import Service, assemble, new_api
from app.kernel.errors import Unavailable

NAME: Final = "catalog"
FOLLOW_SECONDS: Final = 0.3
REPLENISH_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 30.0

Run = Callable[[], Awaitable[object]]


def build(platform: Platform, settings: ServiceSettings) -> Service:
    """The catalogue as the environment configures it."""
    return put_together(platform, settings, CatalogSettings())


def put_together(platform: Platform, settings: ServiceSettings, own: CatalogSettings) -> Service:
    """The catalogue on this platform; nothing is started yet."""
    telemetry = platform.telemetry(NAME)
    database = platform.database(NAME, settings, telemetry)
    outbox = Outbox(NAME, database, OUTBOX, platform.clock)
    store = Store(database, outbox, platform.clock)
    signals = Signals(telemetry)
    leases = Leases(database, platform.clock)
    checkout = platform.internal_client("checkout", telemetry)
    consumer = Consumer(
        NAME,
        "checkout",
        client=checkout,
        database=database,
        leases=leases,
        clock=platform.clock,
        telemetry=telemetry,
        apply=following(store),
        diet=DIET,
        forget=store.free_all,
    )
    keys = DealerKeys.of(platform.settings)
    shipped = load_range()
    shelf = Shelf(store, [dealer_of(dealer) for dealer in shipped.dealers])
    importer = Importer(
        store,
        shipped,
        signals,
        platform.clock,
        guard_share=own.guard_share,
        most_cars=own.most_cars,
    )
    rehearsing = (
        platform.settings.environment != "production" if own.rehearsal is None else own.rehearsal
    )
    feeds = tuple(f for f in shipped_feeds() if rehearsing or not is_rehearsal(f.source))
    replenishment = Replenishment(
        store,
        importer,
        signals,
        tuple(feed for feed in feeds if is_rehearsal(feed.source)),
        least=own.rehearsal_least,
        target=own.rehearsal_target,
    )
    stocking = Stocking(
        store, importer, replenishment, platform.clock, feeds=feeds, version=platform.version
    )

    async def tell() -> None:
        imported = await store.feed_states()
        for state in imported:
            signals.last_success(state.source, state.imported_at)
        for unknown in keys.unknown({state.source for state in imported}, shelf.dealers):
            signals.dealer_key_unknown(*unknown)

    api = new_api(platform, name=NAME, title="Vitrine catalogue", prefix=PREFIX)
    models = [model_of(sheet) for sheet in shipped.models]
    api.include_router(
        public_routes(shelf, store, importer, models, platform.clock, dealer_keys=keys)
    )
    jobs = [
        Job("follow-checkout", FOLLOW_SECONDS, _tolerating_absence(consumer.poll)),
        Job("refresh-shelf", REFRESH_SECONDS, shelf.refresh),
        leased(
            leases, Job("renew-feeds", LOOK_SECONDS, stocking.renew), ttl_seconds=2 * LOOK_SECONDS
        ),
        retention_job(
            rules(own),
            database=database,
            leases=leases,
            clock=platform.clock,
            telemetry=telemetry,
        ),
    ]
    if rehearsing:
        replenish = Job("replenish-rehearsal", REPLENISH_SECONDS, stocking.replenish)
        jobs.append(leased(leases, replenish))
    return assemble(
        NAME,
        platform,
        telemetry,
        database=database,
        api=api,
        outbox=outbox,
        internal=internal_routes(shelf, store, platform.clock),
        migrate=lambda: migrate(database, NAME, METADATA),
        warn=[consumer.has_not_parted],
        prepare=[stocking.stock_up, shelf.refresh, tell],
        jobs=jobs,
        close=[checkout.aclose],
        priorities={f"{PREFIX}/feeds": Priority.BACKGROUND},
        larger_bodies={f"{PREFIX}/feeds/": FEED_BYTES},
    )


def _tolerating_absence(poll: Run) -> Run:
    """Checkout may start later or be away for a while: the job says so and asks again."""

    async def run() -> object:
        try:
            return await poll()
        except (httpx.HTTPError, AddressMissing) as error:
            raise Unavailable(f"checkout's events cannot be read: {error}") from error

    return run
