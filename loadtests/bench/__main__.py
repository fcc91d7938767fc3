"""`make bench-checkout`: complete purchases per second, beside pgbench on the same PostgreSQL.

Exit codes: 0 fast enough, 1 not, 2 the run cannot tell.
"""

import contextlib
import os
import statistics
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from loadtests.bench import profiling, report
from loadtests.bench.connection import ConnectionLost
from loadtests.bench.journey import JourneyFailed
from loadtests.bench.rounds import FULL, QUICK, Cars, Load, Plan, Subject, load
from loadtests.bench.stack import ROOT, Bench, CannotMeasure, Checkout, started

PAGE = ROOT / "docs" / "benchmarks.md"
INVALID = 2
WARM_UP_SECONDS = 1.5
WARM_UP_CARS = 1200
SPARE = 1.6
"""Cars are listed for a rate this many times that of the warm-up."""


def main(
    quick: Annotated[bool, typer.Option(help="Under 40 s; for the inner loop, not for print.")] = (
        False
    ),
    profile: Annotated[
        Path | None, typer.Option(help="Profile instead of measuring; the summary goes here.")
    ] = None,
    only: Annotated[str, typer.Option(help="One database: postgresql or sqlite.")] = "",
    anyway: Annotated[
        bool, typer.Option(help="Write the table even when the run cannot tell; it says so.")
    ] = False,
    core: Annotated[int, typer.Option(help="The core that checkout is pinned to.")] = 0,
    generator_core: Annotated[
        int, typer.Option(help="The core of the load generator and the provider's stand-in.")
    ] = 1,
) -> None:
    """Measure checkout's speed and write the table into docs/benchmarks.md."""
    if (os.cpu_count() or 1) < 2 or core == generator_core:
        _cannot("checkout and the load generator each need a core of their own")
    plan = QUICK if quick else FULL
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as name:
        try:
            with started(Path(name), core=core, other_core=generator_core) as bench:
                os.sched_setaffinity(0, {generator_core})
                kinds = [kind for kind in bench.checkouts if only in ("", kind)]
                if profile is not None:
                    _profile(bench, plan, kinds, Path(name), profile)
                    return
                code = _measure(bench, plan, kinds, printed=not quick and not only, anyway=anyway)
        except JourneyFailed as failed:
            _cannot(f"a purchase failed: {failed}")
        except (CannotMeasure, ConnectionLost, OSError) as error:
            _cannot(str(error) or type(error).__name__)
    raise typer.Exit(code)


def _measure(bench: Bench, plan: Plan, kinds: list[str], *, printed: bool, anyway: bool) -> int:
    """Run the plan; returns the exit code."""
    cars = Cars(bench)
    total = _warm_up(bench, plan, kinds, cars)
    loads: dict[str, list[Load]] = {kind: [] for kind in kinds}
    rates: dict[int, list[float]] = {plan.scale: [], plan.roomy_scale: []}
    for number in range(1, plan.rounds + 1):
        for kind in kinds:
            loads[kind].append(_alone_with(bench, cars, kind, plan.shoppers, plan.journeys))
        with _all_cores(), _frozen(bench.checkouts.values()):
            for scale, measured in rates.items():
                bench.prepare_pgbench(scale)
                measured.append(bench.pgbench(clients=plan.shoppers, seconds=plan.pgbench))
        told = ", ".join(f"{kind} {loads[kind][-1].rate:.0f}" for kind in kinds)
        beside = ", ".join(f"{measured[-1]:.0f}" for measured in rates.values())
        _say(f"round {number}: {told} journeys/s; pgbench {beside} tx/s")
    subjects = [
        Subject(kind, tuple(loads[kind]), _alone_with(bench, cars, kind, 1, plan.alone))
        for kind in kinds
    ]
    for subject in subjects:
        total[subject.database] += sum(len(each.journeys) for each in subject.loads)
        total[subject.database] += len(subject.alone.journeys)
    found = report.findings(
        subjects,
        pgbench=statistics.median(rates[plan.scale]),
        booked=_differences(bench, total),
    )
    text = report.table(subjects, pgbench=rates)
    verdict = "\n".join(f"- {'holds' if f.holds else '**fails**'}: {f.sentence}" for f in found)
    typer.echo(f"\n{text}\n\n{verdict}")
    code = report.exit_code(found)
    if printed and (code != INVALID or anyway):
        source = report.origin(
            plan,
            command="make bench-checkout",
            revision=_revision(),
            settings=dict(bench.postgres_settings),
        )
        report.write(PAGE, f"{source}\n\n{text}\n\n{verdict}")
        _say(f"written into {PAGE.relative_to(ROOT)}")
    return code


