"""A span for every statement that a request sends to its database.

Only statements inside a recorded span are traced: a sweeper that looks for work every second would
otherwise fill the trace store with nothing. Parameters are never recorded.
"""

import re
from typing import Any, NamedTuple

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from sqlalchemy import event
from sqlalchemy.engine import Engine, ExceptionContext

from telemetry.tracing import current_span

_LONGEST_STATEMENT = 2000
_STATEMENTS_REMEMBERED = 1000
_SYSTEMS = {"postgresql": "postgresql", "sqlite": "sqlite"}
_TARGET = re.compile(r"\b(?:FROM|INTO|UPDATE|JOIN)\s+\"?([A-Za-z_][\w.]*)", re.IGNORECASE)
_OPERATION = re.compile(r"\s*([A-Za-z]+)")
_LITERAL = re.compile(r"'(?:[^']|'')*'")


class _Described(NamedTuple):
    """How a statement is shown, worked out once per text."""

    name: str
    attributes: dict[str, str]


def instrument_engine(engine: Engine, tracer: Tracer) -> None:
    """Trace the statements of one engine (an async engine's `sync_engine`)."""
    system = _SYSTEMS.get(engine.dialect.name, "other_sql")
    described: dict[str, _Described] = {}

    def before(_: Any, __: Any, statement: str, ___: Any, context: Any, ____: bool) -> None:
        if context is None or not current_span().is_recording():
            return
        found = described.get(statement)
        if found is None:
            found = _describe(statement, system)
            if len(described) < _STATEMENTS_REMEMBERED:
                described[statement] = found
        context.vitrine_span = tracer.start_span(
            found.name, kind=SpanKind.CLIENT, attributes=found.attributes
        )

    def after(_: Any, __: Any, ___: str, ____: Any, context: Any, _____: bool) -> None:
        span = _taken(context)
        if span is not None:
            span.end()

    def failed(failure: ExceptionContext) -> None:
        span = _taken(failure.execution_context)
        if span is not None:
            error = failure.original_exception
            span.set_attribute("error.type", type(error).__qualname__)
            # The driver's text may quote the row's values: only its kind is told.
            span.set_status(Status(StatusCode.ERROR, type(error).__qualname__))
            span.end()

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    event.listen(engine, "handle_error", failed)


class database_span:  # noqa: N801 - used like a function: `with database_span(...)`
    """One span for an effect that is written as a whole, whatever the statements are.

    Not made current: nothing happens inside it that could have a span of its own.
    """

    __slots__ = ("_operation", "_span", "_system", "_tracer")

    def __init__(self, tracer: Tracer, operation: str, system: str) -> None:
        self._tracer = tracer
        self._operation = operation
        self._system = system
        self._span: Span | None = None

    def __enter__(self) -> None:
        if current_span().is_recording():
            self._span = self._tracer.start_span(
                self._operation,
                kind=SpanKind.CLIENT,
                attributes={
                    "db.system.name": self._system,
                    "db.operation.name": self._operation,
                },
            )

    def __exit__(self, *_: object) -> None:
        if self._span is not None:
            self._span.end()


def _taken(context: Any) -> Span | None:
    span: Span | None = getattr(context, "vitrine_span", None)
    if span is not None:
        context.vitrine_span = None
    return span


def _describe(statement: str, system: str) -> _Described:
    operation = _OPERATION.match(statement)
    target = _TARGET.search(statement)
    verb = operation[1].upper() if operation else "SQL"
    attributes = {
        "db.system.name": system,
        "db.operation.name": verb,
        "db.query.text": _LITERAL.sub("?", statement)[:_LONGEST_STATEMENT],
    }
    if target is None:
        return _Described(verb, attributes)
    attributes["db.collection.name"] = target[1]
    return _Described(f"{verb} {target[1]}", attributes)
