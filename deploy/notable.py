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


def sentence_alert(fields: Fields) -> str:
    # The watchdog is always on: that it fires is not news.
    if fields.get("severity") == "none":
        return ""
    state = "cleared" if fields.get("state") == "resolved" else "fired"
    return words("alert", state, fields.get("alert"), f"({fields.get('severity', '?')})")


def sentence_feed(fields: Fields) -> str:
    # The synthetic shoppers' stock is filled up all the time.
    if fields.get("source") == "rehearsal":
        return ""
    counts = (f"{fields.get(name, 0)} {name}" for name in ("accepted", "rejected", "removed"))
    return words("stock imported from", fields.get("source"), ", ".join(counts))


def about_order(what: str, *names: str) -> Callable[[Fields], str]:
    """A sentence about one order, with further fields of the line."""
    return lambda fields: words(
        what, fields.get("order_id"), money(fields), *(fields.get(name) for name in names)
    )


# The event's name in the log (its dots as underscores), its colour, and its sentence; an empty
# sentence is not worth a line after all.
NOTABLE: Mapping[str, tuple[str, Callable[[Fields], str]]] = {
    "order_confirmed": ("green", about_order("order confirmed", "market", "traffic")),
    "order_moved": ("yellow", about_order("order", "state", "reason")),
    "payment_declined": ("yellow", about_order("payment declined")),
    "payment_unavailable": ("red", about_order("payment provider unavailable", "detail")),
    "payment_late": ("yellow", about_order("payment came late", "result")),
    "hold_refused": (
        "yellow",
        lambda fields: words("car sold out", fields.get("car_id"), fields.get("outcome")),
    ),
    "invariant_violated": (
        "red",
        lambda fields: words(
            "invariant violated:", fields.get("invariant"), fields.get("violations"), "times"
        ),
    ),
    "alert_received": ("magenta", sentence_alert),
    "feed_imported": ("cyan", sentence_feed),
    "ledger_source_unreachable": (
        "red",
        lambda fields: words("the ledger cannot reach", fields.get("source")),
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
    event = str(fields.get("event", "")).replace(".", "_")
    if event in NOTABLE:
        colour, sentence = NOTABLE[event]
        text = sentence(fields)
        return (colour, text) if text else None
    if fields.get("level") in LOUD_LEVELS:
        where = words(fields.get("http_request_method"), fields.get("http_route"))
        what = fields.get("message") or fields.get("outcome") or ""
        trace = f"trace {fields['trace_id']}" if fields.get("trace_id") else ""
        return ("red", words("error in", fields.get("service", "?"), event, where, what, trace))
    return None