def _warm_up(bench: Bench, plan: Plan, kinds: list[str], cars: Cars) -> dict[str, int]:
    """Let statements be prepared and caches fill; list as many cars as the rounds can need.

    Returns how many journeys were made, by database.
    """
    _say("listing cars")
    cars.ensure(WARM_UP_CARS)
    warm = {kind: _alone_with(bench, cars, kind, plan.shoppers, WARM_UP_SECONDS) for kind in kinds}
    fastest = max(each.rate for each in warm.values())
    seconds = plan.rounds * plan.journeys + plan.alone + 2
    cars.ensure(int(fastest * seconds * SPARE) + 100)
    return {kind: len(each.journeys) for kind, each in warm.items()}


def _alone_with(bench: Bench, cars: Cars, kind: str, shoppers: int, seconds: float) -> Load:
    """Load one checkout while the others are frozen: they share its core."""
    others = [each for other, each in bench.checkouts.items() if other != kind]
    with _frozen(others):
        return load(bench, bench.checkouts[kind], cars, shoppers=shoppers, seconds=seconds)


@contextlib.contextmanager
def _frozen(checkouts: Iterable[Checkout]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for checkout in checkouts:
            stack.enter_context(checkout.frozen())
        yield


def _profile(bench: Bench, plan: Plan, kinds: list[str], folder: Path, page: Path) -> None:
    """Where the time goes under 16 shoppers; a page of Markdown."""
    cars = Cars(bench)
    _warm_up(bench, plan, kinds, cars)
    parts: list[str] = [f"# Where checkout's time goes (revision {_revision()})"]
    for kind in kinds:
        checkout = bench.checkouts[kind]
        with profiling.recording(checkout, folder, seconds=plan.journeys) as stacks:
            seen = _alone_with(bench, cars, kind, plan.shoppers, plan.journeys)
        microseconds = seen.checkout_cores * 1e6 / seen.rate
        parts += [
            "",
            f"## {report.NAMES[kind]}",
            "",
            (
                f"{seen.rate:.0f} journeys/s while profiled; {seen.checkout_cores:.2f} cores;"
                f" {microseconds:.0f} µs of CPU per journey (three requests)."
            ),
            "",
            profiling.read(stacks).summary(microseconds_per_journey=microseconds),
        ]
    page.write_text("\n".join(parts), encoding="utf-8")
    _say(f"written: {page}")


def _differences(bench: Bench, total: dict[str, int]) -> list[str]:
    """What the books say against what the shoppers saw; empty when they agree."""
    found: list[str] = []
    for kind, made in total.items():
        checkout = bench.checkouts[kind]
        if (confirmed := checkout.confirmed()) != made:
            found.append(f"{kind}: {made} journeys and {confirmed} confirmed orders")
        found += [f"{kind}: {name} is broken" for name in checkout.broken()]
    return found


@contextlib.contextmanager
def _all_cores() -> Iterator[None]:
    """Programs started in the block may run anywhere, as PostgreSQL does."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def _revision() -> str:
    """The commit, marked when the tree has changes that are not in it."""
    described = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+changes", "--abbrev=10"],
        check=False,
        capture_output=True,
        text=True,
    )
    return described.stdout.strip() or "unknown"


def _say(text: str) -> None:
    typer.echo(f"  {text}", err=True)


def _cannot(sentence: str) -> NoReturn:
    _say(f"this run cannot tell: {sentence}")
    raise typer.Exit(INVALID)


if __name__ == "__main__":
    typer.run(main)
