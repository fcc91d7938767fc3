"""The real Locust refuses what would walk one planned day several times."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.generator import LOCUSTFILE

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["--processes", "2"], "--processes"),
        (["--master"], "--master"),
        (["--worker"], "--worker"),
        (["-u", "50"], "--users"),
        (["-r", "10"], "--spawn-rate"),
        (["-t", "1m"], "--run-time"),
    ],
)
def test_a_load_that_would_not_be_divided_is_refused(
    tmp_path: Path, given: list[str], named: str
) -> None:
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless"),
            *("--host", "http://127.0.0.1:9", "--evidence", str(tmp_path / "evidence"), *given),
        ],
        env={key: value for key, value in os.environ.items() if not key.startswith("LOCUST_")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert f"{named}: this load is not divided" in ended.stderr
    assert not (tmp_path / "evidence").exists()
