"""What a running stack emits is what the catalogue promises, service by service."""

from __future__ import annotations

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from telemetry.catalogue import all_metrics, all_slos
from telemetry.tracefile import TraceFile
from tests.builders.running import OPERATOR
from tests.coherence.conftest import Lived

pytestmark = pytest.mark.integration

NOT_OURS = ("python_", "process_")


def _families(lived: Lived) -> set[str]:
    """Names as the catalogue writes them: counters with `_total`, others bare."""
    names = set()
    for family in text_string_to_metric_families(lived.shop.metrics()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if not name.startswith(NOT_OURS):
            names.add(name)
    return names


def test_the_shop_exports_exactly_the_metrics_of_the_catalogue(lived: Lived) -> None:
    assert _families(lived) == {metric.name for metric in all_metrics()}


def test_every_service_counts_its_requests_and_says_which_code_runs(
    lived: Lived, service: str
) -> None:
    samples = lived.samples()
    requests = [
        value
        for labels, value in samples["http_server_request_duration_seconds_count"]
        if labels["service"] == service and labels["http_route"] != "unmatched"
    ]
    versions = [
        labels["version"] for labels, _ in samples["app_info"] if labels["service"] == service
    ]

    assert sum(requests) > 0
    assert len(versions) == 1


def test_every_service_writes_access_lines_with_a_trace_id(lived: Lived, service: str) -> None:
    lines = [
        line
        for line in lived.shop.log()
        if line.get("service") == service and line["event"] == "http_request"
    ]

    assert lines
    assert all(len(line["trace_id"]) == 32 for line in lines)


def test_every_service_has_server_spans_and_database_spans(lived: Lived, service: str) -> None:
    traces = TraceFile(lived.shop.folder / "data" / "traces.db")
    spans = [
        span
        for summary in traces.recent(2000)
        for span in traces.find(summary.trace_id)
        if span.service == service
    ]

    kinds = {span.kind for span in spans}
    assert "server" in kinds
    assert any("db.system.name" in span.attributes for span in spans)


def test_an_orders_story_reaches_from_checkout_through_the_outbox_to_the_ledger(
    lived: Lived,
) -> None:
    traces = TraceFile(lived.shop.folder / "data" / "traces.db")
    order_id = lived.bought["order_id"]
    story = {
        span.service
        for summary in traces.recent(2000)
        for span in traces.find(summary.trace_id)
        if span.attributes.get("vitrine.order_id") == order_id
        for trace_id in {span.trace_id, *traces.linked(span.trace_id)}
        for span in traces.find(trace_id)
    }

    assert {"checkout", "sandbox", "insight", "catalog"} <= story


def test_routes_of_the_promises_exist_in_the_openapi(lived: Lived) -> None:
    documented = {
        path
        for service in ("catalog", "advisor", "checkout", "insight")
        for path in lived.openapi(service)["paths"]
    }

    promised = {route for slo in all_slos() for route in slo.routes}
    assert promised <= documented


def test_the_ledger_says_what_checkouts_table_says(lived: Lived) -> None:
    address = f"{lived.shop.internal_url}/internal/checkout/orders"
    books = httpx.get(address, headers=OPERATOR, trust_env=False).json()
    orders = sum(value for _, value in lived.samples()["shop_orders_total"])

    assert books["ever_confirmed"] == 2
    assert orders == books["ever_confirmed"]


def test_nothing_personal_is_in_any_log_line_metric_or_span(lived: Lived) -> None:
    personal = ("Öberg", "oberg", "asa.oberg", "70 123 45 67", "701234567")
    traces = TraceFile(lived.shop.folder / "data" / "traces.db")
    spans = "\n".join(
        str(span) for summary in traces.recent(2000) for span in traces.find(summary.trace_id)
    )
    log = lived.shop.process.log_path.read_text()

    for text in (spans, log, lived.shop.metrics()):
        assert [word for word in personal if word in text] == []
