"""The benchmark's processes, run as one program (`rigs.checkout`), and what they tell."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[1]
STOP_SECONDS = 30.0
LISTING_SECONDS = 300.0
TPS = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)


class CannotMeasure(Exception):
    """Something is missing or did not start; the message is for the person."""


@dataclass(frozen=True, slots=True)
class Worker:
    port: int
    internal_url: str
    pid: int


@dataclass(frozen=True, slots=True)
class Checkout:
    """The workers of one database. `database` is its kind: `postgresql` or `sqlite`."""

    name: str
    database: str
    workers: Sequence[Worker]
    operator: Mapping[str, str]
    """Headers that open the internal ports."""

    def confirmed(self) -> int:
        """Orders ever confirmed, by checkout's own table."""
        return int(self._get("/internal/checkout/orders?limit=1")["ever_confirmed"])

    def available(self) -> int:
        return int(self._get("/internal/checkout/cars/count")["available"])

    def broken(self) -> dict[str, int]:
        """The invariants that do not hold, with the rows that break them."""
        found = self._get("/internal/checkout/invariants")["invariants"]
        return {each["name"]: each["violations"] for each in found if each["violations"]}

    def cpu_seconds(self) -> float:
        """CPU time that the workers have used so far."""
        return sum(cpu_seconds(worker.pid) for worker in self.workers)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stopped for a while, so that it takes nothing from what is measured beside it."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for worker in self.workers:
            os.kill(worker.pid, number)

    def _get(self, path: str) -> Any:
        url = self.workers[0].internal_url + path
        answer = httpx.get(url, headers=dict(self.operator), timeout=60.0, trust_env=False)
        return answer.raise_for_status().json()


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that runs. `postgres_settings` are what the server itself says."""

    checkouts: Mapping[str, Checkout]
    neighbours_url: str
    webhook_secret: str
    postgres_settings: Mapping[str, str]
    pgbench_command: tuple[str, ...]
    pid: int
    """Of the program that all of this was started by."""
    postgres_pid: int

    def postgres_seconds(self) -> float:
        """CPU time that PostgreSQL has used so far, for whichever database."""
        return sum(map(cpu_seconds, _family(self.postgres_pid)))

    def foreign_seconds(self) -> float:
        """CPU time that this machine has spent so far on anything but this benchmark.

        Only differences mean something. Time stolen by other virtual machines counts.
        """
        ours = sum(cpu_seconds(pid) for pid in (os.getpid(), *_family(self.pid)))
        return _machine_seconds() - ours

    def list_cars(self, count: int) -> None:
        """Have `count` cars on offer in all, and wait until every checkout has heard of them."""
        listing = f"{self.neighbours_url}/stand-in/cars"
        httpx.post(listing, json={"count": count}, trust_env=False).raise_for_status()
        deadline = time.monotonic() + LISTING_SECONDS
        for checkout in self.checkouts.values():
            sold = checkout.confirmed()
            while checkout.available() < count - sold:
                if time.monotonic() > deadline:
                    raise CannotMeasure(f"{count} cars were not listed in {LISTING_SECONDS} s")
                time.sleep(0.2)

    def prepare_pgbench(self, scale: int) -> None:
        self._pgbench("-i", "-q", "-s", str(scale))

    def pgbench(self, *, clients: int, seconds: float) -> float:
        """Transactions per second of the default script (TPC-B-like)."""
        options = ("-n", "-c", str(clients), "-j", "2", "-T", str(max(1, round(seconds))))
        found = TPS.search(self._pgbench(*options))
        if found is None:
            raise CannotMeasure("pgbench named no rate")
        return float(found[1])

    def _pgbench(self, *options: str) -> str:
        program, *connection, database = self.pgbench_command
        done = subprocess.run(
            [program, *connection, *options, database],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise CannotMeasure(f"pgbench: {done.stderr.strip()[-500:]}")
        return done.stdout


@contextlib.contextmanager
def started(folder: Path, *, core: int, other_core: int, base: Path | None) -> Iterator[Bench]:
    """A fresh stack with its files in `folder`; it ends with this block, or with this program.

    `base` is a folder with the code of the revision to compare with.

    Raises:
        CannotMeasure: it did not start; the message has its last words.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "rigs.checkout", "--folder", str(folder)]
    command += ["--core", str(core), "--other-core", str(other_core)]
    command += ["--base", str(base)] if base else []
    log_path = folder / "stack.log"
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line.startswith("{"):
            process.wait(STOP_SECONDS)
            raise CannotMeasure(f"the stack did not start: {log_path.read_text().strip()[-800:]}")
        yield _bench_of(json.loads(line), process.pid)
    finally:
        if process.stdin:
            process.stdin.close()
        process.wait(STOP_SECONDS)
        if process.stdout:
            process.stdout.close()


def cpu_seconds(pid: int) -> float:
    """CPU time of one process so far, with the children that it has waited for; 0 when gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def _family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in path.read_text().split():
                found += _family(int(child))
    return found


def _machine_seconds() -> float:
    """CPU time of all cores that was not idle (proc(5): all but idle and iowait)."""
    line = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, line)
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _bench_of(line: Mapping[str, Any], pid: int) -> Bench:
    return Bench(
        checkouts={
            name: Checkout(
                name,
                found["database"],
                tuple(Worker(**each) for each in found["workers"]),
                line["operator"],
            )
            for name, found in line["checkouts"].items()
        },
        neighbours_url=line["neighbours_url"],
        webhook_secret=line["webhook_secret"],
        postgres_settings=line["postgres_settings"],
        pgbench_command=(
            *(line["pgbench"], "-h", "127.0.0.1", "-p", str(line["postgres_port"])),
            *("-U", line["postgres_user"], line["postgres_database"]),
        ),
        pid=pid,
        postgres_pid=line["postgres_pid"],
    )
