"""One style of wiring: whoever has read one service's `main.py` has read them all."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

APP = Path(__file__).resolve().parents[2] / "app"
SERVICES = ("advisor", "catalog", "checkout", "insight", "sandbox", "storefront")


def _functions(service: str) -> dict[str, ast.FunctionDef]:
    module = ast.parse((APP / service / "main.py").read_text(encoding="utf-8"))
    return {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}


def _reads_settings(function: ast.FunctionDef) -> bool:
    """Whether it makes `…Settings()`, which reads the environment."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id.endswith("Settings")
        for node in ast.walk(function)
    )


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_built_from_the_environment_and_put_together_from_what_it_is_handed(
    service: str,
) -> None:
    functions = _functions(service)
    has_own = (APP / service / "settings.py").exists()
    handed = [argument.arg for argument in functions["put_together"].args.args]

    assert list(functions)[:2] == ["build", "put_together"]
    assert handed == ["platform", "settings", *(["own"] if has_own else [])]
    assert [name for name, body in functions.items() if _reads_settings(body)] == (
        ["build"] if has_own else []
    )
