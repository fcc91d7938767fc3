"""What a drill is: well under load, broken on purpose, noticed by everyone who must, well again.

The stages and their times are data; `run_drill` waits for each of them in the real Prometheus, the
real Alertmanager and at the end of the real webhook. The fault is lifted however the drill ends.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from loadtests.drills.receiver import Receiver
from loadtests.faults.flags import Fault, injected
from loadtests.verdict.finding import Finding, Result, passed
from loadtests.watching import Alert, AlertmanagerApi, CannotAsk, PrometheusApi

POLL_SECONDS = 0.2

LEAST_LOOKS = 3
"""A baseline is looked at this often, however slowly Prometheus answers."""


@dataclass(frozen=True, slots=True)
class Drill:
    """A fault and the alert that must notice it. Times in seconds, at rehearsal scale.

    `baseline_seconds` is how long the shop must be well before, `detect_within` and `clear_within`
    are what the drill requires, from injection to the notification and from lifting to `resolved`.
    """

    name: str
    description: str
    fault: Fault
    alert: str
    baseline_seconds: float
    detect_within: float
    clear_within: float
    base_rate: float
    mix: str = "drill"


@dataclass(frozen=True, slots=True)
class Stage:
    """Something that happened, or did not (`at` is None); Unix seconds."""

    name: str
    at: float | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happened when.

    `early` names the drill's alert when it was seen before the fault; `unsure` says why silence
    before it would prove nothing.
    """

    drill: Drill
    started_at: float
    injected_at: float | None
    lifted_at: float | None
    stages: tuple[Stage, ...]
    early: tuple[str, ...] = ()
    unsure: str = ""

    def seconds(self, stage: str, since: float | None) -> float | None:
        """Seconds from `since` to the stage; None when either never happened."""
        at = next((each.at for each in self.stages if each.name == stage), None)
        return None if at is None or since is None else at - since


class Watchers(Protocol):
    """Who must notice."""

    @property
    def prometheus(self) -> PrometheusApi: ...
    @property
    def alertmanager(self) -> AlertmanagerApi: ...
    @property
    def receiver(self) -> Receiver: ...


PENDING, FIRING = "pending in Prometheus", "firing in Prometheus"
RECEIVED, NOTIFIED = "received by Alertmanager", "webhook delivered"
QUIET, RESOLVED = "inactive in Prometheus", "resolution delivered"

Say = Callable[[str], None]


def run_drill(drill: Drill, watchers: Watchers, flags_file: Path, say: Say) -> Timeline:
    """Run the stages under a load that somebody else makes.

    Returns also when a stage did not happen in its time: the verdict says which.
    """
    started = time.time()
    say(f"healthy baseline for {drill.baseline_seconds:.0f} s")
    early, unsure = _watch_quiet(drill, watchers)
    say(f"injecting: {drill.fault.description}")
    with injected(flags_file, drill.fault):
        injected_at = time.time()
        seen = _detect(drill, watchers, injected_at, say)
    lifted_at = time.time()
    say("fault lifted")
    cleared = _clear(drill, watchers, lifted_at, say)
    return Timeline(drill, started, injected_at, lifted_at, (*seen, *cleared), early, unsure)


def _watch_quiet(drill: Drill, watchers: Watchers) -> tuple[tuple[str, ...], str]:
    """The drill's alert when it is pending or firing, and why silence would prove nothing.

    Silence counts when Prometheus answered each time, was well, and evaluated the rule meanwhile.
    """
    prometheus, spoilt, unsure = watchers.prometheus, False, ""
    deadline = time.monotonic() + drill.baseline_seconds
    evaluations: set[str] = set()
    looks = 0
    while time.monotonic() < deadline or looks < LEAST_LOOKS:
        looks += 1
        try:
            spoilt = spoilt or any(alert.name == drill.alert for alert in prometheus.alerts())
            unsure = unsure or prometheus.unwell(drill.alert) or ""
            evaluations.add(prometheus.evaluated_at(drill.alert))
        except CannotAsk as error:
            unsure = unsure or str(error)
        time.sleep(POLL_SECONDS)
    if not unsure and len(evaluations) < 2:
        unsure = f"rule {drill.alert} was not evaluated during the baseline"
    return (drill.alert,) if spoilt else (), unsure


