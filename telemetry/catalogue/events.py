"""The log lines that telemetry writes itself. A service's own lines are stated by its signals."""

from telemetry.catalogue.spec import LogEvent

HTTP_REQUEST = LogEvent(
    name="http_request",
    owner="http",
    level="info",
    description="One line per answered request; its level follows the outcome.",
    fields=("http_request_method", "http_route", "status", "outcome", "duration_seconds"),
)
UNHANDLED_EXCEPTION = LogEvent(
    name="unhandled_exception",
    owner="http",
    level="error",
    description="An exception left the application; the line carries its redacted traceback.",
    fields=("http_request_method", "http_route", "exception"),
)
STDLIB_LINE = LogEvent(
    name="stdlib",
    owner="frame",
    level="info",
    description="A line of a library that logs through the standard library.",
    fields=("logger",),
)

EVENTS = (HTTP_REQUEST, UNHANDLED_EXCEPTION, STDLIB_LINE)
