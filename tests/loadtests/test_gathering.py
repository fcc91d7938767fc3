"""The record is what the servers say: a shop in which one thing is wrong is found out."""

import dataclasses
import time
from pathlib import Path

import pytest

from loadtests.books import Books, BooksUnreadable, samples
from loadtests.evidence import Evidence, Plan
from loadtests.journeys.direct import Direct
from loadtests.verdict.finding import Result
from loadtests.verdict.gather import gather, measure
from loadtests.verdict.judge import judge_truths
from loadtests.verdict.promises import REHEARSED
from loadtests.watching import CannotAsk, PrometheusApi
from tests.loadtests.standin import Mischief, Reply, Request, Standin
from tests.loadtests.walking import shopper_in

pytestmark = pytest.mark.integration


def _failing(mischief: Mischief, folder: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Two purchases in a shop with that mischief, judged by its books."""
    monkeypatch.setattr("loadtests.verdict.gather.LEDGER_SECONDS", 0.3)
    monkeypatch.setattr("loadtests.books.STEADY_SECONDS", 0.1)
    monkeypatch.setattr("loadtests.books.POLL_SECONDS", 0.02)
    evidence = Evidence(folder)
    evidence.plan(Plan("smoke", "buyers", 1.0, 1.0, 0.0, 1, 2, time.time(), time.time()))
    evidence.close()
    with Standin(mischief) as shop:
        # The same dice choose the same car, which a shop that sells twice then sells twice.
        for seed in (1, 1 if mischief.sells_twice else 2):
            patience = 0.0 if mischief.never_confirms else 5.0
            with shopper_in(shop.url, folder, seed=seed, patience_seconds=patience) as shopper:
                Direct(shopper).run()
        record = gather(folder, books=Books(shop.url, {}), prometheus=None)
    findings = judge_truths(record, title="test").findings
    return {f.check for f in findings if f.result is not Result.PASS}


@pytest.mark.parametrize(
    ("mischief", "found_by"),
    [
        (Mischief(), set()),
        (Mischief(sells_twice=True), {"one_car_one_order"}),
        (Mischief(forgets_confirmed=True), {"confirmed_orders_kept", "paid_orders_honoured"}),
        (Mischief(miscounts_by=1), {"ledger_balanced"}),
        (Mischief(miscounts_by=-1), {"ledger_balanced"}),
        (Mischief(ledger_lag_seconds=2.0), {"ledger_balanced"}),
        (Mischief(violations=1), {"invariants_hold"}),
        (Mischief(never_confirms=True), {"paid_orders_honoured"}),
    ],
)
def test_a_shop_in_which_one_thing_is_wrong_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mischief: Mischief, found_by: set[str]
) -> None:
    assert _failing(dataclasses.replace(mischief), tmp_path, monkeypatch) == found_by


def test_a_ledger_that_is_still_moving_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtests.books.STEADY_SECONDS", 0.1)
    monkeypatch.setattr("loadtests.books.POLL_SECONDS", 0.02)
    mischief = Mischief(miscounts_by=-1, ledger_lag_seconds=0.0)
    with Standin(mischief) as shop:
        asked = iter(range(1000))

        def catches_up(request: Request) -> Reply | None:
            if request.path == "/metrics" and next(asked) == 1:
                mischief.miscounts_by = 5
            return Standin.answer(shop, request)

        monkeypatch.setattr(shop, "answer", catches_up)
        assert Books(shop.url, {}).settled_ledger(timeout_seconds=10) == (5.0, 0.0, 0)


def test_promises_are_measured_over_exactly_the_run() -> None:
    asked: list[str] = []

    def prometheus(query: str) -> float:
        asked.append(query)
        return 0.5

    with Standin(promql=prometheus) as watchers:
        measured = measure(PrometheusApi(watchers.url), 1000.0, 1090.0)
        moments = {request.query["time"] for request in watchers.requests}
    assert set(measured) == {slo.name for slo in REHEARSED}
    assert measured["order_success"].events == 45.0
    assert moments == {"1090.000"}
    assert all("[90s" in query for query in asked)


def test_a_promise_without_events_has_no_ratio() -> None:
    with Standin(promql=lambda _: None) as watchers:
        measured = measure(PrometheusApi(watchers.url), 0.0, 60.0)
    assert (measured["order_success"].good, measured["order_success"].events) == (None, 0.0)


def test_a_silent_prometheus_and_a_silent_shop_are_named() -> None:
    with Standin() as shop:
        url = shop.url
    with pytest.raises(CannotAsk, match="Prometheus at"):
        PrometheusApi(url).value("up")
    with pytest.raises(BooksUnreadable, match="/internal/checkout/invariants"):
        Books(url, {}).invariants()
    assert not Books(url, {}).ready()


def test_samples_are_read_with_and_without_labels() -> None:
    text = '# HELP a b\na 1.0\nb_total{x="y",z="{"} 2.5\nc_total 3.0 # {trace_id="1"} 1.0\n'
    assert samples(text) == [("a", 1.0), ("b_total", 2.5), ("c_total", 3.0)]
