"""Sets that cannot be derived from their definition, because no import may lead there, agree."""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args

import pytest

from app.catalog.feeds import colours
from app.checkout.providers import circuit, guard
from app.contracts import catalog as cars
from app.contracts.checkout import ReturnReason
from app.contracts.events import DeployKind, DeployOutcome, VitalName
from app.contracts.wire import LANGUAGES
from app.frame.inbound.callers import preferred_language
from app.insight import settings
from app.insight.api import beacons
from app.insight.console.boards import RANGES
from app.insight.ledger import rules
from app.kernel.money import MINOR_UNITS
from app.sandbox import payments
from app.storefront import places, vocabulary
from loadtests.journeys import advised
from rigs import shop
from telemetry.catalogue import checkout, insight, labels, sandbox

SAME: dict[str, tuple[Collection[str], Collection[str]]] = {
    "body styles have words": (cars.BODIES, vocabulary.BODIES),
    "body styles have plurals": (cars.BODIES, vocabulary.BODIES_PLURAL),
    "fuels have words": (cars.FUELS, vocabulary.FUELS),
    "drivetrains have words": (cars.DRIVETRAINS, vocabulary.DRIVETRAINS),
    "transmissions have words": (cars.TRANSMISSIONS, vocabulary.TRANSMISSIONS),
    "colour families have words": (cars.COLOUR_FAMILIES, vocabulary.COLOURS),
    "colour families are read from feeds": (cars.COLOUR_FAMILIES, colours._WORDS),
    "colour families are drawn": (cars.COLOUR_FAMILIES, colours._HEX),
    "traits have questions": (cars.TRAITS, [trait.code for trait in vocabulary.TRAITS]),
    "traits are asked by load tests": (cars.TRAITS, advised.TRAITS),
    "languages have names": (LANGUAGES, places.LANGUAGES),
    "languages are heard": (LANGUAGES, {preferred_language(each) for each in ("sv", "en", "fi")}),
    "rigs start every service": (labels.SERVICES, shop.SERVICES),
    "markets have pages": (labels.SHOP_MARKETS, [p.market for p in places.PLACES.values()]),
    "markets have currencies": (labels.MARKETS, labels.CURRENCY_OF_MARKET),
    "currencies have decimals": (set(labels.CURRENCY_OF_MARKET.values()), MINOR_UNITS),
    "vitals have limits": (get_args(VitalName), beacons.LIMITS),
    "vitals have metrics": (get_args(VitalName), rules.VITALS),
    "vitals are graded": (
        [f"browser_{each.lower()}" for each in rules.VITALS],
        [name.removesuffix("_seconds") for name in insight.GRADES],
    ),
    "boards' periods have lengths": (get_args(settings.RangeName), RANGES),
    "returns are counted by reason": (
        {*get_args(ReturnReason), "late"},
        insight.RETURN_REASONS,
    ),
    "deployments are counted by outcome": (
        get_args(DeployOutcome),
        insight.DEPLOY_OUTCOME.values or (),
    ),
    "payments are counted by answer": (
        {*get_args(payments.Answer), "cancelled"},
        sandbox.PAYMENT_RESULT.values or (),
    ),
    "a circuit's states are counted": (
        get_args(circuit.CircuitState),
        checkout.CIRCUIT_STATE.values or (),
    ),
    "repeats are counted": (get_args(guard.Retried), checkout.RETRY_RESULT.values or ()),
    "deployments are counted by kind": (get_args(DeployKind), insight.DEPLOY_KIND.values or ()),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_the_same_set(one: Collection[str], other: Collection[str]) -> None:
    assert sorted(one) == sorted(other)
