"""The practice provider's composition root."""

from __future__ import annotations

from app.frame.jobs import Job, leased
from app.frame.leases import Leases
from app.frame.migrations import migrate
from app.frame.platform import Platform
from app.frame.service import Service, assemble, new_api
from app.frame.settings import ServiceSettings
from app.sandbox.backoffice import backoffice_routes
from app.sandbox.errors import NotInProduction
from app.sandbox.models import METADATA
from app.sandbox.pages import page_routes
from app.sandbox.payments import Payments
from app.sandbox.routes import money_routes
from app.sandbox.signals import Signals
from app.sandbox.store import Store
from app.sandbox.webhooks import Webhooks

NAME = "sandbox"


def build(platform: Platform, settings: ServiceSettings) -> Service:
    """Put the practice provider together.

    Raises `NotInProduction` unless production allows it by name.
    """
    secrets = platform.settings
    if not secrets.practice_allowed:
        raise NotInProduction(
            "the sandbox payment provider moves no money: set"
            " VITRINE_ALLOW_SANDBOX_IN_PRODUCTION=true if that is really meant."
        )
    telemetry = platform.telemetry(NAME)
    database = platform.database(NAME, settings, telemetry)
    store = Store(database)
    signals = Signals(telemetry)
    checkout = platform.client("checkout", telemetry)
    payments = Payments(store, signals, platform.clock, platform.flags)
    webhooks = Webhooks(
        store, checkout, signals, platform.clock, telemetry, secret=secrets.webhook_secret
    )
    api = new_api(platform, name=NAME, title="Sandbox payment provider", prefix="/sandbox")
    api.include_router(money_routes(payments, platform))
    api.include_router(page_routes(payments, webhooks, platform.clock))
    leases = Leases(database, platform.clock)
    return assemble(
        NAME,
        platform,
        telemetry,
        database=database,
        api=api,
        internal=backoffice_routes(payments),
        migrate=lambda: migrate(database, NAME, METADATA),
        jobs=[leased(leases, Job("webhooks", 0.5, webhooks.deliver_due))],
        close=[checkout.aclose],
    )
