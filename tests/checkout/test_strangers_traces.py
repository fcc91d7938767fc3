"""What callers say of their traces neither hides a purchase nor mixes two of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.kernel.clock import ManualClock
from telemetry.tracestore import SpanRecord, TraceStore
from tests.builders.shop import PAYS, Shop, open_shop

TRACE = "1234567890abcdef" * 2


@pytest.fixture
def traces(tmp_path: Path) -> TraceStore:
    return TraceStore(tmp_path / "traces.db", keep_ratio=0.0)


@pytest.fixture
async def watched(tmp_path: Path, clock: ManualClock, traces: TraceStore) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path, clock, {}, traces=traces) as shop:
        yield shop
    traces.close()


async def _bought(shop: Shop, traces: TraceStore, car: str, flags: str) -> list[SpanRecord]:
    """Buy with the stranger's context on every request; the spans of the order's trace."""
    claim = {"traceparent": f"00-{TRACE}-{'12' * 8}-{flags}"}
    held = await shop.hold(car, **claim)
    ordered = await shop.order(held.json()["hold_id"], headers=claim)
    await shop.pay(ordered.json(), PAYS)
    return traces.find(ordered.headers["x-trace-id"])


async def test_a_callers_unsampled_trace_does_not_hide_an_order(
    watched: Shop, traces: TraceStore
) -> None:
    spans = await _bought(watched, traces, "car_1", "00")
    told = {(span.service, span.name) for span in spans}
    assert ("checkout", "POST /api/checkout/v1/orders") in told
    # The provider's delivery and its neighbour's answer to it are in the order's trace.
    assert ("sandbox", "deliver webhook") in told
    assert ("checkout", "POST /api/checkout/v1/payment-events/{provider}") in told
    assert traces.find(TRACE) == []


async def test_two_purchases_with_one_callers_trace_are_kept_apart(
    watched: Shop, traces: TraceStore
) -> None:
    first = await _bought(watched, traces, "car_1", "01")
    second = await _bought(watched, traces, "car_2", "01")
    assert {span.trace_id for span in first}.isdisjoint(span.trace_id for span in second)
    traces.flush()
    linked = [set(traces.linked(spans[0].trace_id)) for spans in (first, second)]
    assert linked[0].isdisjoint(linked[1])
    assert TRACE not in linked[0] | linked[1]
