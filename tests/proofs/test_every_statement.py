"""Every verb broken off at each of its statements in turn: its retry ends in the same truth."""

from __future__ import annotations

from pathlib import Path

import pytest
import stamina

from tests.proofs.arena import open_arena
from tests.proofs.conftest import Place
from tests.proofs.length import LONG, STRIDE
from tests.proofs.lives import EPISODES, Life

MOST_STATEMENTS = 60
"""Of one step; the proof fails when it has not come to the last one by then."""
CARS = (MOST_STATEMENTS + 1) * len(EPISODES)


@pytest.mark.parametrize("after", [False, True], ids=["before_it", "right_after_it"])
def test_whatever_is_broken_off_at_any_statement_is_finished_by_its_retry(
    place: Place, tmp_path: Path, *, after: bool
) -> None:
    if not LONG and (place.pooler or not after):
        pytest.skip("what was carried out, and not heard of, comes first; this is the long proof's")
    stamina.set_testing(True, attempts=1)
    try:
        with open_arena(tmp_path, place.new("checkout"), pooler=place.pooler, cars=CARS) as arena:
            whole = Life(arena, 1)
            truth = whole.live()
            statement, blew = 1 - STRIDE, True
            while blew:
                statement += STRIDE
                assert statement <= MOST_STATEMENTS
                life = Life(arena, 1 + statement * len(EPISODES), statement, after)
                assert life.live() == truth, f"broken off at statement {statement}"
                blew = bool(life.broken)
                if statement == 1:
                    assert life.broken == whole.steps, "nothing was broken off"
            assert arena.broken(settled=True) == {}
            positions = [event["sequence"] for event in arena.events]
            assert positions == list(range(1, len(positions) + 1))
    finally:
        stamina.set_testing(False)
