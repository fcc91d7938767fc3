"""The questions of docs/ledger.md, asked as they stand there, have the reports' answers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from app.insight.archive.exporting import export
from app.insight.archive.files import KINDS
from app.insight.ledger.periods import Period
from app.insight.ledger.readings import Readings
from tests.builders.facts import START
from tests.builders.ledgers import Stored

PAGE = (Path(__file__).parents[3] / "docs" / "ledger.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Your data")[2].partition("\n## ")[0]
VIEW, *ASKED = re.findall(r"^```sql\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)
MONDAY = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
ALL = Period(START - timedelta(days=1), START + timedelta(days=60), "human")


async def test_the_five_questions_have_the_ledger_s_answers(
    ledger: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await export(ledger.database, tmp_path / "archive")
    monkeypatch.chdir(tmp_path)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'").fetchall()
    connection.execute(VIEW).fetchall()
    days, monday, moved, behind, waits = (connection.execute(one).fetchall() for one in ASKED)

    readings = Readings(ledger.store)
    now = await readings.shop(ALL)
    assert sum(visits or 0 for _, visits, _ in days) == now.sessions > 0
    assert sum(converted or 0 for *_, converted in days) == now.converted > 0
    then = await readings.shop(Period(ALL.since, ALL.until, "human", as_of=MONDAY))
    assert dict(monday) == {
        "converted": then.converted,
        "engaged": then.engaged,
        "order": then.orders,
        "session": then.sessions,
    }
    assert then.sessions < now.sessions
    assert {because for _, because, _ in moved} <= {"late", "late_payment", "return", "suspect"}
    lost = {order for order, *_ in behind}
    everyone = await readings.shop(Period(ALL.since, ALL.until))
    assert bool(lost) == bool(everyone.order_value_lost)
    assert {kind for *_, kind, _ in behind} >= {"checkout.order.confirmed"}
    assert sum(holds for _, holds, _ in waits) == now.steps["hold"]
    assert all(seconds >= 0 for *_, seconds in waits)


def test_every_column_is_documented() -> None:
    table = [line for line in SECTION.splitlines() if line.startswith("|")]
    told: dict[str, list[str]] = {}
    for line in table[2:]:
        kind, columns, _ = line.strip("|").split("|", 2)
        named = re.findall(r"`(\w+)`", kind) or [list(told)[-1]]
        told.setdefault(named[0], []).extend(re.findall(r"`(\w+)`", columns))
    assert told == {kind: list(columns) for kind, columns in KINDS.items()}
