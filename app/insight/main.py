"""Puts insight together: the ledger's intakes and exporter, the API, and the console."""

from __future__ import annotations

from typing import Final

from app.frame.data.consumers import Consumer
from app.frame.data.leases import Leases
from app.frame.data.migrations import migrate
from app.frame.data.outbox import Outbox
from app.frame.inbound.limits import Counters, limits_of
from app.frame.platform import Platform
from app.frame.settings import ServiceSettings
from app.frame.start.jobs import Job
from app.frame.start.retaining import retention_job
from app.frame.start.service import Service, assemble, new_api
from app.insight.api.exporter import REFRESH_SECONDS, Exporter
from app.insight.api.reporting import report_routes
from app.insight.api.routes import PREFIX, Api, internal_routes, public_routes
from app.insight.console import pages
from app.insight.console.alerting import Alerting
from app.insight.console.doorkeeper import Doorkeeper
from app.insight.console.gateways import Alertmanager, Prometheus
from app.insight.console.logins import EndedLogins
from app.insight.console.overview import Overviews
from app.insight.console.page import Console, templates
from app.insight.ledger.intakes import DIET, SOURCES, Connect, Intake
from app.insight.ledger.projections import Projection
from app.insight.ledger.readings import Readings
from app.insight.ledger.retention import rules
from app.insight.ledger.store import Store
from app.insight.models import METADATA, OUTBOX
from app.insight.settings import InsightSettings
from app.insight.signals import Signals

NAME: Final = "insight"


def build(platform: Platform, settings: ServiceSettings) -> Service:
    """Insight as the environment configures it."""
    return put_together(platform, settings, InsightSettings())


def put_together(platform: Platform, settings: ServiceSettings, own: InsightSettings) -> Service:
    """Insight on this platform; nothing is started yet."""
    telemetry = platform.telemetry(NAME)
    database = platform.database(NAME, settings, telemetry)
    outbox = Outbox(NAME, database, OUTBOX, platform.clock)
    store = Store(database)
    signals = Signals(telemetry)
    limits = limits_of(NAME, platform, telemetry)
    checkout = platform.client("checkout", telemetry)
    leases = Leases(database, platform.clock)
    clients = {source: platform.internal_client(source, telemetry) for source in SOURCES}
    intakes: list[Intake] = []

    def lags() -> dict[str, float]:
        return {intake.source: intake.lag_seconds for intake in intakes}

    projection = Projection(store, platform.clock, lambda: max(lags().values(), default=0.0))
    exporter = Exporter(store, lags)

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
            diet=DIET,
        )

    intakes += [
        Intake(
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

    readings = Readings(store)
    prometheus, alertmanager = Prometheus(own.prometheus_url), Alertmanager(own.alertmanager_url)
    doorkeeper = Doorkeeper(
        platform.settings.console_password,
        platform.settings.session_key,
        platform.clock,
        EndedLogins(database),
        secure=platform.settings.public_url.startswith("https:"),
    )
    alerting = Alerting(readings, alertmanager)
    used = Api(
        database=database,
        outbox=outbox,
        store=store,
        readings=readings,
        signals=signals,
        limits=limits,
        measured=Counters(platform.clock),
        checkout=checkout,
        settings=own,
        clock=platform.clock,
        logged_in=doorkeeper.knows,
        delivery_key=platform.settings.delivery_key,
        report_key=platform.settings.report_key,
    )
    console = Console(
        settings=own,
        readings=readings,
        overviews=Overviews(readings, alerting, lags, platform.clock),
        alerting=alerting,
        prometheus=prometheus,
        doorkeeper=doorkeeper,
        signals=signals,
        clock=platform.clock,
        traces=platform.traces,
        version=platform.version,
        templates=templates(platform.clock),
    )
    api = new_api(platform, name=NAME, title="Vitrine insight", prefix=PREFIX)
    api.include_router(public_routes(used))
    api.include_router(report_routes(used))
    pages.install(api, console)
    return assemble(
        NAME,
        platform,
        telemetry,
        database=database,
        api=api,
        outbox=outbox,
        internal=internal_routes(used),
        internal_keys={"/internal/insight/alerts": platform.settings.alert_key},
        warn=[intake.has_not_parted for intake in intakes],
        migrate=lambda: migrate(database, NAME, METADATA),
        prepare=[projection.restate, exporter.refresh],
        jobs=[
            *(Job(f"consume-{i.source}", SOURCES[i.source], i.poll) for i in intakes),
            Job("ledger-snapshot", REFRESH_SECONDS, exporter.refresh),
            Job("close-sessions", 15.0, projection.close_idle_sessions),
            retention_job(
                rules(store, own),
                database=database,
                leases=leases,
                clock=platform.clock,
                telemetry=telemetry,
            ),
        ],
        limits=limits,
        close=[
            *(client.aclose for client in clients.values()),
            checkout.aclose,
            prometheus.close,
            alertmanager.close,
        ],
    )
