"""Lines are JSON that a log store can rely on, and readable text when a person asks for it."""

import io
import logging
import sys
import threading
from datetime import UTC, datetime

import orjson
import pytest

from telemetry.logs import LineWriter, logger_for, rfc3339
from telemetry.testing import capture


def test_every_line_says_when_what_where_and_in_which_trace() -> None:
    with capture("checkout") as signals:
        with signals.telemetry.tracer.start_as_current_span("order") as span:
            signals.telemetry.log.warning("payment_slow", provider="sandbox", seconds=4.5)
        context = span.get_span_context()
        (line,) = signals.logs
        stamp = line.pop("timestamp")
        assert line == {
            "level": "warning",
            "event": "payment_slow",
            "service": "checkout",
            "trace_id": f"{context.trace_id:032x}",
            "span_id": f"{context.span_id:016x}",
            "provider": "sandbox",
            "seconds": 4.5,
        }
        assert datetime.fromisoformat(stamp).tzinfo == UTC


def test_outside_a_span_there_is_no_trace_id() -> None:
    with capture("checkout") as signals:
        signals.telemetry.log.info("started")
        assert set(signals.logs[0]) == {"timestamp", "level", "event", "service"}


def test_levels_below_the_chosen_one_are_not_written() -> None:
    with capture("checkout", log_level="warning") as signals:
        signals.telemetry.log.info("small")
        signals.telemetry.log.error("big")
        assert [line["event"] for line in signals.logs] == ["big"]


def test_an_exception_is_one_field_with_its_traceback() -> None:
    with capture("checkout") as signals:
        try:
            raise ValueError("bad card 4242 4242 4242 4242")
        except ValueError:
            signals.telemetry.log.exception("payment_failed")
        (line,) = signals.logs
        assert (line["level"], line["exception_type"]) == ("error", "ValueError")
        assert line["exception"].startswith("Traceback (most recent call last)")
        assert line["exception"].endswith("ValueError: bad card [redacted]\n")


def test_values_that_json_does_not_know_become_text() -> None:
    with capture("checkout") as signals:
        signals.telemetry.log.info("odd", path=threading.Event, when={1, 2}, count={3: "x"})
        (line,) = signals.logs
        assert line["when"] == [1, 2]
        assert line["count"] == {"3": "x"}
        assert "Event" in line["path"]


def test_the_console_line_is_for_people() -> None:
    stream = io.StringIO()
    log = logger_for("checkout", LineWriter(stream), log_format="console")
    log.info("order_placed", car_id="car-7", email="a@b.se")
    text = stream.getvalue()
    assert "checkout" in text
    assert text.endswith("order_placed car_id=car-7 email=[redacted]\n")
    assert "{" not in text


@pytest.mark.parametrize("seconds", [0.0, 1795322188.341847, 1795322188.999999, 1795322189.0])
def test_time_stamps_are_rfc_3339_in_utc(seconds: float) -> None:
    found = datetime.fromisoformat(rfc3339(seconds))
    assert abs(found.timestamp() - seconds) < 2e-6
    assert rfc3339(seconds).endswith("Z")


def test_uvicorns_lines_arrive_as_ours_and_everything_is_put_back() -> None:
    uvicorn = logging.getLogger("uvicorn.error")
    access = logging.getLogger("uvicorn.access")
    before = (uvicorn.handlers, uvicorn.propagate, access.disabled, logging.getLogger().handlers)
    with capture("checkout") as signals:
        signals.telemetry.adopt_stdlib_logging()
        uvicorn.info("Application startup complete.")
        access.info("GET / 200")
        logging.getLogger("somebody").info("quiet")
        logging.getLogger("somebody").error("lost %s of %s", 1, 2)
        found = [(line["logger"], line["level"], line["message"]) for line in signals.logs]
    assert found == [
        ("uvicorn.error", "info", "Application startup complete."),
        ("somebody", "error", "lost 1 of 2"),
    ]
    after = (uvicorn.handlers, uvicorn.propagate, access.disabled, logging.getLogger().handlers)
    assert after == before


def test_an_exception_that_the_edge_has_told_is_not_told_again_by_the_server() -> None:
    told, untold = RuntimeError("told"), RuntimeError("untold")
    told._vitrine_logged = True  # type: ignore[attr-defined]
    with capture("checkout") as signals:
        signals.telemetry.adopt_stdlib_logging()
        for error in (told, untold):
            logging.getLogger("uvicorn.error").error(
                "Exception in ASGI application", exc_info=error
            )
        (line,) = signals.logs
        assert line["exception"].endswith("RuntimeError: untold\n")


def test_a_closed_stream_does_not_stop_the_shop() -> None:
    stream = io.BytesIO()
    writer = LineWriter(stream)
    stream.close()
    writer.write(b"nobody reads this")
    assert stream.closed


def test_lines_of_several_threads_are_never_mixed() -> None:
    stream = io.BytesIO()
    log = logger_for("checkout", LineWriter(stream))

    def work(number: int) -> None:
        for turn in range(100):
            log.info("line", number=number, turn=turn)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    assert {(line["number"], line["turn"]) for line in lines} == {
        (number, turn) for number in range(6) for turn in range(100)
    }


def test_standard_output_is_the_default(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    logger_for("checkout", LineWriter()).info("hello")
    assert orjson.loads(capsysbinary.readouterr().out)["event"] == "hello"
    assert LineWriter().stream is sys.stdout
