"""What came back from the shop, and how it counts.

The shop's own outcomes decide: a car that somebody else took first is a success of the shop, a
declined card is the bank's word, and an answer that never came (status 0) is always a failure.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from telemetry.catalogue.outcomes import Outcome

NO_ANSWER = 0
"""The status of a request whose answer never came: refused, reset or timed out."""

SOLD_OUT_PROBLEMS = frozenset({"car-not-available"})
REFUSED_PROBLEMS = frozenset({"card-declined", "payment-declined"})
SHED_PROBLEMS = frozenset({"overloaded"})


@dataclass(frozen=True, slots=True)
class Answer:
    """One response. `status` 0 means that none came; then `error` names what happened."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: str = ""

    @property
    def problem(self) -> str:
        """The code of the problem document (the last part of its `type`), or empty."""
        if "problem+json" not in self.headers.get("content-type", ""):
            return ""
        kind = str(self.fields().get("type", ""))
        return kind.rpartition("/")[2].replace("_", "-")

    @property
    def outcome(self) -> Outcome:
        """How this counts; see the module's first lines."""
        if self.status == NO_ANSWER:
            return Outcome.UNAVAILABLE
        code = self.problem
        if self.status == 409 and code in SOLD_OUT_PROBLEMS:
            return Outcome.SOLD_OUT
        if code in REFUSED_PROBLEMS:
            return Outcome.REFUSED
        if self.status == 503 and code in SHED_PROBLEMS:
            return Outcome.SHED
        return Outcome.from_status(self.status)

    @property
    def failed(self) -> bool:
        """True when the shop let the shopper down, or when we asked for nonsense."""
        return self.outcome.spends_budget or self.outcome is Outcome.INVALID

    @property
    def worth_repeating(self) -> bool:
        """True when the same request with the same key may yet succeed."""
        in_flight = self.status == 409 and self.problem.startswith("idempotency")
        return self.outcome.spends_budget or in_flight or self.status == 429

    @property
    def retry_after_seconds(self) -> float:
        """What the shop asked us to wait; 0.25 s when it did not say."""
        try:
            return float(self.headers.get("retry-after", "0.25"))
        except ValueError:
            return 0.25

    def fields(self) -> dict[str, Any]:
        """The JSON object in the body; empty when there is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def text(self) -> str:
        return self.body.decode("utf-8", errors="replace")
