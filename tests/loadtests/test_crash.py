"""The crash proof proves nothing unless the crash was felt and orders came on both sides of it."""

from dataclasses import replace

import pytest

from loadtests.crash import Kill, killed_under_load, sold_across_crashes
from loadtests.evidence import RequestSeen
from loadtests.verdict.finding import Result
from loadtests.verdict.record import Record
from tests.loadtests.walking import healthy_record


def _crashed() -> tuple[Record, list[Kill]]:
    """Killed 12 s after the start, back 3 s later; orders before at 10 s and after at 20 s."""
    record = healthy_record()
    start = record.plan.started_at
    lost = RequestSeen(start + 12.5, "GET /cars", 0, "unavailable", 0.1, failed=True)
    later = replace(record.orders_seen[2], order_id="order-4", at=start + 20)
    record = replace(
        record, requests=(*record.requests, lost), orders_seen=(*record.orders_seen, later)
    )
    return record, [Kill(start + 12, start + 15)]


def test_a_crash_that_was_felt_with_orders_on_both_sides_counts() -> None:
    record, kills = _crashed()
    assert killed_under_load(record, kills).result is Result.PASS
    assert sold_across_crashes(record, kills).result is Result.PASS


def test_a_crash_that_no_client_met_proves_nothing() -> None:
    record, kills = _crashed()
    quiet = replace(record, requests=record.requests[:-1])
    assert killed_under_load(quiet, kills).result is Result.FAIL
    assert killed_under_load(record, []).result is Result.FAIL


@pytest.mark.parametrize("missing", ["before", "after", "kill"])
def test_orders_on_one_side_only_prove_nothing(missing: str) -> None:
    record, kills = _crashed()
    first = kills[0]
    moved = {
        "before": [Kill(first.at - 11, first.back_at)],
        "after": [Kill(first.at, first.back_at + 60)],
        "kill": [],
    }
    assert sold_across_crashes(record, moved[missing]).result is not Result.PASS
