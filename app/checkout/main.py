"""Checkout's composition root."""

from __future__ import annotations

from app.checkout.customers import CustomerSeal
from app.checkout.gateways import SandboxProvider, SimilarCars
from app.checkout.holds import Holds
from app.checkout.models import METADATA, OUTBOX
from app.checkout.orders import Orders
from app.checkout.payments import Payments
from app.checkout.routes import UseCases, add_routes, export_invariants, internal_routes
from app.checkout.settings import CheckoutSettings
from app.checkout.signals import Signals
from app.checkout.stock import Stock
from app.checkout.store import Store
from app.frame.consumers import Consumer
from app.frame.database import Database
from app.frame.jobs import Job, leased
from app.frame.leases import Leases
from app.frame.migrations import migrate
from app.frame.outbox import Outbox
from app.frame.overload import Priority
from app.frame.platform import Platform
from app.frame.service import Service, assemble, new_api
from app.frame.settings import ServiceSettings

NAME = "checkout"


def build(platform: Platform, settings: ServiceSettings) -> Service:
    """Put checkout together."""
    own = CheckoutSettings()
    telemetry = platform.telemetry(NAME)
    database = Database(platform.database_url(NAME, settings.database_url), telemetry=telemetry)
    outbox = Outbox(NAME, database, OUTBOX, platform.clock)
    leases = Leases(database, platform.clock)
    store = Store(database, outbox)
    signals = Signals(telemetry)
    catalog = platform.client("catalog", telemetry)
    catalog_internal = platform.internal_client("catalog", telemetry)
    sandbox = platform.client("sandbox", telemetry)
    secrets = platform.settings
    providers = {
        "sandbox": SandboxProvider(
            sandbox,
            api_key=secrets.payment_key,
            webhook_secret=secrets.webhook_secret,
            tolerance_seconds=own.webhook_tolerance_seconds,
        )
    }
    payments = Payments(store, providers, signals, platform.clock, own)
    use = UseCases(
        holds=Holds(store, signals, SimilarCars(catalog), platform.clock, own),
        orders=Orders(
            store,
            payments,
            CustomerSeal(secrets.customer_key),
            signals,
            platform.clock,
            own,
            token_key=secrets.session_key,
        ),
        payments=payments,
        store=store,
        signals=signals,
        settings=own,
        platform=platform,
    )
    stock = Consumer(
        NAME,
        "catalog",
        client=catalog_internal,
        database=database,
        leases=leases,
        clock=platform.clock,
        telemetry=telemetry,
        apply=Stock(store).apply,
    )
    api = new_api(platform, name=NAME, title="Vitrine checkout", prefix="/api/checkout/v1")
    add_routes(api, use)

    async def measure() -> None:
        await export_invariants(use)

    return assemble(
        NAME,
        platform,
        telemetry,
        database=database,
        api=api,
        outbox=outbox,
        internal=internal_routes(use),
        migrate=lambda: migrate(database, NAME, METADATA),
        jobs=[
            Job("consume:catalog", 0.3, stock.poll),
            leased(leases, Job("sweep", own.sweep_seconds, use.holds.sweep)),
            leased(leases, Job("refunds", 2.0, payments.refund_due)),
            leased(leases, Job("reconcile", 10.0, payments.reconcile)),
            leased(leases, Job("lapse", 30.0, use.orders.lapse)),
            Job("invariants", 5.0, measure),
        ],
        close=[catalog.aclose, catalog_internal.aclose, sandbox.aclose],
        priorities={"/api/checkout/": Priority.CRITICAL},
        places=400,
    )
