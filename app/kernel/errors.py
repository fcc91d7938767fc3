"""Business errors: what happened and how bad it is (`frame.inbound.problems` answers them)."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from telemetry.catalogue.outcomes import Outcome

NOT_AN_IDENTIFIER: Final = "not_an_identifier"
"""Type of the validation error of an identifier: in an address, nothing can be there."""


class CannotStart(Exception):
    """A process that must not or cannot run; its text is the one sentence that says why."""


class VitrineError(Exception):
    """Something a caller is told about.

    `code` names the problem type (`/problems/<code>`), `title` is the same for every occurrence,
    `outcome` decides log level, label and error budget, `status` the HTTP answer, `extensions`
    are further members of the problem document.
    """

    code: ClassVar[str]
    title: ClassVar[str]
    outcome: ClassVar[Outcome]
    status: ClassVar[int]

    def __init__(self, detail: str, **extensions: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extensions = extensions


class InvalidInput(VitrineError):
    """Well-formed input with a value that cannot be right; names the field."""

    code, title = "invalid-input", "The request has a value that is not valid"
    outcome, status = Outcome.INVALID, 422


class MalformedRequest(VitrineError):
    """Input that cannot be read at all: broken JSON, a missing header."""

    code, title = "malformed-request", "The request could not be read"
    outcome, status = Outcome.INVALID, 400


class NotFound(VitrineError):
    code, title = "not-found", "There is nothing at this address"
    outcome, status = Outcome.INVALID, 404


class NotAuthorised(VitrineError):
    code, title = "not-authorised", "The credentials are missing or do not fit"
    outcome, status = Outcome.REFUSED, 401


class Unavailable(VitrineError):
    """A part that this answer needs is down; `retry_after_seconds` says when to come back."""

    code, title = "temporarily-unavailable", "This is not available for the moment"
    outcome, status = Outcome.UNAVAILABLE, 503

    def __init__(self, detail: str, *, retry_after_seconds: int = 2, **extensions: Any) -> None:
        super().__init__(detail, retry_after_seconds=retry_after_seconds, **extensions)


class Overloaded(Unavailable):
    """Shed on purpose so that more important requests get through."""

    code, title = "overloaded", "Too many requests at this moment"
    outcome, status = Outcome.SHED, 503
