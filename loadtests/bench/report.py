"""What was measured, as a Markdown table, and the verdict about it."""

import os
import platform
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from loadtests.bench.rounds import Plan, Subject

LEAST_RATIO = 0.12
"""Journeys per pgbench transaction."""
MOST_STRETCH = 20.0
"""p99 at 16 shoppers over p50 of one shopper."""
MOST_GENERATOR_CORES = 0.8
"""A generator that is busier than this measures itself."""

MOST_FOREIGN_CORES = 0.3
"""A machine that does more than this beside the benchmark measures something else."""

BEGIN, END = "<!-- bench-checkout:begin -->", "<!-- bench-checkout:end -->"

NAMES = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must hold. `about_us`: a failure says that the run cannot tell."""

    sentence: str
    holds: bool
    about_us: bool = False


def findings(
    subjects: Sequence[Subject], *, pgbench: float, booked: Sequence[str]
) -> list[Finding]:
    """The verdict in sentences. `booked` are differences between journeys and the books."""
    found = [Finding(f"the books agree: {'; '.join(booked) or 'yes'}", not booked, about_us=True)]
    for subject in subjects:
        name, ratio = NAMES[subject.database], subject.rate / pgbench
        busiest = max(load.generator_cores for load in subject.loads)
        foreign = statistics.median(load.foreign_cores for load in subject.loads)
        stretch = subject.p99_over_single_p50
        found += [
            Finding(
                f"{name}: {ratio:.3f} journeys per pgbench transaction (at least {LEAST_RATIO})",
                ratio >= LEAST_RATIO,
            ),
            Finding(
                f"{name}: p99 is {stretch:.1f} times p50 of one shopper (below {MOST_STRETCH:.0f})",
                stretch < MOST_STRETCH,
            ),
            Finding(
                f"{name}: the load generator used {busiest:.2f} of a core"
                f" (at most {MOST_GENERATOR_CORES})",
                busiest <= MOST_GENERATOR_CORES,
                about_us=True,
            ),
            Finding(
                f"{name}: other programs used {foreign:.2f} cores (at most {MOST_FOREIGN_CORES})",
                foreign <= MOST_FOREIGN_CORES,
                about_us=True,
            ),
        ]
    return found


def exit_code(found: Sequence[Finding]) -> int:
    """0 pass, 1 fail, 2 the run cannot tell."""
    broken = [finding for finding in found if not finding.holds]
    return 2 if any(finding.about_us for finding in broken) else int(bool(broken))


def table(subjects: Sequence[Subject], *, pgbench: Mapping[int, Sequence[float]]) -> str:
    """A column per database; `pgbench` has tx/s by round, by scale, the judged one first."""

    def milliseconds(subject: Subject, *shares: float, step: str = "seconds") -> str:
        return " / ".join(f"{subject.quantile(share, step) * 1000:.1f}" for share in shares)

    def median(subject: Subject, name: str) -> str:
        return f"{statistics.median(float(getattr(load, name)) for load in subject.loads):.2f}"

    rows: list[tuple[str, list[str]]] = [
        ("journeys per second, 16 shoppers", [f"**{s.rate:.1f}**" for s in subjects]),
        ("by round", [", ".join(f"{load.rate:.0f}" for load in s.loads) for s in subjects]),
        *(row for each in pgbench.items() for row in _beside(subjects, *each)),
        (
            "journey p50 / p95 / p99, 16 shoppers, ms",
            [milliseconds(s, 0.5, 0.95, 0.99) for s in subjects],
        ),
        ("of which hold, p50 / p99", [milliseconds(s, 0.5, 0.99, step="hold") for s in subjects]),
        ("order (with the provider)", [milliseconds(s, 0.5, 0.99, step="order") for s in subjects]),
        ("webhook", [milliseconds(s, 0.5, 0.99, step="webhook") for s in subjects]),
        ("journey p50, one shopper, ms", [f"{s.alone.quantile(0.5) * 1000:.1f}" for s in subjects]),
        ("p99 of 16 over p50 of one", [f"{s.p99_over_single_p50:.1f}" for s in subjects]),
        ("CPU of checkout per journey, ms", [median(s, "checkout_milliseconds") for s in subjects]),
        ("cores used by checkout", [median(s, "checkout_cores") for s in subjects]),
        ("cores used by the load generator", [median(s, "generator_cores") for s in subjects]),
        ("cores used by other programs", [median(s, "foreign_cores") for s in subjects]),
    ]
    head = ["", *(NAMES[subject.database] for subject in subjects)]
    lines = [head, ["---"] * len(head), *([name, *cells] for name, cells in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _beside(
    subjects: Sequence[Subject], scale: int, rounds: Sequence[float]
) -> list[tuple[str, list[str]]]:
    """The rows about pgbench at one scale."""
    rate = statistics.median(rounds)
    name = "default scale" if scale == 1 else f"scale {scale}"
    return [
        (f"pgbench tx/s, 16 clients, {name}", [f"{rate:.0f}" for _ in subjects]),
        ("by round", [", ".join(f"{each:.0f}" for each in rounds) for _ in subjects]),
        (
            f"**journeys per pgbench transaction**, {name}",
            [f"**{subject.rate / rate:.3f}**" for subject in subjects],
        ),
    ]


def origin(plan: Plan, *, command: str, revision: str, settings: dict[str, str]) -> str:
    """The sentence that says what made the table."""
    durable = ", ".join(f"{name} {value}" for name, value in settings.items())
    return (
        f"`{command}` on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, revision {revision}, Python"
        f" {platform.python_version()}, {os.cpu_count()} cores ({_processor()}); PostgreSQL:"
        f" {durable}; {plan.rounds} interleaved rounds of {plan.journeys:.0f} s (journeys) and"
        f" {plan.pgbench:.0f} s (pgbench, scales {plan.scale} and {plan.roomy_scale}); medians"
        " over rounds."
    )


def write(page: Path, text: str) -> None:
    """Put `text` between the page's markers.

    Raises:
        ValueError: the page has no markers.
    """
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page} has no markers {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()
