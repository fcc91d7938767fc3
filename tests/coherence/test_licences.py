"""What the image ships may be shipped: each package by its licence, each resting one by name."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, metadata
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
RUNTIME = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")
LOCKED = sorted(set(re.findall(r"^([a-z0-9-]+)==", RUNTIME, re.MULTILINE)))

ALLOWED = {
    "MIT": "permissive",
    "MIT-0": "permissive, without the notice",
    "ISC": "permissive",
    "BSD": "permissive; the classifier does not say how many clauses",
    "BSD-2-Clause": "permissive",
    "BSD-3-Clause": "permissive",
    "Apache-2.0": "permissive, with a grant of patents",
    "PSF-2.0": "permissive, Python's own",
    "MPL-2.0": "weak copyleft by file: we ship those files unchanged",
}
CALLED = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "The MIT License (MIT)": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""Names of classifiers and free texts, as SPDX has them."""

RESTING = {
    "mdurl": "finished: it splits addresses for markdown-it-py, from the same keepers",
    "panzi-json-logic": (
        "flagd's evaluator pins it (it does the rules of flags); pure Python of 300 lines without a"
        " dependency, fed by the operator's own flag file only, and our flags have no rules"
    ),
    "shellingham": "finished: it names the shell for typer's completion, which nobody turns on",
}
"""Packages without a release for two years when this was written (November 2026), and why."""


def licences(package: str) -> set[str]:
    """Licences of an installed package (those of any part of it), as SPDX names them."""
    found: dict[str, Any] = metadata(package).json
    expression = found.get("license_expression")
    if expression:
        return set(re.findall(r"[A-Za-z0-9.-]+", expression)) - {"AND", "OR"}
    classified = [
        each.rsplit(" :: ", 1)[-1]
        for each in found.get("classifier", [])
        if each.startswith("License :: ")
    ]
    named = classified or [found.get("license") or _title_of_its_licence(package)]
    return {CALLED.get(each, each) for each in named}


def _title_of_its_licence(package: str) -> str:
    """The first line of the licence that a package comes with, when its metadata names none."""
    files_of = distribution(package).files or []
    texts = [each for each in files_of if each.name == "LICENSE"]
    return texts[0].read_text().partition("\n")[0].strip() if texts else "none"


@pytest.mark.parametrize("package", LOCKED)
def test_every_package_of_the_image_has_a_licence_that_lets_us_ship_it(package: str) -> None:
    try:
        found = licences(package)
    except PackageNotFoundError:
        pytest.skip("locked for another system; what CI installs is judged there")

    assert found <= ALLOWED.keys()


def test_what_rests_is_named_while_it_is_shipped_and_no_longer() -> None:
    assert set(RESTING) <= set(LOCKED)


@pytest.mark.parametrize("gone", ["grpcio", "cachebox", "openfeature-provider-flagd", "pyyaml"])
def test_reading_one_file_of_flags_needs_no_remote_procedures(gone: str) -> None:
    assert gone not in LOCKED


def test_our_own_licence_is_named_alike_wherever_it_is_named() -> None:
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]

    assert named == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    assert re.search(r"\bMIT\b.*\(LICENSE\)|\[MIT\]\(LICENSE\)", (ROOT / "README.md").read_text())
