"""Every problem type that a service answers with has a page that explains it."""

from __future__ import annotations

import ast
from pathlib import Path

from app.storefront.problems import PROBLEMS

APP = Path(__file__).parents[2] / "app"
FROM_THE_FRAME = {"too-large", "method-not-allowed", "http-error", "fault"}
"""Codes of `frame.inbound.problems`, which has no class for each."""


def _declared() -> set[str]:
    """The `code` of every error class in the code."""
    codes = set()
    for path in APP.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ClassDef):
                continue
            for statement in node.body:
                if (
                    isinstance(statement, ast.Assign)
                    and isinstance(statement.targets[0], ast.Tuple)
                    and isinstance(statement.value, ast.Tuple)
                    and ast.unparse(statement.targets[0]) == "(code, title)"
                ):
                    codes.add(str(ast.literal_eval(statement.value)[0]))
    return codes


def test_the_table_and_the_declared_errors_are_the_same() -> None:
    assert set(PROBLEMS) == _declared() | FROM_THE_FRAME
