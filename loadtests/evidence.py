"""The evidence of one run: plain files in a folder; the generator writes, the verdict reads.

plan.json       what was meant to happen, and when it started and ended
requests.jsonl  one line per request: what a client saw
visits.jsonl    one line per shopper: when they were due, when they came, how it ended
orders.jsonl    the shoppers' memory of their orders (orders.py)
generator.jsonl one line per second: the generator's own CPU, so that its limits are not the shop's
"""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from loadtests.answers import Answer

PLAN, REQUESTS, VISITS = "plan.json", "requests.jsonl", "visits.jsonl"
ORDERS, GENERATOR = "orders.jsonl", "generator.jsonl"


@dataclass(frozen=True, slots=True)
class RequestSeen:
    """One request. `at` is Unix seconds at its start, `seconds` how long the whole answer took."""

    at: float
    name: str
    status: int
    outcome: str
    seconds: float
    failed: bool


@dataclass(frozen=True, slots=True)
class VisitSeen:
    """One shopper. `due` and `at` are Unix seconds; their difference is the generator's lateness.

    `journey_seconds` runs from `due`, not from `at`: a late start counts against the measurement
    (no coordinated omission). `refused` means that the generator's own bound kept the shopper out.
    """

    due: float
    at: float
    journey: str
    ending: str
    reason: str
    journey_seconds: float
    refused: bool = False


@dataclass(frozen=True, slots=True)
class GeneratorSeen:
    """One second of the generator: CPU as a share of one core, shoppers under way."""

    at: float
    cpu: float
    shoppers: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What was meant to happen. Times are Unix seconds; `ended_at` 0 means that it never ended."""

    shape: str
    mix: str
    base_rate: float
    duration_seconds: float
    pace_scale: float
    seed: int
    expected_visits: int
    started_at: float = 0.0
    ended_at: float = 0.0


class Evidence:
    """Writes the files of one run. Safe to call from many threads or greenlets."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._lock = threading.Lock()
        self._requests = _opened(folder / REQUESTS)
        self._visits = _opened(folder / VISITS)
        self._generator = _opened(folder / GENERATOR)

    def plan(self, plan: Plan) -> None:
        (self.folder / PLAN).write_text(json.dumps(asdict(plan), indent=2), encoding="utf-8")

    def request(self, *, name: str, started_at: float, seconds: float, answer: Answer) -> None:
        self._write(
            self._requests,
            RequestSeen(
                at=started_at,
                name=name,
                status=answer.status,
                outcome=answer.outcome.value,
                seconds=seconds,
                failed=answer.failed,
            ),
        )

    def visit(self, visit: VisitSeen) -> None:
        self._write(self._visits, visit)

    def generator(self, seen: GeneratorSeen) -> None:
        self._write(self._generator, seen)
        self.flush()

    def flush(self) -> None:
        with self._lock:
            for file in (self._requests, self._visits, self._generator):
                file.flush()

    def close(self) -> None:
        with self._lock:
            for file in (self._requests, self._visits, self._generator):
                file.close()

    def _write(self, file: TextIO, seen: RequestSeen | VisitSeen | GeneratorSeen) -> None:
        line = json.dumps(asdict(seen)) + "\n"
        with self._lock:
            if not file.closed:
                file.write(line)


class CpuMeter:
    """CPU of this process as a share of one core, since it was last asked."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def share(self) -> float:
        wall, cpu = time.monotonic(), time.process_time()
        passed, self._wall = wall - self._wall, wall
        used, self._cpu = cpu - self._cpu, cpu
        return used / passed if passed > 0 else 0.0


def read_plan(folder: Path) -> Plan:
    return Plan(**json.loads((folder / PLAN).read_text(encoding="utf-8")))


def read_requests(folder: Path) -> tuple[RequestSeen, ...]:
    return tuple(RequestSeen(**fields) for fields in _lines(folder / REQUESTS))


def read_visits(folder: Path) -> tuple[VisitSeen, ...]:
    return tuple(VisitSeen(**fields) for fields in _lines(folder / VISITS))


def read_generator(folder: Path) -> tuple[GeneratorSeen, ...]:
    return tuple(GeneratorSeen(**fields) for fields in _lines(folder / GENERATOR))


def _opened(path: Path) -> TextIO:
    return path.open("a", encoding="utf-8")


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            # A generator that was ended in mid-line leaves a last line without its end.
            if line.endswith("\n"):
                yield json.loads(line)
