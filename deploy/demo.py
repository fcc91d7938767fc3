"""The supervisor of ``make demo``: the shop, its watchers, its synthetic shoppers, one Ctrl-C.

    python -m deploy.demo

Ports: VITRINE_PORT (8000), VITRINE_INTERNAL_PORT (9100), VITRINE_PROMETHEUS_PORT (9090),
VITRINE_ALERTMANAGER_PORT (9093). Everything it stores is under ``var/`` (VITRINE_DATA moves the
databases). Logs are in ``var/log``.
"""

import contextlib
import json
import os
import queue
import secrets
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape

from deploy.flagfile import FlagFile
from deploy.notable import notable
from deploy.preflight import (
    CannotStart,
    check_databases,
    check_folder,
    check_modules,
    check_ports,
)
from deploy.watchers import Watcher, watchers
from rigs.ports import LOOPBACK, first_free
from rigs.processes import ManagedProcess, NotReady
from rigs.shop import ROOT, START_SECONDS, Address, shop_environment

VAR = ROOT / "var"
STOP_SECONDS = 8.0
PATIENCE_SECONDS = 0.5


@dataclass(frozen=True)
class Ports:
    """TCP ports on loopback."""

    public: int
    internal: int
    prometheus: int
    alertmanager: int
    wanted: Mapping[str, int]
    """The watchers' ports before a taken one was evaded, by the watcher's name."""


def port_from(variable: str, default: int) -> int:
    """A port chosen by the environment.

    Raises:
        CannotStart: the variable holds something else.
    """
    text = os.environ.get(variable, str(default))
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65_536:
        raise CannotStart(f"{variable}={text!r} is not a port number (1 to 65535).")
    return int(text)


def secrets_of_demo(path: Path) -> dict[str, str]:
    """The console's password and what others than the shop must know: given, or made and kept."""
    kept: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError):
        kept = json.loads(path.read_text())
    for name, length in (
        ("VITRINE_CONSOLE_PASSWORD", 9),
        ("VITRINE_SYNTHETIC_KEY", 32),
        ("VITRINE_ALERT_KEY", 32),
    ):
        kept[name] = os.environ.get(name) or kept.get(name) or secrets.token_urlsafe(length)
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(kept, file)
    return kept


@dataclass(frozen=True)
class Plan:
    """What the demo runs and where it keeps things; a test puts stand-ins in."""

    shop: tuple[str, ...] = (sys.executable, "-m", "app")
    shoppers: tuple[str, ...] = (sys.executable, "-m", "loadtests", "trickle")
    folder: Path = ROOT
    var: Path = VAR


