"""A gentle, endless arrival of shoppers, so that a demo's boards have something to show.

One journey about every two seconds over plain httpx: no Locust, no evidence files, under 5 % of a
core. The shop may come, go and restart; shoppers who meet a closed door leave and others come.
The first ones hurry, so that every board has data within a minute.
"""

import os
import random
import signal
import ssl
import threading
import time
from pathlib import Path

from loadtests.arrivals import Arrival
from loadtests.clients.over_httpx import HttpxClient
from loadtests.journeys.mix import TRICKLE_MIX, choose
from loadtests.orders import OrderBook
from loadtests.pace import Pace
from loadtests.signing import Signature
from loadtests.visitors import Visitors

EVERY_SECONDS = 2.0
HURRY_SECONDS = 60.0
HURRY_PACE = 0.1
CALM_PACE = 0.5
MOST_AT_ONCE = 24


class Trickle:
    """Shoppers until `stop`; `rate` is arrivals per second."""

    def __init__(self, base_url: str, synthetic_key: str, *, rate: float, seed: int | None) -> None:
        self._base_url = base_url
        self._signature = Signature(synthetic_key)
        self._rate = rate
        self._dice = random.Random(seed)
        self._stop = threading.Event()
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)
        # Plain HTTP on loopback needs no certificates, and loading them costs more than a visit.
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if base_url.startswith("https"):
            self._tls.load_default_certs()

    def stop(self) -> None:
        """Let nobody else in; those inside are left to the process's end."""
        self._stop.set()

    def run(self) -> None:
        """Let shoppers in until `stop`."""
        started = time.monotonic()
        # The trickle owes no proof, so its shoppers' memory is not kept.
        book = OrderBook(Path(os.devnull))
        while not self._stop.wait(self._dice.expovariate(self._rate)):
            hurry = time.monotonic() - started < HURRY_SECONDS
            pace = Pace(HURRY_PACE if hurry else CALM_PACE)
            # A stalled shop fills the places: then nobody else comes, rather than a crowd.
            if self._places.acquire(blocking=False):
                threading.Thread(target=self._visit, args=(book, pace), daemon=True).start()

    def _visit(self, book: OrderBook, pace: Pace) -> None:
        visitors = Visitors(
            base_url=self._base_url,
            new_client=lambda: HttpxClient(None, self._tls),
            book=book,
            signature=self._signature,
            pace=pace,
        )
        try:
            visitors(Arrival(0.0, choose(TRICKLE_MIX, self._dice), self._dice.getrandbits(48)))
        finally:
            self._places.release()


def run_trickle(base_url: str, synthetic_key: str, *, every_seconds: float) -> None:
    """The trickle as a process: ends on SIGTERM or Ctrl-C."""
    trickle = Trickle(base_url, synthetic_key, rate=1.0 / every_seconds, seed=None)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: trickle.stop())
    trickle.run()
