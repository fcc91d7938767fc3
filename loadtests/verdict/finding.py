"""What one check says, and the verdict that all of them add up to."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Weight = Literal["truth", "promise", "measurement"]


class Result(StrEnum):
    """`invalid` means that the run cannot tell, which is never a pass."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    INVALID = "invalid"

    @property
    def exit_code(self) -> int:
        return {Result.PASS: 0, Result.FAIL: 1, Result.INVALID: 2}[self]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result: what was measured, what was required, and what it means.

    `weight` says what kind of thing was checked: a business `truth` (wrong however badly the load
    was generated), a service-level `promise`, or the `measurement` itself.
    """

    check: str
    title: str
    weight: Weight
    result: Result
    measured: str
    required: str
    meaning: str = ""


def verdict_of(findings: Iterable[Finding]) -> Result:
    """The run's verdict.

    A broken truth fails, whatever else. Otherwise a measurement that cannot be trusted makes the
    run invalid, also when a promise seems broken: that may be the generator's doing.
    """
    found = list(findings)
    if any(f.weight == "truth" and f.result is Result.FAIL for f in found):
        return Result.FAIL
    if not found or any(f.result is Result.INVALID for f in found):
        return Result.INVALID
    if any(f.weight == "measurement" and f.result is Result.FAIL for f in found):
        return Result.INVALID
    return Result.FAIL if any(f.result is Result.FAIL for f in found) else Result.PASS


def passed(holds: bool) -> Result:
    return Result.PASS if holds else Result.FAIL
