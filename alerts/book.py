"""All rule files in the order in which they are read, and the cases of each."""

from typing import Any

from alerts import burnrate, business, operations
from alerts.cases import Case, promtool_documents
from alerts.operations_cases import operations_cases
from alerts.rules import RuleFile
from alerts.slo_cases import slo_cases
from alerts.timing import Timing
from telemetry.catalogue import all_slos

PRODUCTION = Timing()


def rule_files(timing: Timing = PRODUCTION) -> tuple[RuleFile, ...]:
    return (
        *burnrate.rule_files(timing),
        *business.rule_files(timing),
        *operations.rule_files(timing),
    )


def cases() -> dict[str, tuple[Case, ...]]:
    """The cases of every rule file, by the file's name."""
    return {f"slo_{slo.name}": slo_cases(slo) for slo in all_slos()} | operations_cases()


def promtool_files() -> dict[str, dict[str, Any]]:
    """Promtool files by name without ending."""
    found: dict[str, dict[str, Any]] = {}
    for file in rule_files():
        found |= promtool_documents(file, cases()[file.name])
    return found
