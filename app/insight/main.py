"""Insight put together: the ledger's feeds and exporter, the API, and the console."""

from __future__ import annotations

from app.frame.consumers import Consumer
from app.frame.database import Database
from app.frame.jobs import Job
from app.frame.leases import Leases
from app.frame.migrations import migrate
from app.frame.outbox import Outbox
from app.frame.platform import Platform
from app.frame.service import Service, assemble, new_api
from app.frame.settings import ServiceSettings
from app.insight.exporter import REFRESH_SECONDS, Exporter
from app.insight.feeds import POLL_SECONDS, SOURCES, Connect, Feed
from app.insight.models import METADATA, OUTBOX
from app.insight.projections import Projection
from app.insight.signals import Signals
from app.insight.store import Store

NAME = "insight"


def build(platform: Platform, settings: ServiceSettings) -> Service:
    """The service of this process; nothing is started yet."""
    telemetry = platform.telemetry(NAME)
    database = Database(platform.database_url(NAME, settings.database_url), telemetry=telemetry)
    outbox = Outbox(NAME, database, OUTBOX, platform.clock)
    store = Store(database)
    signals = Signals(telemetry)
    projection = Projection(store, platform.clock)
    leases = Leases(database, platform.clock)
    clients = {source: platform.internal_client(source, telemetry) for source in SOURCES}
    feeds: list[Feed] = []
    exporter = Exporter(store, lambda: {feed.source: feed.lag_seconds for feed in feeds})

    def connect(source: str) -> Connect:
        return lambda apply: Consumer(
            NAME,
            source,
            client=clients[source],
            database=database,
            leases=leases,
            clock=platform.clock,
            telemetry=telemetry,
            apply=apply,
        )

    feeds += [
        Feed(
            source,
            connect(source),
            projection=projection,
            signals=signals,
            clock=platform.clock,
            booked=exporter.refresh,
        )
        for source in SOURCES
    ]
    platform.registry.register_collector(exporter)

    api = new_api(platform, name=NAME, title="Vitrine insight", prefix="/api/insight/v1")
    return assemble(
        NAME,
        platform,
        telemetry,
        database=database,
        api=api,
        outbox=outbox,
        migrate=lambda: migrate(database, NAME, METADATA),
        prepare=[exporter.refresh],
        jobs=[
            *(Job(f"consume-{feed.source}", POLL_SECONDS, feed.poll) for feed in feeds),
            Job("ledger-snapshot", REFRESH_SECONDS, exporter.refresh),
            Job("close-sessions", 15.0, projection.close_idle_sessions),
        ],
        close=[client.aclose for client in clients.values()],
    )