class Demo:
    """Starts everything in order, tells what happens, stops everything."""

    def __init__(self, console: Console, plan: Plan) -> None:
        self.console = console
        self.plan = plan
        self.children: list[ManagedProcess] = []
        self.stopping = False
        self.lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.flags_path = Path(os.environ.get("VITRINE_FLAGS") or plan.var / "flags.json")

    def run(self) -> int:
        """The whole life of the demo; returns the exit code."""
        started = time.monotonic()
        with self.step("Checking ports, packages and the data folder"):
            ports, data = self.preflight()
        keys = secrets_of_demo(self.plan.var / "demo-keys.json")
        watching = watchers(
            self.plan.var,
            internal=f"{LOOPBACK}:{ports.internal}",
            key=keys["VITRINE_ALERT_KEY"],
            prometheus_port=ports.prometheus,
            alertmanager_port=ports.alertmanager,
        )
        known = {watcher.variable: watcher.url for watcher in watching if watcher.installed}
        with self.step("Starting the six services in one process"):
            app = self.start_app(ports, data, {**keys, **known})
        running = [watcher for watcher in watching if self.start_watcher(watcher)]
        with self.step("Waiting for the first page"):
            app.wait_ready(
                f"http://{LOOPBACK}:{ports.internal}/health/ready", timeout_seconds=START_SECONDS
            )
            app.wait_ready(f"http://{LOOPBACK}:{ports.public}/", timeout_seconds=START_SECONDS)
        first_page_seconds = time.monotonic() - started
        with self.step("Sending synthetic shoppers"):
            shoppers = self.start_shoppers(ports, keys)
        self.print_addresses(ports, keys, running, first_page_seconds)
        return self.follow(app, shoppers)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """One progress line: its name at once, its time when it is done."""
        started = time.monotonic()
        self.console.print(f"  {name} ...", end="")
        try:
            yield
        except BaseException:
            self.console.print()
            raise
        self.console.print(f" [green]done[/] [dim]{time.monotonic() - started:.1f} s[/]")

    def preflight(self) -> tuple[Ports, Path]:
        """The ports and the data folder, checked.

        Raises:
            CannotStart: with the sentence to print.
        """
        check_modules()
        public = port_from("VITRINE_PORT", 8000)
        internal = port_from("VITRINE_INTERNAL_PORT", 9100)
        check_ports({"VITRINE_PORT": public, "VITRINE_INTERNAL_PORT": internal})
        data = Path(os.environ.get("VITRINE_DATA") or self.plan.var / "data")
        check_folder(data)
        check_folder(self.plan.var)
        check_databases(data)
        # Debian's packages start servers of their own on 9090 and 9093: go next door.
        wanted = {
            "Prometheus": port_from("VITRINE_PROMETHEUS_PORT", 9090),
            "Alertmanager": port_from("VITRINE_ALERTMANAGER_PORT", 9093),
        }
        prometheus, alertmanager = (first_free(port) for port in wanted.values())
        return Ports(public, internal, prometheus, alertmanager, wanted), data

    def start_app(self, ports: Ports, data: Path, more: dict[str, str]) -> ManagedProcess:
        """Embedded mode, its log lines read by a thread of ours."""
        environment = shop_environment(
            self.plan.var,
            Address(ports.public, ports.internal),
            given=os.environ,
            different={
                **more,
                "VITRINE_DATA": str(data),
                "VITRINE_FLAGS": str(self.flags_path),
                # One newcomer and the trickle: both belong in the picture, and it is minutes old.
                "INSIGHT_DEFAULT_TRAFFIC": "all",
                "INSIGHT_DEFAULT_RANGE": "15m",
                "PYTHONUNBUFFERED": "1",
            },
        )
        app = ManagedProcess(
            "The shop",
            self.plan.shop,
            log_path=self.fresh_log("app"),
            environment=environment,
            folder=self.plan.folder,
            pipe_output=True,
        )
        app.start()
        self.children.append(app)
        threading.Thread(target=self.read_lines, args=(app,), daemon=True).start()
        return app

    def read_lines(self, app: ManagedProcess) -> None:
        """Keep the pipe empty, so that the shop never waits for its reader."""
        # The pipe is closed under us when the demo ends.
        with contextlib.suppress(ValueError, OSError):
            for line in app.lines():
                self.lines.put(line)

    def start_watcher(self, watcher: Watcher) -> bool:
        """Start one; the shop goes on without it when it is missing or does not start."""
        if not watcher.installed:
            self.console.print(
                f"  [yellow]{watcher.process.name} is not installed[/] (optional): "
                f"sudo apt-get install -y --no-install-recommends {watcher.package}"
            )
            return False
        self.children.append(watcher.process)
        try:
            with self.step(f"Starting {watcher.process.name}"):
                watcher.process.start()
        except NotReady as error:
            self.console.print(f"  [yellow]going on without it:[/] {escape(str(error))}")
            return False
        return True

    def start_shoppers(self, ports: Ports, keys: dict[str, str]) -> ManagedProcess:
        """A trickle of synthetic shoppers, so that every board has data."""
        shoppers = ManagedProcess(
            "The trickle of synthetic shoppers",
            [
                *self.plan.shoppers,
                *("--base-url", f"http://{LOOPBACK}:{ports.public}"),
                *("--synthetic-key-env", "VITRINE_SYNTHETIC_KEY"),
            ],
            log_path=self.fresh_log("shoppers"),
            environment={**os.environ, **keys},
            folder=self.plan.folder,
        )
        shoppers.start()
        self.children.append(shoppers)
        return shoppers

    def print_addresses(
        self,
        ports: Ports,
        keys: dict[str, str],
        running: list[Watcher],
        first_page_seconds: float,
    ) -> None:
        """What to open, and with which password."""
        shop = f"http://{LOOPBACK}:{ports.public}"
        password = keys["VITRINE_CONSOLE_PASSWORD"]
        rows = [
            ("Storefront", f"{shop}/"),
            ("Console", f"{shop}/console    password {password}"),
            ("API", f"{shop}/api/catalog/v1/openapi.json (also advisor, checkout, insight)"),
            ("Metrics", f"http://{LOOPBACK}:{ports.internal}/metrics"),
        ]
        rows += [(watcher.process.name, watcher.url) for watcher in running]
        self.console.print(f"\n  First page after {first_page_seconds:.1f} s. Open:\n")
        for name, address in rows:
            self.console.print(f"  [bold]{name:<13}[/] {escape(address)}", soft_wrap=True)
        for watcher in running:
            wanted = ports.wanted.get(watcher.process.name)
            if watcher.port != wanted:
                self.console.print(
                    f"  [dim]{watcher.process.name}: port {wanted} was taken, so {watcher.port}.[/]"
                )
        self.console.print("\n  Ctrl-C stops everything. What happens now:\n")

    def follow(self, app: ManagedProcess, shoppers: ManagedProcess) -> int:
        """Print notable events until the shop ends or we are told to stop."""
        told = False
        flags = FlagFile(self.flags_path)
        while not self.stopping:
            with contextlib.suppress(queue.Empty):
                self.tell(notable(self.lines.get(timeout=PATIENCE_SECONDS)))
            for sentence in flags.news():
                self.tell(("cyan", sentence))
            if not self.lines.empty():
                continue
            if not app.running:
                raise CannotStart(
                    f"The shop ended by itself with code {app.exit_code}; see {app.log_path}."
                )
            if not shoppers.running and not told:
                told = True
                self.console.print(
                    f"  [yellow]the synthetic shoppers ended (code {shoppers.exit_code}); "
                    f"see {shoppers.log_path}[/]"
                )
        return 0

    def tell(self, found: tuple[str, str] | None) -> None:
        """One line for one notable event."""
        if found:
            colour, sentence = found
            now = time.strftime("%H:%M:%S")
            self.console.print(f"  [dim]{now}[/] [{colour}]{escape(sentence)}[/]", soft_wrap=True)

    def last_words(self) -> str:
        """What the shop said that is not a log line, for a start that failed."""
        spoken = []
        while not self.lines.empty():
            found = notable(self.lines.get())
            if found and found[0] == "red":
                spoken.append(found[1])
        return "\n".join(spoken[-15:])

    def fresh_log(self, name: str) -> Path:
        """A log file of this run; the one before it is kept beside it."""
        path = self.plan.var / "log" / f"{name}.log"
        if path.exists():
            path.replace(path.with_suffix(".previous.log"))
        return path

    def stop(self) -> None:
        """End every child, all at the same time."""
        self.stopping = True
        for child in self.children:
            child.ask_to_stop()
        for child in reversed(self.children):
            child.stop(grace_seconds=STOP_SECONDS)

    def interrupted(self, number: int, frame: FrameType | None) -> None:
        """First Ctrl-C: an orderly end. Second: an end."""
        del number, frame
        if self.stopping:
            for child in self.children:
                if child.running:
                    child.signal_all(signal.SIGKILL)
            os._exit(130)
        self.stopping = True
        raise KeyboardInterrupt


def main(plan: Plan | None = None) -> int:
    """Run the demo; every way in which it cannot start is one sentence and exit code 1."""
    console = Console(highlight=False)
    demo = Demo(console, plan or Plan())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, demo.interrupted)
    code = 1
    try:
        code = demo.run()
    except KeyboardInterrupt:
        console.print("\n  Stopping ...", end="")
        code = 0
    except CannotStart as error:
        console.print(f"[red]{escape(str(error))}[/]", soft_wrap=True)
    except NotReady as error:
        said = demo.last_words() or str(error)
        console.print(f"[red]{escape(said)}[/]", soft_wrap=True)
    except OSError as error:
        console.print(f"[red]{escape(str(error))}[/]", soft_wrap=True)
    finally:
        stopped = time.monotonic()
        demo.stop()
        if code == 0:
            console.print(f" done in {time.monotonic() - stopped:.1f} s; nothing is left running.")
    return code


if __name__ == "__main__":
    sys.exit(main())
