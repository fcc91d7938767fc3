"""Checkout alone on loopback, with stand-ins for its neighbours: what proofs and benchmarks run.

    python -m rigs.checkout --folder DIR

starts what `make bench-checkout` needs (a durable PostgreSQL, the checkouts that `run` lists, the
stand-ins), prints one line of JSON with the addresses, and ends when standard input closes: the
load tests run it as a program, because they may not import it.
"""

import argparse
import contextlib
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

import httpx

from rigs.ports import free_port
from rigs.postgres import ROLE, SERVER, LocalPostgres
from rigs.processes import ManagedProcess, NotReady, ProgramMissing, wait_until
from rigs.shop import (
    PRODUCTION,
    ROOT,
    START_SECONDS,
    Address,
    free_addresses,
    new_secrets,
    operator_headers,
    pinned,
    shop_environment,
    shop_process,
    urls_of,
)

# What `LocalPostgres` switches off for tests that no power cut is part of. On, as in production.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
PGBENCH_DATABASE = "pgbench"
OTHERS = ("catalog", "sandbox", "storefront", "advisor")
LISTING_SECONDS = 180.0


class Neighbours(ManagedProcess):
    """The stand-ins (see neighbours.py) as a process; `start` returns once they answer."""

    def __init__(self, folder: Path, *, secret: str, core: int | None = None) -> None:
        self.port = free_port()
        self.address = Address(self.port, self.port)
        self.url = self.address.url
        command = [sys.executable, "-m", "rigs.neighbours", "--port", str(self.port)]
        super().__init__(
            "The stand-ins",
            pinned([*command, f"--secret={secret}"], core),
            log_path=folder / "neighbours.log",
            folder=ROOT,
        )

    def start(self) -> None:
        super().start()
        self.wait_ready(f"{self.url}/stand-in/payments")

    def list_cars(self, count: int) -> None:
        """Have `count` cars on offer; checkout hears of them within a second or two."""
        httpx.post(
            f"{self.url}/stand-in/cars", json={"count": count}, trust_env=False
        ).raise_for_status()


