"""The repository itself: nothing of one machine, nothing unfinished, documents that are true."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (".py", ".js", ".mjs", ".html", ".css", ".yml", ".yaml", ".toml", ".txt", ".md", ".json")


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def _lines_with(pattern: str, *, suffixes: tuple[str, ...] = TEXT) -> list[str]:
    expression = re.compile(pattern)
    return [
        f"{path.relative_to(ROOT)}:{number}"
        for path in _tracked()
        if path.suffix in suffixes or path.name == "Makefile"
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if expression.search(line)
    ]


def test_no_package_registry_is_named() -> None:
    names = r"py[p]i\.(org|python)|pythonhoste[d]|registry\.npm[j]s|(deb|security)\.debia[n]\.org"
    assert _lines_with(names) == []


def test_no_absolute_path_of_one_machine_is_named() -> None:
    assert _lines_with(r"(^|[^a-zA-Z0-9._-])/(wor[k]|far[m]|roo[t])/") == []


def test_nothing_is_marked_as_unfinished() -> None:
    assert _lines_with(r"\b(TOD[O]|FIXM[E])\b|NotImplementedErro[r]", suffixes=(".py",)) == []


def test_relative_links_in_documents_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)} -> {target}"
        for page in _tracked()
        if page.suffix == ".md"
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
        if "://" not in target and not target.startswith(("/", "mailto:"))
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_ci_runs_what_the_readme_names() -> None:
    assert "make test" in (ROOT / ".ci/run").read_text()
    assert "make test" in (ROOT / "README.md").read_text()


def test_the_licence_is_the_one_that_is_named() -> None:
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]
    assert (ROOT / "LICENSE").read_text().startswith(f"{named} License\n")
    assert f"[{named}](LICENSE)" in (ROOT / "README.md").read_text()
