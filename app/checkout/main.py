"""Checkout's composition root."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from app.checkout.change import Changes, Lines
from app.checkout.customers import CustomerIndex, CustomerSeal
from app.checkout.desk import Desk
from app.checkout.gateways import SimilarCars
from app.checkout.hoarding import StockHeld
from app.checkout.holds import Holds
from app.checkout.lines_postgresql import PostgresqlLines
from app.checkout.lines_sqlite import SqliteLines
from app.checkout.models import METADATA, OUTBOX
from app.checkout.orders import Orders
from app.checkout.payments import Payments
from app.checkout.privacy import Privacy
from app.checkout.providers.guard import GuardedProvider
from app.checkout.providers.named import named_providers, refuse_other_money
from app.checkout.providers.protocol import PaymentProvider
from app.checkout.providers.sandbox import SandboxProvider
from app.checkout.reconciliation import ENDED, Reconciliation
from app.checkout.refunds import Refunds
from app.checkout.retention import rules
from app.checkout.returns import Returns
from app.checkout.routes import (
    PREFIX,
    UseCases,
    add_routes,
    export_invariants,
    export_work,
    internal_routes,
)
from app.checkout.settings import CheckoutSettings
from app.checkout.signals import Signals
from app.checkout.stock import DIET, Stock
from app.checkout.store import Store
from app.checkout.tokens import OrderTokens
from app.checkout.withdrawals import Withdrawals
from app.frame.data.consumers import Consumer
from app.frame.data.database import Database
from app.frame.data.leases import Leases
from app.frame.data.migrations import migrate
from app.frame.data.outbox import Outbox
from app.frame.inbound.bodies import WEBHOOK_BYTES
from app.frame.inbound.dealers import DealerKeys
from app.frame.inbound.overload import Priority
from app.frame.platform import Platform
from app.frame.settings import ServiceSettings
from app.frame.start.jobs import Job, leased
from app.frame.start.retaining import retention_job
from app.frame.start.service import Hook, Service, assemble, new_api
from app.kernel.clock import Clock
from app.kernel.errors import CannotStart
from telemetry.bootstrap import Telemetry

NAME = "checkout"


@dataclass(frozen=True, slots=True)
class Parts:
    """Checkout without its edges: what its commands use, and what a service is built around."""

    use: UseCases
    telemetry: Telemetry
    database: Database
    outbox: Outbox
    close: Sequence[Hook]

    async def shut(self) -> None:
        """End what a command opened."""
        for hook in self.close:
            await hook()
        await self.database.close()
        self.telemetry.shutdown()
        self.use.platform.flags.close()


def build(platform: Platform, settings: ServiceSettings) -> Service:
    """Checkout as the environment configures it."""
    return put_together(platform, settings, CheckoutSettings())


def put_together(platform: Platform, settings: ServiceSettings, own: CheckoutSettings) -> Service:
    """Checkout on this platform; nothing is started yet."""
    parts = parts_of(platform, settings, own)
    use, telemetry, database = parts.use, parts.telemetry, parts.database
    leases = Leases(database, platform.clock)
    catalog = platform.internal_client("catalog", telemetry)
    stock_rows = Stock(parts.outbox)
    stock = Consumer(
        NAME,
        "catalog",
        client=catalog,
        database=database,
        leases=leases,
        clock=platform.clock,
        telemetry=telemetry,
        apply=stock_rows.apply,
        diet=DIET,
        forget=stock_rows.forget,
    )
    api = new_api(platform, name=NAME, title="Vitrine checkout", prefix="/api/checkout/v1")
    direct = add_routes(api, use)

    async def reconcile_ended() -> None:
        await use.reconciliation.unsettled(states=ENDED)

    async def measure() -> None:
        await export_invariants(use)
        await export_work(use)

    return assemble(
        NAME,
        platform,
        telemetry,
        database=database,
        api=api,
        larger_bodies={f"{PREFIX}/payment-events/": WEBHOOK_BYTES},
        outbox=parts.outbox,
        internal=internal_routes(use),
        ready=[stock.has_caught_up],
        warn=[stock.has_not_parted],
        migrate=lambda: migrate(database, NAME, METADATA),
        jobs=[
            Job("consume:catalog", 0.3, stock.poll),
            leased(leases, Job("sweep", own.sweep_seconds, use.holds.sweep)),
            leased(leases, Job("refunds", 2.0, use.refunds.pay_back)),
            leased(leases, Job("reconcile", 10.0, use.reconciliation.unsettled)),
            leased(leases, Job("reconcile-ended", 600.0, reconcile_ended)),
            leased(leases, Job("reconcile-kept", 60.0, use.reconciliation.kept)),
            leased(leases, Job("lapse", 30.0, use.withdrawals.lapse)),
            Job("invariants", 15.0, measure, share=0.02),
            Job("stock-held", 1.0, use.held.measure),
            retention_job(
                rules(own, use.privacy),
                database=database,
                leases=leases,
                clock=platform.clock,
                telemetry=telemetry,
            ),
        ],
        close=[*parts.close, catalog.aclose],
        priorities={"/api/checkout/": Priority.CRITICAL},
        places=1000,
        direct=direct,
        unlimited=(f"{PREFIX}/payment-events/",),
    )


def parts_of(platform: Platform, settings: ServiceSettings, own: CheckoutSettings) -> Parts:
    """The use cases on their database and gateways."""
    telemetry = platform.telemetry(NAME)
    database = platform.database(NAME, settings, telemetry)
    outbox = Outbox(NAME, database, OUTBOX, platform.clock)
    store = Store(database)
    signals = Signals(telemetry)
    catalog = platform.client("catalog", telemetry)
    secrets = platform.settings
    stripe_key = own.stripe_secret_key.get_secret_value()
    stripe_has_key = bool(stripe_key)
    if stripe_has_key:
        refuse_other_money(
            stripe_key,
            environment=secrets.environment,
            practice_allowed=secrets.practice_allowed,
        )
    offered = named_providers(
        own.providers,
        stripe_has_key=stripe_has_key,
        practice_allowed=secrets.practice_allowed,
    )
    close: list[Hook] = [catalog.aclose]
    providers: list[PaymentProvider] = []
    if "sandbox" in offered:
        sandbox = platform.client("sandbox", telemetry)
        close.append(sandbox.aclose)
        providers.append(
            SandboxProvider(
                sandbox,
                platform.clock,
                api_key=secrets.payment_key,
                webhook_secret=secrets.webhook_secret,
                tolerance_seconds=own.webhook_tolerance_seconds,
            )
        )
    if stripe_has_key:  # named or not: what was paid through it can still go back
        stripe = _outside()
        telemetry.instrument_httpx(stripe)
        providers.append(_stripe(stripe, platform.clock, own))
        close.append(stripe.aclose)
    guarded = {provider.name: GuardedProvider(provider, signals) for provider in providers}
    changes = Changes(lines_to(database, outbox), signals, platform.clock)
    seal = CustomerSeal(secrets.customer_key)
    index = CustomerIndex(secrets.customer_index_key or secrets.session_key)
    payments = Payments(
        store, changes, guarded, offered, index, signals, platform.clock, own, platform.flags
    )
    held = StockHeld(store, signals, own)
    use = UseCases(
        holds=Holds(store, changes, signals, SimilarCars(catalog), held, platform.clock, own),
        held=held,
        orders=Orders(
            store,
            changes,
            payments,
            seal,
            index,
            OrderTokens(secrets.session_key),
            signals,
            platform.clock,
            own,
        ),
        withdrawals=Withdrawals(store, changes, signals, platform.clock, own),
        payments=payments,
        returns=Returns(changes, signals, platform.clock, own),
        desk=Desk(changes, signals, platform.clock),
        refunds=Refunds(store, changes, payments, signals, platform.clock),
        reconciliation=Reconciliation(store, payments, signals, platform.clock),
        privacy=Privacy(store, changes, seal, index, signals, platform.clock),
        dealer_keys=DealerKeys.of(secrets),
        changes=changes,
        store=store,
        signals=signals,
        settings=own,
        platform=platform,
    )
    close.append(changes.close)
    return Parts(use, telemetry, database, outbox, close)


def _outside() -> httpx.AsyncClient:
    """A client for another company's servers: the environment's proxies and certificates count."""
    try:
        return httpx.AsyncClient()
    except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
        raise CannotStart(
            "Stripe cannot be reached as HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE say"
            f" ({error}): correct or unset them."
        ) from error


def _stripe(http: httpx.AsyncClient, clock: Clock, own: CheckoutSettings) -> PaymentProvider:
    # Its client takes a while to import: only a shop that uses it pays for that.
    from app.checkout.providers.stripe import StripeProvider

    webhook_secret = own.stripe_webhook_secret.get_secret_value()
    if not webhook_secret:
        raise CannotStart(
            "CHECKOUT_STRIPE_SECRET_KEY is set and CHECKOUT_STRIPE_WEBHOOK_SECRET is not: without"
            " it nobody could tell Stripe's messages from forged ones."
        )
    return StripeProvider(
        http,
        clock,
        secret_key=own.stripe_secret_key.get_secret_value(),
        webhook_secret=webhook_secret,
        tolerance_seconds=own.webhook_tolerance_seconds,
        api_base=own.stripe_api_base,
        payment_page=own.stripe_payment_page,
    )


def lines_to(database: Database, outbox: Outbox) -> Lines:
    """The way to a database, in its dialect."""
    if database.dialect == "postgresql":
        return PostgresqlLines(database, outbox)
    return SqliteLines(database, outbox)
