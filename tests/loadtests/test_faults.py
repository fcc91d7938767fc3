"""A fault is injected whole, and lifted however the drill ends."""

import json
from pathlib import Path

import pytest

from loadtests.faults.flags import Fault, FlagsUnreadable, injected, turn
from loadtests.faults.sandbox import BROWNOUT

REST = {
    "flags": {
        "sandbox-latency-seconds": {
            "state": "ENABLED",
            "variants": {"rest": 0.0},
            "defaultVariant": "rest",
        },
        "checkout-payments-enabled": {
            "state": "ENABLED",
            "variants": {"on": True, "off": False},
            "defaultVariant": "on",
        },
    }
}


@pytest.fixture
def flags_file(tmp_path: Path) -> Path:
    path = tmp_path / "flags.json"
    path.write_text(json.dumps(REST))
    return path


def _values(path: Path) -> dict[str, object]:
    flags = json.loads(path.read_text())["flags"]
    return {key: flag["variants"][flag["defaultVariant"]] for key, flag in flags.items()}


def test_a_fault_holds_for_the_block_and_leaves_no_trace(flags_file: Path) -> None:
    fault = Fault("both", "", {"sandbox-latency-seconds": 5.0, "checkout-payments-enabled": False})
    with injected(flags_file, fault):
        assert _values(flags_file) == {
            "sandbox-latency-seconds": 5.0,
            "checkout-payments-enabled": False,
        }
    assert json.loads(flags_file.read_text()) == REST
    assert list(flags_file.parent.iterdir()) == [flags_file]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError])
def test_an_interrupted_drill_lifts_its_fault(
    flags_file: Path, interruption: type[BaseException]
) -> None:
    with pytest.raises(interruption), injected(flags_file, BROWNOUT):
        raise interruption
    assert _values(flags_file)["sandbox-latency-seconds"] == 0.0


def test_a_flag_that_the_file_does_not_have_yet_goes_back_to_rest(flags_file: Path) -> None:
    with injected(flags_file, BROWNOUT):
        assert _values(flags_file)["sandbox-error-ratio"] == BROWNOUT.flags["sandbox-error-ratio"]
    assert _values(flags_file)["sandbox-error-ratio"] == 0.0


def test_what_a_drill_killed_with_9_left_behind_is_lifted_by_the_next(flags_file: Path) -> None:
    turn(flags_file, BROWNOUT.flags)
    with injected(flags_file, BROWNOUT):
        assert _values(flags_file)["sandbox-latency-seconds"] == 5.0
    assert _values(flags_file)["sandbox-latency-seconds"] == 0.0


def test_readers_never_see_half_a_file(flags_file: Path) -> None:
    with flags_file.open() as held_open:
        turn(flags_file, BROWNOUT.flags)
        assert json.loads(held_open.read()) == REST  # the old file, whole


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"flags": []}'])
def test_a_file_in_another_format_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "flags.json"
    path.write_text(text)
    with pytest.raises(FlagsUnreadable):
        turn(path, BROWNOUT.flags)
    assert path.read_text() == text
