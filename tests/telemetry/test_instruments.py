"""Instruments are built from the catalogue, start at zero, and refuse what it does not know."""

import threading

import pytest

from telemetry.catalogue import Outcome
from telemetry.catalogue.catalog import STOCK_IMPORT_LAST_SUCCESS, STOCK_IMPORT_ROWS
from telemetry.catalogue.checkout import CHECKOUT_HOLD_ATTEMPTS, CHECKOUT_PAYMENT_DURATION
from telemetry.catalogue.frame import OUTBOX_LAG, TELEMETRY_LABELS_OVERFLOWED
from telemetry.catalogue.insight import LEDGER_LAG, SHOP_CONFIRMATION_DURATION, SHOP_ORDERS
from telemetry.instruments import HistogramCell, LedgerFamily, MetricRegistry
from telemetry.ledger import MetricFamily

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def sample(registry: MetricRegistry, name: str, **labels: str) -> float | None:
    return registry.collector_registry.get_sample_value(name, labels)


def test_closed_label_sets_are_exported_from_zero_before_anything_happened() -> None:
    registry = MetricRegistry()
    registry.for_service("checkout")
    found = {
        outcome.value: sample(
            registry, "checkout_hold_attempts_total", service="checkout", outcome=outcome.value
        )
        for outcome in Outcome
    }
    assert found == dict.fromkeys([outcome.value for outcome in Outcome], 0.0)


def test_a_gauge_claims_nothing_before_it_is_set() -> None:
    registry = MetricRegistry()
    instruments = registry.for_service("catalog")
    assert sample(registry, "outbox_lag_seconds", service="catalog") is None
    instruments.gauge(OUTBOX_LAG).set(1.5)
    instruments.gauge(STOCK_IMPORT_LAST_SUCCESS).set(1_795_000_000, source="range")
    assert sample(registry, "outbox_lag_seconds", service="catalog") == 1.5
    assert (
        sample(registry, STOCK_IMPORT_LAST_SUCCESS.name, service="catalog", source="range")
        == 1_795_000_000
    )


def test_services_in_one_registry_differ_by_their_service_label() -> None:
    registry = MetricRegistry()
    registry.for_service("checkout").gauge(OUTBOX_LAG).set(1)
    registry.for_service("catalog").gauge(OUTBOX_LAG).set(2)
    assert sample(registry, "outbox_lag_seconds", service="checkout") == 1
    assert sample(registry, "outbox_lag_seconds", service="catalog") == 2
    assert registry.for_service("checkout") is registry.for_service("checkout")


def test_a_service_exports_its_own_metrics_and_the_shared_ones_only() -> None:
    registry = MetricRegistry()
    registry.for_service("sandbox")
    page = registry.exposition()[0].decode()
    assert "sandbox_payments_total" in page
    assert "http_server_active_requests" in page
    assert "checkout_hold_attempts_total" not in page


def test_a_value_outside_the_closed_set_is_named_in_the_error() -> None:
    counter = MetricRegistry().for_service("checkout").counter(CHECKOUT_HOLD_ATTEMPTS)
    with pytest.raises(ValueError, match="outcome='fine' is not in the catalogue"):
        counter.inc(1, outcome="fine")
    with pytest.raises(ValueError, match="takes outcome, got none"):
        counter.inc(1)
    with pytest.raises(ValueError, match="got outcome, market"):
        counter.inc(1, outcome="ok", market="SE")


def test_an_instrument_of_the_wrong_kind_is_refused() -> None:
    instruments = MetricRegistry().for_service("checkout")
    with pytest.raises(TypeError, match="is a counter"):
        instruments.gauge(CHECKOUT_HOLD_ATTEMPTS)
    with pytest.raises(TypeError, match="exported by the ledger"):
        instruments.counter(SHOP_ORDERS)


def test_an_open_label_stops_growing_and_says_so() -> None:
    registry = MetricRegistry()
    counter = registry.for_service("catalog").counter(STOCK_IMPORT_ROWS)
    limit = STOCK_IMPORT_ROWS.label("source").limit
    for number in range(limit + 3):
        counter.inc(1, source=f"feed-{number}", result="accepted")
    name = STOCK_IMPORT_ROWS.name
    assert sample(registry, name, service="catalog", source="other", result="accepted") == 3
    assert sample(registry, name, service="catalog", source="feed-0", result="accepted") == 1
    assert sample(registry, TELEMETRY_LABELS_OVERFLOWED.name, service="catalog") == 3


