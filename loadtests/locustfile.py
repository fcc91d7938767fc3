"""Locust's entry: `locust -f loadtests/locustfile.py --headless --host http://127.0.0.1:8000`.

One Locust user stands at the door and lets shoppers in as they arrive (an open model, see
arrivals.py), so the number of "users" that Locust shows is 1; shoppers are in the evidence folder.
`python -m loadtests peak` runs this very file and then judges what happened.
"""

import signal
import sys
import time
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent  # type: ignore[import-untyped]  # ships no stubs
from locust import User, events, task

# `locust -f` puts this file's folder on the path, not the folder above.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from loadtests.arrivals import Door, planned
from loadtests.clients.over_locust import LocustClient
from loadtests.evidence import ORDERS, Evidence, Plan
from loadtests.journeys.mix import MIXES
from loadtests.orders import OrderBook
from loadtests.pace import Pace
from loadtests.shapes.book import SHAPES, shape_called
from loadtests.shop import Patience
from loadtests.signing import Signature
from loadtests.visitors import Visitors

LEAVING_SECONDS = 90.0
"""How long the last shoppers may take after the last arrival: more than a confirmation's minute."""


def _refuse_division(options: Any) -> None:
    """Refuse what would walk the planned day several times, or let nobody in.

    As soon as the command line is known: later Locust has forked, or waits for its master.
    """
    wrong = [
        flag
        for flag, given in (
            ("--processes", options.processes is not None),
            ("--master", options.master),
            ("--worker", options.worker),
            ("--users", options.num_users not in (None, 1)),
            ("--spawn-rate", options.spawn_rate not in (None, 1)),
            ("--run-time", options.run_time is not None),
        )
        if given
    ]
    if wrong:
        sys.stderr.write(
            f"{', '.join(wrong)}: this load is not divided among processes or Locust's users."
            " Run one process without it; --base-rate says how many shoppers arrive per second"
            " and --seconds how long the day is.\n"
        )
        raise SystemExit(2)


def _options(parser: ArgumentParser) -> None:
    parser.add_argument("--shape", choices=sorted(SHAPES), default="smoke", help="load shape")
    parser.add_argument("--mix", choices=sorted(MIXES), default="holiday", help="journey mix")
    parser.add_argument("--seconds", type=float, default=None, help="duration of the shape")
    parser.add_argument("--base-rate", type=float, default=1.0, help="shoppers per second at 1x")
    parser.add_argument("--pace", type=float, default=0.1, help="think times are multiplied by it")
    parser.add_argument("--seed", type=int, default=20261127, help="the same seed, the same day")
    parser.add_argument("--evidence", default="var/rehearsals/by-hand", help="folder to write into")
    parser.add_argument(
        "--synthetic-key", default="", env_var="VITRINE_SYNTHETIC_KEY", help="signs the shoppers"
    )
    parser.add_argument(
        "--repeat-seconds", type=float, default=10.0, help="how long shoppers retry an order"
    )
    _refuse_division(parser.parse_known_args()[0])


events.init_command_line_parser.add_listener(_options)  # type: ignore[no-untyped-call]


class OpenArrivals(User):
    """The doorman: opens once, waits for the last shopper, closes."""

    fixed_count = 1

    @task
    def one_day(self) -> None:
        options: Any = self.environment.parsed_options
        shape = shape_called(options.shape, options.seconds)
        arrivals = planned(shape, options.base_rate, MIXES[options.mix], options.seed)
        evidence = Evidence(Path(options.evidence))
        book = OrderBook(evidence.folder / ORDERS)
        host = str(self.host).rstrip("/")
        visitors = Visitors(
            base_url=host,
            new_client=lambda: LocustClient(self.environment, host, evidence),
            book=book,
            signature=Signature(options.synthetic_key),
            pace=Pace(options.pace),
            patience=Patience(
                repeat=options.repeat_seconds,
                confirmation=max(60.0, options.repeat_seconds),
                reads_too=options.repeat_seconds > 10.0,
            ),
        )
        plan = Plan(
            shape=shape.name,
            mix=options.mix,
            base_rate=options.base_rate,
            duration_seconds=shape.duration_seconds,
            pace_scale=options.pace,
            seed=options.seed,
            expected_visits=len(arrivals),
            started_at=time.time(),
        )
        evidence.plan(plan)
        door = Door(visitors, evidence)
        # A drill that is over closes the doors early; those inside still finish.
        gevent.signal_handler(signal.SIGUSR1, door.close)
        due = door.open(arrivals, started_at=plan.started_at)
        door.wait_until_empty(LEAVING_SECONDS)
        evidence.plan(replace(plan, expected_visits=due, ended_at=time.time()))
        evidence.close()
        runner = self.environment.runner
        if runner is not None:
            runner.quit()
