"""DuckDB and ClickHouse, asked of an archive's events, say what the ledger's tables say."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from app.insight.archive.exporting import export
from app.insight.models import ENTRIES
from tests.builders.crowds import Crowd
from tests.builders.ledgers import Stored, opened
from tests.ledger.length import LONG
from tests.ledger.oracle import STEPS
from tests.ledger.questions import QUESTIONS, Answer, ask_chdb, ask_duckdb

CROWD = Crowd(seed=21, visits=3_000 if LONG else 150, gaps=False)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Stored]:
    """A ledger in which each visit takes its steps one after the other: a funnel's own kind."""
    async with opened(f"sqlite+aiosqlite:///{tmp_path / 'ledger'}.db") as made:
        await made.tell(CROWD.told())
        await made.settle()
        yield made


async def answers(ledger: Stored) -> dict[str, Answer]:
    """The same four of the ledger's entries."""
    async with ledger.database.read() as connection:
        standing = select(ENTRIES).where(ENTRIES.c.until.is_(None))
        entries = (await connection.execute(standing)).mappings().all()
    funnel: Counter[tuple[str, str, int]] = Counter()
    visits: Counter[str] = Counter()
    visitors: dict[str, set[str]] = defaultdict(set)
    days: dict[str, set[date]] = defaultdict(set)
    money: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for entry in entries:
        measure, label = entry["measure"], entry["label"]
        if measure.startswith("step."):
            funnel[entry["market"], entry["traffic"], STEPS.index(label)] += 1
        elif measure == "session":
            visits[entry["traffic"]] += 1
        elif measure == "visitor":
            visitors[entry["traffic"]].add(label)
            if entry["traffic"] == "human":
                days[label].add(entry["at"].date())
        elif measure == "order_value":
            money[label][0] += 1
            money[label][1] += entry["amount"]
        elif measure == "order_value_lost":
            money[label.split("|")[0]][2] += entry["amount"]
    back = [
        sum(min(seen) + timedelta(days=after) in seen for seen in days.values())
        for after in range(3)
    ]
    return {
        "funnel": [(*key, count) for key, count in sorted(funnel.items())],
        "retention": [tuple(back)],
        "distinct": [
            (traffic, count, len(visitors[traffic]), count)
            for traffic, count in sorted(visits.items())
        ],
        "money": [(currency, *amounts) for currency, amounts in sorted(money.items())],
    }


async def test_three_engines_say_the_same(ledger: Stored, tmp_path: Path) -> None:
    await export(ledger.database, tmp_path / "archive")
    ours = await answers(ledger)
    assert set(ours) == set(QUESTIONS)
    for question, answer in ours.items():
        assert len(answer) >= 1
        assert ask_duckdb(question, tmp_path / "archive") == answer, question
        assert ask_chdb(question, tmp_path / "archive") == answer, question
    assert min(ours["retention"][0]) > 0
    assert {traffic for _, traffic, *_ in ours["funnel"]} >= {"human", "suspect", "bot"}
    assert max(step for _, _, step, _ in ours["funnel"]) == len(STEPS) - 1
