"""Every alert is shown to fire, to keep quiet, and to be missed when it is broken."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts import book, build
from alerts.rules import Alert, RuleFile
from tests.alerts.promtool import promtool

ALERTS = [alert for file in book.rule_files() for alert in file.alerts]
CASES = book.cases()
COMPARED = re.compile(r"(?<![<>=!])(==|!=|>=|<=|>|<)(?!=) (\d[\d.]*)(?!\))")
TURNED = {">": "<=", "<=": ">", ">=": "<", "<": ">=", "==": "!=", "!=": "=="}


def turned_round(expr: str) -> str:
    """Every comparison with a threshold the other way; absence becomes presence."""
    changed = COMPARED.sub(lambda match: f"{TURNED[match[1]]} {match[2]}", expr)
    return changed.replace("absent(", "(")


def scaled(expr: str, factor: float) -> str:
    """Every threshold times `factor`."""
    return COMPARED.sub(lambda match: f"{match[1]} {float(match[2]) * factor:.10g}", expr)


MUTATIONS: dict[str, Callable[[str], str]] = {
    "TurnedRound": turned_round,
    "TooDeaf": lambda expr: scaled(expr, 4),
    "TooNervous": lambda expr: scaled(expr, 0.25),
}


def mutants(alert: Alert) -> list[tuple[str, Alert]]:
    """The alert under other names, each with a broken expression that differs from its own."""
    return [
        (f"{alert.name}{name}", replace(alert, name=f"{alert.name}{name}", expr=mutate(alert.expr)))
        for name, mutate in MUTATIONS.items()
        if mutate(alert.expr) != alert.expr
    ]


def with_mutants(file: RuleFile) -> RuleFile:
    return replace(
        file,
        groups=tuple(
            replace(
                group,
                rules=(*group.rules, *(m for a in group.alerts for _, m in mutants(a))),
            )
            for group in file.groups
        ),
    )


def same_question(asked: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """What a case asks of an alert, asked of its mutant; nothing for another alert's mutant."""
    mutant, severity = key.split("/")
    name = re.search(r'alertname="(\w+)"', asked["expr"])
    assert name
    if mutant not in {f"{name[1]}{kind}" for kind in MUTATIONS}:
        return []
    if f'severity="{severity}"' not in asked["expr"]:
        return []
    changed = json.dumps(asked).replace(f'\\"{name[1]}\\"', f'\\"{mutant}\\"')
    return [json.loads(changed)]


@pytest.mark.parametrize(
    "alert", {a.name: a for a in ALERTS}.values(), ids=lambda alert: alert.name
)
def test_every_alert_has_a_firing_and_a_quiet_case(alert: Alert) -> None:
    severities = {a.severity for a in ALERTS if a.name == alert.name}
    cases = [case for found in CASES.values() for case in found if case.alert == alert.name]
    for severity in severities:
        verdicts = {bool(case.firing) for case in cases if case.severity == severity}
        # A watchdog that keeps quiet is a broken one; its quiet case is that it never pages.
        assert verdicts == ({True} if severity == "none" else {True, False})
    assert {bool(case.firing) for case in cases} == {True, False}


@pytest.mark.integration
@pytest.mark.parametrize("file", book.rule_files(), ids=lambda value: value.name)
def test_the_cases_hold_and_every_broken_alert_fails_one(file: RuleFile, tmp_path: Path) -> None:
    """The mutants stand beside the real alerts under other names, so one replay judges them all."""
    broken = {
        f"{name}/{alert.severity}": alert for each in file.alerts for name, alert in mutants(each)
    }
    rules, cases = tmp_path / "rules", tmp_path / "tests"
    rules.mkdir()
    cases.mkdir()
    (rules / f"{file.name}.yml").write_text(
        build.rule_document(with_mutants(file), book.PRODUCTION)
    )
    committed = sorted((build.ROOT / "tests").glob(f"{file.name}_every_*.yml"))
    assert committed
    for path in committed:
        document = yaml.safe_load(path.read_text())
        for test in document["tests"]:
            test["promql_expr_test"] += [
                question
                for asked in test["promql_expr_test"]
                for key in broken
                for question in same_question(asked, key)
            ]
        (cases / path.name).write_text(yaml.safe_dump(document, sort_keys=False))
    _, said = promtool("test", "rules", *sorted(cases.glob("*.yml")))
    failed = re.findall(r'expr: "ALERTS\{alertname=\\"(\w+)\\".*?severity=\\"(\w+)\\"', said)
    # Exactly the mutants: a real alert among them would be a case that does not hold.
    assert {f"{name}/{severity}" for name, severity in failed} == set(broken), said
