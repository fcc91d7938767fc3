"""All cases, by rule file."""

from typing import Any

from alerts import rulebook
from alerts.cases import Case, test_documents
from alerts.operations_cases import operations_cases
from alerts.slo_cases import slo_cases
from telemetry.catalogue import all_slos


def all_cases() -> dict[str, tuple[Case, ...]]:
    """The cases of every rule file, by the file's name."""
    return {f"slo_{slo.name}": slo_cases(slo) for slo in all_slos()} | operations_cases()


def test_files() -> dict[str, dict[str, Any]]:
    """Promtool files by name without ending."""
    found: dict[str, dict[str, Any]] = {}
    cases = all_cases()
    for file in rulebook.rule_files():
        found |= test_documents(file, cases[file.name])
    return found
