"""The eight ways a piece of work can end, and what each means for everything that watches it.

One table decides the HTTP status, the log level, the `outcome` label and whether error budget is
spent, so that a route, a log line, a metric and an alert can never disagree about one request.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

LogLevel = Literal["debug", "info", "warning", "error"]


class Outcome(StrEnum):
    """How a request or use case ended. The value is the `outcome` label."""

    OK = "ok"
    REFUSED = "refused"
    INVALID = "invalid"
    CONFLICT = "conflict"
    SOLD_OUT = "sold_out"
    SHED = "shed"
    UNAVAILABLE = "unavailable"
    FAULT = "fault"

    @property
    def http_status(self) -> int:
        """The status that a response with this outcome has unless its error names another."""
        return MEANINGS[self].http_status

    @property
    def log_level(self) -> LogLevel:
        """The level at which the access line of a request with this outcome is written."""
        return MEANINGS[self].log_level

    @property
    def spends_budget(self) -> bool:
        """True when the shop, not the caller, is to blame: the error budget pays for it."""
        return MEANINGS[self].spends_budget

    @staticmethod
    def from_status(status: int) -> "Outcome":
        """The outcome of a response whose application named none; 499 is "client went away".

        >>> Outcome.from_status(409)
        <Outcome.CONFLICT: 'conflict'>
        """
        if status < 400:
            return Outcome.OK
        if status >= 500:
            return Outcome.UNAVAILABLE if status in (502, 503, 504) else Outcome.FAULT
        return _CLIENT_STATUS.get(status, Outcome.INVALID)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an outcome implies; `description` is one sentence for documentation and tooltips."""

    http_status: int
    log_level: LogLevel
    spends_budget: bool
    description: str


MEANINGS: dict[Outcome, Meaning] = {
    Outcome.OK: Meaning(200, "info", False, "It worked."),
    Outcome.REFUSED: Meaning(
        402, "info", False, "A rule or the shopper's bank said no: a declined card, a wrong key."
    ),
    Outcome.INVALID: Meaning(422, "info", False, "The caller asked for something malformed."),
    Outcome.CONFLICT: Meaning(
        409, "info", False, "The caller's view was out of date or a request was repeated."
    ),
    Outcome.SOLD_OUT: Meaning(
        409, "info", False, "Somebody else was faster: for the shop this is a success."
    ),
    Outcome.SHED: Meaning(
        503, "warning", True, "Turned away to protect shoppers who were already paying."
    ),
    Outcome.UNAVAILABLE: Meaning(
        503, "error", True, "Something we depend on did not answer in time."
    ),
    Outcome.FAULT: Meaning(500, "error", True, "A defect of ours."),
}

_CLIENT_STATUS: dict[int, Outcome] = {
    401: Outcome.REFUSED,
    402: Outcome.REFUSED,
    403: Outcome.REFUSED,
    409: Outcome.CONFLICT,
    412: Outcome.CONFLICT,
    # Our own 429 is load shedding per caller: the caller is over its share, so no budget is spent.
    429: Outcome.REFUSED,
}

OUTCOME_VALUES: tuple[str, ...] = tuple(outcome.value for outcome in Outcome)
BUDGET_SPENDING: tuple[str, ...] = tuple(o.value for o in Outcome if o.spends_budget)
BLAMELESS: tuple[str, ...] = tuple(o.value for o in Outcome if not o.spends_budget)
