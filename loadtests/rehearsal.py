"""Rehearsals from end to end: load, evidence, verdict, report."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from loadtests.drills.drill import Drill, findings_of, run_drill
from loadtests.drills.receiver import Receiver
from loadtests.generator import Load, generating
from loadtests.stack import CannotRehearse, Stack
from loadtests.verdict.gather import gather
from loadtests.verdict.judge import Verdict, judge, judge_truths
from loadtests.verdict.report import write_report
from loadtests.verdict.timelines import gather_timelines
from loadtests.watching import AlertmanagerApi, PrometheusApi

Say = Callable[[str], None]

REHEARSAL_SCALE = 12.0
"""Alert windows are divided by this in rehearsals: an hour becomes five minutes."""
DRILL_SECONDS_SPARE = 60.0
DRILL_PACE = 0.05
VERDICT, REPORT = "verdict.json", "report.html"


@dataclass(frozen=True, slots=True)
class Watching:
    """Who must notice a drill's fault (`drills.drill.Watchers`)."""

    prometheus: PrometheusApi
    alertmanager: AlertmanagerApi
    receiver: Receiver


def rehearse(title: str, load: Load, stack: Stack, folder: Path, say: Say) -> Verdict:
    """A healthy day under load, judged by everything. Report and verdict are in `folder`."""
    say(f"{load.shape}: {load.seconds:.0f} s at {load.base_rate:g} shoppers/s times the shape")
    with generating(
        load, host=stack.base_url, synthetic_key=stack.synthetic_key, folder=folder
    ) as generator:
        generator.wait()
    say("the last shopper left; waiting for the ledger to catch up")
    record = gather(folder, books=stack.books, prometheus=stack.prometheus)
    verdict = judge(record, title=title)
    verdict.save(folder / VERDICT)
    timelines = gather_timelines(stack.prometheus, record.window)
    write_report(folder / REPORT, verdict, record, timelines)
    return verdict


def rehearse_drill(
    drill: Drill, stack: Stack, receiver: Receiver, folder: Path, seed: int, say: Say
) -> Verdict:
    """One drill under load: the fault must be noticed and cleared, and no business truth broken."""
    if stack.flags_file is None:
        raise CannotRehearse("a drill needs --flags-file to inject its fault")
    known = stack.prometheus.alert_names()
    if drill.alert not in known:
        raise CannotRehearse(f"Prometheus has no rule {drill.alert}; it has {', '.join(known)}")
    # Longer than the drill can take, so that shoppers never stop before it has cleared.
    seconds = (
        drill.baseline_seconds + drill.detect_within + drill.clear_within + DRILL_SECONDS_SPARE
    )
    load = Load("smoke", drill.mix, drill.base_rate, seconds, DRILL_PACE, seed, 30.0)
    with generating(
        load, host=stack.base_url, synthetic_key=stack.synthetic_key, folder=folder
    ) as generator:
        _wait_for_visits(folder)
        timeline = run_drill(
            drill,
            Watching(stack.prometheus, stack.alertmanager, receiver),
            stack.flags_file,
            say,
        )
        say("closing the doors; waiting for the last shoppers")
        generator.close_doors()
        generator.wait()
    record = gather(folder, books=stack.books, prometheus=stack.prometheus)
    verdict = judge_truths(record, title=f"Drill {drill.name}", also=findings_of(timeline))
    verdict.save(folder / VERDICT)
    timelines = gather_timelines(stack.prometheus, record.window)
    write_report(folder / REPORT, verdict, record, timelines, drill=timeline)
    return verdict


def _wait_for_visits(folder: Path) -> None:
    """Wait until the first shopper has been and gone: the generator runs."""
    deadline = time.monotonic() + 60.0
    visits = folder / "visits.jsonl"
    while not (visits.exists() and visits.stat().st_size):
        if time.monotonic() > deadline:
            raise CannotRehearse(f"no shopper arrived within a minute; see {folder}")
        time.sleep(0.2)
