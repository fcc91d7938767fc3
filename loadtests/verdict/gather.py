"""Collecting a run's record from the evidence folder and from the running servers."""

import math
import time
from pathlib import Path

from loadtests.books import Books
from loadtests.evidence import ORDERS, read_generator, read_plan, read_requests, read_visits
from loadtests.orders import read_orders
from loadtests.verdict.promises import REHEARSED
from loadtests.verdict.record import AlertSpell, Measured, Record
from loadtests.watching import PrometheusApi
from telemetry.catalogue import promql
from telemetry.catalogue.spec import SLO

LEDGER_SECONDS = 60.0
SCRAPE_SECONDS = 60.0


def gather(folder: Path, *, books: Books, prometheus: PrometheusApi | None) -> Record:
    """The record of the run in `folder`, once the ledger and Prometheus have caught up.

    Without Prometheus no promise is measured, so that only truths can be judged.
    """
    plan = read_plan(folder)
    ledger_orders, ledger_lag, confirmed = books.settled_ledger(timeout_seconds=LEDGER_SECONDS)
    start = plan.started_at
    end = _scraped_after(prometheus, time.time()) if prometheus else time.time()
    return Record(
        plan=plan,
        window=(start, end),
        requests=read_requests(folder),
        visits=read_visits(folder),
        orders_seen=read_orders(folder / ORDERS),
        generator=read_generator(folder),
        promises=measure(prometheus, start, end) if prometheus else {},
        invariants=books.invariants(),
        booked=books.confirmed_orders(),
        ever_confirmed=confirmed,
        ledger_orders=ledger_orders,
        ledger_lag_seconds=ledger_lag,
        alerts=alert_spells(prometheus, start, end) if prometheus else (),
    )


def measure(prometheus: PrometheusApi, start: float, end: float) -> dict[str, Measured]:
    """Every rehearsed promise over exactly this window."""
    return {slo.name: _measured(prometheus, slo, start, end) for slo in REHEARSED}


def alert_spells(prometheus: PrometheusApi, start: float, end: float) -> tuple[AlertSpell, ...]:
    """Every alert that was pending or firing at some moment of the window."""
    step = step_of(start, end)
    found = prometheus.series("ALERTS", start=start, end=end, step_seconds=step)
    return tuple(
        AlertSpell(
            name=series.labels["alertname"],
            state=series.labels["alertstate"],
            severity=series.labels.get("severity", "none"),
            first=series.points[0][0],
            last=series.points[-1][0],
        )
        for series in found
        if series.points
    )


def step_of(start: float, end: float, points: int = 240) -> float:
    """A step in whole seconds that gives about `points` points."""
    return float(max(1, math.ceil((end - start) / points)))


def _measured(prometheus: PrometheusApi, slo: SLO, start: float, end: float) -> Measured:
    window = f"{math.ceil(end - start)}s"
    good = prometheus.value(promql.good_ratio(slo, window), at=end)
    if slo.total is None:
        return Measured(good, None)
    rate = prometheus.value(promql.selected(slo.total, window), at=end)
    return Measured(good, (rate or 0.0) * math.ceil(end - start))


def _scraped_after(prometheus: PrometheusApi, moment: float) -> float:
    """Now, once Prometheus has scraped every target after `moment`."""
    deadline = time.monotonic() + SCRAPE_SECONDS
    while time.monotonic() < deadline:
        oldest = prometheus.value("min(timestamp(up))")
        if oldest is not None and oldest > moment:
            break
        time.sleep(0.25)
    return time.time()
