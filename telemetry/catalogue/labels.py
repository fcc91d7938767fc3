"""The labels that several owners share. A label that one owner uses lives in that owner's file."""

from typing import Final, Literal, get_args

from telemetry.catalogue.outcomes import OUTCOME_VALUES
from telemetry.catalogue.spec import Label

Service = Literal["catalog", "advisor", "checkout", "storefront", "insight", "sandbox"]
Market = Literal["SE", "NO", "DK", "FI", "US"]
"""ISO 3166-1 alpha-2."""
Channel = Literal["web", "api", "dealer"]
Device = Literal["phone", "tablet", "desktop", "unknown"]
Entry = Literal["direct", "advisor"]
Traffic = Literal["human", "agent", "bot", "suspect", "synthetic"]
Provider = Literal["sandbox", "stripe"]

SERVICES: Final[tuple[Service, ...]] = get_args(Service)
MARKETS: Final[tuple[Market, ...]] = get_args(Market)
SHOP_MARKETS: Final[tuple[Market, ...]] = ("SE", "NO", "DK", "FI")
"""Where the storefront has pages; the others buy through the API."""
CHANNELS: Final[tuple[Channel, ...]] = get_args(Channel)
DEVICES: Final[tuple[Device, ...]] = get_args(Device)
ENTRIES: Final[tuple[Entry, ...]] = get_args(Entry)
TRAFFIC: Final[tuple[Traffic, ...]] = get_args(Traffic)
BUYERS: Final[tuple[Traffic, ...]] = ("human", "synthetic")
"""Robots buy nothing, so nothing is expected of them. Rehearsals obey the same rules as people."""
PROVIDERS: Final[tuple[Provider, ...]] = get_args(Provider)
CURRENCY_OF_MARKET: Final[dict[str, str]] = {
    "SE": "SEK",
    "NO": "NOK",
    "DK": "DKK",
    "FI": "EUR",
    "US": "USD",
}

SERVICE = Label("service", SERVICES, "The service whose code counted this.")
OUTCOME = Label("outcome", OUTCOME_VALUES, "How the work ended; see outcomes.Outcome.")
PROVIDER = Label("provider", PROVIDERS, "The payment provider.")
MARKET = Label("market", MARKETS, "Country of the offer, ISO 3166-1 alpha-2.")
CHANNEL = Label("channel", CHANNELS, "How the caller came: pages, bare API or a dealer's desk.")
DEVICE = Label("device", DEVICES, "Class of the shopper's device; unknown without a browser.")
ENTRY = Label("entry", ENTRIES, "Straight to stock, or through the advisor.")
TRAFFIC_LABEL = Label(
    "traffic",
    TRAFFIC,
    "Who is calling: people, buying agents that prove themselves, robots that say so, automation by"
    " its behaviour, or our own rehearsals.",
)
STOCK_SOURCE = Label(
    "source",
    None,
    "The stock feed.",
    bounded_by="one adapter file per source in app/catalog",
    limit=40,
)
PEERS = (*SERVICES, "stripe", "other")
PEER = Label("peer_service", PEERS, "The service or provider that was called.")
# Open although its values are known: a histogram of every peer and outcome from zero would be a
# thousand idle lines per service.
CALLED = Label(
    "peer_service",
    None,
    "The service or provider that was called.",
    bounded_by="the services, the payment providers and other",
    limit=len(PEERS),
)
