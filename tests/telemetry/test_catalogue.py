"""The catalogue refuses what would mislead, and holds what the contract promises."""

import dataclasses
import re
import subprocess
import sys

import pytest

from telemetry.catalogue import (
    SLO,
    CatalogueError,
    Label,
    Matcher,
    Metric,
    Outcome,
    Selection,
    all_events,
    all_metrics,
    all_slos,
    metric_named,
)
from telemetry.catalogue.frame import OUTBOX_LAG
from telemetry.catalogue.http import HTTP_SERVER_REQUEST_DURATION
from telemetry.catalogue.insight import (
    GRADES,
    SHOP_FUNNEL_STEPS,
    SHOP_ORDER_VALUE,
    SHOP_SESSIONS,
)
from telemetry.catalogue.labels import OUTCOME, SERVICE
from telemetry.catalogue.slos import ORDER_SUCCESS, PAGE_LATENCY

SEGMENT = ("market", "channel", "device", "entry", "traffic")

# Copied from the public contract, so that a change of the catalogue cannot silently change it.
PROMISED = {
    "http_server_request_duration_seconds": (
        "service",
        "http_request_method",
        "http_route",
        "outcome",
    ),
    "http_server_active_requests": ("service",),
    "checkout_hold_attempts_total": ("service", "outcome"),
    "checkout_payment_duration_seconds": ("service", "provider", "outcome"),
    "advisor_match_duration_seconds": ("service",),
    "stock_import_rows_total": ("service", "source", "result"),
    "stock_import_last_success_timestamp_seconds": ("service", "source"),
    "overload_shed_total": ("service", "priority"),
    "outbox_lag_seconds": ("service",),
    "app_info": ("service", "version", "revision"),
    "shop_sessions_total": SEGMENT,
    "shop_sessions_converted_total": SEGMENT,
    "shop_sessions_engaged_total": SEGMENT,
    "shop_funnel_steps_total": (*SEGMENT, "step"),
    "shop_checkouts_started_total": SEGMENT,
    "shop_checkouts_ended_total": (*SEGMENT, "result"),
    "shop_orders_total": SEGMENT,
    "shop_order_value_total": (*SEGMENT, "currency"),
    "shop_order_duration_seconds": SEGMENT,
    "shop_confirmation_duration_seconds": SEGMENT,
    "shop_advice_total": (*SEGMENT, "result"),
    "shop_advice_steps_total": (*SEGMENT, "step"),
    "shop_orders_cancelled_total": SEGMENT,
    "shop_orders_returned_total": (*SEGMENT, "reason"),
    "shop_campaign_orders_total": (*SEGMENT, "campaign"),
    "shop_csat_responses_total": (*SEGMENT, "score"),
    "shop_nps_responses_total": (*SEGMENT, "group"),
    "browser_lcp_seconds": ("device", "page"),
    "browser_inp_seconds": ("device", "page"),
    "browser_cls": ("device", "page"),
    "client_sessions_crashed_total": ("release",),
    "delivery_deployments_total": ("service", "outcome", "kind"),
    "ledger_lag_seconds": ("source",),
}

COUNTER = Metric(
    name="things_total",
    kind="counter",
    description="Things.",
    labels=(SERVICE,),
    unit="things",
    owner="frame",
)
TIMER = Metric(
    name="wait_seconds",
    kind="histogram",
    description="Waiting.",
    labels=(SERVICE, OUTCOME),
    unit="seconds",
    owner="frame",
    buckets=(0.1, 1.0),
)


def test_every_metric_of_the_contract_is_catalogued_with_exactly_its_labels() -> None:
    assert {name: metric_named(name).label_names for name in PROMISED} == PROMISED


