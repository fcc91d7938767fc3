"""The catalogue's facts as metrics and log lines; the only user of instruments here."""

from __future__ import annotations

from datetime import datetime

from app.contracts.catalog import FeedReport
from app.frame.inbound.dealers import VARIABLE
from telemetry.bootstrap import Telemetry
from telemetry.catalogue.catalog import STOCK_IMPORT_LAST_SUCCESS, STOCK_IMPORT_ROWS


class Signals:
    """Binds the catalogue's instruments once."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._rows = telemetry.instruments.counter(STOCK_IMPORT_ROWS)
        self._last_success = telemetry.instruments.gauge(STOCK_IMPORT_LAST_SUCCESS)
        self._log = telemetry.log

    def feed_imported(self, report: FeedReport, market: str, *, sent_by: str, at: datetime) -> None:
        """An import was committed. `sent_by` is the name of a dealer key."""
        counts = {
            "accepted": report.accepted,
            "rejected": report.rejected,
            "unchanged": report.unchanged,
            "removed": report.removed,
        }
        for result, count in counts.items():
            self._rows.inc(count, source=report.source, result=result)
        self.last_success(report.source, at)
        self._log.info(
            "feed_imported", source=report.source, market=market, sent_by=sent_by, **counts
        )

    def dealer_key_unknown(self, name: str, sources: list[str], dealers: list[str]) -> None:
        """A dealer key names what the shop does not know; `name` is the key's name."""
        self._log.warning(
            "dealer_key.unknown",
            entry=name,
            sources=sources,
            dealers=dealers,
            detail=f"{VARIABLE}, entry {name}: the shop has no stock of these sources yet, and no"
            " such dealers. Correct a name that is mistyped and restart catalog and checkout; a new"
            " source is known once its first feed is imported.",
        )

    def last_success(self, source: str, at: datetime) -> None:
        """When a source was last imported; also set at start, from the database."""
        self._last_success.set(at.timestamp(), source=source)

    def rehearsal_replenished(self, market: str, available: int, added: int) -> None:
        self._log.info(
            "rehearsal_replenished", market=market, available_before=available, added=added
        )