def _detect(
    drill: Drill, watchers: Watchers, since: float, say: Say
) -> tuple[Stage, Stage, Stage, Stage]:
    """Wait until the alert is pending, firing, received and notified."""
    at: dict[str, float] = {}

    def look() -> bool:
        state = _state_in(watchers.prometheus, drill.alert)
        # Between two looks it may have gone from pending to firing.
        if state in ("pending", "firing"):
            _mark(at, PENDING, say)
        if state == "firing":
            _mark(at, FIRING, say)
        if any(alert.name == drill.alert for alert in _active_in(watchers.alertmanager)):
            # Prometheus only sends what fires; we may have asked it a moment too early.
            _mark(at, FIRING, say)
            _mark(at, RECEIVED, say)
        note = watchers.receiver.first(drill.alert, "firing", since=since)
        if note is not None:
            _mark(at, NOTIFIED, say, note.at)
        return len(at) == 4

    _wait(look, drill.detect_within)
    names = (PENDING, FIRING, RECEIVED, NOTIFIED)
    first, second, third, fourth = (Stage(name, at.get(name)) for name in names)
    return first, second, third, fourth


def _clear(drill: Drill, watchers: Watchers, since: float, say: Say) -> tuple[Stage, Stage]:
    """Wait until the alert is gone and its resolution was delivered."""
    at: dict[str, float] = {}

    def look() -> bool:
        if _state_in(watchers.prometheus, drill.alert) is None:
            _mark(at, QUIET, say)
        note = watchers.receiver.first(drill.alert, "resolved", since=since)
        if note is not None:
            _mark(at, RESOLVED, say, note.at)
        return len(at) == 2

    _wait(look, drill.clear_within)
    return Stage(QUIET, at.get(QUIET)), Stage(RESOLVED, at.get(RESOLVED))


def findings_of(timeline: Timeline) -> tuple[Finding, ...]:
    """The drill's own checks: a quiet baseline, detection, clearing, each in its time."""
    drill = timeline.drill
    detected = timeline.seconds(NOTIFIED, timeline.injected_at)
    cleared = timeline.seconds(RESOLVED, timeline.lifted_at)
    return (
        Finding(
            check="baseline_quiet",
            title="Silent before",
            weight="promise",
            result=_quiet(timeline),
            measured=", ".join(timeline.early)
            or (f"cannot tell: {timeline.unsure}" if timeline.unsure else f"{drill.alert} silent"),
            required=f"{drill.alert} neither pending nor firing for {drill.baseline_seconds:.0f} s"
            " under load, in a Prometheus that is well",
            meaning="An alert that fires on a healthy shop proves nothing on a broken one.",
        ),
        *(
            Finding(
                check=f"stage_{number}",
                title=stage.name[0].upper() + stage.name[1:],
                weight="promise",
                result=passed(stage.at is not None),
                measured=_after(stage, timeline),
                required="seen",
            )
            for number, stage in enumerate(timeline.stages, start=1)
        ),
        _timed("detected", "Seconds to detect", detected, drill.detect_within),
        _timed("cleared", "Seconds to clear", cleared, drill.clear_within),
    )


def _quiet(timeline: Timeline) -> Result:
    if timeline.early:
        return Result.FAIL
    return Result.INVALID if timeline.unsure else Result.PASS


def _timed(check: str, title: str, seconds: float | None, within: float) -> Finding:
    return Finding(
        check=check,
        title=title,
        weight="promise",
        result=Result.FAIL if seconds is None else passed(seconds <= within),
        measured="never" if seconds is None else f"{seconds:.1f} s",
        required=f"at most {within:.0f} s at rehearsal scale",
        meaning="From the fault's start to the webhook's arrival."
        if check == "detected"
        else "From the fault's end to the webhook that says resolved.",
    )


def _after(stage: Stage, timeline: Timeline) -> str:
    detecting = stage.name in (PENDING, FIRING, RECEIVED, NOTIFIED)
    since = timeline.injected_at if detecting else timeline.lifted_at
    if stage.at is None or since is None:
        return "never"
    return f"{stage.at - since:.1f} s after the fault {'began' if detecting else 'ended'}"


def _state_in(prometheus: PrometheusApi, name: str) -> str | None:
    """The alert's loudest state now; None while inactive, `unknown` when nobody answers."""
    try:
        states = {alert.state for alert in prometheus.alerts() if alert.name == name}
    except CannotAsk:
        return "unknown"
    return "firing" if "firing" in states else next(iter(states), None)


def _active_in(alertmanager: AlertmanagerApi) -> tuple[Alert, ...]:
    try:
        return alertmanager.alerts()
    except CannotAsk:
        return ()


def _mark(at: dict[str, float], stage: str, say: Say, when: float | None = None) -> None:
    if stage not in at:
        at[stage] = time.time() if when is None else when
        say(stage)


def _wait(look: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not look() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
