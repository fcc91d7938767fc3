"""Revisions of this repository: the one that is measured, and the code of another one."""

import io
import subprocess
import zipfile
from pathlib import Path

from bench.stack import ROOT, CannotMeasure


def current() -> str:
    """The commit, marked when the tree has changes that are not in it."""
    described = _git(ROOT, "describe", "--always", "--dirty=+changes", "--abbrev=10")
    return described.stdout.decode().strip() or "unknown"


def code_of(revision: str, folder: Path, *, repository: Path = ROOT) -> Path | None:
    """The files of `revision`, written into `folder`; None for the revision `none`.

    Raises:
        CannotMeasure: the repository does not have it.
    """
    if revision == "none":
        return None
    # `--end-of-options`: a revision is never one of git's options.
    archived = _git(repository, "archive", "--format=zip", "--end-of-options", revision)
    if archived.returncode != 0:
        raise CannotMeasure(
            f"git has no files of {revision!r} ({archived.stderr.decode().strip()}): fetch that"
            " revision, name another one with --base, or leave the comparison out with --base none"
        )
    with zipfile.ZipFile(io.BytesIO(archived.stdout)) as files:
        files.extractall(folder)
    return folder


def _git(repository: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(repository), *words], check=False, capture_output=True)
