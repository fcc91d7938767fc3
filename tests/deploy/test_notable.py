"""What the demo's terminal says about a log line."""

import json
from pathlib import Path

import pytest

from deploy.flagfile import FlagFile
from deploy.notable import notable


def line(**fields: object) -> bytes:
    return json.dumps(fields).encode() + b"\n"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {
                "event": "order.confirmed",
                "order_id": "ord_1",
                "market": "SE",
                "traffic": "human",
            },
            ("green", "order confirmed ord_1 SE human"),
        ),
        (
            {"event": "order_confirmed", "price": {"amount": 4899000, "currency": "EUR"}},
            ("green", "order confirmed 48 990 EUR"),
        ),
        (
            {"event": "order.confirmed", "price": 48990000, "currency": "SEK"},
            ("green", "order confirmed 489 900 SEK"),
        ),
        (
            {"event": "payment.declined", "order_id": "ord_2"},
            ("yellow", "payment declined ord_2"),
        ),
        (
            {"event": "hold.refused", "car_id": "car_1", "outcome": "sold_out"},
            ("yellow", "car sold out car_1 sold_out"),
        ),
        (
            {"event": "alert_received", "alert": "NoOrders", "state": "firing", "severity": "page"},
            ("magenta", "alert fired NoOrders (page)"),
        ),
        (
            {
                "event": "alert_received",
                "alert": "NoOrders",
                "state": "resolved",
                "severity": "page",
            },
            ("magenta", "alert cleared NoOrders (page)"),
        ),
        (
            {"event": "alert_received", "alert": "Watchdog", "state": "firing", "severity": "none"},
            None,
        ),
        (
            {"event": "feed_imported", "source": "nordic", "accepted": 812, "rejected": 0},
            ("cyan", "stock imported from nordic 812 accepted, 0 rejected, 0 removed"),
        ),
        ({"event": "feed_imported", "source": "rehearsal", "accepted": 3}, None),
        (
            {
                "event": "http_request",
                "level": "error",
                "service": "checkout",
                "http_request_method": "POST",
                "http_route": "/api/checkout/v1/orders",
                "outcome": "unavailable",
                "trace_id": "abc",
            },
            (
                "red",
                "error in checkout http_request POST /api/checkout/v1/orders unavailable trace abc",
            ),
        ),
        ({"event": "http_request", "level": "info", "service": "catalog"}, None),
    ],
)
def test_a_log_line_becomes_its_sentence(
    fields: dict[str, object], expected: tuple[str, str] | None
) -> None:
    assert notable(line(**fields)) == expected


def test_what_is_not_json_is_shown_as_it_is() -> None:
    assert notable(b"Traceback (most recent call last):\n") == (
        "red",
        "Traceback (most recent call last):",
    )


@pytest.mark.parametrize("text", [b"\n", b"", b"[1, 2]\n", b"17\n"])
def test_lines_without_an_event_say_nothing(text: bytes) -> None:
    assert notable(text) is None


def test_a_field_that_is_an_object_does_no_harm() -> None:
    assert notable(line(event="order.moved", order_id="ord_1", state={"a": 1})) == (
        "yellow",
        "order ord_1 {'a': 1}",
    )


def flags(**values: object) -> str:
    return json.dumps(
        {
            "flags": {
                name: {"state": "ENABLED", "variants": {"on": value}, "defaultVariant": "on"}
                for name, value in values.items()
            }
        }
    )


def test_a_changed_flag_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    path.write_text(flags(latency=0.0, enabled=True))
    file = FlagFile(path)

    told = [file.news()]
    path.write_text(flags(latency=2.5, enabled=True))
    told += [file.news(), file.news()]
    path.write_text("{ half a file")
    told += [file.news()]

    assert told == [[], ["flag latency: 0.0 -> 2.5"], [], []]


def test_a_file_that_appears_later_is_no_news(tmp_path: Path) -> None:
    file = FlagFile(tmp_path / "flags.json")
    file.path.write_text(flags(latency=0.0))

    assert file.news() == []
