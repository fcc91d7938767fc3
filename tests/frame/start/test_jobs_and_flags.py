"""Background jobs go on, and flags follow their file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

import httpx
import orjson
import pytest

from app.frame.flags import FAULTS, Flags, resting_state
from app.frame.start.jobs import (
    FAILING_SECONDS,
    IDLE_FACTOR,
    Job,
    Outage,
    Turn,
    peer_is_away,
    run_job,
)
from app.kernel.errors import CannotStart, Unavailable
from rigs.processes import wait_until
from telemetry.testing import capture

_STAMPS = count(1)


async def test_a_failing_job_is_logged_and_goes_on() -> None:
    turns: list[int] = []
    enough = asyncio.Event()

    async def work() -> None:
        turns.append(len(turns))
        if len(turns) == 1:
            raise ZeroDivisionError
        if len(turns) == 2:
            raise Unavailable("the catalogue is away")
        enough.set()

    with capture("advisor") as signals:
        task = asyncio.create_task(run_job(Job("work", 0.001, work), signals.telemetry))
        async with asyncio.timeout(10):
            await enough.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        assert task.cancelled()
        assert [line["error"] for line in signals.logged("job.failed")] == ["ZeroDivisionError"]
        assert [line["detail"] for line in signals.logged("job.unavailable")] == [
            "the catalogue is away"
        ]


def _refused(status: int) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", "http://catalog/internal/catalog/events")
    return httpx.HTTPStatusError("", request=request, response=httpx.Response(status))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Unavailable("the catalogue is away"), "the catalogue is away"),
        (httpx.ConnectError("refused"), "ConnectError: refused"),
        (httpx.ReadTimeout("no answer"), "ReadTimeout: no answer"),
        (_refused(503), "/internal/catalog/events answers 503"),
        (_refused(500), None),
        (_refused(404), None),
        (ZeroDivisionError(), None),
    ],
)
def test_a_peer_that_is_away_is_told_from_a_failure_of_ours(
    error: Exception, reason: str | None
) -> None:
    assert peer_is_away(error) == reason


async def test_a_peer_that_stays_away_is_one_line_until_it_was_back() -> None:
    turns = iter([httpx.ConnectError("refused")] * 4 + [None, httpx.ReadTimeout("slow")])
    enough = asyncio.Event()

    async def work() -> None:
        error = next(turns, enough)
        if error is enough:
            enough.set()
        elif isinstance(error, Exception):
            raise error

    with capture("checkout") as signals:
        task = asyncio.create_task(run_job(Job("consume", 0.001, work), signals.telemetry))
        async with asyncio.timeout(20):
            await enough.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        told = [(line["level"], line["detail"]) for line in signals.logged("job.unavailable")]
        assert told == [("warning", "ConnectError: refused"), ("warning", "ReadTimeout: slow")]
        assert signals.logged("job.failed") == []


def test_a_long_outage_is_told_of_once_a_minute() -> None:
    outage, told = Outage(), []
    for second in range(0, 180, 5):
        outage, tell = outage.goes_on("away", now=1000.0 + second)
        told += [second] if tell else []
    assert told == [0, 60, 120]


def test_an_idle_job_slows_down_and_hurries_again_when_there_is_work() -> None:
    turn, pauses = Turn(0.3), []
    for result in (0, 0, 0, 0, 5, None, True):
        turn = turn.after(result)
        pauses.append(round(turn.pause, 3))

    assert pauses == [0.45, 0.675, 0.9, 0.9, 0.3, 0.3, 0.3]
    assert pauses[3] == pytest.approx(0.3 * IDLE_FACTOR)


def test_a_failing_job_is_tried_less_often_but_not_less_than_every_few_seconds() -> None:
    often, rarely = Turn(0.3), Turn(60.0)
    for _ in range(10):
        often, rarely = often.after_failure(), rarely.after_failure()

    assert (often.pause, rarely.pause) == (FAILING_SECONDS, 60.0)
    assert often.after(3).pause == 0.3


def test_a_job_rests_the_longer_the_longer_it_took() -> None:
    async def work() -> None: ...

    assert [Job("check", 15.0, work, share=share).rest(2.0) for share in (1.0, 0.5, 0.02)] == [
        0.0,
        2.0,
        pytest.approx(98.0),
    ]


def _write(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    stamp = path.stat().st_mtime + next(_STAMPS)  # two writes within a clock tick differ
    os.utime(path, (stamp, stamp))


def _with(**values: float | bool) -> bytes:
    document: dict[str, object] = resting_state()
    flags = document["flags"]
    assert isinstance(flags, dict)
    for name, value in values.items():
        flags[name.replace("_", "-")] |= {"variants": {"on": value}, "defaultVariant": "on"}
    return orjson.dumps(document)


def _seen(condition: Callable[[], bool]) -> None:
    wait_until(condition, timeout_seconds=10, what="the changed flag")


def test_every_flag_is_at_rest_in_a_fresh_file(tmp_path: Path) -> None:
    flags = Flags(tmp_path / "new" / "flags.json")

    assert flags.active() == dict.fromkeys(FAULTS, False)
    assert (tmp_path / "new" / "flags.json").exists()
    flags.close()


def test_a_changed_file_is_read_and_a_damaged_one_keeps_the_last_good_state(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "flags.json"
    flags = Flags(path)
    _write(path, _with(sandbox_latency_seconds=2.5))
    _seen(lambda: flags.number("sandbox-latency-seconds") == 2.5)
    active = flags.active()

    caplog.clear()
    _write(path, b"{ damaged")
    _seen(lambda: len(caplog.messages) == 1)
    _write(path, b"[]")
    _seen(lambda: len(caplog.messages) == 2)
    path.rename(path.with_suffix(".away"))
    _seen(lambda: len(caplog.messages) == 3)
    still = flags.number("sandbox-latency-seconds")
    _write(path, _with(checkout_payments_enabled=False))
    _seen(lambda: not flags.enabled("checkout-payments-enabled"))

    assert [name for name, on in active.items() if on] == ["sandbox-latency-seconds"]
    assert still == 2.5
    assert flags.number("sandbox-latency-seconds") == 0.0
    flags.close()
    assert flags.enabled("checkout-payments-enabled")


def test_a_flag_of_the_wrong_kind_or_missing_is_at_rest(tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    document: dict[str, object] = {"flags": {"sandbox-error-ratio": {"state": "ENABLED",
        "variants": {"on": "often"}, "defaultVariant": "on"}}}  # fmt: skip
    path.write_bytes(orjson.dumps(document))
    flags = Flags(path)

    assert (flags.number("sandbox-error-ratio"), flags.number("sandbox-latency-seconds")) == (0, 0)
    flags.close()


def test_a_rule_of_a_flag_is_asked_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "flags.json"
    early = {"<": [{"var": "$flagd.timestamp"}, 100]}
    document: dict[str, object] = {"flags": {"sandbox-latency-seconds": {"state": "ENABLED",
        "variants": {"on": 2.0, "rest": 0.0}, "defaultVariant": "rest",
        "targeting": {"if": [early, "on", "rest"]}}}}  # fmt: skip
    path.write_bytes(orjson.dumps(document))
    flags, seen = Flags(path), []
    for now in (99.0, 101.0):
        monkeypatch.setattr("time.time", lambda now=now: now)
        seen.append(flags.number("sandbox-latency-seconds"))
    monkeypatch.undo()

    assert seen == [2.0, 0.0]
    flags.close()


def test_two_platforms_of_one_process_have_flags_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(_with(sandbox_error_ratio=0.5))
    one, other = Flags(tmp_path / "a.json"), Flags(tmp_path / "b.json")

    assert (one.number("sandbox-error-ratio"), other.number("sandbox-error-ratio")) == (0.5, 0)
    other.close()
    assert one.number("sandbox-error-ratio") == 0.5
    one.close()


def test_a_file_that_is_damaged_from_the_start_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "flags.json").write_text("{")

    with pytest.raises(CannotStart, match="cannot be read as JSON"):
        Flags(tmp_path / "flags.json")