class LocalCheckout:
    """`workers` checkouts on one database (`database_url`, or SQLite in `folder` when empty).

    Replicas as production has them: processes of one service, each with ports of its own. They run
    the code in the folder `code`, with this program's interpreter. Without a `core` they may run on
    all of them.

    `processes` are the workers, `addresses` where they listen; each may be killed and started
    again. With `insight` the ledger runs beside them, reading the first worker's outbox. A context:
    entering starts everything and returns once every worker is ready.
    """

    def __init__(
        self,
        folder: Path,
        neighbours: Neighbours,
        secrets: Mapping[str, str],
        *,
        database_url: str = "",
        workers: int = 1,
        insight: bool = False,
        core: int | None = None,
        code: Path = ROOT,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        *self.addresses, self.insight_address = free_addresses(workers + 1)
        self._code = code
        self.secrets = dict(secrets)
        self.operator = operator_headers(self.secrets["VITRINE_SESSION_KEY"])
        """What opens the internal ports."""
        different = {
            **PRODUCTION,
            **self.secrets,
            **urls_of(dict.fromkeys(OTHERS, neighbours.address)),
            "CHECKOUT_DATABASE_URL": database_url,
            "CHECKOUT_INTERNAL_URL": self.addresses[0].internal_url,
            "INSIGHT_INTERNAL_URL": self.insight_address.internal_url,
            # A shopper of the benchmark buys more cars in a minute than a city.
            "CHECKOUT_REQUESTS_PER_ADDRESS": "1000000",
            **(environment or {}),
        }
        self._environments = [
            shop_environment(folder, address, service="checkout", different=different)
            for address in self.addresses
        ]
        self.processes = [
            self._process(f"checkout {number}", "checkout", environment, core)
            for number, environment in enumerate(self._environments)
        ]
        ledger = shop_environment(
            folder,
            self.insight_address,
            service="insight",
            different={**different, "CHECKOUT_URL": self.addresses[0].url},
        )
        self._insight = self._process("insight", "insight", ledger, None) if insight else None

    def __enter__(self) -> Self:
        try:
            # The first worker brings the database to this version's schema; the others follow.
            first, *others = self.processes
            first.start()
            if self._insight is not None:
                self._insight.start()
            self.wait_ready(0)
            for process in others:
                process.start()
            for number in range(1, len(self.processes)):
                self.wait_ready(number)
            if self._insight is not None:
                url = self.insight_address.ready_url
                self._insight.wait_ready(url, timeout_seconds=START_SECONDS)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        running = [*self.processes, *([self._insight] if self._insight else [])]
        for process in running:
            process.ask_to_stop()
        for process in running:
            process.stop()

    def wait_ready(self, worker: int = 0) -> None:
        """Return once a worker's database answers it."""
        url = self.addresses[worker].ready_url
        self.processes[worker].wait_ready(url, timeout_seconds=START_SECONDS)

    def wait_listed(self, count: int) -> None:
        """Return once `count` cars can be bought (none of them being sold meanwhile)."""
        url = f"{self.addresses[0].internal_url}/internal/checkout/cars/count"

        def listed() -> bool:
            found = httpx.get(url, headers=self.operator, timeout=10.0, trust_env=False)
            return found.is_success and int(found.json()["available"]) >= count

        wait_until(listed, timeout_seconds=LISTING_SECONDS, what=f"{count} cars listed")

    def environment(self, number: int = 0) -> dict[str, str]:
        """A worker's environment, with which its commands (`audit`) run as well."""
        return self._environments[number]

    def _process(
        self, name: str, service: str, environment: Mapping[str, str], core: int | None
    ) -> ManagedProcess:
        log_path = self.folder / f"{name.replace(' ', '-')}.log"
        return shop_process(
            environment, log_path, service=service, name=name, core=core, code=self._code
        )


def run(folder: Path, *, core: int, other_core: int, base: Path | None) -> None:
    """Start the benchmark's processes, print the addresses, wait for the end of input, stop.

    One worker on each kind of database, pinned to `core`; a pair of workers on PostgreSQL, which
    have all cores; and when `base` has another revision's code, one worker of that on each.
    """
    secrets = new_secrets()
    databases = ("checkout", "checkout_pair", "checkout_base", PGBENCH_DATABASE)
    with contextlib.ExitStack() as running:
        postgres = running.enter_context(LocalPostgres(databases=databases, settings=DURABLE))
        neighbours = running.enter_context(
            Neighbours(folder, secret=secrets["VITRINE_WEBHOOK_SECRET"], core=other_core)
        )

        def started(
            name: str, database: str = "", *, workers: int = 1, code: Path = ROOT
        ) -> dict[str, object]:
            checkout = running.enter_context(
                LocalCheckout(
                    folder / name,
                    neighbours,
                    secrets,
                    database_url=postgres.url(database) if database else "",
                    workers=workers,
                    core=core if workers == 1 else None,
                    code=code,
                )
            )
            return {
                "database": "postgresql" if database else "sqlite",
                "workers": [
                    {"port": at.port, "internal_url": at.internal_url, "pid": process.pid}
                    for at, process in zip(checkout.addresses, checkout.processes, strict=True)
                ],
            }

        checkouts = {
            "postgresql": started("postgresql", "checkout"),
            "sqlite": started("sqlite"),
            "postgresql-pair": started("postgresql-pair", "checkout_pair", workers=2),
        }
        if base is not None:
            checkouts["postgresql-base"] = started("postgresql-base", "checkout_base", code=base)
            checkouts["sqlite-base"] = started("sqlite-base", code=base)
        found = {
            "neighbours_url": neighbours.url,
            "operator": operator_headers(secrets["VITRINE_SESSION_KEY"]),
            "webhook_secret": secrets["VITRINE_WEBHOOK_SECRET"],
            "pgbench": str(SERVER.require().with_name("pgbench")),
            "postgres_pid": postgres.pid,
            "postgres_port": postgres.port,
            "postgres_user": ROLE,
            "postgres_database": PGBENCH_DATABASE,
            "postgres_settings": {
                name: postgres.query(f"SHOW {name}") for name in ("server_version", *DURABLE)
            },
            "checkouts": checkouts,
        }
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()
        # Whoever started us holds the other end; the kernel closes it also when they are killed.
        while sys.stdin.read(1):
            pass


def _stop(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m rigs.checkout", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="for data and logs")
    parser.add_argument("--core", type=int, default=0, help="checkout's core")
    parser.add_argument("--other-core", type=int, default=1, help="the stand-ins' core")
    parser.add_argument("--base", type=Path, help="a folder with another revision's code")
    chosen = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    folder: Path = chosen.folder.resolve()
    try:
        run(folder, core=chosen.core, other_core=chosen.other_core, base=chosen.base)
    except KeyboardInterrupt:
        return 0
    except (ProgramMissing, NotReady, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
