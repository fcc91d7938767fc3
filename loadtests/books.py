"""What the shop's own books say: checkout's records and insight's ledger (internal port)."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

PAGE = 500
POLL_SECONDS = 0.25
STEADY_SECONDS = 3.0
"""The lag is as old as the ledger's last look at its sources: it counts once it stays at zero."""
LEDGER_ORDERS = "shop_orders_total"
LEDGER_LAG = "ledger_lag_seconds"

_SAMPLE = re.compile(r"^([a-z_]+)(?:\{[^}]*\})? ([0-9.eE+-]+|NaN|\+Inf)")


class BooksUnreadable(Exception):
    """The internal port did not answer as agreed; the message says which page and how."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """An always-true rule of checkout and how many rows break it."""

    name: str
    violations: int


@dataclass(frozen=True, slots=True)
class BookedOrder:
    """An order that was ever confirmed, as checkout has it; `state` is what it is today."""

    order_id: str
    car_id: str
    state: str


class Books:
    """Reads the internal port of a running shop."""

    def __init__(self, internal_url: str, operator: Mapping[str, str]) -> None:
        """`operator` are the headers that open it (`rigs.shop.operator_headers`)."""
        self._url = internal_url.rstrip("/")
        self._operator = operator

    def invariants(self) -> tuple[Invariant, ...]:
        """Checkout's invariants, evaluated now."""
        body = self._json("/internal/checkout/invariants", {})
        return tuple(
            Invariant(each["name"], int(each["violations"])) for each in body["invariants"]
        )

    def confirmed_orders(self) -> tuple[BookedOrder, ...]:
        """Every order that was ever confirmed, whatever became of it later."""
        found: list[BookedOrder] = []
        after = ""
        while True:
            body = self._json("/internal/checkout/orders", {"after": after, "limit": str(PAGE)})
            found += [
                BookedOrder(each["order_id"], each["car_id"], each["state"])
                for each in body["items"]
                if each["confirmed_at"] is not None
            ]
            after = body["next_after"] or ""
            if not after:
                return tuple(found)

    def ever_confirmed(self) -> int:
        """How many orders were ever confirmed, counted by checkout's database."""
        return int(self._json("/internal/checkout/orders", {"limit": "1"})["ever_confirmed"])

    def ledger(self) -> tuple[float, float]:
        """The ledger's orders (all traffic) and its greatest lag in seconds, read in one go."""
        text = self._get("/metrics", {}).text
        orders = [value for name, value in samples(text) if name == LEDGER_ORDERS]
        lags = [value for name, value in samples(text) if name == LEDGER_LAG]
        if not lags:
            raise BooksUnreadable(f"{self._url}/metrics has no {LEDGER_LAG}")
        return sum(orders), max(lags)

    def settled_ledger(self, *, timeout_seconds: float) -> tuple[float, float, int]:
        """The ledger's orders, its lag, and the orders ever confirmed, once nothing moves.

        Returns the last reading when lag stays, or orders still come, until the time is over.
        """
        deadline = time.monotonic() + timeout_seconds
        reading, since = self._reading(), time.monotonic()
        while time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            before, reading = reading, self._reading()
            if reading != before or reading[1] > 0:
                since = time.monotonic()
            elif time.monotonic() - since >= STEADY_SECONDS:
                break
        return reading

    def _reading(self) -> tuple[float, float, int]:
        return (*self.ledger(), self.ever_confirmed())

    def ready(self) -> bool:
        """Whether every service says that it is ready."""
        try:
            return self._get("/health/ready", {}).is_success
        except BooksUnreadable:
            return False

    def _json(self, path: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        body = self._get(path, parameters).json()
        if not isinstance(body, dict):
            raise BooksUnreadable(f"{self._url}{path}: not a JSON object")
        return body

    def _get(self, path: str, parameters: Mapping[str, str]) -> httpx.Response:
        try:
            answer = httpx.get(
                f"{self._url}{path}",
                params=dict(parameters),
                headers=dict(self._operator),
                timeout=15.0,
                trust_env=False,
            )
            return answer.raise_for_status()
        except httpx.HTTPError as error:
            raise BooksUnreadable(f"{self._url}{path}: {error}") from error


def samples(exposition: str) -> list[tuple[str, float]]:
    """Name and value of every sample in Prometheus' text format, labels left out."""
    found = (_SAMPLE.match(line) for line in exposition.splitlines())
    return [(match[1], float(match[2])) for match in found if match]
