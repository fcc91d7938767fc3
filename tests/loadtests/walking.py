"""Builders for tests: a shopper in a stand-in shop, and a healthy run's record."""

import contextlib
import random
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

from loadtests.books import BookedOrder, Invariant
from loadtests.clients.over_httpx import HttpxClient
from loadtests.evidence import Evidence, GeneratorSeen, Plan, RequestSeen, VisitSeen
from loadtests.journeys.journey import Shopper
from loadtests.orders import OrderBook, OrderSeen
from loadtests.pace import Pace
from loadtests.shop import Patience, Shop
from loadtests.signing import Signature
from loadtests.verdict.promises import REHEARSED
from loadtests.verdict.record import AlertSpell, Measured, Record

KEY = "a rehearsal's key"


@contextlib.contextmanager
def shopper_in(
    url: str, folder: Path, *, seed: int = 1, patience_seconds: float = 5.0
) -> Iterator[Shopper]:
    """A shopper who does not stop to think; evidence and memory are in `folder`."""
    dice = random.Random(seed)
    with contextlib.ExitStack() as open_:
        evidence = open_.enter_context(contextlib.closing(Evidence(folder)))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        shop = Shop(
            client=open_.enter_context(contextlib.closing(HttpxClient(evidence, tls))),
            base_url=url,
            signature=Signature(KEY),
            book=open_.enter_context(contextlib.closing(OrderBook(folder / "orders.jsonl"))),
            dice=dice,
            patience=Patience(repeat=patience_seconds, confirmation=patience_seconds),
        )
        yield Shopper(shop, dice, Pace(0.0), "SE")


def healthy_record() -> Record:
    """A run in which everything is as it should be: 20 shoppers, 3 orders."""
    start = time.time() - 60
    ids = ("order-1", "order-2", "order-3")
    return Record(
        plan=Plan(
            shape="smoke",
            mix="holiday",
            base_rate=1.0,
            duration_seconds=20.0,
            pace_scale=0.1,
            seed=1,
            expected_visits=20,
            started_at=start,
            ended_at=start + 25,
        ),
        window=(start, start + 30),
        requests=tuple(
            RequestSeen(start + n / 5, "GET /cars", 200, "ok", 0.02, failed=False)
            for n in range(100)
        ),
        visits=tuple(
            VisitSeen(start + n, start + n + 0.001, "browse", "browsed", "", 2.0) for n in range(20)
        ),
        orders_seen=tuple(
            OrderSeen(seen, order_id, f"car-{order_id}", start + 10, 48990000, "SEK")
            for order_id in ids
            for seen in ("submitted", "paid", "confirmed")
        ),
        generator=tuple(GeneratorSeen(start + n, 0.2, 3) for n in range(25)),
        promises={
            slo.name: Measured(1.0, None if slo.fresh is not None else 100.0) for slo in REHEARSED
        },
        invariants=(Invariant("one_live_hold_per_car", 0),),
        booked=tuple(BookedOrder(each, f"car-{each}", "confirmed") for each in ids),
        ever_confirmed=3,
        ledger_orders=3.0,
        ledger_lag_seconds=0.0,
        alerts=(AlertSpell("Watchdog", "firing", "none", start, start + 30),),
    )
