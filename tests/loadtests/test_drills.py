"""A drill sees what the watchers see, times it, and lifts its fault whatever happens."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from loadtests.drills.book import DRILLS
from loadtests.drills.drill import NOTIFIED, RESOLVED, Drill, Timeline, findings_of, run_drill
from loadtests.drills.payment_brownout import PAYMENT_BROWNOUT
from loadtests.drills.receiver import Receiver
from loadtests.verdict.finding import Result
from loadtests.watching import AlertmanagerApi, PrometheusApi
from tests.loadtests.standin import Standin

pytestmark = pytest.mark.integration

DRILL = replace(PAYMENT_BROWNOUT, baseline_seconds=0.7, detect_within=3.0, clear_within=3.0)

IMPATIENT = replace(DRILL, detect_within=0.8, clear_within=0.8)
"""For drills that must fail: nobody waits longer than the test has to."""


@dataclass
class Scene:
    """Scripted watchers: the alert follows the flags file, unless the script says otherwise."""

    watchers: Standin
    receiver: Receiver
    flags: Path
    prometheus: PrometheusApi
    alertmanager: AlertmanagerApi
    tells: bool = True
    notices: bool = True
    clears: bool = True
    drill: Drill = DRILL

    def say(self, sentence: str) -> None:
        """The drill's progress lines drive the script."""
        if sentence.startswith("injecting") and self.notices:
            self.watchers.alert_states[:] = ["pending"]
        elif sentence.startswith("pending"):
            self.watchers.alert_states[:] = ["firing"]
        elif sentence.startswith("firing") and self.tells:
            self._notify("firing")
        elif sentence == "fault lifted" and self.clears:
            self.watchers.alert_states.clear()
            if self.tells:
                self._notify("resolved")

    def _notify(self, status: str) -> None:
        alerts = [{"status": status, "labels": {"alertname": DRILL.alert}}]
        httpx.post(self.receiver.url, json={"alerts": alerts}, trust_env=False)

    def latency(self) -> float:
        flag = json.loads(self.flags.read_text())["flags"].get("sandbox-latency-seconds")
        return float(flag["variants"][flag["defaultVariant"]]) if flag else 0.0

    def run(self) -> Timeline:
        return run_drill(self.drill, self, self.flags, self.say)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    flags = tmp_path / "flags.json"
    flags.write_text('{"flags": {}}')
    with Standin() as watchers, Receiver() as receiver:
        url = watchers.url
        yield Scene(watchers, receiver, flags, PrometheusApi(url), AlertmanagerApi(url))


def _failed(timeline: Timeline) -> set[str]:
    return {f.title for f in findings_of(timeline) if f.result is not Result.PASS}


def test_a_fault_that_everybody_notices_and_that_clears_passes(scene: Scene) -> None:
    timeline = scene.run()
    detected = timeline.seconds(NOTIFIED, timeline.injected_at)
    cleared = timeline.seconds(RESOLVED, timeline.lifted_at)
    assert _failed(timeline) == set()
    assert detected is not None
    assert cleared is not None
    assert 0 <= detected <= DRILL.detect_within
    assert 0 <= cleared <= DRILL.clear_within
    assert scene.latency() == 0.0


def test_an_alert_that_nobody_is_told_of_fails(scene: Scene) -> None:
    scene.tells, scene.drill = False, IMPATIENT
    assert _failed(scene.run()) == {
        "Webhook delivered",
        "Resolution delivered",
        "Seconds to detect",
        "Seconds to clear",
    }


def test_a_fault_that_nobody_notices_fails_and_is_lifted(scene: Scene) -> None:
    scene.notices, scene.drill = False, IMPATIENT
    assert _failed(scene.run()) >= {"Pending in Prometheus", "Seconds to detect"}
    assert scene.latency() == 0.0


def test_an_alert_that_never_clears_fails(scene: Scene) -> None:
    scene.clears, scene.drill = False, IMPATIENT
    assert _failed(scene.run()) == {
        "Inactive in Prometheus",
        "Resolution delivered",
        "Seconds to clear",
    }


def test_an_alert_that_fires_before_the_fault_fails(scene: Scene) -> None:
    scene.watchers.alert_states[:] = ["firing"]
    assert "Silent before" in _failed(scene.run())


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"alert_states": ["pending"]}, Result.FAIL),
        ({"rule_health": "err"}, Result.INVALID),
        ({"rule_health": "unknown"}, Result.INVALID),
        ({"target_health": "down"}, Result.INVALID),
        ({"evaluates": False}, Result.INVALID),
        ({"prometheus_answers": False}, Result.INVALID),
        ({}, Result.PASS),
    ],
)
def test_silence_counts_only_in_a_prometheus_that_is_well(
    scene: Scene, state: dict[str, Any], says: Result
) -> None:
    for name, value in state.items():
        setattr(scene.watchers, name, value)
    scene.drill = replace(DRILL, baseline_seconds=0.7, detect_within=0.0, clear_within=0.0)
    baseline = next(f for f in findings_of(scene.run()) if f.check == "baseline_quiet")
    assert baseline.result is says


def test_an_interrupted_drill_lifts_its_fault(scene: Scene) -> None:
    seen: list[float] = []

    def interrupt(sentence: str) -> None:
        if sentence.startswith("pending"):
            seen.append(scene.latency())
            raise KeyboardInterrupt
        scene.say(sentence)

    with pytest.raises(KeyboardInterrupt):
        run_drill(DRILL, scene, scene.flags, interrupt)
    assert (seen, scene.latency()) == ([5.0], 0.0)


def test_the_receiver_passes_notifications_on(scene: Scene) -> None:
    with Receiver() as console:
        scene.receiver.forward_to = console.url
        scene.say("firing in Prometheus")
        assert [note.name for note in console.notifications()] == [DRILL.alert]


def test_a_console_that_is_down_does_not_stop_the_receiver(scene: Scene) -> None:
    with Receiver() as console:
        gone = console.url
    scene.receiver.forward_to = gone
    scene.say("firing in Prometheus")
    assert [note.status for note in scene.receiver.notifications()] == ["firing"]


def test_drills_are_named_and_leave_time_to_notice() -> None:
    assert {name: drill.name for name, drill in DRILLS.items()} == {name: name for name in DRILLS}
    assert all(drill.detect_within > 0 and drill.clear_within > 0 for drill in DRILLS.values())
