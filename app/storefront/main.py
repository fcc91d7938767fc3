"""Puts the storefront together: pages over the other services' public APIs."""

from __future__ import annotations

from typing import Final

from app.frame.data.behaviour import Behaviour
from app.frame.data.migrations import migrate
from app.frame.data.outbox import Outbox
from app.frame.inbound.limits import Counters, limits_of
from app.frame.inbound.overload import Priority
from app.frame.platform import Platform
from app.frame.settings import ServiceSettings
from app.frame.start.jobs import Job
from app.frame.start.service import Service, assemble, new_api
from app.kernel.errors import CannotStart
from app.storefront.gateways import Connections, Range
from app.storefront.headers import SecurityHeaders
from app.storefront.hosts import OneHost
from app.storefront.models import METADATA, OUTBOX
from app.storefront.pages import (
    about,
    advisor,
    cars,
    fallen,
    holding,
    home,
    machines,
    orders,
    purchase,
)
from app.storefront.pages import range as range_pages
from app.storefront.pages.page import Front, environments
from app.storefront.pictures import Pictures
from app.storefront.places import LANGUAGES, PLACES
from app.storefront.settings import StorefrontSettings
from app.storefront.signals import Signals
from app.storefront.static import read_assets

NAME: Final = "storefront"


def build(platform: Platform, settings: ServiceSettings) -> Service:
    """The storefront as the environment configures it."""
    own = StorefrontSettings()
    if own.payment_provider == "sandbox" and not platform.settings.practice_allowed:
        raise CannotStart(
            "STOREFRONT_PAYMENT_PROVIDER=sandbox moves no money: name the provider that checkout"
            " sells through, or set VITRINE_ALLOW_SANDBOX_IN_PRODUCTION=true if practice is really"
            " meant."
        )
    return put_together(platform, settings, own)


def put_together(platform: Platform, settings: ServiceSettings, own: StorefrontSettings) -> Service:
    """The storefront on this platform; nothing is started yet.

    Raises `AssetsMissing` when the front end was not built.
    """
    telemetry = platform.telemetry(NAME)
    database = platform.database(NAME, settings, telemetry)
    outbox = Outbox(NAME, database, OUTBOX, platform.clock)
    signals = Signals(telemetry)
    limits = limits_of(NAME, platform, telemetry)
    behaviour = Behaviour(database, outbox, telemetry, limit=own.buffer_facts)
    connections = Connections(
        catalog=platform.client("catalog", telemetry),
        advisor=platform.client("advisor", telemetry),
        checkout=platform.client("checkout", telemetry),
    )
    front = Front(
        platform=platform,
        settings=own,
        assets=read_assets(own.static),
        connections=connections,
        range=Range(connections.catalog, seconds=own.range_seconds),
        pictures=Pictures(),
        behaviour=behaviour,
        signals=signals,
        limits=limits,
        paces=Counters(platform.clock),
        seen=Counters(platform.clock),
        environments=environments(),
    )
    api = new_api(platform, name=NAME, title="Vitrine storefront", prefix="")
    fallen.install(api, front)
    # Fixed addresses first: `/{market}` and `/{market}/{language}` would take them.
    for routes in (
        machines.routes,
        about.doors,
        home.routes,
        cars.routes,
        range_pages.routes,
        advisor.routes,
        holding.routes,
        purchase.routes,
        orders.routes,
        about.routes,
    ):
        api.include_router(routes(front))
    service = assemble(
        NAME,
        platform,
        telemetry,
        database=database,
        api=api,
        outbox=outbox,
        migrate=lambda: migrate(database, NAME, METADATA),
        jobs=[Job("write-behaviour", own.flush_seconds, behaviour.flush)],
        close=[behaviour.flush, connections.close],
        priorities=_priorities(),
        places=400,
        limits=limits,
    )
    service.api = SecurityHeaders(
        OneHost(service.api, public_url=platform.settings.public_url),
        https=front.secure,
        payment_origin=own.payment_origin,
    )
    return service


def _priorities() -> dict[str, Priority]:
    """A purchase under way matters most, then advice; pictures and files can be asked for again."""
    kinds = {"purchases": Priority.CRITICAL, "advisor": Priority.ADVICE}
    by_page = {
        f"/{market}/{language}/{page}": priority
        for market in PLACES
        for language in LANGUAGES
        for page, priority in kinds.items()
    }
    return {**by_page, "/static/": Priority.CRITICAL, "/assets/": Priority.BROWSE}
