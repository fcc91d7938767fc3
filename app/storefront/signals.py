"""What the storefront tells telemetry beyond its edge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace

from telemetry.bootstrap import Telemetry
from telemetry.catalogue.storefront import STOREFRONT_PAGES_DEGRADED
from telemetry.tracing import KEEP_ATTRIBUTE, link_to

MOST_LINKS: Final = 64
"""A busy second's batch would otherwise be a span of thousands of links."""


class Signals:
    """The storefront's instruments and log, bound once."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._degraded = telemetry.instruments.counter(STOREFRONT_PAGES_DEGRADED)
        self._log = telemetry.log
        self._tracer = telemetry.tracer

    def page_degraded(self, peer: str, *, detail: str) -> None:
        """A page goes out without what `peer` should have added."""
        self._degraded.inc(peer_service=peer)
        self._log.warning("page.degraded", peer_service=peer, detail=detail)

    @contextmanager
    def writing(self, traceparents: Iterable[str]) -> Iterator[None]:
        """One batch of behaviour facts on its way to the database, linked to whence they came."""
        links = [link for each in dict.fromkeys(traceparents) for link in link_to(each)]
        with self._tracer.start_as_current_span("behaviour.write", links=links[:MOST_LINKS]):
            yield

    def facts_lost(self, facts: int) -> None:
        """The buffer of behaviour facts was full while the database was away."""
        self._log.error("behaviour.lost", facts=facts)

    def order_opened(self, *, order_id: str, hold_id: str) -> None:
        """The shopper goes on to the payment provider: this trace is worth keeping."""
        span = trace.get_current_span()
        if span.is_recording():
            span.set_attributes(
                {
                    "vitrine.order_id": order_id,
                    "vitrine.hold_id": hold_id,
                    KEEP_ATTRIBUTE: True,
                }
            )
