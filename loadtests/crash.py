"""The crash proof: kill -9 in the middle of a load, restart, and nothing that was promised is lost.

The shoppers know nothing of it: they meet refused connections, repeat their requests with the same
idempotency keys, and go on. Afterwards every order that a client saw confirmed must be in
checkout's records, and the ledger's total must equal the orders ever confirmed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from loadtests.answers import NO_ANSWER
from loadtests.evidence import ORDERS
from loadtests.generator import Generator, Load, generating
from loadtests.orders import orders_seen, read_orders
from loadtests.stack import CannotRehearse, MortalShop
from loadtests.verdict.finding import Finding, Result, passed
from loadtests.verdict.gather import gather
from loadtests.verdict.judge import Verdict, judge_truths
from loadtests.verdict.record import Record

Say = Callable[[str], None]

ORDERS_BEFORE = 5
"""The shop is killed once clients have seen this many orders confirmed since it last started."""
WAIT_SECONDS = 120.0
VERDICT = "verdict.json"


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill -9; Unix seconds."""

    at: float
    back_at: float


def prove_crash(
    shop: MortalShop, folder: Path, *, load: Load, kills: int, seed: int, say: Say
) -> Verdict:
    """Run the proof with a shop of our own; the verdict is in `folder`."""
    say("starting a shop to be killed")
    say(f"ready after {shop.start():.1f} s")
    done: list[Kill] = []
    try:
        with generating(
            load, host=shop.base_url, synthetic_key=shop.synthetic_key, folder=folder
        ) as generator:
            for number in range(1, kills + 1):
                _wait_for_orders(folder, generator, more=ORDERS_BEFORE)
                say(f"kill -9, {number} of {kills}, with shoppers inside")
                at = time.time()
                shop.kill()
                say(f"back after {shop.start():.1f} s on the same data")
                done.append(Kill(at, time.time()))
            _wait_for_orders(folder, generator, more=1)
            generator.close_doors()
            say("waiting for the last shoppers")
            generator.wait()
        record = gather(folder, books=shop.books, prometheus=None)
    finally:
        shop.stop()
    verdict = judge_truths(
        record,
        title=f"Crash proof: {kills} times kill -9 under load (seed {seed})",
        also=(killed_under_load(record, done), sold_across_crashes(record, done)),
    )
    verdict.save(folder / VERDICT)
    return verdict


def killed_under_load(record: Record, kills: list[Kill]) -> Finding:
    """Each kill was felt: some client's request found nobody there."""
    felt = [
        sum(r.status == NO_ANSWER and kill.at - 1 <= r.at <= kill.back_at for r in record.requests)
        for kill in kills
    ]
    return Finding(
        check="killed_under_load",
        title="Killed in the middle of it",
        weight="measurement",
        result=passed(bool(felt) and min(felt) > 0),
        measured=f"{', '.join(map(str, felt))} requests without an answer",
        required="at least 1 per kill",
        meaning="A crash that no shopper meets proves nothing.",
    )


def sold_across_crashes(record: Record, kills: list[Kill]) -> Finding:
    """Orders were confirmed before the first kill and after the last return."""
    at = [order.at for order in orders_seen(record.orders_seen, "confirmed").values()]
    before = sum(each < kills[0].at for each in at) if kills else 0
    after = sum(each > kills[-1].back_at for each in at) if kills else 0
    return Finding(
        check="sold_across_crashes",
        title="Sold before and after",
        weight="measurement",
        result=Result.INVALID if not kills else passed(before > 0 and after > 0),
        measured=f"{before} orders before, {after} after",
        required="some of each",
        meaning="The proof covers orders on both sides of the crash.",
    )


def _wait_for_orders(folder: Path, generator: Generator, *, more: int) -> None:
    """Wait until clients have seen `more` further orders confirmed."""
    wanted = len(_confirmed(folder)) + more
    deadline = time.monotonic() + WAIT_SECONDS
    while len(_confirmed(folder)) < wanted:
        if not generator.running or time.monotonic() > deadline:
            raise CannotRehearse(
                f"only {len(_confirmed(folder))} of {wanted} orders were confirmed; see {folder}"
            )
        time.sleep(0.1)


def _confirmed(folder: Path) -> dict[str, object]:
    return dict(orders_seen(read_orders(folder / ORDERS), "confirmed"))
