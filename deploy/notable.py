"""From the application's JSON log lines to the few sentences that a person wants to read."""

import json
from collections.abc import Callable, Mapping
from typing import Any

Fields = Mapping[str, Any]

MINOR_UNITS = 100


def money(fields: Fields, key: str = "price") -> str:
    """An amount in minor units, or a money object, as a person writes it."""
    value: Any = fields.get(key)
    currency: Any = fields.get("currency", "")
    if isinstance(value, dict):
        value, currency = value.get("amount"), value.get("currency", "")
    if not isinstance(value, int):
        return ""
    return f"{value / MINOR_UNITS:,.0f} {currency}".replace(",", " ").strip()


def words(*parts: object) -> str:
    return " ".join(str(part) for part in parts if part is not None and part != "")


def sentence_order_confirmed(fields: Fields) -> str:
    seconds = fields.get("order_seconds")
    took = f"in {seconds:.1f} s" if isinstance(seconds, int | float) else ""
    return words(
        "order confirmed", fields.get("order_id"), fields.get("model_id"), money(fields), took
    )


def sentence_order_ended(fields: Fields) -> str:
    return words("order", fields.get("result", "ended"), fields.get("order_id"))


def sentence_sold_out(fields: Fields) -> str:
    return words("car already taken", fields.get("car_id"), "the shopper sees similar ones")


def sentence_alert(fields: Fields) -> str:
    return words(
        "alert",
        fields.get("status", fields.get("state")),
        fields.get("alertname", fields.get("alert")),
        f"({fields['severity']})" if "severity" in fields else "",
        fields.get("summary"),
    )


def sentence_flag(fields: Fields) -> str:
    return words("flag changed", fields.get("flag"), "->", fields.get("value", fields.get("to")))


# The event's name in the log, how it is marked, and its sentence.
NOTABLE: Mapping[str, tuple[str, Callable[[Fields], str]]] = {
    "order_confirmed": ("green", sentence_order_confirmed),
    "order_ended": ("yellow", sentence_order_ended),
    "order_declined": ("yellow", lambda fields: words("payment declined", fields.get("order_id"))),
    "payment_declined": (
        "yellow",
        lambda fields: words("payment declined", fields.get("order_id")),
    ),
    "order_cancelled": ("yellow", lambda fields: words("order cancelled", fields.get("order_id"))),
    "order_returned": ("yellow", lambda fields: words("car returned", fields.get("order_id"))),
    "hold_refused": ("yellow", sentence_sold_out),
    "car_sold_out": ("yellow", sentence_sold_out),
    "alert_received": ("magenta", sentence_alert),
    "alert_fired": ("magenta", sentence_alert),
    "alert_cleared": ("magenta", sentence_alert),
    "flag_changed": ("cyan", sentence_flag),
    "feed_imported": (
        "cyan",
        lambda fields: words(
            "stock imported", fields.get("source"), fields.get("accepted"), "cars"
        ),
    ),
}

# Requests that failed are told by their own line; the error that caused one is told by its trace.
LOUD_LEVELS = ("error", "critical")


def notable(line: bytes) -> tuple[str, str] | None:
    """A colour and a sentence for a log line worth a person's attention, else None.

    A line that is not JSON is the interpreter speaking (a warning, a traceback): always shown.
    """
    text = line.decode(errors="replace").rstrip()
    if not text:
        return None
    try:
        fields = json.loads(text)
    except ValueError:
        return ("red", text)
    if not isinstance(fields, dict):
        return None
    event = str(fields.get("event", ""))
    if event in NOTABLE:
        colour, sentence = NOTABLE[event]
        return (colour, sentence(fields))
    if fields.get("level") in LOUD_LEVELS:
        where = words(fields.get("http_request_method"), fields.get("http_route"))
        what = fields.get("message") or fields.get("outcome") or ""
        trace = f"trace {fields['trace_id']}" if fields.get("trace_id") else ""
        return ("red", words("error in", fields.get("service", "?"), event, where, what, trace))
    return None
