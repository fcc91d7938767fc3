"""Every fact that moves a number is entitled by something, as the ledger's page says."""

from __future__ import annotations

import re
from pathlib import Path

from app.insight.ledger.rules import PLAIN_RULES, RULES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "ledger.md").read_text(encoding="utf-8")
_, _, _PART = PAGE.partition("## Who may state what")
TABLE = [line.split("|")[1:-1] for line in _PART.partition("\n## ")[0].splitlines() if "`" in line]
ROWS = [row for row in TABLE if len(row) == 4]


def _names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_counted_fact_has_its_row() -> None:
    told = [name for row in ROWS for name in _names(row[0])]
    counted = {kind.__name__ for kind in (*RULES, *PLAIN_RULES)}

    assert sorted(told) == sorted(counted)
    assert all(entitled.strip() and often.strip() for _, entitled, often, _ in ROWS)


def test_the_tests_that_flood_them_exist() -> None:
    named = {name for row in ROWS for name in _names(row[3])}

    assert {name for name in named if not (ROOT / name).is_file()} == set()