def test_funnel_steps_keep_the_order_of_the_contract() -> None:
    assert SHOP_FUNNEL_STEPS.label("step").values == (
        "session",
        "car_view",
        "hold",
        "details",
        "payment",
        "order",
    )


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"name": "things"}, "counters alone end in _total"),
        ({"name": "Things_total"}, "snake_case"),
        ({"name": "wait_ms", "kind": "gauge"}, "base units"),
        ({"name": "wait", "kind": "gauge", "unit": "seconds"}, "ends in _seconds"),
        ({"labels": ()}, "first label is service"),
        ({"labels": (SERVICE, SERVICE)}, "label names are distinct"),
        ({"description": "no sentence"}, "a sentence"),
        ({"buckets": (1.0,)}, "only a histogram has buckets"),
        ({"zero_segments": ((("service", "elsewhere"),),)}, "not catalogued"),
    ],
)
def test_a_metric_that_breaks_a_naming_rule_cannot_be_made(
    change: dict[str, object], rule: str
) -> None:
    with pytest.raises(CatalogueError, match=rule):
        dataclasses.replace(COUNTER, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("buckets", [(), (1.0, 1.0), (2.0, 1.0), (1.0, float("inf"))])
def test_histogram_buckets_ascend_and_leave_infinity_to_the_client(
    buckets: tuple[float, ...],
) -> None:
    with pytest.raises(CatalogueError, match=r"wait_seconds: .*(ascend|\+Inf)"):
        dataclasses.replace(TIMER, buckets=buckets)


def test_an_open_label_must_say_what_bounds_it() -> None:
    with pytest.raises(CatalogueError, match="states its bound"):
        Label("route", None, "Anything.")
    assert not Label("route", None, "Anything.", bounded_by="the OpenAPI").closed


def test_a_promise_must_lie_on_a_bucket_edge() -> None:
    good = Selection(TIMER, at_most=1.0)
    with pytest.raises(CatalogueError, match="not a bucket edge"):
        Selection(TIMER, at_most=0.7)
    with pytest.raises(CatalogueError, match="threshold is a bucket edge"):
        SLO("wait", "Wait", "Wait.", "frame", 0.9, good=good, total=Selection(TIMER))


@pytest.mark.parametrize(("name", "thresholds"), GRADES.items())
def test_a_web_vitals_thresholds_are_bucket_edges(
    name: str, thresholds: tuple[float, float]
) -> None:
    assert set(thresholds) <= set(metric_named(name).buckets)


def test_a_selection_refuses_labels_and_values_that_are_not_catalogued() -> None:
    with pytest.raises(CatalogueError, match="no label 'market'"):
        Selection(TIMER, (Matcher("market", "=", "SE"),))
    with pytest.raises(CatalogueError, match="no known value"):
        Selection(TIMER, (Matcher("outcome", "=~", "fine|good"),))


def test_every_outcome_decides_status_level_and_budget() -> None:
    assert {o.value: (o.http_status, o.log_level, o.spends_budget) for o in Outcome} == {
        "ok": (200, "info", False),
        "refused": (402, "info", False),
        "invalid": (422, "info", False),
        "conflict": (409, "info", False),
        "sold_out": (409, "info", False),
        "shed": (503, "warning", True),
        "unavailable": (503, "error", True),
        "fault": (500, "error", True),
    }


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.OK),
        (307, Outcome.OK),
        (402, Outcome.REFUSED),
        (404, Outcome.INVALID),
        (405, Outcome.INVALID),
        (409, Outcome.CONFLICT),
        (422, Outcome.INVALID),
        (499, Outcome.INVALID),
        (500, Outcome.FAULT),
        (503, Outcome.UNAVAILABLE),
        (504, Outcome.UNAVAILABLE),
    ],
)
def test_a_bare_status_has_an_outcome(status: int, outcome: Outcome) -> None:
    assert Outcome.from_status(status) is outcome


def test_a_small_closed_product_starts_at_zero_in_every_cell() -> None:
    cells = list(TIMER.zero_cells({"service": "checkout"}))
    assert cells == [("checkout", outcome.value) for outcome in Outcome]


def test_gauges_and_open_labels_start_with_nothing() -> None:
    assert not list(OUTBOX_LAG.zero_cells())
    assert not list(HTTP_SERVER_REQUEST_DURATION.zero_cells({"service": "checkout"}))


def test_a_large_product_starts_at_zero_in_its_usual_segments_only() -> None:
    cells = list(SHOP_SESSIONS.zero_cells())
    assert len(cells) == len(set(cells)) == 64
    assert ("SE", "web", "phone", "advisor", "human") in cells
    assert ("SE", "web", "phone", "advisor", "bot") not in cells


def test_order_value_starts_at_zero_in_each_markets_own_currency() -> None:
    pairs = {(cell[0], cell[5]) for cell in SHOP_ORDER_VALUE.zero_cells()}
    assert pairs == {("SE", "SEK"), ("NO", "NOK"), ("DK", "DKK"), ("FI", "EUR")}


def test_a_declined_card_and_a_sold_out_car_spend_no_order_budget() -> None:
    total = ORDER_SUCCESS.total
    assert total is not None
    pattern = re.compile(total.matchers[0].value)
    left_out = {outcome.value for outcome in Outcome if pattern.fullmatch(outcome.value)}
    assert left_out == {"refused", "invalid", "conflict", "sold_out"}


def test_slo_names_are_distinct_and_their_budgets_are_exact() -> None:
    names = [slo.name for slo in all_slos()]
    assert len(set(names)) == len(names)
    assert ORDER_SUCCESS.error_budget == 0.001
    assert PAGE_LATENCY.error_budget == 0.05


def test_a_series_name_leads_to_its_histogram_and_an_unknown_name_to_an_error() -> None:
    found = metric_named("http_server_request_duration_seconds_bucket")
    assert found is HTTP_SERVER_REQUEST_DURATION
    with pytest.raises(CatalogueError, match="shop_sessions_total_count"):
        metric_named("shop_sessions_total_count")


def test_every_owner_is_a_service_or_shared() -> None:
    owners = {metric.owner for metric in all_metrics()} | {event.owner for event in all_events()}
    assert owners == {*(SERVICE.values or ()), "http", "frame"}


def test_importing_the_catalogue_imports_the_standard_library_only() -> None:
    script = (
        "import sys, telemetry.catalogue, telemetry.catalogue.promql\n"
        "heavy = {'structlog', 'opentelemetry', 'prometheus_client', 'httpx', 'orjson'}\n"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
