"""Insight's own errors; everything else is the kernel's."""

from __future__ import annotations

from app.kernel.errors import NotFound, Unavailable, VitrineError
from telemetry.catalogue.outcomes import Outcome


class TooManyLogins(VitrineError):
    """Wrong passwords from one address, too many in a short time."""

    code, title = "too-many-logins", "Too many wrong passwords"
    outcome, status = Outcome.REFUSED, 429


class ForeignExpression(VitrineError):
    """A query that does not stand on a board; the proxy asks Prometheus for nothing else."""

    code, title = "foreign-expression", "This query is on none of the boards"
    outcome, status = Outcome.REFUSED, 403


class BoardNotFound(NotFound):
    """No rendered board of this name."""


class OrderNotInLedger(NotFound):
    """The ledger has not booked this order: it does not exist, or the ledger is behind."""


class PrometheusUnavailable(Unavailable):
    """Prometheus is not set up or does not answer."""
