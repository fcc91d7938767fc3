"""`make bench-checkout`: complete purchases, beside pgbench and beside a base revision.

Exit codes: 0 fast enough, 1 not, 2 the run cannot tell.
"""

import os
import tempfile
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from bench import profiling, report, revision
from bench.connection import ConnectionLost
from bench.journey import JourneyFailed
from bench.rounds import FULL, QUICK, Course, Load, Plan, Subject
from bench.stack import ROOT, Bench, CannotMeasure, started

PAGE = ROOT / "docs" / "benchmarks.md"
BASE = "8185940"
"""Checkout as it was when the share of its CPU to be reached was set."""
INVALID = 2
WARM_UP_CARS = 1200
SPARE = 3.0
"""Cars are listed for a rate this many times the fastest one so far. The rest is kept."""


def main(
    base: Annotated[
        str, typer.Option(help="The revision to compare CPU per journey with; none to skip.")
    ] = BASE,
    quick: Annotated[
        bool, typer.Option(help="Under a minute; for the inner loop, not for print.")
    ] = False,
    profile: Annotated[
        Path | None, typer.Option(help="Profile instead of measuring; the summary goes here.")
    ] = None,
    only: Annotated[str, typer.Option(help="One database: postgresql or sqlite.")] = "",
    page: Annotated[
        Path | None,
        typer.Option(help="The page with markers that gets the table.", show_default=str(PAGE)),
    ] = None,
    anyway: Annotated[
        bool, typer.Option(help="Write the table even when the run cannot tell; it says so.")
    ] = False,
    core: Annotated[int, typer.Option(help="The core that each single worker is pinned to.")] = 0,
    generator_core: Annotated[
        int, typer.Option(help="The core of the load generator and the provider's stand-in.")
    ] = 1,
) -> None:
    """Measure checkout's speed and write the table into docs/benchmarks.md."""
    if (os.cpu_count() or 1) < 2 or core == generator_core:
        _cannot("checkout and the load generator each need a core of their own")
    if only not in ("", *report.LEAST_RATIO):
        _cannot(f"--only {only}: the databases are {' and '.join(report.LEAST_RATIO)}")
    plan = QUICK if quick else FULL
    if page is None and not (quick or only):
        page = PAGE
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as name:
        folder = Path(name)
        try:
            code = revision.code_of("none" if profile else base, folder / "base")
            with started(folder, core=core, other_core=generator_core, base=code) as bench:
                os.sched_setaffinity(0, {generator_core})
                names = [
                    each.name for each in bench.checkouts.values() if only in ("", each.database)
                ]
                course = Course(bench, names)
                if profile is not None:
                    _profile(bench, course, plan, folder, profile)
                    return
                text, exit_code = _measure(bench, course, plan, base=base)
        except JourneyFailed as failed:
            _cannot(f"a purchase failed: {failed}")
        except (CannotMeasure, ConnectionLost, OSError) as error:
            _cannot(str(error) or type(error).__name__)
    typer.echo(f"\n{text}")
    if page is not None and (exit_code != INVALID or anyway):
        report.write(page, text)
        _say(f"written into {page}")
    raise typer.Exit(exit_code)


def _measure(bench: Bench, course: Course, plan: Plan, *, base: str) -> tuple[str, int]:
    """Run the plan; returns the report and the exit code."""
    fastest = _warm_up(course, plan)
    loads: dict[str, list[Load]] = {name: [] for name in course.names}
    alone: dict[str, list[Load]] = {name: [] for name in course.names if name in report.LEAST_RATIO}
    pgbench: list[float] = []
    for number in range(plan.rounds):
        course.list_cars(int(fastest * (plan.journeys + plan.alone) * SPARE) + 200)
        # Nobody is always the first one after pgbench.
        first = number % len(course.names)
        for name in [*course.names[first:], *course.names[:first]]:
            loads[name].append(course.load(name, shoppers=plan.shoppers, seconds=plan.journeys))
            if name in alone:
                alone[name].append(course.load(name, shoppers=1, seconds=plan.alone))
        pgbench.append(course.pgbench(plan))
        fastest = max(fastest, *(measured[-1].rate for measured in loads.values()))
        told = ", ".join(f"{name} {measured[-1].rate:.0f}" for name, measured in loads.items())
        _say(f"round {number + 1}: {told} journeys/s; pgbench {pgbench[-1]:.0f} tx/s")
    subjects = {
        name: Subject(name, measured, alone.get(name, ())) for name, measured in loads.items()
    }
    found = report.findings(subjects, pgbench=pgbench, booked=course.differences())
    source = report.origin(
        plan,
        command="make bench-checkout",
        revision=revision.current(),
        base=base,
        settings=bench.postgres_settings,
        pgbench=pgbench,
    )
    table = report.table(subjects, pgbench=pgbench)
    return f"{source}\n\n{table}\n\n{report.verdict(found)}", report.exit_code(found)


def _warm_up(course: Course, plan: Plan) -> float:
    _say("listing cars")
    course.list_cars(WARM_UP_CARS)
    return course.warm_up(plan)


def _profile(bench: Bench, course: Course, plan: Plan, folder: Path, page: Path) -> None:
    """Where the time goes under 16 shoppers; a page of Markdown."""
    fastest = _warm_up(course, plan)
    parts: list[str] = [f"# Where checkout's time goes (revision {revision.current()})"]
    for name in (name for name in course.names if name in report.LEAST_RATIO):
        course.list_cars(int(fastest * plan.journeys * SPARE) + 200)
        checkout = bench.checkouts[name]
        with profiling.recording(checkout, folder, seconds=plan.journeys) as stacks:
            seen = course.load(name, shoppers=plan.shoppers, seconds=plan.journeys)
        microseconds = seen.checkout_milliseconds * 1000
        parts += [
            "",
            f"## {report.NAMES[name]}",
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


def _say(text: str) -> None:
    typer.echo(f"  {text}", err=True)


def _cannot(sentence: str) -> NoReturn:
    _say(f"this run cannot tell: {sentence}")
    raise typer.Exit(INVALID)


if __name__ == "__main__":
    typer.run(main)
