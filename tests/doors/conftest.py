"""What the doors are tried on: both shapes of the shop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doors.houses import LONG, House, Shape, opened

SHAPES: tuple[Shape, ...] = ("embedded", "production") if LONG else ("embedded",)
"""The production shape takes most of a minute to start: the long form's."""


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> Shape:
    """Runs a test in both shapes, for those that open a house with settings of their own."""
    chosen: Shape = request.param
    return chosen


@pytest.fixture(scope="module", params=SHAPES)
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """A shop as it is shipped, one for all tests of a file."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    with opened(request.param, folder) as shop:
        yield shop
