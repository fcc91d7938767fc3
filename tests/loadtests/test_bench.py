"""The benchmark's verdict, its page, and how stacks become shares."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.bench import profiling, report
from loadtests.bench.journey import Journey
from loadtests.bench.rounds import Load, Subject


def _load(journeys: int, *, milliseconds: float, foreign: float = 0.0) -> Load:
    one = Journey(0.0, 0.0, milliseconds / 1000, 0.0)
    return Load(
        (one,) * journeys,
        seconds=1.0,
        generator_cores=0.1,
        checkout_cores=1.0,
        foreign_cores=foreign,
    )


def _subject(rate: int, *, milliseconds: float = 40.0, foreign: float = 0.0) -> Subject:
    loads = [_load(rate, milliseconds=milliseconds, foreign=foreign)] * 3
    return Subject("postgresql", loads, _load(100, milliseconds=4.0))


@pytest.mark.parametrize(
    ("subject", "booked", "code"),
    [
        (_subject(300), [], 0),
        (_subject(299), [], 1),
        (_subject(300, milliseconds=81.0), [], 1),
        (_subject(300, foreign=0.5), [], 2),
        (_subject(300), ["300 journeys and 299 confirmed orders"], 2),
    ],
)
def test_fast_enough_too_slow_and_cannot_tell_are_three_exit_codes(
    subject: Subject, booked: list[str], code: int
) -> None:
    assert report.exit_code(report.findings([subject], pgbench=2500, booked=booked)) == code


def test_the_table_has_a_column_per_database() -> None:
    rates = {1: [2400, 2500, 2600], 16: [4000, 5000, 6000]}
    text = report.table([_subject(300)], pgbench=rates)
    assert "| journeys per second, 16 shoppers | **300.0** |" in text
    assert "| **journeys per pgbench transaction**, default scale | **0.120** |" in text
    assert "| **journeys per pgbench transaction**, scale 16 | **0.060** |" in text
    assert "| journey p50 / p95 / p99, 16 shoppers, ms | 40.0 / 40.0 / 40.0 |" in text
    assert "| CPU of checkout per journey, ms | 3.33 |" in text


def test_only_what_is_between_the_markers_is_rewritten(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write(page, "new")
    assert page.read_text() == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"
    page.write_text("no markers")
    with pytest.raises(ValueError, match="no markers"):
        report.write(page, "new")


def test_stacks_become_shares_by_who_computes_and_by_function_of_ours(tmp_path: Path) -> None:
    packages = "/venv/lib/python3.11/site-packages"
    stacks = tmp_path / "stacks"
    stacks.write_text(
        f"run (/home/x/app/frame/alone.py:7);execute ({packages}/sqlalchemy/engine/base.py:1) 3\n"
        "run (/home/x/app/frame/alone.py:7);start (/home/x/telemetry/tracing.py:9) 1\n"
    )
    profile = profiling.read(stacks)
    assert profile.samples == 4
    assert profile.own == {"SQLAlchemy": 3, "our telemetry": 1}
    assert profile.functions == {
        "`app/frame/alone.py` run": 4,
        "`telemetry/tracing.py` start": 1,
    }
    assert "| SQLAlchemy | 75.0% | 750 |" in profile.summary(microseconds_per_journey=1000)
