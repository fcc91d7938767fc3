"""What was measured, as a Markdown table, and the verdict about it."""

import os
import platform
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.rounds import Plan, Subject

LEAST_RATIO = {"postgresql": 0.15, "sqlite": 0.13}
"""Journeys per pgbench transaction. These checkouts are judged, the others are reported."""
MOST_CPU = 0.75
"""Or instead: checkout's CPU per journey as a share of the base revision's."""
MOST_STRETCH = 8.0
"""p99 at 16 shoppers over p50 of one shopper."""
MOST_GENERATOR_CORES = 0.8
"""A generator that is busier than this measures itself."""

MOST_FOREIGN_CORES = 0.3
"""A machine that does more than this beside the benchmark measures something else."""

BEGIN, END = "<!-- bench-checkout:begin -->", "<!-- bench-checkout:end -->"

NAMES = {
    "postgresql": "PostgreSQL",
    "sqlite": "SQLite",
    "postgresql-pair": "PostgreSQL, two workers",
    "postgresql-base": "PostgreSQL, base",
    "sqlite-base": "SQLite, base",
}
PAIR = "postgresql-pair"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must hold. `about_us`: a failure says that the run cannot tell."""

    sentence: str
    holds: bool
    about_us: bool = False


def findings(
    subjects: Mapping[str, Subject], *, pgbench: Sequence[float], booked: Sequence[str]
) -> list[Finding]:
    """The verdict in sentences. `booked` are differences between journeys and the books."""
    found = [Finding(f"the books agree: {'; '.join(booked) or 'yes'}", not booked, about_us=True)]
    for name, least in LEAST_RATIO.items():
        if name in subjects:
            found += _judged(subjects[name], least, pgbench, subjects.get(f"{name}-base"))
    # Two workers have all cores: there the generator takes from them whatever it uses.
    busiest = max(
        load.generator_cores
        for name, subject in subjects.items()
        if name != PAIR
        for load in subject.loads
    )
    foreign = max(subject.median("foreign_cores") for subject in subjects.values())
    return [
        *found,
        Finding(
            f"the load generator used {busiest:.2f} of its core (at most {MOST_GENERATOR_CORES})",
            busiest <= MOST_GENERATOR_CORES,
            about_us=True,
        ),
        Finding(
            f"other programs used {foreign:.2f} cores (at most {MOST_FOREIGN_CORES})",
            foreign <= MOST_FOREIGN_CORES,
            about_us=True,
        ),
    ]


def _judged(
    subject: Subject, least: float, pgbench: Sequence[float], base: Subject | None
) -> list[Finding]:
    """Fast enough beside pgbench, or beside the base; and nobody waits for long."""
    name, ratio = NAMES[subject.name], subject.per_transaction(pgbench)
    sentence = f"{name}: {ratio:.3f} journeys per pgbench transaction (at least {least})"
    fast = ratio >= least
    if base is not None:
        cpu = subject.cpu_of(base)
        sentence += f", or {cpu:.2f} of the base's CPU per journey (at most {MOST_CPU})"
        fast = fast or cpu <= MOST_CPU
    return [
        Finding(sentence, fast),
        Finding(
            f"{name}: p99 is {subject.stretch:.1f} times p50 of one shopper"
            f" (at most {MOST_STRETCH:.0f})",
            subject.stretch <= MOST_STRETCH,
        ),
    ]


def exit_code(found: Sequence[Finding]) -> int:
    """0 pass, 1 fail, 2 the run cannot tell."""
    broken = [finding for finding in found if not finding.holds]
    return 2 if any(finding.about_us for finding in broken) else int(bool(broken))


def verdict(found: Sequence[Finding]) -> str:
    """The findings as a Markdown list."""
    return "\n".join(
        f"- {'holds' if each.holds else '**fails**'}: {each.sentence}" for each in found
    )


def table(subjects: Mapping[str, Subject], *, pgbench: Sequence[float]) -> str:
    """A column per checkout; `pgbench` has transactions a second by round."""
    columns = list(subjects.values())

    def row(name: str, cell: Callable[[Subject], str]) -> list[str]:
        return [name, *map(cell, columns)]

    def median(name: str) -> Callable[[Subject], str]:
        return lambda subject: f"{subject.median(name):.2f}"

    def quantiles(*shares: float, step: str = "seconds") -> Callable[[Subject], str]:
        return lambda subject: " / ".join(
            f"{subject.quantile(share, step) * 1000:.1f}" for share in shares
        )

    def cpu_of_base(subject: Subject) -> str:
        base = subjects.get(f"{subject.name}-base")
        return f"**{subject.cpu_of(base):.2f}**" if base else ""

    def one_shopper(subject: Subject) -> str:
        found = [load.quantile(0.5) * 1000 for load in subject.alone]
        return f"{statistics.median(found):.1f}" if found else ""

    lines = [
        row("", lambda subject: NAMES[subject.name]),
        row("---", lambda subject: "---"),
        row("journeys per second, 16 shoppers", lambda subject: f"{subject.median('rate'):.1f}"),
        row("by round", lambda subject: ", ".join(f"{load.rate:.0f}" for load in subject.loads)),
        row(
            "**journeys per pgbench transaction**",
            lambda subject: f"**{subject.per_transaction(pgbench):.3f}**",
        ),
        row("CPU of checkout per journey, ms", median("checkout_milliseconds")),
        row("**as a share of the base's**", cpu_of_base),
        row("CPU of PostgreSQL per journey, ms", median("postgres_milliseconds")),
        row("journey p50 / p95 / p99, 16 shoppers, ms", quantiles(0.5, 0.95, 0.99)),
        row("of which hold, p50 / p99", quantiles(0.5, 0.99, step="hold")),
        row("order (with the provider)", quantiles(0.5, 0.99, step="order")),
        row("webhook", quantiles(0.5, 0.99, step="webhook")),
        row("journey p50, one shopper, ms", one_shopper),
        row(
            "p99 of 16 over p50 of one",
            lambda subject: f"{subject.stretch:.1f}" if subject.alone else "",
        ),
        row("cores used by checkout", median("checkout_cores")),
        row("cores used by PostgreSQL", median("postgres_cores")),
        row("cores used by the load generator", median("generator_cores")),
        row("cores used by other programs", median("foreign_cores")),
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def origin(
    plan: Plan,
    *,
    command: str,
    revision: str,
    base: str,
    settings: Mapping[str, str],
    pgbench: Sequence[float],
) -> str:
    """The sentences that say what made the table."""
    durable = ", ".join(f"{name} {value}" for name, value in settings.items())
    rounds = ", ".join(f"{rate:.0f}" for rate in pgbench)
    return (
        f"`{command}` on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, revision {revision}, base"
        f" {base}, Python {platform.python_version()}, {os.cpu_count()} cores ({_processor()});"
        f" PostgreSQL: {durable}; {plan.rounds} interleaved rounds of {plan.journeys:g} s for each"
        f" checkout and {plan.pgbench:g} s of pgbench; medians over rounds.\n\npgbench with"
        f" {plan.shoppers} clients at scale {plan.scale}: {statistics.median(pgbench):.0f}"
        f" transactions a second (by round {rounds})."
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
