"""Expressions name only what is catalogued, and ledger numbers are taken once per replica set."""

import pytest

from telemetry.catalogue import CatalogueError, all_slos
from telemetry.catalogue.checkout import CHECKOUT_HOLD_ATTEMPTS
from telemetry.catalogue.frame import OUTBOX_LAG
from telemetry.catalogue.http import HTTP_SERVER_REQUEST_DURATION
from telemetry.catalogue.insight import SHOP_CONFIRMATION_DURATION, SHOP_ORDERS
from telemetry.catalogue.promql import (
    error_ratio,
    good_ratio,
    increase,
    mean,
    quantile,
    rate,
    ratio,
    selector,
    value,
)
from telemetry.catalogue.slos import CONFIRMATION_TIME, FEED_FRESHNESS, ORDER_SUCCESS


def test_a_rate_of_a_process_counter_is_summed() -> None:
    assert (
        rate(CHECKOUT_HOLD_ATTEMPTS, outcome=("ok", "sold_out"), by=("outcome",))
        == 'sum by (outcome) (rate(checkout_hold_attempts_total{outcome=~"ok|sold_out"}[5m]))'
    )


def test_a_ledger_metric_is_taken_once_from_all_replicas_before_it_is_summed() -> None:
    assert (
        increase(SHOP_ORDERS, traffic="human", window="1d")
        == 'sum(max without (instance) (increase(shop_orders_total{traffic="human"}[1d])))'
    )
    assert (
        value(SHOP_ORDERS, by=("market",))
        == "sum by (market) (max without (instance) (shop_orders_total))"
    )


def test_a_quantile_keeps_the_bucket_edges() -> None:
    assert quantile(0.95, HTTP_SERVER_REQUEST_DURATION, by=("service",)) == (
        "histogram_quantile(0.95, sum by (le, service)"
        " (rate(http_server_request_duration_seconds_bucket[5m])))"
    )


def test_a_mean_divides_the_sum_by_the_count() -> None:
    assert mean(SHOP_CONFIRMATION_DURATION, window="1h") == ratio(
        "sum(max without (instance) (rate(shop_confirmation_duration_seconds_sum[1h])))",
        "sum(max without (instance) (rate(shop_confirmation_duration_seconds_count[1h])))",
    )


def test_a_success_ratio_exists_even_before_anything_succeeded() -> None:
    total = (
        "sum(rate(checkout_payment_submissions_total"
        '{outcome!~"refused|invalid|conflict|sold_out"}[1h]))'
    )
    good = 'sum(rate(checkout_payment_submissions_total{outcome="ok"}[1h]))'
    assert error_ratio(ORDER_SUCCESS, "1h") == f"1 - (({good} or 0 * {total}) / (({total}) > 0))"


def test_a_latency_promise_counts_its_bucket() -> None:
    assert 'shop_confirmation_duration_seconds_bucket{le="60.0"}[5m]' in good_ratio(
        CONFIRMATION_TIME, "5m"
    )


def test_a_freshness_promise_is_a_share_of_time() -> None:
    assert error_ratio(FEED_FRESHNESS, "1h") == (
        "1 - min(avg_over_time((time() - max by (service, source)"
        " (stock_import_last_success_timestamp_seconds) < bool 1800)[1h:1m]))"
    )


@pytest.mark.parametrize("slo", all_slos(), ids=lambda slo: slo.name)
def test_every_promise_has_an_expression_with_balanced_brackets(slo: object) -> None:
    text = error_ratio(slo, "5m")  # type: ignore[arg-type]
    assert text.count("(") == text.count(")")
    assert text.count("{") == text.count("}")
    assert "[5m" in text


def test_what_is_not_catalogued_cannot_be_asked_for() -> None:
    with pytest.raises(CatalogueError, match="no label 'market'"):
        selector(CHECKOUT_HOLD_ATTEMPTS, market="SE")
    with pytest.raises(CatalogueError, match="no known value"):
        selector(CHECKOUT_HOLD_ATTEMPTS, outcome="fine")
    with pytest.raises(CatalogueError, match="no label 'colour'"):
        rate(CHECKOUT_HOLD_ATTEMPTS, by=("colour",))
    with pytest.raises(CatalogueError, match="needs a counter"):
        rate(OUTBOX_LAG)
    with pytest.raises(CatalogueError, match="of a histogram"):
        quantile(0.5, CHECKOUT_HOLD_ATTEMPTS)


def test_label_values_are_escaped() -> None:
    found = selector(HTTP_SERVER_REQUEST_DURATION, http_route='/a"b\\c')
    assert found == 'http_server_request_duration_seconds{http_route="/a\\"b\\\\c"}'
