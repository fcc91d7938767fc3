"""Each journey walks through a real (small) shop and ends as its plan says."""

import json
import re
from pathlib import Path

import pytest

from loadtests.evidence import read_requests
from loadtests.journeys.advised import Advice, Advised
from loadtests.journeys.browse import Bounce, Browse
from loadtests.journeys.direct import DeclineThenPay, Direct, LeaveAtHold, LeaveAtPayment
from loadtests.journeys.journey import Ending, Journey, Visit
from loadtests.journeys.mix import MIXES
from loadtests.orders import orders_seen, read_orders
from loadtests.signing import synthetic_proof
from tests.loadtests.standin import Mischief, Standin
from tests.loadtests.walking import KEY, shopper_in

pytestmark = pytest.mark.integration

HOLDS, ORDERS = "/api/checkout/v1/holds", "/api/checkout/v1/orders"


@pytest.mark.parametrize(
    ("journey", "ending", "holds", "orders"),
    [
        (Bounce, Ending.BOUNCED, 0, 0),
        (Browse, Ending.BROWSED, 0, 0),
        (Advice, Ending.BROWSED, 0, 0),
        (LeaveAtHold, Ending.ABANDONED, 1, 0),
        (LeaveAtPayment, Ending.ABANDONED, 1, 1),
        (Direct, Ending.CONFIRMED, 1, 1),
        (Advised, Ending.CONFIRMED, 1, 1),
        (DeclineThenPay, Ending.CONFIRMED, 1, 2),
    ],
)
def test_a_journey_ends_as_planned(
    tmp_path: Path, journey: type[Journey], ending: Ending, holds: int, orders: int
) -> None:
    with Standin() as shop, shopper_in(shop.url, tmp_path) as shopper:
        visit = journey(shopper).run()
        asked = (len(shop.asked("POST", HOLDS)), len(shop.asked("POST", ORDERS)))
    assert (visit, asked) == (Visit(journey.name, ending), (holds, orders))


def test_every_journey_is_in_a_mix_and_every_mix_adds_up_to_one() -> None:
    assert {name: round(sum(mix.values()), 9) for name, mix in MIXES.items()} == dict.fromkeys(
        MIXES, 1.0
    )
    known = {Bounce, Browse, Advice, Advised, Direct, DeclineThenPay, LeaveAtHold, LeaveAtPayment}
    assert set(MIXES["holiday"]) == known


def test_every_request_carries_a_fresh_trace_and_the_proof_of_a_rehearsal(tmp_path: Path) -> None:
    with Standin() as shop, shopper_in(shop.url, tmp_path) as shopper:
        Direct(shopper).run()
        headers = [request.headers for request in shop.requests]
    traces = {each["traceparent"] for each in headers}
    proofs = {each["x-vitrine-synthetic"] for each in headers}
    at = int(next(iter(proofs)).partition(".")[0])
    assert len(traces) == len(headers)
    assert proofs == {synthetic_proof(KEY, at)}


def test_requests_are_grouped_by_route_template(tmp_path: Path) -> None:
    with Standin() as shop, shopper_in(shop.url, tmp_path) as shopper:
        DeclineThenPay(shopper).run()
    names = {request.name for request in read_requests(tmp_path)}
    assert names >= {
        "GET /{market}/{language}/cars/{car_id}",
        f"POST {HOLDS}",
        f"GET {ORDERS}/{{order_id}}",
    }
    assert not [name for name in names if re.search(r"(car|order|hold)-\d", name)]


def test_a_write_whose_answer_was_lost_is_repeated_with_the_same_key(tmp_path: Path) -> None:
    with Standin(Mischief(lost_answers=1)) as shop, shopper_in(shop.url, tmp_path) as shopper:
        visit = Direct(shopper).run()
        tries = [request.headers["idempotency-key"] for request in shop.asked("POST", HOLDS)]
        holds = len(shop.holds)
    assert (visit.ending, len(tries), len(set(tries)), holds) == (Ending.CONFIRMED, 2, 1, 1)
    assert json.loads(tries[0])  # a structured string: quoted


def test_a_car_that_others_took_is_no_failure(tmp_path: Path) -> None:
    with Standin(Mischief(sold_out=True)) as shop, shopper_in(shop.url, tmp_path) as shopper:
        visit = Direct(shopper).run()
    assert visit == Visit("direct_purchase", Ending.SOLD_OUT)


def test_a_broken_page_ends_the_visit_and_says_where(tmp_path: Path) -> None:
    with Standin(Mischief(broken_pages=True)) as shop, shopper_in(shop.url, tmp_path) as shopper:
        visit = Bounce(shopper).run()
    assert visit == Visit("bounce", Ending.FAILED, "GET /{market}/{language}: 500 fault")


def test_nobody_at_the_door_is_a_failed_visit(tmp_path: Path) -> None:
    with Standin() as shop:
        url = shop.url
    with shopper_in(url, tmp_path) as shopper:
        visit = Bounce(shopper).run()
    assert visit == Visit("bounce", Ending.FAILED, "GET /{market}/{language}: 0 ConnectError")
    assert [r.failed for r in read_requests(tmp_path)] == [True]


def test_money_taken_without_an_order_is_remembered_and_not_called_confirmed(
    tmp_path: Path,
) -> None:
    with (
        Standin(Mischief(never_confirms=True)) as shop,
        shopper_in(shop.url, tmp_path, patience_seconds=0.0) as shopper,
    ):
        visit = Direct(shopper).run()
    seen = [entry.seen for entry in read_orders(tmp_path / "orders.jsonl")]
    assert (visit.ending, seen) == (Ending.UNCONFIRMED, ["submitted", "paid"])


def test_a_shopper_remembers_the_confirmed_order(tmp_path: Path) -> None:
    with Standin() as shop, shopper_in(shop.url, tmp_path) as shopper:
        Direct(shopper).run()
        booked = [(o["order_id"], o["car_id"]) for o in shop.orders.values()]
    confirmed = orders_seen(read_orders(tmp_path / "orders.jsonl"), "confirmed").values()
    assert [(o.order_id, o.car_id, o.price, o.currency) for o in confirmed] == [
        (order_id, car_id, 48990000, "SEK") for order_id, car_id in booked
    ]
