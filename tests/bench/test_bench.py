"""The benchmark's verdict, its page, and how stacks become shares."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench import profiling, report, revision
from bench.journey import Journey
from bench.rounds import Load, Subject
from bench.stack import CannotMeasure


def _load(rate: int, *, cpu: float = 2.0, slowest: float = 40.0, foreign: float = 0.0) -> Load:
    """A second of `rate` journeys; `cpu` is checkout's per journey, both in milliseconds."""
    one = Journey(0.0, 0.0, slowest / 1000, 0.0)
    return Load(
        (one,) * rate,
        seconds=1.0,
        generator_cores=0.1,
        checkout_cores=cpu * rate / 1000,
        postgres_cores=rate / 1000,
        foreign_cores=foreign,
    )


def _subject(name: str, *loads: Load) -> Subject:
    return Subject(name, loads, [_load(100, slowest=5.0) for _ in loads])


def _judged(
    load: Load,
    *,
    base: Load | None = None,
    database: str = "postgresql",
    booked: Sequence[str] = (),
) -> int:
    """The exit code for one round beside 2000 transactions of pgbench."""
    subjects = {database: _subject(database, load)}
    if base is not None:
        subjects[f"{database}-base"] = Subject(f"{database}-base", [base])
    return report.exit_code(report.findings(subjects, pgbench=[2000], booked=booked))


@pytest.mark.parametrize(
    ("load", "database", "code"),
    [
        (_load(300), "postgresql", 0),
        (_load(299), "postgresql", 1),
        (_load(260), "sqlite", 0),
        (_load(259), "sqlite", 1),
        (_load(300, slowest=40.0), "postgresql", 0),
        (_load(300, slowest=40.1), "postgresql", 1),
        (_load(300, foreign=0.3), "postgresql", 0),
        (_load(300, foreign=0.5), "postgresql", 2),
        (_load(100, foreign=0.5), "postgresql", 2),
    ],
)
def test_fast_enough_too_slow_and_cannot_tell_are_three_exit_codes(
    load: Load, database: str, code: int
) -> None:
    assert _judged(load, database=database) == code


def test_three_quarters_of_the_bases_cpu_is_as_good_as_the_rate() -> None:
    base = _load(150, cpu=2.0)
    assert _judged(_load(200, cpu=1.5), base=base) == 0
    assert _judged(_load(200, cpu=1.51), base=base) == 1
    assert _judged(_load(300, cpu=2.0), base=base) == 0
    assert _judged(_load(200, cpu=1.5), base=None) == 1


def test_books_that_disagree_make_a_fast_run_say_nothing() -> None:
    assert _judged(_load(300), booked=["300 journeys and 299 confirmed orders"]) == 2


def test_a_round_is_compared_with_what_was_measured_in_it() -> None:
    loads = _load(100, cpu=1.0), _load(300, cpu=3.0), _load(200, cpu=2.0)
    subject = _subject("postgresql", *loads)
    base = Subject("postgresql-base", [_load(100, cpu=cpu) for cpu in (2.0, 4.0, 4.0)])
    assert subject.per_transaction([1000, 1000, 2000]) == pytest.approx(0.1)
    assert subject.cpu_of(base) == pytest.approx(0.5)
    assert subject.stretch == pytest.approx(8.0)


def test_other_workers_are_reported_and_not_judged() -> None:
    pair, base = Subject("postgresql-pair", [_load(10)]), Subject("postgresql-base", [_load(10)])
    subjects = {"postgresql": _subject("postgresql", _load(300)), pair.name: pair, base.name: base}
    found = report.findings(subjects, pgbench=[2000], booked=[])
    assert report.verdict(found).split("\n") == [
        "- holds: the books agree: yes",
        (
            "- holds: PostgreSQL: 0.150 journeys per pgbench transaction (at least 0.15),"
            " or 1.00 of the base's CPU per journey (at most 0.75)"
        ),
        "- holds: PostgreSQL: p99 is 8.0 times p50 of one shopper (at most 8)",
        "- holds: the load generator used 0.10 of its core (at most 0.8)",
        "- holds: other programs used 0.00 cores (at most 0.3)",
    ]


def test_the_table_has_a_column_per_checkout_and_blanks_where_nothing_was_measured() -> None:
    base = Subject("postgresql-base", [_load(250, cpu=4.0)])
    subjects = {"postgresql": _subject("postgresql", _load(300)), base.name: base}
    text = report.table(subjects, pgbench=[2000])
    assert "|  | PostgreSQL | PostgreSQL, base |" in text
    assert "| journeys per second, 16 shoppers | 300.0 | 250.0 |" in text
    assert "| **journeys per pgbench transaction** | **0.150** | **0.125** |" in text
    assert "| CPU of checkout per journey, ms | 2.00 | 4.00 |" in text
    assert "| **as a share of the base's** | **0.50** |  |" in text
    assert "| CPU of PostgreSQL per journey, ms | 1.00 | 1.00 |" in text
    assert "| journey p50, one shopper, ms | 5.0 |  |" in text
    assert "| p99 of 16 over p50 of one | 8.0 |  |" in text


def test_no_base_is_no_code(tmp_path: Path) -> None:
    assert revision.code_of("none", tmp_path) is None


@pytest.mark.integration
def test_the_base_is_the_code_of_its_revision_and_of_no_other(tmp_path: Path) -> None:
    repository, code = tmp_path / "repository", tmp_path / "code"

    def git(*words: str) -> None:
        own = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(repository), *own, *words], check=True)

    repository.mkdir()
    git("init", "--quiet")
    for text in ("old", "new"):
        (repository / "rule.py").write_text(text)
        git("add", "rule.py")
        git("commit", "--quiet", "--message", text)
    assert revision.code_of("HEAD~1", code, repository=repository) == code
    assert (code / "rule.py").read_text() == "old"
    for unknown in ("1234567", "--output=elsewhere"):
        with pytest.raises(CannotMeasure, match="--base none"):
            revision.code_of(unknown, code, repository=repository)


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
