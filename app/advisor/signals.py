"""The advisor's facts as metrics; the only user of instruments here."""

from __future__ import annotations

from opentelemetry import trace

from telemetry.bootstrap import Telemetry
from telemetry.catalogue.advisor import ADVISOR_MATCH_DURATION, ADVISOR_MATCHES
from telemetry.catalogue.frame import CONSUMER_EVENTS_UNDIGESTED
from telemetry.catalogue.outcomes import Outcome


class Signals:
    """Binds the advisor's instruments once."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._duration = telemetry.instruments.histogram(ADVISOR_MATCH_DURATION)
        self._matches = telemetry.instruments.counter(ADVISOR_MATCHES)
        self._unread = telemetry.instruments.gauge(CONSUMER_EVENTS_UNDIGESTED)

    def followed(self, *, unread: int) -> None:
        """The catalogue was read, but for the last change of so many cars."""
        self._unread.set(unread, source="catalog")

    def advice_given(self, *, seconds: float, matches: int) -> None:
        """Advice was worked out; `seconds` is the thinking, without the HTTP around it."""
        span = trace.get_current_span().get_span_context()
        self._duration.observe(seconds, f"{span.trace_id:032x}" if span.is_valid else None)
        self._matches.inc(1, outcome=Outcome.OK if matches else Outcome.REFUSED)
