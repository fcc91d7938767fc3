"""The SQLite file of kept traces: one process writes it, any process may read it.

Timestamps are Unix nanoseconds. Everything that is stored has been redacted.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from opentelemetry.sdk.trace import ReadableSpan

from telemetry.redaction import redact_mapping, redact_text
from telemetry.tracing import causes

_SCHEMA = """
CREATE TABLE IF NOT EXISTS traces (
    trace_id TEXT PRIMARY KEY, service TEXT NOT NULL, name TEXT NOT NULL,
    started_at INTEGER NOT NULL, duration_seconds REAL NOT NULL, spans INTEGER NOT NULL,
    failed INTEGER NOT NULL, reason TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS traces_by_start ON traces (started_at);
CREATE TABLE IF NOT EXISTS spans (
    trace_id TEXT NOT NULL, span_id TEXT NOT NULL, parent_span_id TEXT, service TEXT NOT NULL,
    name TEXT NOT NULL, kind TEXT NOT NULL, started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL,
    status TEXT NOT NULL, status_message TEXT NOT NULL, attributes BLOB NOT NULL,
    events BLOB NOT NULL, links BLOB NOT NULL, PRIMARY KEY (trace_id, span_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS links (
    trace_id TEXT NOT NULL, linked_trace_id TEXT NOT NULL, PRIMARY KEY (trace_id, linked_trace_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS links_by_target ON links (linked_trace_id);
"""


class TraceStoreDamagedError(RuntimeError):
    """The file is not a trace store that can be used. The message says what to do."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(
            f"The trace store {path} is damaged or unreadable ({reason})."
            " Delete the file and start again: it only holds copies for diagnosis."
        )


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened at one moment of a span; `at` is Unix nanoseconds."""

    name: str
    at: int
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """One stored span. Ids are lower-case hex; times are Unix nanoseconds.

    `kind` is server, client, internal, producer or consumer; `status` is unset, ok or error;
    `links` are the trace ids that the span points to, without a stranger's.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None
    service: str
    name: str
    kind: str
    started_at: int
    ended_at: int
    status: str
    status_message: str
    attributes: dict[str, Any]
    events: tuple[SpanEvent, ...]
    links: tuple[str, ...]

    @property
    def duration_seconds(self) -> float:
        """How long the span took."""
        return (self.ended_at - self.started_at) / 1e9


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """One stored trace as a list shows it; `reason` is why it was kept."""

    trace_id: str
    service: str
    name: str
    started_at: int
    duration_seconds: float
    spans: int
    failed: bool
    reason: str


class TraceFile:
    """Reads and writes a trace store's file. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> None:
        """Make the file and its tables; TraceStoreDamagedError when it is something else."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._connection()) as connection, connection:
                connection.executescript(_SCHEMA)
                connection.execute("SELECT count(*) FROM traces").fetchone()
        except (sqlite3.Error, OSError) as error:
            raise TraceStoreDamagedError(self.path, error) from error

    def write(self, kept: Iterable[tuple[str, Sequence[SpanRecord]]], max_traces: int) -> None:
        """Store (reason, spans of one trace) pairs in one transaction and prune the oldest."""
        with closing(self._connection()) as connection, connection:
            for reason, records in kept:
                self._write_trace(connection, reason, records)
            (count,) = connection.execute("SELECT count(*) FROM traces").fetchone()
            if count > max_traces:
                self._prune(connection, count - max_traces)

    def find(self, trace_id: str) -> list[SpanRecord]:
        """The spans of a trace by start; empty when it is not kept."""
        rows = self._rows(
            "SELECT trace_id, span_id, parent_span_id, service, name, kind, started_at, ended_at,"
            " status, status_message, attributes, events, links FROM spans"
            " WHERE trace_id = ? ORDER BY started_at, span_id",
            (trace_id,),
        )
        return [_record_from(row) for row in rows]

    def linked(self, trace_id: str) -> list[str]:
        """Trace ids that this one points to or that point to it, in order of the id."""
        rows = self._rows(
            "SELECT linked_trace_id FROM links WHERE trace_id = ?1"
            " UNION SELECT trace_id FROM links WHERE linked_trace_id = ?1 ORDER BY 1",
            (trace_id,),
        )
        return [row[0] for row in rows]

    def recent(
        self, limit: int, *, only_errors: bool = False, min_duration: float = 0.0
    ) -> list[TraceSummary]:
        """The latest traces, newest first; `min_duration` in seconds."""
        rows = self._rows(
            "SELECT trace_id, service, name, started_at, duration_seconds, spans, failed, reason"
            " FROM traces WHERE failed >= ? AND duration_seconds >= ?"
            " ORDER BY started_at DESC LIMIT ?",
            (int(only_errors), min_duration, limit),
        )
        return [TraceSummary(*(*row[:6], bool(row[6]), row[7])) for row in rows]

    def _connection(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=5.0)
        connection.execute("PRAGMA journal_mode=WAL")
        # A lost second of traces is worth less than a second of waiting for the disk.
        connection.execute("PRAGMA synchronous=OFF")
        return connection

    def _rows(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            with closing(self._connection()) as connection:
                return connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise TraceStoreDamagedError(self.path, error) from error

    def _write_trace(
        self, connection: sqlite3.Connection, reason: str, records: Sequence[SpanRecord]
    ) -> None:
        trace_id = records[0].trace_id
        connection.executemany(
            "INSERT OR REPLACE INTO spans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_span_row(record) for record in records],
        )
        connection.executemany(
            "INSERT OR IGNORE INTO links VALUES (?, ?)",
            [(trace_id, target) for record in records for target in record.links],
        )
        # Late spans join those that are stored: the summary is taken from all of them.
        root = connection.execute(
            "SELECT service, name FROM spans WHERE trace_id = ?"
            " ORDER BY parent_span_id IS NOT NULL, started_at LIMIT 1",
            (trace_id,),
        ).fetchone()
        connection.execute(
            "INSERT INTO traces SELECT trace_id, ?1, ?2, min(started_at),"
            " (max(ended_at) - min(started_at)) / 1e9, count(*), max(status = 'error'), ?3"
            " FROM spans WHERE trace_id = ?4 GROUP BY trace_id"
            " ON CONFLICT (trace_id) DO UPDATE SET service = excluded.service,"
            " name = excluded.name, started_at = excluded.started_at,"
            " duration_seconds = excluded.duration_seconds, spans = excluded.spans,"
            " failed = excluded.failed",
            (*root, reason, trace_id),
        )

    def _prune(self, connection: sqlite3.Connection, surplus: int) -> None:
        oldest = [
            row[:1]
            for row in connection.execute(
                "SELECT trace_id FROM traces ORDER BY started_at LIMIT ?", (surplus,)
            )
        ]
        for table in ("spans", "links", "traces"):
            connection.executemany(f"DELETE FROM {table} WHERE trace_id = ?", oldest)  # noqa: S608 - the names are ours


def record_of(span: ReadableSpan) -> SpanRecord:
    """A finished span as it is stored: redacted, ids as hex."""
    context = span.get_span_context()
    if context is None:
        raise ValueError(f"the span {span.name!r} has no context")
    service = span.resource.attributes.get("service.name", "unknown")
    return SpanRecord(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_span_id=None if span.parent is None else f"{span.parent.span_id:016x}",
        service=str(service),
        name=redact_text(span.name),
        kind=span.kind.name.lower(),
        started_at=span.start_time or 0,
        ended_at=span.end_time or span.start_time or 0,
        status=span.status.status_code.name.lower(),
        status_message=redact_text(span.status.description or ""),
        attributes=redact_mapping(span.attributes or {}),
        events=tuple(
            SpanEvent(found.name, found.timestamp, redact_mapping(found.attributes or {}))
            for found in span.events
        ),
        links=tuple(f"{context.trace_id:032x}" for context in causes(span)),
    )


def _span_row(record: SpanRecord) -> tuple[Any, ...]:
    return (
        record.trace_id,
        record.span_id,
        record.parent_span_id,
        record.service,
        record.name,
        record.kind,
        record.started_at,
        record.ended_at,
        record.status,
        record.status_message,
        orjson.dumps(record.attributes),
        orjson.dumps([(found.name, found.at, found.attributes) for found in record.events]),
        orjson.dumps(record.links),
    )


def _record_from(row: tuple[Any, ...]) -> SpanRecord:
    attributes, events, links = (orjson.loads(blob) for blob in row[10:])
    told = (attributes, tuple(SpanEvent(*found) for found in events), tuple(links))
    return SpanRecord(*(*row[:10], *told))
