"""What the tests of the public port share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from telemetry.testing import Signals, capture


@pytest.fixture
def signals() -> Iterator[Signals]:
    with capture("advisor") as captured:
        yield captured