def test_label_order_and_enum_members_reach_the_same_series() -> None:
    registry = MetricRegistry()
    duration = registry.for_service("checkout").histogram(CHECKOUT_PAYMENT_DURATION)
    duration.observe(0.2, provider="sandbox", outcome="ok")
    duration.observe(0.2, outcome=Outcome.OK, provider="sandbox")
    count = sample(
        registry,
        "checkout_payment_duration_seconds_count",
        service="checkout",
        provider="sandbox",
        outcome="ok",
    )
    assert count == 2


def test_exemplars_are_visible_in_openmetrics_and_absent_from_classic_text() -> None:
    registry = MetricRegistry()
    duration = registry.for_service("checkout").histogram(CHECKOUT_PAYMENT_DURATION)
    duration.observe(0.2, exemplar_trace_id="ab" * 16, provider="sandbox", outcome="ok")
    page, content_type = registry.exposition(OPENMETRICS)
    line = next(line for line in page.decode().splitlines() if "trace_id" in line)
    assert line.startswith('checkout_payment_duration_seconds_bucket{le="0.25"') or (
        'le="0.25"' in line.split("#")[0]
    )
    assert f'# {{trace_id="{"ab" * 16}"}} 0.2' in line
    assert content_type.startswith("application/openmetrics-text")
    classic, classic_type = registry.exposition(None)
    assert b"trace_id" not in classic
    assert classic_type.startswith("text/plain")
    assert b"_created" not in page + classic


def test_threads_lose_no_increment() -> None:
    registry = MetricRegistry()
    counter = registry.for_service("checkout").counter(CHECKOUT_HOLD_ATTEMPTS)
    outcomes = [outcome.value for outcome in Outcome]

    def work() -> None:
        for number in range(800):
            counter.inc(1, outcome=outcomes[number % len(outcomes)])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    totals = [
        sample(registry, CHECKOUT_HOLD_ATTEMPTS.name, service="checkout", outcome=outcome)
        for outcome in outcomes
    ]
    assert totals == [800.0] * len(outcomes)


class OneOrder:
    """A ledger with one order."""

    def collect(self) -> list[MetricFamily]:
        return [
            LedgerFamily(SHOP_ORDERS).build({("SE", "web", "phone", "direct", "human"): 1.0}),
            LedgerFamily(LEDGER_LAG).build([({"source": "checkout"}, 0.25)]),
        ]


def test_the_ledgers_families_are_exported_with_zeros_around_them() -> None:
    registry = MetricRegistry()
    registry.register_collector(OneOrder())
    labels = {"market": "SE", "channel": "web", "device": "phone", "traffic": "human"}
    assert sample(registry, "shop_orders_total", entry="direct", **labels) == 1
    assert sample(registry, "shop_orders_total", entry="advisor", **labels) == 0
    assert sample(registry, "ledger_lag_seconds", source="checkout") == 0.25
    assert sample(registry, "ledger_lag_seconds", source="catalog") is None


def test_a_ledger_histogram_is_cumulated() -> None:
    key = ("SE", "web", "phone", "direct", "human")
    edges = len(SHOP_CONFIRMATION_DURATION.buckets)
    counts = [0] * (edges + 1)
    counts[0], counts[2], counts[edges] = 2, 1, 1
    family = LedgerFamily(SHOP_CONFIRMATION_DURATION).build(
        {key: HistogramCell(tuple(counts), 903.5)}
    )
    mine = [s for s in family.samples if tuple(s.labels.values())[:5] == key]
    buckets = [s.value for s in mine if s.name.endswith("_bucket")]
    assert buckets == [2, 2, *[3] * (edges - 2), 4]
    assert [s.value for s in mine if s.name.endswith(("_count", "_sum"))] == [4, 903.5]


def test_a_ledger_cell_outside_the_catalogue_is_refused() -> None:
    family = LedgerFamily(SHOP_ORDERS)
    with pytest.raises(ValueError, match="market='XX'"):
        family.build({("XX", "web", "phone", "direct", "human"): 1.0})
    with pytest.raises(ValueError, match="takes market"):
        family.build([({"market": "SE"}, 1.0)])
    with pytest.raises(TypeError, match="counted by a process"):
        LedgerFamily(CHECKOUT_HOLD_ATTEMPTS)
