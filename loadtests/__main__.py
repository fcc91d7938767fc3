"""Rehearsals from the command line: `python -m loadtests --help`.

Exit codes: 0 pass, 1 fail, 2 invalid (the run cannot tell, or could not be made).
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from loadtests.books import BooksUnreadable
from loadtests.crash import prove_crash
from loadtests.drills.book import DRILLS
from loadtests.drills.receiver import Receiver
from loadtests.faults.flags import FlagsUnreadable
from loadtests.generator import GeneratorFailed, Load
from loadtests.rehearsal import REHEARSAL_SCALE, REPORT, rehearse, rehearse_drill
from loadtests.shapes.book import SHAPES
from loadtests.shapes.holiday_day import HolidayDay
from loadtests.shapes.smoke import Smoke
from loadtests.stack import CannotRehearse, MortalShop, Stack, started_stack
from loadtests.trickle import EVERY_SECONDS, run_trickle
from loadtests.verdict.finding import Result
from loadtests.verdict.judge import Verdict
from loadtests.watching import CannotAsk

REPORTS = Path("var/reports")
INVALID = Result.INVALID.exit_code
CANNOT = (
    CannotRehearse,
    CannotAsk,
    BooksUnreadable,
    GeneratorFailed,
    FlagsUnreadable,
    OSError,
)

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
console = Console(highlight=False)
if not console.is_terminal:
    # A log file has no width; eighty columns would break every line of the verdict.
    console = Console(highlight=False, width=160)

BaseUrl = Annotated[str, typer.Option(help="The shop; without it a stack is started.")]
InternalUrl = Annotated[
    str, typer.Option(help="The shop's internal port; VITRINE_SESSION_KEY opens it.")
]
PrometheusUrl = Annotated[str, typer.Option(help="Prometheus that scrapes the shop.")]
AlertmanagerUrl = Annotated[str, typer.Option(help="Alertmanager of that Prometheus.")]
FlagsFile = Annotated[Path | None, typer.Option(help="The shop's flags file, to inject faults.")]
KeyVariable = Annotated[
    str, typer.Option(help="Environment variable that holds the synthetic shoppers' key.")
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same arrivals.")]


@dataclass(frozen=True)
class Given:
    """Addresses of a running stack, as options; all empty to have one started."""

    base_url: str = ""
    internal_url: str = ""
    prometheus_url: str = ""
    alertmanager_url: str = ""
    flags_file: Path | None = None
    key_variable: str = "VITRINE_SYNTHETIC_KEY"

    @contextlib.contextmanager
    def stack(self, folder: Path, *, webhook: str | None = None) -> Iterator[Stack]:
        """The running stack, or one of our own for as long as the block runs."""
        if not self.base_url:
            say("starting shop, Prometheus and Alertmanager on free ports")
            with started_stack(folder / "stack", scale=REHEARSAL_SCALE, webhook=webhook) as stack:
                say(f"shop {stack.base_url}, Prometheus {stack.prometheus_url}")
                yield stack
            return
        if not (self.internal_url and self.prometheus_url and self.alertmanager_url):
            raise CannotRehearse(
                "--base-url needs --internal-url, --prometheus-url and --alertmanager-url"
            )
        yield Stack(
            self.base_url,
            self.internal_url,
            self.prometheus_url,
            self.alertmanager_url,
            self.flags_file,
            os.environ.get(self.key_variable, ""),
            os.environ.get("VITRINE_SESSION_KEY", ""),
        )


@app.command()
def peak(
    minutes: Annotated[float, typer.Option(help="Length of the compressed day.")] = 5.0,
    base_rate: Annotated[float, typer.Option(help="Shoppers per second on an ordinary day.")] = 2.0,
    pace: Annotated[float, typer.Option(help="Think times are multiplied by this.")] = 0.1,
    seed: Seed = 20261127,
    base_url: BaseUrl = "",
    internal_url: InternalUrl = "",
    prometheus_url: PrometheusUrl = "",
    alertmanager_url: AlertmanagerUrl = "",
    synthetic_key_env: KeyVariable = "VITRINE_SYNTHETIC_KEY",
) -> None:
    """The holiday peak: a day in a few minutes, the evening 5.8 times an ordinary hour."""
    given = Given(
        base_url,
        internal_url,
        prometheus_url,
        alertmanager_url,
        key_variable=synthetic_key_env,
    )
    load = Load(HolidayDay.name, "holiday", base_rate, minutes * 60, pace, seed)
    _end(_healthy("Holiday peak", "peak", load, given))


@app.command()
def smoke(
    seconds: Annotated[float, typer.Option(help="How long shoppers arrive.")] = 60.0,
    base_rate: Annotated[float, typer.Option(help="Shoppers per second.")] = 2.0,
    pace: Annotated[float, typer.Option(help="Think times are multiplied by this.")] = 0.1,
    seed: Seed = 20261127,
    base_url: BaseUrl = "",
    internal_url: InternalUrl = "",
    prometheus_url: PrometheusUrl = "",
    alertmanager_url: AlertmanagerUrl = "",
    synthetic_key_env: KeyVariable = "VITRINE_SYNTHETIC_KEY",
) -> None:
    """A minute of lively, level arrivals: is the rehearsal itself sound?"""
    given = Given(
        base_url,
        internal_url,
        prometheus_url,
        alertmanager_url,
        key_variable=synthetic_key_env,
    )
    load = Load(Smoke.name, "trickle", base_rate, seconds, pace, seed)
    _end(_healthy("Smoke", "smoke", load, given))


@app.command()
def drill(
    name: Annotated[str, typer.Argument(help="One of `python -m loadtests list`.")],
    seed: Seed = 20261127,
    base_url: BaseUrl = "",
    internal_url: InternalUrl = "",
    prometheus_url: PrometheusUrl = "",
    alertmanager_url: AlertmanagerUrl = "",
    flags_file: FlagsFile = None,
    webhook_port: Annotated[
        int, typer.Option(help="Where the given Alertmanager sends its webhooks; 0 = any.")
    ] = 0,
    synthetic_key_env: KeyVariable = "VITRINE_SYNTHETIC_KEY",
) -> None:
    """One drill: inject a fault under load, see the alert fire and clear in the real pipeline."""
    given = Given(
        base_url,
        internal_url,
        prometheus_url,
        alertmanager_url,
        flags_file,
        key_variable=synthetic_key_env,
    )
    _end(_drilled(name, given, seed, webhook_port))


@app.command()
def drills(seed: Seed = 20261127) -> None:
    """All drills, one after another, each on a stack of its own."""
    codes = [_drilled(name, Given(), seed, 0) for name in DRILLS]
    _end(max(codes, default=INVALID))


@app.command()
def crash(
    kills: Annotated[int, typer.Option(help="How many times the shop is killed.")] = 2,
    base_rate: Annotated[float, typer.Option(help="Buyers per second.")] = 3.0,
    seed: Seed = 20261127,
) -> None:
    """Kill -9 under load: every order that a client saw confirmed is there afterwards."""
    folder = _folder("crash")
    load = Load(Smoke.name, "buyers", base_rate, 600.0, 0.02, seed, repeat_seconds=60.0)
    with _explained():
        shop = MortalShop(folder / "shop")
        _end(
            _told(
                prove_crash(shop, folder, load=load, kills=kills, seed=seed, say=say),
                folder,
            )
        )


@app.command()
def trickle(
    base_url: BaseUrl = "http://127.0.0.1:8000",
    every_seconds: Annotated[float, typer.Option(help="Mean time between shoppers.")] = (
        EVERY_SECONDS
    ),
    synthetic_key_env: KeyVariable = "VITRINE_SYNTHETIC_KEY",
) -> None:
    """A gentle, endless arrival of shoppers, until SIGTERM or Ctrl-C."""
    run_trickle(base_url, os.environ.get(synthetic_key_env, ""), every_seconds=every_seconds)


@app.command(name="list")
def list_() -> None:
    """What can be rehearsed."""
    table = Table("Command", "What it is", box=None, padding=(0, 2))
    for name, shape in SHAPES.items():
        command = "peak" if name == HolidayDay.name else name
        table.add_row(command, (shape.__doc__ or "").splitlines()[0])
    for each in DRILLS.values():
        table.add_row(f"drill {each.name}", f"{each.description} Alert: {each.alert}.")
    table.add_row("crash", "kill -9 under load: nothing that was promised is lost.")
    table.add_row("trickle", "a gentle, endless arrival of shoppers for the demo.")
    console.print(table)


def say(text: str) -> None:
    """One line of progress."""
    console.print(f"  [dim]{time.strftime('%H:%M:%S')}[/] {escape(text)}", soft_wrap=True)


def _healthy(title: str, kind: str, load: Load, given: Given) -> int:
    folder = _folder(kind)
    with _explained(), given.stack(folder) as stack:
        return _told(rehearse(title, load, stack, folder, say), folder)


def _drilled(name: str, given: Given, seed: int, webhook_port: int) -> int:
    if name not in DRILLS:
        console.print(f"There is no drill {name!r}; there are: {', '.join(DRILLS)}.")
        return INVALID
    folder = _folder(name)
    with (
        _explained(),
        Receiver(webhook_port) as receiver,
        given.stack(folder, webhook=receiver.url) as stack,
    ):
        receiver.forward_to = f"{stack.internal_url}/internal/insight/alerts"
        return _told(rehearse_drill(DRILLS[name], stack, receiver, folder, seed, say), folder)


def _folder(kind: str) -> Path:
    folder = REPORTS / f"{time.strftime('%Y%m%d-%H%M%S')}-{kind}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def _told(verdict: Verdict, folder: Path) -> int:
    """Print the verdict; returns the exit code."""
    colours = {Result.PASS: "green", Result.FAIL: "red", Result.INVALID: "yellow"}
    table = Table("", "Check", "Measured", "Required", box=None, padding=(0, 2))
    for finding in verdict.findings:
        table.add_row(
            f"[{colours[finding.result]}]{finding.result.value}[/]",
            finding.title,
            escape(finding.measured),
            escape(finding.required),
        )
    console.print(table)
    word = f"[bold {colours[verdict.result]}]{verdict.result.value.upper()}[/]"
    found = folder / REPORT if (folder / REPORT).exists() else folder / "verdict.json"
    console.print(f"\n  {escape(verdict.title)}: {word}    {found}", soft_wrap=True)
    latest = {"verdict": verdict.result.value, "title": verdict.title, "folder": folder.name}
    (REPORTS / "latest.json").write_text(json.dumps(latest), encoding="utf-8")
    return verdict.result.exit_code


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """A run that could not be made is one sentence and exit code 2."""
    try:
        yield
    except CANNOT as error:
        console.print(f"  [yellow]This run cannot tell:[/] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(INVALID) from error


def _end(code: int) -> None:
    raise typer.Exit(code)


if __name__ == "__main__":
    app()
