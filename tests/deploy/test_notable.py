"""What the demo's terminal says about a log line."""

import json

import pytest

from deploy.notable import notable


def line(**fields: object) -> bytes:
    return json.dumps(fields).encode() + b"\n"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {
                "event": "order_confirmed",
                "order_id": "ord_1",
                "model_id": "fjord",
                "price": 48990000,
                "currency": "SEK",
                "order_seconds": 12.34,
            },
            ("green", "order confirmed ord_1 fjord 489 900 SEK in 12.3 s"),
        ),
        (
            {"event": "order_confirmed", "price": {"amount": 4899000, "currency": "EUR"}},
            ("green", "order confirmed 48 990 EUR"),
        ),
        (
            {"event": "order_ended", "result": "declined", "order_id": "ord_2"},
            ("yellow", "order declined ord_2"),
        ),
        (
            {
                "event": "alert_fired",
                "status": "firing",
                "alertname": "NoOrders",
                "severity": "page",
            },
            ("magenta", "alert firing NoOrders (page)"),
        ),
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
    assert notable(line(event="flag_changed", flag="x", value={"a": 1})) == (
        "cyan",
        "flag changed x -> {'a': 1}",
    )
